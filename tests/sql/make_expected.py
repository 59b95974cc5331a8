#!/usr/bin/env python3
"""Records PostgreSQL's answers in the *.test files of this folder.

    python3 tests/sql/make_expected.py [FILE…]

Starts a temporary PostgreSQL 15 (Debian's binaries, those of `pg_config --bindir`, or PGBIN), runs every block of every file and writes what the server
answered below the block. Nothing below a `----` is ever written by hand. PostgreSQL refuses to run as root: then it runs as `nobody`.

A file is a list of blocks, separated by blank lines; lines that begin with # are comments.

    table NAME              query                       query differs SLUG
    SELECT …                SELECT …                    SELECT …
                            ----                        ----
                            column names                our answer is known to be another: an entry of differences.txt
                            rows, as COPY writes them

    control NAME [parameter=value …]

is a query too: the SQL of that control under controls/, with its defaults or these values. They stand in the folder controls/ beside this script.

An error is one line, `ERROR: message`; the message must be the same in a block `query says`. `now()`, `current_timestamp` and `current_date` stand at 2024-03-10 12:34:56.789 UTC.
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NOW = "timestamptz '2024-03-10 12:34:56.789+00'"


MAJOR = 15
INSTALL = ("PostgreSQL is not installed, and its answers are what is tested: install it (Debian: `apt-get install postgresql`), "
           "or name the folder of its binaries with PGBIN")


def bindir():
    """The folder of initdb and postgres: PGBIN, else version 15 where several are installed; ends with how to install it where none is."""
    if os.environ.get("PGBIN"):
        return pathlib.Path(os.environ["PGBIN"])
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: (p.parts[-3] == str(MAJOR), float(p.parts[-3])))
    found = [p.parent for p in found]
    if not found and shutil.which("pg_config"):
        found = [pathlib.Path(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip())]
    if not found or not (found[-1] / "initdb").exists() or not (found[-1] / "psql").exists():
        sys.exit(INSTALL)
    return found[-1]


def major(folder):
    """Major version of the binaries in a folder."""
    said = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+)(\.\d+|devel|beta\d|rc\d)", said)[1])


class Server:
    """A PostgreSQL on a socket in a temporary folder, gone at the end."""

    def __init__(self):
        self.bin = bindir()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="assay-oracle-"))
        self.user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        self.process = None

    def __enter__(self):
        self.run(["initdb", "-D", str(self.dir / "data"), "-U", "oracle", "--locale=C.UTF-8", "-E", "UTF8", "-A", "trust"])
        log = open(self.dir / "log", "wb")
        self.process = subprocess.Popen(
            [str(self.bin / "postgres"), "-D", str(self.dir / "data"), "-k", str(self.dir), "-c", "listen_addresses=", "-c", "timezone=UTC", "-c", "fsync=off"],
            stdout=log, stderr=log, **self.as_user())
        for _ in range(200):
            if self.psql("select 1").returncode == 0:
                return self
            if self.process.poll() is not None:
                break
            signal.sigtimedwait([], 0.1)
        sys.exit("postgres did not start: " + (self.dir / "log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "cwd": str(self.dir)} if self.user else {"cwd": str(self.dir)}

    def run(self, command):
        subprocess.run([str(self.bin / command[0]), *command[1:]], check=True, stdout=subprocess.DEVNULL, **self.as_user())

    def psql(self, sql):
        return subprocess.run(
            [str(self.bin / "psql"), "-X", "-q", "-h", str(self.dir), "-U", "oracle", "-d", "postgres", "-v", "VERBOSITY=terse", "-c", sql],
            capture_output=True, text=True)


def fixed_clock(sql):
    sql = re.sub(r"\bcurrent_date\b", f"(({NOW})::date)", sql, flags=re.I)
    return re.sub(r"\bnow\(\)|\bcurrent_timestamp\b", f"({NOW})", sql, flags=re.I)


def control(name, arguments):
    """The SQL of a control, its parameters replaced, in a certain order."""
    found = sorted((HERE / "../../controls").rglob(f"{name}.yaml"))
    if not found:
        sys.exit(f"there is no control {name}")
    text = found[0].read_text()
    sql = re.search(r"^sql: \|\n((?:  .*\n|\n)+)", text, re.M)[1]
    for parameter, default in re.findall(r"^  (\w+): \{ default: (\d+)", text, re.M):
        sql = re.sub(rf"\${parameter}\b", arguments.get(parameter, default), sql)
    return f"{sql.strip()}\norder by 1, 2, 3"


def answer(server, sql):
    done = server.psql(f"copy ({fixed_clock(sql)}) to stdout with (format text, header)")
    if done.returncode != 0:
        message = re.sub(r"^(ERROR|FATAL):\s+", "", done.stderr.strip().splitlines()[0])
        return ["ERROR: " + re.sub(r" at character \d+$", "", message)]
    return done.stdout.removesuffix("\n").split("\n")


def record(server, path):
    blocks = re.split(r"\n{2,}", path.read_text().strip("\n"))
    out = []
    for block in blocks:
        lines = block.split("\n")
        if "----" in lines:
            lines = lines[: lines.index("----")]
        head = next((at for at, line in enumerate(lines) if not line.startswith("#")), None)
        if head is None:
            out.append("\n".join(lines))
            continue
        sql = "\n".join(lines[head + 1:]).strip().rstrip(";")
        kind = lines[head].split()
        if kind[0] == "table":
            done = server.psql(f"drop table if exists {kind[1]}; create table {kind[1]} as {sql}")
            if done.returncode != 0:
                sys.exit(f"{path.name}: table {kind[1]}: {done.stderr}")
            out.append("\n".join(lines))
        elif kind[0] == "query":
            out.append("\n".join(lines + ["----"] + [line if line else "\\e" for line in answer(server, sql)]))
        elif kind[0] == "control":
            sql = control(kind[1], dict(word.split("=", 1) for word in kind[2:]))
            out.append("\n".join(lines + ["----"] + answer(server, sql)))
        else:
            sys.exit(f"{path.name}: a block begins with {lines[head]!r}")
    path.write_text("\n\n".join(out) + "\n")
    return sum(1 for block in out if "\n----\n" in block)


def main():
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or sorted(HERE.glob("**/*.test"))
    with Server() as server:
        for path in files:
            print(f"{path.name}: {record(server, path)} answers")


if __name__ == "__main__":
    main()
