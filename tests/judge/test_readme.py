"""The README's commands work as written."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from conftest import BIN, ROOT

README = (ROOT / "README.md").read_text()


def commands():
    for block in re.findall(r"```sh\n(.*?)```", README, re.S):
        for line in block.splitlines():
            yield line.strip()


def demo_commands():
    return [c for c in commands() if "--demo" in c or c.startswith("assay show")]


def test_there_are_commands_to_run():
    assert len(demo_commands()) >= 5
    assert (ROOT / "tests" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("line", demo_commands())
def test_command(line, tmp_path):
    words = shlex.split(line)
    words = [BIN, *(words[3:] if words[0] == "cargo" else words[1:])]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), (line, done.returncode, done.stderr)
    exports = [pathlib.Path(tmp_path, w) for w in words if w.startswith("report.")]
    assert all(p.stat().st_size > 500 for p in exports)
    assert done.stdout or exports
    assert "error" not in done.stderr


def test_the_shell_tour(tmp_path):
    tour = re.search(r"\$ assay --demo\n(.*?)```", README, re.S)[1]
    lines = "\n".join(line.removeprefix("> ") for line in tour.splitlines())
    done = subprocess.run([BIN, "--demo"], input=lines + "\n.exit\n", cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "AKIA" in done.stdout and "ListAccessKeys" in done.stdout


def test_the_configuration_example_is_valid(tmp_path):
    example = re.search(r"```yaml\n(.*?)```", README, re.S)[1]
    (tmp_path / "assay.yaml").write_text(example)
    done = subprocess.run([BIN, "list", "connections"], cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0 and "all_aws" in done.stdout, done.stderr
