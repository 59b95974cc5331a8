"""Literals: what stands in rows, and the constants that functions are called with."""
import json

KEYS = ["a", "b", "k v", "tags", "é", "A", "n"]
TEXTS = ["", "x", "abc", "ABC", "a,b,,c", " pad ", "é", "日本語", "💥x", "a%b_c", "it's", "true", "12", "a.b.c", "NULL", "\\", "x\ty", "{}", "arn:aws:iam::123:role/x", "Zz9"]
INTS = [0, 1, -1, 2, 3, 5, 7, 10, 42, 100, -17]
NUMS = ["0", "1.5", "1.50", "-2.25", "0.001", "100", "12345678.9", "-0.5", "2.5", "3.5", "99999999999999.99"]
FLOATS = ["0", "1.5", "-2.25", "1e10", "0.1", "1e-7", "123456.789", "2.5", "3.5", "1e15", "1e16"]
STAMPS = ["2024-01-31 10:00:00+00", "2024-02-29 23:59:59.999999+00", "2023-12-31 00:00:00+02", "1999-06-15 12:34:56.5+00", "1970-01-01 00:00:00+00",
          "2024-03-10 02:30:00-05", "2038-01-19 03:14:08+00", "2024-03-10 12:00:00.120+05:30"]
DATES = ["2024-01-31", "2024-02-29", "2023-12-31", "1999-06-15", "1970-01-01", "2024-03-10", "2000-02-28"]
INTERVALS = ["1 day", "-1 day", "2 mons", "1 year 2 mons 3 days 04:05:06.7", "90 minutes", "-00:00:01", "0", "36 hours", "1.5 days", "P1Y2M", "1 mon -1 day", "100 days"]
INETS = ["10.0.0.1", "10.0.0.0/8", "192.168.1.0/24", "192.168.1.5/24", "::1", "2001:db8::/32", "0.0.0.0/0", "10.1.2.3"]
UUIDS = ["00000000-0000-0000-0000-000000000001", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]
NUMBERS_OF_JSON = ["0", "1", "2", "-1", "1.5", "10", "12345678901234567890", "1e3", "0.1", "-0", "1E-3", "100000000000000000000.5"]
SCALED_NUMBERS_OF_JSON = ["1.0", "1.50", "2.00"]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class Values:
    """Random literals. `differs` names what answers otherwise and is therefore not made."""

    def __init__(self, random, differs=frozenset()):
        self.random, self.differs = random, differs

    def document(self, depth=2, kind=None):
        """The text of a JSON document, in no canonical form."""
        r = self.random
        kind = kind or r.choice(["array", "object", "array", "object", "string", "number", "bool", "null", "string", "number"] if depth else ["string", "number", "bool", "null"])
        space = r.choice(["", " ", ""])
        if kind == "array":
            return "[" + f",{space}".join(self.document(depth - 1) for _ in range(r.choice([0, 1, 2, 3]))) + "]"
        if kind == "object":
            # A key may come twice: the last one counts.
            return "{" + f",{space}".join(f"{json.dumps(r.choice(KEYS), ensure_ascii=r.random() < 0.5)}:{space}{self.document(depth - 1)}" for _ in range(r.choice([0, 1, 2, 3]))) + "}"
        if kind == "string":
            return json.dumps(r.choice(TEXTS), ensure_ascii=r.random() < 0.5)
        if kind == "number":
            return r.choice(NUMBERS_OF_JSON + ([] if "jsonb-number-scale" in self.differs else SCALED_NUMBERS_OF_JSON))
        return "null" if kind == "null" else r.choice(["true", "false"])

    def raw(self, type):
        """The text of a value, as it stands between quotes; for NULL None."""
        r = self.random
        one = {
            "int": lambda: str(r.choice(INTS)), "num": lambda: r.choice(NUMS), "float": lambda: r.choice(FLOATS), "text": lambda: r.choice(TEXTS),
            "bool": lambda: r.choice(["true", "false"]), "json": self.document, "jarr": lambda: self.document(kind="array"), "jobj": lambda: self.document(kind="object"),
            "ts": lambda: r.choice(STAMPS), "tsn": lambda: r.choice(STAMPS).rsplit("+", 1)[0].rsplit("-05", 1)[0], "date": lambda: r.choice(DATES),
            "interval": lambda: r.choice(INTERVALS), "inet": lambda: r.choice(INETS), "uuid": lambda: r.choice(UUIDS),
            "texts": lambda: self.array(TEXTS), "ints": lambda: self.array(list(map(str, INTS))),
        }
        return one[type]()

    def array(self, pool):
        r = self.random
        items = [r.choice(pool) for _ in range(r.choice([0, 1, 2, 3]))]
        if "array-nulls" not in self.differs and r.random() < 0.2:
            items.append(None)
        return "{" + ",".join("NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items) + "}"

    def literal(self, type, bare=False):
        """A literal with its type; `bare` ones are numbers, true, false, or untyped."""
        text = self.raw(type)
        if type in ("int", "bool") or type == "num" and bare:
            return text if not text.startswith("-") else f"({text})"
        if bare or type == "text":
            return quoted(text)
        return f"{quoted(text)}::{NAMES[type]}"

    def constant(self, kind):
        """A constant of the grammar, such as `{key}` or `{like}`."""
        made = CONSTANTS[kind]
        return made(self) if callable(made) else self.random.choice(made)


# PostgreSQL's names of our types; arrays that are known to be arrays and objects are jsonb.
NAMES = {"int": "int", "num": "numeric", "float": "float8", "text": "text", "bool": "bool", "json": "jsonb", "jarr": "jsonb", "jobj": "jsonb", "ts": "timestamptz",
         "tsn": "timestamp", "date": "date", "interval": "interval", "inet": "inet", "uuid": "uuid", "texts": "text[]", "ints": "int[]"}

CONSTANTS = {
    "key": lambda v: quoted(v.random.choice(KEYS)),
    "keys": lambda v: "array[" + ", ".join(quoted(v.random.choice(KEYS)) for _ in range(v.random.choice([1, 2, 3]))) + "]",
    "at": ["0", "1", "-1", "2", "-3", "7"],
    "n": ["0", "1", "2", "3", "-1", "-2"],
    "few": ["1", "2", "3"],
    "nz": ["1", "2", "3", "-2", "7"],
    "path": ["'{a}'", "'{a,b}'", "'{0}'", "'{tags,0}'", "'{a,-1}'", "'{}'", "array['k v']"],
    "like": ["'%'", "'a%'", "'%b%'", "'_'", "'A_C'", "'%\\%%'", "'x'", "''", "'%é'", "'__c'", "'%.%.%'"],
    "likes": ["array['a%', '%c']", "array['x', null]", "array['%B%']", "'{%,x}'"],
    "similar": ["'(a|x)%'", "'%(b|d)%'", "'[a-c]+'", "'x'", "'_{3}'", "'a*'"],
    "re": ["'^a'", "'b'", "'[0-9]+'", "'^(a|x)'", "'c$'", "'\\d'", "'\\w+'", "'(?=b)'", "'^$'", "'a(?!b)'", "'[[:alpha:]]+'", "'.'", "'\\.'", "','"],
    "sep": ["','", "'.'", "', '", "':'", "''", "'/'"],
    "numtext": ["'12'", "' 7 '", "'-3'", "'0'", "'+5'"],
    "dectext": ["'1.5'", "' -2.50 '", "'.5'", "'1e2'", "'7'", "'007.10'"],
    "booltext": ["'yes'", "'f'", "' TRUE '", "'0'", "'on'", "'y'"],
    "field": ["year", "month", "day", "hour", "minute", "second", "epoch", "dow", "doy", "quarter", "week", "isodow", "isoyear", "century", "decade", "milliseconds", "microseconds"],
    "datefield": ["year", "month", "day", "dow", "doy", "quarter", "week", "epoch", "isodow", "isoyear", "century", "decade"],
    "spanfield": ["year", "month", "day", "hour", "minute", "second", "epoch"],
    "unit": ["'year'", "'month'", "'day'", "'hour'", "'minute'", "'second'", "'quarter'", "'week'", "'decade'", "'century'", "'millennium'"],
    "format": ["'DD-Mon-YYYY'", "'YYYY-MM-DD\"T\"HH24:MI:SS'", "'HH12:MI:SS AM'", "'Day, DD Month YYYY'", "'FMDay FMMonth FMDDth'", "'Q WW IW IYYY D ID DDD J'", "'YY-MM-DD MS US'",
               "'dy DY Dy mon MON'", "'YYYY-MM-DDTHH:MI:SS'", "'CC SSSS'", "'TZH:TZM'", "'Y,YYY YYY'"],
    "numberformat": ["'999'", "'FM999'", "'9,999.99'", "'FM9990.00'", "'000'", "'S999'", "'999MI'", "'L99'", "'FM0009'", "'9.9'", "'99G999D9'", "'SG99'", "'FM99999999'", "'PL99'"],
    "jsonpath": ["'$'", "'$.a'", "'$.*'", "'$[*]'", "'$.**'", "'$.a[0]'", "'$[*] ? (@ > 1)'", "'$.tags[*].a'", "'$.a ? (@ == \"x\")'", "'$.\"k v\"'", "'$[last]'", "'$.a.type()'",
                 "'$[*] ? (@.a like_regex \"^a\")'", "'$.size()'", "'$[*] ? (exists (@.a))'", "'$ ? (@.type() == \"object\").keyvalue().key'", "'$[0 to 1]'"],
    "predicate": ["'$.a == 1'", "'$[*] > 1'", "'exists($.a)'", "'$.a like_regex \"x\"'", "'$.n == null'", "'$.a starts with \"a\"'"],
    "zone": ["'UTC'", "'+02'", "'-05:30'"],
    "offset": ["1", "2", "-1", "30", "0"],
}
