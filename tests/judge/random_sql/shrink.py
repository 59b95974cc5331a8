"""Compares answers, and makes a statement smaller while they still differ in the same way."""
import pathlib
import re

# What is refused by name: a slug of tests/sql/differences.txt, and what the difference's kind begins with. Wrong rows are never known.
KNOWN = [line.split(maxsplit=1) for line in pathlib.Path(__file__).with_name("known.txt").read_text().splitlines() if line and not line.startswith("#")]


def is_known(kind, differs):
    """Is a difference one of those listed, by being refused?"""
    return any(slug in differs and kind.startswith(("refused: " + start, "accepted: " + start)) for slug, start in KNOWN)


def same_text(cell):
    """CSV of assay says true where PostgreSQL's says t."""
    return {"true": "t", "false": "f"}.get(cell, cell)


def verdict(postgresql, assay, ordered=False):
    """None where both say the same; else what kind of difference it is."""
    if assay.error is not None and assay.error.startswith("PANIC"):
        return "panic: " + re.sub(r"\d+", "N", assay.error)[:80]
    if postgresql.error is not None and assay.error is not None:
        return None
    if assay.error is not None:
        if re.match(r'column "(\w+\(.*outer_ref|.*outer_ref.*ORDER BY)', assay.error):
            return "refused: an aggregate of outer columns"
        if "outer_ref(" in assay.error:
            return "refused: an outer column"
        return "refused: " + re.sub(r"[\d\"'].*|line \d.*", "", assay.error)[:60]
    if postgresql.error is not None:
        # What PostgreSQL refuses before it runs (class 42) may mean something here; wrong data is refused by both.
        if postgresql.state.startswith("42"):
            return None
        return "accepted: " + re.sub(r"\".*", "", postgresql.error)[:60]
    if postgresql.names != assay.names:
        return "names"
    rows = [[tuple(map(same_text, row)) for row in answer.rows] for answer in (postgresql, assay)]
    if len(rows[0]) != len(rows[1]):
        return "count of rows"
    if not ordered:
        rows = list(map(sorted, rows))
    return None if rows[0] == rows[1] else "rows"


class Case:
    """A statement, both answers, and how they differ."""

    def __init__(self, statement, postgresql, assay):
        self.statement, self.postgresql, self.assay = statement, postgresql, assay
        self.kind = verdict(postgresql, assay, ordered=is_ordered(statement))
        if self.kind and self.kind.startswith("accepted") and str(statement).startswith("with"):
            # Whether wrong data is met at all is a matter of plans; statements without WITH have one row, and must meet it.
            self.kind = None

    def __str__(self):
        return f"{self.kind}\n  {self.statement}\n  PostgreSQL: {self.postgresql}\n  assay:      {self.assay}"


def is_ordered(statement):
    """Is the whole statement's answer in order? It is when it ends in an ORDER BY of positions, which are all its columns."""
    return re.search(r" order by \d+( asc| desc| nulls| first| last|, \d+)*( limit \d+| offset \d+| fetch first \d rows only)*$", str(statement)) is not None


def cases(statements, postgresql, assay):
    """Each statement's case."""
    texts = list(map(str, statements))
    return [Case(*each) for each in zip(statements, postgresql.answers(texts), assay.answers(texts))]


def shrunk(case, postgresql, assay, rounds=60, width=24):
    """The smallest case of the same kind that steps lead to."""
    for _ in range(rounds):
        smaller, seen = [], set()
        for tree in case.statement.smaller():
            text = str(tree)
            if len(text) <= len(str(case.statement)) and text != str(case.statement) and text not in seen:
                seen.add(text)
                smaller.append(tree)
        found = None
        for at in range(0, len(smaller), width):
            # PostgreSQL first: what it refuses is no case, unless that is the difference.
            some = smaller[at:at + width]
            answers = postgresql.answers(list(map(str, some)))
            if not case.kind.startswith("accepted"):
                some, answers = zip(*kept) if (kept := [(s, a) for s, a in zip(some, answers) if a.error is None]) else ((), ())
            if not some:
                continue
            ours = assay.one_by_one(list(map(str, some)))
            found = next((c for c in (Case(*each) for each in zip(some, answers, ours)) if c.kind == case.kind), None)
            if found:
                break
        if not found:
            return case
        case = found
    return case
