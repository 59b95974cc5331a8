"""Random expressions of a type, made of the lines of grammar.txt."""
import pathlib
import re

from .tree import Node
from .values import CONSTANTS
from .values import NAMES as NAMES_OF

FILE = pathlib.Path(__file__).with_name("grammar.txt")
# Types of columns; jsonb thrice.
TYPES = ["int", "num", "float", "text", "bool", "json", "jarr", "jobj", "ts", "tsn", "date", "interval", "inet", "uuid", "texts", "ints"]


def lines(differs):
    """By type, the lines in force, and those that may refuse their data; a line is its texts and names in braces."""
    found, refusing = {type: [] for type in TYPES}, {}
    for line in FILE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("!"):
            slug, line = line[1:].split(maxsplit=1)
            if slug in differs:
                continue
        into = refusing if line.startswith("?") else found
        type, text = line.removeprefix("?").split(maxsplit=1)
        parts = re.split(r"(\{=?[a-z]+\})(?!')", text)
        made = lambda part: re.fullmatch(r"\{=?[a-z]+\}", part) and (part.strip("{=}") in found or part[1:-1] in CONSTANTS)
        into.setdefault(type, []).append([(part[1:-1], True) if made(part) else (part, False) for part in parts if part])
    return found, refusing


class Expressions:
    """Makes expressions over columns."""

    def __init__(self, random, values, differs):
        self.random, self.values = random, values
        self.lines, self.refusing = lines(differs)
        # Makes subqueries of a type; set by who knows the tables.
        self.subquery = None

    def of(self, type, columns, depth):
        """An expression of a type; `columns` are (name, type)."""
        r = self.random
        fitting = [name for name, kind in columns if kind == type or type == "json" and kind in ("jarr", "jobj")]
        if depth <= 0 or r.random() < 0.15:
            if fitting and r.random() < 0.8:
                return Node(r.choice(fitting), type=type)
            if r.random() < 0.06:
                return Node(f"null::{NAMES_OF[type]}", type=type)
            return Node(self.values.literal(type), type=type)
        if self.subquery and r.random() < 0.12:
            held, self.subquery = self.subquery, None if r.random() < 0.7 else self.subquery
            made = held(type, columns, depth - 1)
            self.subquery = held
            if made is not None:
                return made
        return self.line(r.choice(self.lines[type]), type, columns, depth)

    def refused(self, columns):
        """(type, an expression that may refuse its data), directly over columns."""
        type = self.random.choice(sorted(self.refusing))
        return type, self.line(self.random.choice(self.refusing[type]), type, columns, 1)

    def line(self, line, type, columns, depth):
        r, parts, first = self.random, [], {}
        for text, made in line:
            if not made:
                parts.append(text)
            elif text.startswith("="):
                parts.append(first[text[1:]])
            elif text in self.lines:
                inner = self.of(text, columns, depth - 1 - (r.random() < 0.3))
                parts.append(inner if re.fullmatch(r"[\w.]+|'[^']*'", str(inner)) else Node("(", inner, ")"))
                first.setdefault(text, parts[-1])
            else:
                parts.append(self.values.constant(text))
        return Node(*parts, type=type)


