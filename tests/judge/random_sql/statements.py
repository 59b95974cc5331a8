"""Random statements over random rows, which stand in front as `with t(a, b) as (values …)`."""
import re

from .grammar import TYPES, Expressions
from .tree import Node, Several
from .values import NAMES, Values, quoted

# Types whose equal values have one text: of others a group, DISTINCT or LIMIT may show any.
KEY_TYPES = ["int", "text", "bool", "json", "jarr", "date", "ts", "tsn", "uuid", "texts", "ints"]
COLUMN_NAMES = ["id", "name", "tags", "region", "title", "doc", "at", "state", "n", "arn", "policy", "cidr"]


class Statements:
    """Makes statements."""

    def __init__(self, random, differs=frozenset()):
        self.random, self.differs = random, differs
        self.values = Values(random, differs)
        self.expressions = Expressions(random, self.values, differs)
        self.expressions.subquery = self.subquery
        self.aliases = 0

    # Rows

    def tables(self):
        """(nodes of the WITH list, relations)."""
        r = self.random
        nodes, relations = [], []
        for name in ["t", "u", "w"][: r.choice([1, 2, 2, 3])]:
            names = r.sample(COLUMN_NAMES, r.choice([3, 4, 5, 6]))
            columns = [(names[0], "int"), (names[1], "text"), *((column, r.choice(TYPES)) for column in names[2:])]
            rows = [[self.cell(type) for _, type in columns] for _ in range(r.choice([1, 2, 4, 6, 8]))]
            if r.random() < 0.4:
                rows.append(list(r.choice(rows)))
            style = r.choice(["first", "all", "null row"])
            lines = []
            if style == "null row":
                # A row of typed NULLs in front gives the types.
                lines.append("(" + ", ".join(f"null::{NAMES[type]}" for _, type in columns) + ")")
            for at, row in enumerate(rows):
                typed = style == "all" or style == "first" and at == 0
                lines.append("(" + ", ".join(self.shown(type, text, typed) for (_, type), text in zip(columns, row)) + ")")
            least = 1
            rows_node = Several(", ", lines, least) if style == "all" else Node(lines[0], Node(", ", Several(", ", lines[1:]), optional=True) if lines[1:] else "")
            nodes.append(Node(f"{name}({', '.join(column for column, _ in columns)}) as (values ", rows_node, ")"))
            relations.append((name, columns))
        return nodes, relations

    def cell(self, type):
        return None if self.random.random() < 0.15 else self.values.raw(type)

    def shown(self, type, text, typed):
        if text is None:
            return f"null::{NAMES[type]}" if typed else "null"
        if type == "int" and not text.startswith("-"):
            return text if not typed else f"{text}::int"
        if type == "bool":
            return text
        return f"{quoted(text)}::{NAMES[type]}" if typed else quoted(text)

    # FROM

    def alias(self):
        self.aliases += 1
        return f"s{self.aliases}"

    def function(self, columns, depth):
        """(call, columns of its rows: (name, type); None stands for the alias)."""
        r = self.random
        of = lambda type: self.expressions.of(type, columns, depth)
        kind = r.choice(["elements", "elements", "texts", "texts", "keys", "each", "each_text", "unnest", "unnest_ints", "series", "split", "path", "two", "case", "table"])
        if kind == "elements":
            return Node("jsonb_array_elements(", of("jarr"), ")"), [("value", "json")]
        if kind == "texts":
            return Node("jsonb_array_elements_text(", of("jarr"), ")"), [("value", "text")]
        if kind == "keys":
            return Node("jsonb_object_keys(", of("jobj"), ")"), [(None, "text")]
        if kind == "each":
            return Node("jsonb_each(", of("jobj"), ")"), [("key", "text"), ("value", "json")]
        if kind == "each_text":
            return Node("jsonb_each_text(", of("jobj"), ")"), [("key", "text"), ("value", "text")]
        if kind == "unnest":
            return Node("unnest(", of("texts"), ")"), [(None, "text")]
        if kind == "unnest_ints":
            return Node("unnest(", of("ints"), ")"), [(None, "int")]
        if kind == "series":
            return Node(f"generate_series({r.choice(['1', '0', '3', '-1'])}, abs(", of("int"), f") % 5{r.choice(['', ', 2'])})"), [(None, "int")]
        if kind == "split":
            return Node("regexp_split_to_table(", of("text"), f", {self.values.constant('re')})"), [(None, "text")]
        if kind == "path":
            return Node("jsonb_path_query(", of("json"), f", {self.values.constant('jsonpath')})"), [(None, "json")]
        if kind == "two":
            return Node("unnest(", of("texts"), ", ", of("ints"), ")"), [("two", "text"), ("two", "int")]
        if kind == "case":
            return Node("jsonb_array_elements(case jsonb_typeof(", of("json"), ") when 'array' then ", of("jarr"), " end)"), [("value", "json")]
        return Node("string_to_table(", of("text"), ", ',')"), [(None, "text")]

    def called(self, columns, depth):
        """A function as an item of FROM: (node, its columns)."""
        r = self.random
        call, out = self.function(columns, depth)
        alias = self.alias()
        as_ = r.choice(["", "as "])
        if out[0][0] == "two" or r.random() < 0.35:
            names = [f"{alias}c{at}" for at in range(len(out))]
            ordinality = r.random() < 0.3
            listed = names + ([f"{alias}n"] if ordinality else [])
            node = Node(call, f" {'with ordinality ' if ordinality else ''}{as_}{alias}({', '.join(listed)})")
            return node, [(r.choice([name, f"{alias}.{name}"]), type) for name, (_, type) in zip(names, out)] + ([(f"{alias}n", "int")] if ordinality else [])
        if len(out) == 1:
            return Node(call, f" {as_}{alias}"), [(alias if out[0][0] is None or r.random() < 0.5 else f"{alias}.{out[0][0]}", out[0][1])]
        return Node(call, f" {as_}{alias}"), [(f"{alias}.{name}", type) for name, type in out]

    def source(self, relations, depth, outer=()):
        """FROM: (node, columns). Tables, joins of them, functions of their columns, subqueries."""
        r = self.random
        name, columns = r.choice(relations)
        alias = self.alias() if r.random() < 0.5 else ("" if not outer else self.alias())
        label = alias or name
        node = Node(f"{name} {alias}".strip())
        scope = [(f"{label}.{column}", type) for column, type in columns]
        parts, used = [node], {label}
        for _ in range(r.choice([0, 0, 1, 1, 2])):
            what = r.choice(["table", "table", "function", "function", "function", "lateral"])
            if what == "table":
                other, more = r.choice(relations)
                alias = self.alias()
                new = [(f"{alias}.{column}", type) for column, type in more]
                how = r.choice(["join", "left join", "right join", "full join", "inner join", "cross join", "left join"])
                if how == "cross join":
                    parts.append(Node(f" cross join {other} {alias}", optional=True))
                else:
                    parts.append(Node(f" {how} {other} as {alias} on ", self.condition(scope, new, how), optional=True))
                scope = scope + new
            elif what == "function":
                called, new = self.called([*scope, *outer], depth - 1)
                lead = r.choice([" cross join ", " cross join lateral ", " left join lateral ", " left join ", " join lateral "])
                on = "" if "cross" in lead else " on true" if r.random() < 0.6 else Node(" on ", self.expressions.of("bool", scope + new, 1))
                parts.append(Node(lead, called, on, optional=True))
                scope = scope + new
            else:
                inner, new = self.lateral(relations, [*scope, *outer], depth - 1)
                lead = r.choice([" cross join lateral ", " left join lateral ", " join lateral "])
                parts.append(Node(lead, inner, "" if "cross" in lead else " on true", optional=True))
                scope = scope + new
        if r.random() < 0.25:
            called, new = self.called([*scope, *outer], depth - 1)
            parts.append(Node(", ", called, optional=True))
            scope = scope + new
        return Node(*parts), scope

    def condition(self, left, right, how):
        """ON: two columns of one type are equal, and perhaps more. FULL JOIN takes nothing but equality in PostgreSQL too."""
        r = self.random
        pairs = [(a, b) for a, kind in left for b, other in right if kind == other and kind not in ("json", "jarr", "jobj")]
        a, b = r.choice(pairs)
        equal = Node(f"{a} = {b}", type="bool")
        if how == "full join" or r.random() < 0.6:
            return equal
        return Node(equal, Node(" and ", Node("(", self.expressions.of("bool", left + right, 1), ")"), optional=True))

    def lateral(self, relations, outer, depth):
        """A subquery over outer columns: (node with its alias, columns)."""
        r = self.random
        alias = self.alias()
        source, scope = self.source(relations, 1, outer) if r.random() < 0.5 else self.called(outer, depth)
        types = [r.choice(KEY_TYPES) for _ in range(r.choice([1, 2]))]
        everything = [*scope, *outer]
        if r.random() < 0.3:
            name = f"{alias}v"
            inner = Node("(select count(*) as ", f"{name} from ", source, self.where(everything, 1), ")")
            return Node(inner, f" {alias}"), [(f"{alias}.{name}", "int")]
        items = [Node(self.expressions.of(type, everything, depth), f" as {alias}v{at}") for at, type in enumerate(types)]
        order = ""
        if r.random() < 0.3:
            order = f" order by {', '.join(str(at + 1) for at in range(len(items)))} limit {r.choice([1, 2])}"
        inner = Node("(select ", Several(", ", items, len(items)), " from ", source, self.where(everything, 1), order, ")")
        return Node(inner, f" {alias}"), [(f"{alias}.{alias}v{at}", type) for at, type in enumerate(types)]

    def where(self, columns, depth):
        r = self.random
        if r.random() < 0.4:
            return Node("")
        terms = [Node("(", self.expressions.of("bool", columns, depth), ")") for _ in range(r.choice([1, 1, 2]))]
        return Node(" where ", Several(r.choice([" and ", " and ", " or "]), terms), optional=True)

    # Subqueries in expressions

    def subquery(self, type, columns, depth):
        """A subquery as an expression of a type, over outer columns; None where there is none."""
        r = self.random
        relations = self.relations
        if type not in ("bool", "int", "text", "json", "texts", "date", "ts"):
            return None
        if r.random() < 0.55:
            source, scope = self.called(columns, 1)
        else:
            source, scope = self.source(relations, 1, columns)
        everything = [*scope, *columns]
        where = self.where(everything, 1)
        of = lambda type, over=everything: self.expressions.of(type, over, 1)

        def inner(type):
            # An aggregate of outer columns alone is one of the outer query.
            made = of(type)
            return made if any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", str(made)) for name, _ in scope) else Node(scope[0][0]) if scope[0][1] == type else None

        if type == "bool":
            kind = r.choice(["exists", "not exists", "in", "not in", "any", "all"])
            if kind in ("exists", "not exists"):
                return Node(f"{kind} (select {r.choice(['1', '*', 'null'])} from ", source, where, ")", type=type)
            item = r.choice(["int", "text", "date"])
            outer = self.expressions.of(item, columns, 1)
            operator = {"in": "in", "not in": "not in", "any": r.choice(["= any", "> any"]), "all": r.choice(["<> all", "<= all"])}[kind]
            return Node("(", outer, f") {operator} (select ", of(item), " from ", source, where, ")", type=type)
        if type == "int":
            what = r.choice(["count(*)", "count", "max", "sum"])
            if what == "count(*)":
                return Node("(select count(*) from ", source, where, ")::int", type=type)
            made = inner("int")
            return made and Node(f"(select {what}(", made, ") from ", source, where, ")::int", type=type)
        if type == "texts":
            return Node("array(select ", of("text"), " from ", source, where, " order by 1)", type=type)
        if type == "json":
            item = r.choice(["int", "text"])
            made = inner(item)
            return made and Node("(select jsonb_agg(", made, " order by ", made, ") from ", source, where, ")", type=type)
        if r.random() < 0.5 and type in ("text", "date", "ts"):
            made = inner(type)
            return made and Node(f"(select {r.choice(['min', 'max'])}(", made, ") from ", source, where, ")", type=type)
        return Node("(select ", of(type), " from ", source, where, " order by 1 limit 1)", type=type)

    # Whole statements

    def statement(self):
        """One statement."""
        r = self.random
        self.aliases = 0
        with_, relations = self.tables()
        self.relations = relations
        if r.random() < 0.25:
            cte, columns = self.cte(relations)
            with_.append(cte)
            relations = self.relations = [*relations, ("c", columns)]
        kind = r.choice(["plain"] * 5 + ["group"] * 3 + ["set", "distinct on", "select list", "aggregate", "distinct", "window", "control", "control", "refusal"])
        body = getattr(self, kind.replace(" ", "_"))(relations)
        if kind == "refusal":
            return body
        return Node("with ", Several(", ", with_), " ", body)

    def cte(self, relations):
        source, scope = self.source(relations, 1)
        types = [("k", "text"), ("v", self.random.choice(KEY_TYPES)), ("i", "int")]
        items = [Node(self.expressions.of(type, scope, 1), f" as {name}") for name, type in types]
        return Node("c as (select ", Several(", ", items, len(items)), " from ", source, self.where(scope, 1), ")"), types

    def items(self, types, columns, depth, named=0.5):
        return [Node(self.expressions.of(type, columns, depth), f" as c{at}" if self.random.random() < named else "") for at, type in enumerate(types)]

    def types(self, pool=TYPES, counts=(1, 2, 3, 4)):
        return [self.random.choice(pool) for _ in range(self.random.choice(counts))]

    def ordered(self, count):
        """ORDER BY all columns, and LIMIT: total but for equal rows."""
        r = self.random
        if r.random() < 0.5:
            return Node("")
        terms = ", ".join(f"{at + 1}{r.choice(['', ' desc', ' asc', ' nulls first', ' desc nulls last'])}" for at in range(count))
        limit = r.choice(["", " limit 2", " limit 3 offset 1", " offset 2", " fetch first 2 rows only"])
        return Node(f" order by {terms}{limit}", optional=True)

    def plain(self, relations):
        source, scope = self.source(relations, 2)
        return Node("select ", Several(", ", self.items(self.types(), scope, 3)), " from ", source, self.where(scope, 2))

    def control(self, relations):
        """What a control looks like."""
        source, scope = self.source(relations, 2)
        of = lambda type, depth=2: self.expressions.of(type, scope, depth)
        items = [Node(of("text", 1), " as resource"),
                 Node("case ", Several(" ", [Node("when ", of("bool"), f" then '{status}'") for status in self.random.sample(["ok", "alarm", "skip", "info"], 2)]), " else 'info' end as status"),
                 Node("case when ", of("bool"), " then ", of("text", 1), " || ' has ' || ", "(", of("text"), ")", " else coalesce(", of("text"), ", 'nothing') || '.' end as reason")]
        return Node("select ", Several(", ", items), " from ", source, self.where(scope, 2))

    def refusal(self, _):
        """One row, and an expression that may refuse it: whether it is evaluated is no matter of plans."""
        columns = [(f"c{at}", type) for at, type in enumerate(TYPES)]
        row = ", ".join(self.shown(type, self.cell(type), True) for _, type in columns)
        type, made = self.expressions.refused(columns)
        return Node("select ", made, f" as v from (values ({row})) v({', '.join(name for name, _ in columns)})")

    def distinct(self, relations):
        source, scope = self.source(relations, 1)
        types = self.types(KEY_TYPES, (1, 2))
        return Node("select distinct ", Several(", ", self.items(types, scope, 2), len(types)), " from ", source, self.where(scope, 1), self.ordered(len(types)))

    def distinct_on(self, relations):
        source, scope = self.source(relations, 1)
        types = self.types(KEY_TYPES, (2, 3))
        items = self.items(types, scope, 1, named=0)
        order = ", ".join(f"{at + 1}{self.random.choice(['', ' desc'])}" for at in range(len(items)))
        return Node("select distinct on (", items[0], ") ", Several(", ", items, len(items)), " from ", source, self.where(scope, 1), f" order by {order}")

    def select_list(self, relations):
        """Functions that give rows in the select list."""
        source, scope = self.source(relations, 1)
        call, out = self.function(scope, 1)
        if len(out) > 1:
            call = Node("jsonb_array_elements_text(", self.expressions.of("jarr", scope, 1), ")")
        items = [*self.items(self.types(counts=(1, 2)), scope, 1), Node(call, self.random.choice(["", " as e"]))]
        return Node("select ", Several(", ", items), " from ", source, self.where(scope, 1))

    def set(self, relations):
        types = self.types(KEY_TYPES, (1, 2))
        operator = [" union ", " union all ", " except ", " intersect ", " union "]
        if "multisets" not in self.differs:
            operator += [" except all ", " intersect all "]
        branches = []
        for _ in range(2):
            source, scope = self.source(relations, 1)
            branches.append(Node("select ", Several(", ", self.items(types, scope, 1), len(types)), " from ", source, self.where(scope, 1)))
        return Node(branches[0], self.random.choice(operator), branches[1], self.ordered(len(types)))

    def aggregates(self, scope, depth):
        """Aggregates whose answer does not hang on the order of rows."""
        r = self.random
        of = lambda type: self.expressions.of(type, scope, depth)
        kind = r.choice(["count(*)", "count", "count distinct", "sum", "sum num", "min", "max", "bool_and", "bool_or", "every", "string_agg", "array_agg", "jsonb_agg", "object", "distinct array", "texts", "avg"])
        filter = Node(" filter (where ", of("bool"), ")", optional=True) if r.random() < 0.25 else ""
        if kind == "count(*)":
            return Node("count(*)", filter)
        if kind == "count":
            return Node("count(", of(r.choice(TYPES)), ")", filter)
        if kind == "count distinct":
            return Node("count(distinct ", of(r.choice(KEY_TYPES)), ")", filter)
        if kind == "sum":
            return Node("sum(", of("int"), ")", filter)
        if kind == "sum num":
            return Node("sum(", of("num"), ")", filter)
        if kind == "avg":
            return Node("count(", of("int"), ")", filter) if "numeric-digits" in self.differs else Node("avg(", of(r.choice(["int", "num"])), ")", filter)
        if kind in ("min", "max"):
            return Node(f"{kind}(", of(r.choice(["int", "text", "date", "ts", "tsn"])), ")", filter)
        if kind in ("bool_and", "bool_or", "every"):
            return Node(f"{kind}(", of("bool"), ")", filter)
        if kind == "string_agg":
            made = of("text")
            return Node("string_agg(", made, f", {self.values.constant('sep')} order by ", made, ")", filter)
        if kind == "texts":
            return Node("array_to_string(array_agg(distinct ", of("text"), "), ',')", filter if not filter else "")
        if kind == "distinct array":
            return Node("array_agg(distinct ", of(r.choice(["int", "text", "date"])), ")", filter)
        if kind == "array_agg":
            made = of(r.choice(["int", "text", "date", "bool"]))
            return Node("array_agg(", made, " order by ", made, r.choice(["", " desc", " nulls first"]), ")", filter)
        if kind == "object":
            key, value = of("text"), of(r.choice(["int", "text", "json"]))
            return Node("jsonb_object_agg(coalesce(", key, ", 'none'), ", value, " order by ", value, ")", filter)
        made = of(r.choice(["int", "text", "json", "date", "bool"]))
        return Node("jsonb_agg(", made, " order by ", made, ")", filter)

    def aggregate(self, relations):
        source, scope = self.source(relations, 1)
        return Node("select ", Several(", ", [Node(self.aggregates(scope, 1), self.random.choice(["", f" as c{at}"])) for at in range(self.random.choice([1, 2, 3]))]), " from ", source, self.where(scope, 1))

    def group(self, relations):
        r = self.random
        source, scope = self.source(relations, 1)
        keys = [self.expressions.of(type, scope, r.choice([0, 1])) for type in self.types(KEY_TYPES, (1, 2))]
        aggregates = [self.aggregates(scope, 1) for _ in range(r.choice([1, 2]))]
        by = r.choice(["expression", "position", "alias"])
        items = [Node(key, f" as g{at}" if by == "alias" else "") for at, key in enumerate(keys)]
        names = {"expression": [*keys], "position": [str(at + 1) for at in range(len(keys))], "alias": [f"g{at}" for at in range(len(keys))]}[by]
        if by == "expression":
            # A literal in GROUP BY would be a position or an error.
            names = [key if not str(key).startswith(("'", "null")) and not str(key).lstrip("(-").rstrip(")").isdigit() else str(at + 1) for at, key in enumerate(keys)]
        having = ""
        if r.random() < 0.3:
            having = Node(" having ", r.choice([Node("count(*) > 1"), Node("bool_or(", self.expressions.of("bool", scope, 1), ")"), Node("max(", self.expressions.of("int", scope, 1), ") > 1")]), optional=True)
        return Node("select ", Several(", ", [*items, *aggregates], len(items) + 1), " from ", source, self.where(scope, 1), " group by ", Several(", ", names, len(names)), having)

    def window(self, relations):
        r = self.random
        source, scope = self.source(relations, 1)
        key, order = self.expressions.of(r.choice(KEY_TYPES), scope, 1), self.expressions.of(r.choice(KEY_TYPES), scope, 1)
        call = r.choice(["count(*)", "rank()", "dense_rank()", "sum(1)"])
        return Node("select ", key, " as k, ", order, f" as o, {call} over (partition by ", key, " order by ", order, ") as w from ", source, self.where(scope, 1))
