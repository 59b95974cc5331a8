#!/usr/bin/env python3
"""Makes examples/demo.bundle: seeds the demo organisation on moto and on the fake of Azure, and records what assay asks of both.

    cargo build && target/venv/bin/python examples/make_demo.py        # the environment that tests/run sets up

Three accounts of AWS (one kept well, one so-so, one badly), three regions, some forty users with keys of many ages; two subscriptions of
Azure, with storage accounts in every state that the controls tell apart. Every table is read with all its columns, so both the shell and the
controls work on the recording.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "backend"))

import estate  # noqa: E402
import moto_server  # noqa: E402

CONFIG = """connections:
  aws: { cloud: aws, regions: [us-east-1, us-west-2, eu-west-1], organization: { role: OrganizationAccountAccessRole } }
  azure: { cloud: azure }
"""
LIMIT = 1_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", default=os.environ.get("ASSAY_BIN", str(ROOT / "target" / "debug" / "assay")))
    parser.add_argument("--out", default=str(ROOT / "examples" / "demo.bundle"))
    parser.add_argument("--users", type=int, default=14, help="users per account")
    args = parser.parse_args()
    server, url = moto_server.start()
    try:
        estate.seed(url, accounts=3, users=args.users, seed=2026, regions=("us-east-1", "us-west-2", "eu-west-1"), human_names=True)
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder, "assay.yaml")
            config.write_text(CONFIG)
            with azure() as variables:
                record(args.assay, url, variables, config, args.out)
    finally:
        server.stop()
    size = pathlib.Path(args.out).stat().st_size
    print(f"{args.out}: {size:,} bytes")
    if size > LIMIT:
        sys.exit(f"the bundle must stay under {LIMIT:,} bytes")


@contextlib.contextmanager
def azure():
    """The fake of Azure with two subscriptions that can be read; gives the variables that lead there."""
    command = [sys.executable, ROOT / "tests" / "backend" / "fake_arm", "--estate", "readable"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(process.stdout.readline())
        yield {"IDENTITY_ENDPOINT": ready["ready"] + "/msi/token", "IDENTITY_HEADER": ready["identity_header"], "AZURE_RESOURCE_MANAGER_ENDPOINT": ready["ready"],
               "AZURE_GRAPH_ENDPOINT": ready["ready"], "AZURE_STORAGE_SUFFIX": ready["storage_suffix"]}
    finally:
        process.terminate()
        process.wait()


def record(assay, url, variables, config, out):
    env = variables | {"PATH": os.environ["PATH"], "HOME": str(config.parent), "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
           "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    listed = subprocess.run([assay, "list", "tables", "--output", "csv"], env=env, capture_output=True, text=True, check=True).stdout
    tables = [line.split(",")[0] for line in listed.splitlines()[1:]]
    # one process, so that everything is recorded at one time and every call is made once
    script = "".join(f"select * from {table};\n" for table in tables)
    command = [assay, "--config", str(config), "--record", out, "query", "-", "--output", "none"]
    subprocess.run(command, env=env, input=script, text=True, check=True)


if __name__ == "__main__":
    main()
