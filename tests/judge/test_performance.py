"""Time as a ratio to what can be computed and to a peer in the same run; absolute times mean the machine."""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

import boto3
from botocore.config import Config

from conftest import BIN, CREDENTIALS

USERS, LATENCY, IN_FLIGHT = 2000, 0.05, 32
SQL = "select user_name, access_key_id, create_date from aws_iam_access_key"
# a debug build spends several times the processor time of a release build
DEBUG = "/debug/" in BIN
FACTOR = 3.0 if DEBUG else 1.3


# a small process of its own: a child's peak memory begins with that of the process it was forked from
MEASURE = """
import json, os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
lines = sum(chunk.count(b"\\n") for chunk in iter(lambda: process.stdout.read(1 << 16), b""))
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.monotonic() - began, lines - 1, usage.ru_maxrss / 1024, status]))
"""


def timed(url):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **CREDENTIALS}
    done = subprocess.run([sys.executable, "-c", MEASURE, BIN, "query", SQL, "--output", "csv"], env=env, capture_output=True, text=True, check=True)
    seconds, rows, memory, status = json.loads(done.stdout)
    assert status == 0, done.stderr
    return seconds, rows, memory


def threads_of_boto3(url):
    session = boto3.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    iam = session.client("iam", endpoint_url=url, config=Config(max_pool_connections=IN_FLIGHT))
    began = time.monotonic()
    users = [u["UserName"] for page in iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1000}) for u in page["Users"]]
    with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
        keys = sum(len(k) for k in pool.map(lambda u: iam.list_access_keys(UserName=u)["AccessKeyMetadata"], users))
    return time.monotonic() - began, keys


def test_two_thousand_users_behind_fifty_milliseconds(fast_iam):
    server, truth = fast_iam("--users", USERS, "--latency-ms", LATENCY * 1000)
    floor = (USERS + USERS / 1000) * LATENCY / IN_FLIGHT
    ours, rows, memory = min(timed(server.url) for _ in range(2))
    stats = server.stats()
    peer, keys = threads_of_boto3(server.url)
    print(f"ours {ours:.2f} s = {ours / floor:.2f} x the floor of {floor:.2f} s; boto3 with {IN_FLIGHT} threads {peer:.2f} s; {memory:.0f} MB")
    assert rows == keys == truth["keys"]
    assert stats["peak"] <= IN_FLIGHT
    assert ours < FACTOR * floor
    assert ours < peer
    assert memory < 150


def test_start_up_is_quick():
    def best(*words):
        def once():
            began = time.monotonic()
            subprocess.run([BIN, *words], env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, capture_output=True, check=True)
            return time.monotonic() - began
        return min(once() for _ in range(5))

    # in a release build 50 and 15 ms are asked for; a debug build gets room
    assert best("query", "select 1") < (0.4 if DEBUG else 0.05)
    assert best("--help") < (0.2 if DEBUG else 0.015)
