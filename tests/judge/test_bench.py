"""The benches run, and what they say of calls and rows is right; how long things take is for a whole run to say."""
import os
import subprocess
import sys

from conftest import BIN, ROOT


def test_the_benches_run_on_a_small_scale(tmp_path):
    page = tmp_path / "performance.md"
    command = [sys.executable, ROOT / "benches" / "run.py", "--users", "25", "--latencies", "0,20", "--only", "keys,stale", "--page", page]
    done = subprocess.run(command, env=os.environ | {"ASSAY_BIN": BIN}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    ours = [row for row in rows if row[0] == "assay"]
    assert [row[1] for row in ours] == ["26", "26", "1,001"], text
    assert {row[1] for row in rows if row[0].startswith("boto3, 32")} == {"26", "1,001"}, text
    assert all(row[1] == "not installed" or row[3] for row in rows if row[0] in ("Prowler", "Steampipe"))
    assert "25 users, 20 ms, floor 0.02 s" in text
