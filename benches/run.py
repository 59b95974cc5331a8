#!/usr/bin/env python3
"""Measures assay beside boto3, and beside Prowler and Steampipe where they are installed, against fakes of AWS on this machine.

  python3 benches/run.py            everything, some 15 minutes; writes docs/performance.md
  python3 benches/run.py --quick    fewer users, two latencies: a minute; prints, writes nothing unless --page says where

It sets itself up: a virtual environment with pinned packages in the target folder, a release build of assay unless ASSAY_BIN names a
binary. Calls are what the servers counted; time, processor time and peak memory are what the kernel says of each process.
"""
import argparse
import hashlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def set_up():
    """Goes on in an interpreter that has the packages."""
    wanted = ROOT / "benches" / "requirements.txt"
    try:
        import aiohttp, boto3, moto  # noqa: F401, E401
        return
    except ImportError:
        pass
    venv = TARGET / "bench-venv"
    stamp, digest = venv / "requirements.sha256", hashlib.sha256(wanted.read_bytes()).hexdigest()
    python = venv / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != digest:
        print("setting up", venv, file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", wanted], check=True)
        stamp.write_text(digest)
    os.execv(python, [str(python), *sys.argv])


def binary():
    given = os.environ.get("ASSAY_BIN")
    if given:
        return pathlib.Path(given)
    subprocess.run(["cargo", "build", "--release", "--bin", "assay"], cwd=ROOT, check=True)
    return TARGET / "release" / "assay"


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="25 and 500 users, 0 and 50 ms, a small bucket")
    parser.add_argument("--users", type=numbers, help="such as 25,2000,20000")
    parser.add_argument("--latencies", type=numbers, help="in milliseconds, such as 0,50,200")
    parser.add_argument("--only", help="keys, bucket, stale or estate; separated by commas")
    parser.add_argument("--page", type=pathlib.Path, help="where to write; docs/performance.md for a whole run")
    options = parser.parse_args()
    set_up()
    import cases
    import page
    whole = not (options.quick or options.users or options.latencies or options.only)
    plan = cases.Plan(
        users=options.users or ([25, 500] if options.quick else [25, 2000, 20000]),
        latencies=options.latencies or ([0, 50] if options.quick else [0, 50, 200]),
        bucket=(500, 100, 50) if options.quick else (2000, 50, 50),
        only=options.only.split(",") if options.only else list(cases.CASES),
    )
    results = cases.run(plan, binary().resolve())
    target = options.page or (ROOT / "docs" / "performance.md" if whole else None)
    if target:
        target.write_text(page.render(results))
        print("wrote", target, file=sys.stderr)
    return 0 if all(row.sound for result in results for row in result.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
