"""The list of differences in docs/postgresql.md is the suite's: short, up to date, and of nothing that controls use. Needs no PostgreSQL."""
import subprocess
import sys

from conftest import ROOT

SQL = ROOT / "tests" / "sql"
sys.path.append(str(SQL))

import make_differences


def test_the_list_is_up_to_date_and_short():
    done = subprocess.run([sys.executable, SQL / "make_differences.py", "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 0 < len(make_differences.entries()) <= 20


def test_no_control_uses_what_differs():
    # `query differs` is the only way to say that an answer differs, and controls are recorded in a folder of their own.
    wrong = [path.name for path in (SQL / "controls").glob("*.test") if "differs" in path.read_text()]
    assert wrong == []
