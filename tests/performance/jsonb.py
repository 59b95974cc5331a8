#!/usr/bin/env python3
"""Times jsonb operators over a table of documents: assay's engine against a real PostgreSQL, on this machine, in one run.

    python3 tests/performance/jsonb.py [ROWS]

A million documents of 0.9 KB each lie ready on both sides: in PostgreSQL's buffers (shared_buffers holds the table, vacuumed, everything else
as `initdb` leaves it, so with parallel workers), and in batches in the engine's memory. What is timed is the statement alone, planning
included, making the documents not; the best of five runs counts. The engine is built in release mode first. Ends with 1 if any statement is slower than PostgreSQL's.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/sql"))
import make_expected  # noqa: E402

STATEMENTS = ROOT / "tests/performance/jsonb.sql"
RUNS = 5


class Server(make_expected.Server):
    """A PostgreSQL that holds the whole table in its buffers."""

    def run(self, command):
        super().run(command)
        with open(self.dir / "data/postgresql.conf", "a") as conf:
            conf.write("shared_buffers = '2GB'\nmax_wal_size = '8GB'\n")

    def times(self, statements):
        script = "\\timing on\n" + "".join(f"{statement};\n" * RUNS for statement in statements)
        done = subprocess.run(
            [str(self.bin / "psql"), "-X", "-h", str(self.dir), "-U", "oracle", "-d", "postgres", "-v", "ON_ERROR_STOP=1"],
            input=script, capture_output=True, text=True, check=True)
        times = [float(time) for time in re.findall(r"^Time: ([0-9.]+) ms", done.stdout, re.M)]
        return [min(times[at:at + RUNS]) for at in range(0, len(times), RUNS)]


def read():
    """What makes the documents, and the statements, from the file both sides read."""
    documents, *statements = [part.strip() for part in STATEMENTS.read_text().split(";") if part.strip()]
    return re.sub(r"^--.*\n", "", documents, flags=re.M), statements


def ours(rows):
    build = ["cargo", "test", "--release", "-p", "assay-engine", "--lib", "--", "--ignored", "--exact", "--nocapture", "dialect::jsonb_speed::measure"]
    done = subprocess.run(build, cwd=ROOT, env={**os.environ, "ASSAY_ROWS": str(rows)}, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line)["ms"] for line in done.stdout.splitlines() if line.startswith('{"ms"')]


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    documents, statements = read()
    mine = ours(rows)
    with Server() as server:
        for statement in (f"create table documents as {documents.replace(':rows', str(rows))}", "vacuum analyze documents"):
            made = server.psql(statement)
            if made.returncode != 0:
                sys.exit(made.stderr)
        theirs = server.times(statements)
    assert len(mine) == len(theirs) == len(statements), (mine, theirs)
    slower = 0
    print(f"{'assay ms':>10} {'PG ms':>10} {'ratio':>6}")
    for statement, a, b in zip(statements, mine, theirs):
        slower += a > b
        print(f"{a:10.1f} {b:10.1f} {a / b:6.2f}  {statement}")
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
