"""Asks both engines the same statements: assay's binary and a PostgreSQL, many statements a process."""
import csv
import io
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "sql"))

import make_expected

MARK = "~statement~"


class Answer:
    """Column names and rows of texts (NULL is the empty text, as in CSV), or an error, PostgreSQL's with its SQLSTATE."""

    __slots__ = ("names", "rows", "error", "state")

    def __init__(self, names=(), rows=(), error=None, state=""):
        self.names, self.rows, self.error, self.state = names, rows, error, state

    def __str__(self):
        if self.error is not None:
            return f"ERROR: {self.error}"
        shown = [" | ".join(row) for row in self.rows[:12]] + ([f"… {len(self.rows)} rows"] if len(self.rows) > 12 else [])
        return f"{' | '.join(self.names)} -> " + (" ; ".join(shown) or "no rows")


class PostgreSQL:
    """A server for the time of the test."""

    def __enter__(self):
        self.server = make_expected.Server().__enter__()
        return self

    def __exit__(self, *error):
        self.server.__exit__(*error)

    def answers(self, statements):
        """The answer to each statement."""
        script = ["set statement_timeout = '10s';"]
        for statement in statements:
            script += [f"\\echo {MARK}", f"\\warn {MARK}", f"copy (\n{statement}\n) to stdout with (format csv, header);"]
        done = subprocess.run(
            [str(self.server.bin / "psql"), "-X", "-q", "-h", str(self.server.dir), "-U", "oracle", "-d", "postgres", "-v", "VERBOSITY=verbose", "-f", "-"],
            input="\n".join(script) + "\n", capture_output=True, text=True, check=True, encoding="utf-8", errors="replace")
        outs = re.split(rf"^{MARK}\n", done.stdout, flags=re.M)[1:]
        errors = re.split(rf"^{MARK}\n", done.stderr, flags=re.M)[1:]
        assert len(outs) == len(errors) == len(statements), done.stderr[-2000:]
        answers = []
        for out, error in zip(outs, errors):
            said = re.search(r"(?:ERROR|FATAL):\s+(\w{5}): (.*)", error)
            answers.append(Answer(error=said[2], state=said[1]) if said else table(out))
        return answers


class Assay:
    """The binary, in a folder of its own, with nothing of the caller's environment."""

    def __init__(self, binary, home, seconds=120):
        self.binary, self.seconds = str(binary), seconds
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true"}

    def answers(self, statements):
        """The answer to each statement. A statement that fails ends the process; the rest goes to the next one."""
        return list(self.one_by_one(statements))

    def one_by_one(self, statements):
        """The answers as they come."""
        done = 0
        while done < len(statements):
            some = self.some(statements[done:])
            yield from some
            done += len(some)

    def some(self, statements):
        text = "".join(f"select '{MARK}' as {json.dumps(MARK)};\n{statement}\n;\n" for statement in statements)
        process = subprocess.Popen([self.binary, "query", "-", "--output", "csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment, cwd=self.environment["HOME"])
        try:
            out, error = process.communicate(text.encode(), timeout=self.seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            if len(statements) == 1:
                return [Answer(error=f"PANIC: no answer in {self.seconds} seconds")]
            half = max(1, len(statements) // 2)
            return self.some(statements[:half])
        outs = re.split(rf"^{MARK}\n{MARK}\n", out.decode(), flags=re.M)[1:]
        if code == 0:
            assert len(outs) == len(statements), error.decode()
            return list(map(table, outs))
        message = next((line for line in error.decode().splitlines() if line.startswith("error: ")), error.decode().strip())
        message = re.sub(r"^error: (line \d+, column \d+: )?", "", message)
        if code not in (65,):
            message = f"PANIC: exit code {code}: {message}"
        if not outs:
            # The text as a whole was refused: each statement on its own tells which.
            return [Answer(error=message)] if len(statements) == 1 else self.some(statements[:1])
        return [*map(table, outs[:-1]), Answer(error=message)]


def table(text):
    rows = list(csv.reader(io.StringIO(text)))
    # A line without anything is a row whose only column is NULL.
    return Answer(rows[0] if rows else [], [tuple(row) or ("",) for row in rows[1:]])
