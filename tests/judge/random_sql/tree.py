"""Trees that print as SQL and know how they can get smaller."""


class Node:
    """A sequence of texts and nodes. With a type it is an expression, which another one of this type may replace; `optional` ones may go."""

    __slots__ = ("parts", "type", "optional")

    def __init__(self, *parts, type=None, optional=False):
        self.parts, self.type, self.optional = list(parts), type, optional

    def __str__(self):
        return "".join(map(str, self.parts))

    def children(self):
        return [part for part in self.parts if not isinstance(part, str)]

    def with_part(self, at, part):
        return Node(*self.parts[:at], part, *self.parts[at + 1:], type=self.type, optional=self.optional)

    def smaller(self):
        """Trees with one step less, the biggest steps first."""
        for at, part in enumerate(self.parts):
            if isinstance(part, str):
                continue
            if isinstance(part, Node) and part.optional:
                yield self.with_part(at, "")
        for at, part in enumerate(self.parts):
            if isinstance(part, str):
                continue
            if isinstance(part, Node) and part.type:
                for other in descendants(part, part.type):
                    yield self.with_part(at, other)
                if len(str(part)) > len(LEAVES.get(part.type, "null")):
                    yield self.with_part(at, Node(LEAVES.get(part.type, "null"), type=part.type))
        for at, part in enumerate(self.parts):
            if not isinstance(part, str):
                for other in part.smaller():
                    yield self.with_part(at, other)


class Several:
    """Nodes with something between them, of which all but `least` may go."""

    __slots__ = ("between", "items", "least")

    def __init__(self, between, items, least=1):
        self.between, self.items, self.least = between, list(items), least

    def __str__(self):
        return self.between.join(map(str, self.items))

    def children(self):
        return self.items

    def smaller(self):
        if len(self.items) > self.least:
            if len(self.items) > 3 and len(self.items) // 2 >= self.least:
                half = len(self.items) // 2
                yield Several(self.between, self.items[:half], self.least)
                yield Several(self.between, self.items[half:], self.least)
            for at in range(len(self.items)):
                yield Several(self.between, self.items[:at] + self.items[at + 1:], self.least)
        for at, item in enumerate(self.items):
            if not isinstance(item, str):
                for other in item.smaller():
                    yield Several(self.between, self.items[:at] + [other] + self.items[at + 1:], self.least)


# The simplest value of each type.
LEAVES = {
    "int": "1", "num": "1.5", "float": "2.5::float8", "text": "'x'", "bool": "true", "json": "'1'::jsonb", "jarr": "'[1]'::jsonb",
    "jobj": "'{\"a\": 1}'::jsonb", "ts": "timestamptz '2024-01-02 03:04:05+00'", "tsn": "timestamp '2024-01-02 03:04:05'", "date": "date '2024-01-02'",
    "interval": "interval '1 day'", "inet": "inet '10.0.0.1'", "texts": "array['x']", "ints": "array[1]", "uuid": "'00000000-0000-0000-0000-000000000001'::uuid",
}


def descendants(node, type):
    """Expressions of a type below a node, nearest first, each once."""
    found, level, seen = [], node.children(), set()
    while level:
        found += [n for n in level if isinstance(n, Node) and n.type == type and str(n) not in seen and not seen.add(str(n))]
        level = [child for n in level if not isinstance(n, str) for child in n.children()]
    return found
