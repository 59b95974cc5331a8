"""The recorded SQL answers are still what PostgreSQL answers (the Rust tests compare assay with the recording).

A machine without PostgreSQL fails these tests: an answer that nobody asked for is no answer.
"""
import filecmp
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

SCRIPT = ROOT / "tests" / "sql" / "make_expected.py"
sys.path.append(str(SCRIPT.parent))

import make_expected


def test_recorded_answers_are_postgresqls(tmp_path):
    version = make_expected.major(make_expected.bindir())
    if version != make_expected.MAJOR:
        pytest.skip(f"answers are recorded from PostgreSQL {make_expected.MAJOR}, and this is {version}: whether they drifted is not tested")
    for folder in ("tests/sql", "controls"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    done = subprocess.run([sys.executable, str(tmp_path / "tests/sql/make_expected.py")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    files = [p.relative_to(ROOT) for p in (ROOT / "tests/sql").rglob("*.test")]
    changed = [str(p) for p in files if not filecmp.cmp(ROOT / p, tmp_path / p, shallow=False)]
    assert len(files) > 40 and changed == []


PARAMETERS = """SET statement_timeout = '90s'; SHOW statement_timeout
SET statement_timeout = 60000; SHOW statement_timeout
SET statement_timeout TO '1.5s'; SHOW statement_timeout
SET SESSION statement_timeout TO ' 2 h '; SHOW Statement_Timeout
SET statement_timeout = '500us'; SHOW statement_timeout
SET statement_timeout = $$1d$$; SHOW "statement_timeout"
SET statement_timeout = '1min'; RESET statement_timeout; SHOW statement_timeout
SET statement_timeout = '1min'; RESET ALL; SHOW statement_timeout
SET statement_timeout = '1min'; SET statement_timeout TO DEFAULT; SHOW statement_timeout
SET statement_timeout = 'soon'
SET statement_timeout = '5m'
SET statement_timeout = '5 parsecs'
SET statement_timeout = ''
SET statement_timeout = true
SET statement_timeout = '99999999999'
SET statement_timeout = -1
SET statement_timeout = 1, 2
SET search_path = azure, "aws"; SHOW search_path
SET search_path TO 'aws'; SHOW search_path
SET search_path TO AWS; SHOW search_path
SET search_path = a b
SET search_path = 1+1
SET search_path = (select 1)
SET search_path a
SHOW search_path extra
SHOW nonsense
SET nonsense = 1
RESET nonsense""".splitlines()


def test_parameters_are_postgresqls(assay):
    with make_expected.Server() as server:
        for sql in PARAMETERS:
            theirs, ours = server.psql(sql), assay("query", sql)
            # psql counts characters, assay lines and columns
            error = re.sub(r" at character \d+$", "", theirs.stderr.strip()).replace("ERROR:  ", "")
            first = re.sub(r"^error: (line \d+, column \d+: )?", "", ours.err.split("\n")[0])
            assert (re.sub(r" +\n", "\n", ours.out), first) == (re.sub(r" +\n", "\n", theirs.stdout.rstrip("\n") + ("\n" if theirs.stdout else "")), error), sql


def test_without_postgresql_the_script_says_how_to_install_it(tmp_path):
    source = SCRIPT.read_text().replace("/usr/lib/postgresql", str(tmp_path / "none"))
    script = tmp_path / "sql" / "make_expected.py"
    script.parent.mkdir()
    script.write_text(source)
    environment = {key: value for key, value in os.environ.items() if key != "PGBIN"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1 and "apt-get install postgresql" in done.stderr
