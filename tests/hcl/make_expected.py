#!/usr/bin/env python3
"""Records in the *.test files of this folder what HashiCorp's own implementation of HCL answers.

    python3 tests/hcl/make_expected.py [FILE…]          needs Go and its module proxy; builds judge/ beside this script

A file is a list of expressions, each followed by a line `=> answer`: JSON, or ERROR. No answer is ever written by hand: write `=>`. Lines that begin
with # before an expression are comments; `# differs: WHY` says that our answer is known to be another, which then stands in a second line `=< answer`
(that one is written by hand, and tests see that it is true). Files that functions read stand in files/.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def build(folder):
    """The judge, built into a folder."""
    binary = pathlib.Path(folder) / "judge"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=HERE / "judge", check=True)
    return binary


def blocks(text):
    """Comments, expression and what follows its answer, block by block."""
    comments, lines, out = [], [], []
    for line in text.splitlines():
        if line.startswith("=< ") and out and not lines:
            out[-1][2].append(line)
        elif line == "=>" or line.startswith("=> "):
            out.append([comments, "\n".join(lines), []])
            comments, lines = [], []
        elif not lines and (not line.strip() or line.startswith("#")):
            comments.append(line)
        else:
            lines.append(line)
    if lines:
        raise SystemExit(f"no answer is asked for after: {lines[0]}")
    return out, comments


def answers(judge, expressions):
    asked = "".join(json.dumps(e) + "\n" for e in expressions)
    done = subprocess.run([str(judge), "expressions", str(HERE / "files")], input=asked, capture_output=True, encoding="utf-8", errors="replace", check=True)
    found = done.stdout.split("\n")[:-1]
    assert len(found) == len(expressions), done.stderr
    return ["ERROR" if a.startswith("ERROR") else a for a in found]


def main(paths):
    with tempfile.TemporaryDirectory() as folder:
        judge = build(folder)
        for path in paths or sorted(HERE.glob("*.test")):
            path = pathlib.Path(path)
            found, rest = blocks(path.read_text())
            out = []
            for (comments, expression, ours), answer in zip(found, answers(judge, [b[1] for b in found])):
                out += [*comments, expression, f"=> {answer}", *ours]
            path.write_text("\n".join([*out, *rest]) + "\n")
            print(f"{path.name}: {len(found)} expressions")


if __name__ == "__main__":
    main(sys.argv[1:])
