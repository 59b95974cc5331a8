"""The recorded SQL answers are still what PostgreSQL answers (the Rust tests compare assay with the recording)."""
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT


def have_postgresql():
    return os.environ.get("PGBIN") or shutil.which("pg_config") or list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def test_recorded_answers_are_postgresqls(tmp_path):
    if not have_postgresql():
        if os.environ.get("CI"):
            pytest.fail("CI needs PostgreSQL")
        pytest.skip("PostgreSQL is not installed")
    for folder in ("tests/sql", "controls"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    done = subprocess.run([sys.executable, str(tmp_path / "tests/sql/make_expected.py")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    files = [p.relative_to(ROOT) for p in (ROOT / "tests/sql").rglob("*.test")]
    changed = [str(p) for p in files if not filecmp.cmp(ROOT / p, tmp_path / p, shallow=False)]
    assert len(files) > 40 and changed == []
