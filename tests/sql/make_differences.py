#!/usr/bin/env python3
"""Writes the list of what answers otherwise than on PostgreSQL into docs/postgresql.md. Needs no PostgreSQL.

    python3 tests/sql/make_differences.py [--check]

An entry is in the list when blocks `query differs SLUG` of the *.test files here name it; `differences.txt` has its text. With --check
nothing is written, and the exit code tells whether the document is what would be written.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE / "../../docs/postgresql.md"
BEGIN, END = "<!-- differences: made by tests/sql/make_differences.py -->", "<!-- end of differences -->"


def texts():
    """Text of each slug; wrong lines end the script."""
    found = {}
    for line in (HERE / "differences.txt").read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        slug, _, text = line.partition(": ")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", slug) or not text or slug in found:
            sys.exit(f"differences.txt: no entry, or one given twice: {line}")
        found[slug] = text
    return found


def blocks():
    """Names of the files with blocks of each slug, one for every block."""
    found = {}
    for path in sorted(HERE.glob("**/*.test")):
        for head in re.findall(r"^query differs\b.*", path.read_text(), re.M):
            words = head.split()
            if len(words) != 3:
                sys.exit(f"{path.name}: a block needs one slug, `query differs SLUG`: {head}")
            found.setdefault(words[2], []).append(path.stem)
    return found


def entries():
    """(slug, text, files) of everything that differs."""
    text, found = texts(), blocks()
    for slug in sorted(set(text) ^ set(found)):
        sys.exit(f"{slug}: no text in differences.txt" if slug in found else f"{slug}: no block differs any more; remove it from differences.txt")
    return [(slug, text[slug], found[slug]) for slug in sorted(text)]


def document(entries):
    """What the document has to be, and what it is."""
    old = DOCUMENT.read_text()
    before, _, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{DOCUMENT.name}: the markers are gone")
    lines = []
    for slug, text, files in entries:
        places = ", ".join(f"`{name}.test`" for name in sorted(set(files)))
        lines.append(f"* **{slug}**: {text} ({len(files)} in {places})")
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", old


def main():
    new, old = document(entries())
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if new == old else "docs/postgresql.md is not up to date: python3 tests/sql/make_differences.py")
    DOCUMENT.write_text(new)


if __name__ == "__main__":
    main()
