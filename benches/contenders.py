"""Who is measured: assay, boto3 in one thread and in many, Prowler, Steampipe. Each runs as a process of its own under a small process that
measures it: a child's peak memory begins with that of the process it was forked from."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
KEYS = "select user_name, access_key_id, create_date from aws_iam_access_key"
IN_FLIGHT = 32

MEASURE = """
import json, os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
lines = sum(chunk.count(b"\\n") for chunk in iter(lambda: process.stdout.read(1 << 16), b""))
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status), lines]))
"""


@dataclasses.dataclass
class Row:
    """One contender in one case."""
    who: str
    wall: float | None = None
    cpu: float | None = None
    memory: float | None = None
    calls: int | None = None
    throttled: int = 0
    lines: int | None = None
    note: str = ""
    sound: bool = True


def environment(url):
    return {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "NO_COLOR": "1", **CREDENTIALS}


def measure(who, server, *command, codes=(0,), extra=None):
    """Runs a command against a server and takes down what it cost."""
    server.reset()
    full = [sys.executable, "-c", MEASURE, *map(str, command)]
    done = subprocess.run(full, env=environment(server.url) | (extra or {}), capture_output=True, text=True)
    if done.returncode:
        return Row(who, note=f"could not be run: {done.stderr.strip().splitlines()[-1]}", sound=False)
    wall, cpu, memory, code, lines = json.loads(done.stdout.splitlines()[-1])
    calls, throttled = server.counts()
    sound = code in codes
    note = "" if sound else f"ended with {code}: {(done.stderr.strip().splitlines() or ['?'])[-1][:120]}"
    return Row(who, wall, cpu, memory, calls, throttled, lines, note, sound)


def assay(binary, server, *words, who="assay", **options):
    return measure(who, server, binary, *words, **options)


def boto3(server, threads, retries="standard"):
    who = f"boto3, {threads} threads" if threads > 1 else "boto3, one call after the other"
    who += ", adaptive retries" if retries == "adaptive" else ""
    return measure(who, server, sys.executable, HERE / "boto3_keys.py", threads, retries)


def prowler(server):
    if not shutil.which("prowler"):
        return Row("Prowler", note="not installed")
    folder = tempfile.mkdtemp()
    # it ends with 3 where it finds something
    return measure("Prowler", server, "prowler", "aws", "--checks", "iam_rotate_access_key_90_days", "--region", "us-east-1", "--output-directory", folder, codes=(0, 3))


def steampipe(server):
    if not shutil.which("steampipe"):
        return Row("Steampipe", note="not installed")
    return measure("Steampipe", server, "steampipe", "query", KEYS, "--output", "csv")


def versions(binary):
    """What was measured, by name."""
    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip().splitlines()[0]
        except (OSError, subprocess.SubprocessError, IndexError):
            return None
    import boto3 as module
    found = [first_line(str(binary), "--version"), f"boto3 {module.__version__} on Python {sys.version.split()[0]}"]
    found += [first_line(name, "--version") for name in ("prowler", "steampipe") if shutil.which(name)]
    return [v for v in found if v]
