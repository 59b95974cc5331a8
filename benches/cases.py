"""What is measured, and the floor that nobody gets below: calls x latency / 32, or what the bucket allows."""
import dataclasses
import math
import pathlib
import subprocess
import sys
import tempfile

import contenders
import servers
from contenders import IN_FLIGHT, KEYS, Row

# A case that would take longer than this is computed from one that was measured.
PATIENCE = 150.0
STALE = KEYS + " where status = 'Active' and create_date <= current_date - interval '90 days'"


@dataclasses.dataclass
class Plan:
    users: list
    latencies: list
    bucket: tuple  # users, calls per second, burst
    only: list


@dataclasses.dataclass
class Result:
    """One case: the contenders in it, and the floor in seconds if there is one."""
    case: str
    title: str
    floor: float | None
    rows: list
    explanation: str = ""


def log(text):
    print(text, file=sys.stderr, flush=True)


def shown(result):
    log(f"{result.title}: floor {result.floor or 0:.2f} s")
    for row in result.rows:
        figures = f"{row.wall:.2f} s, {row.calls} calls, {row.cpu or 0:.2f} s CPU, {row.memory or 0:.0f} MB" if row.wall is not None else ""
        log(f"  {row.who}: {figures} {row.note}".rstrip())
    return result


def same_rows(rows, keys):
    """Every contender must have found every key."""
    for row in rows:
        if row.lines is not None and row.sound and not row.who.startswith(("Prowler", "assay (")) and row.lines != keys + 1:
            row.sound, row.note = False, f"{row.lines - 1} keys instead of {keys}"


def keys_of_all_users(plan, binary, folder):
    """One page of users per thousand, then one call per user."""
    cost_of_a_call = None
    for users in plan.users:
        for latency in plan.latencies:
            calls = users + math.ceil(users / 1000)
            floor = calls * latency / 1000 / IN_FLIGHT
            with servers.fast_iam(folder, "--users", users, "--latency-ms", latency) as server:
                rows = [contenders.assay(binary, server, "query", KEYS, "--output", "csv"), contenders.boto3(server, IN_FLIGHT)]
                expected = calls * (latency / 1000 + (cost_of_a_call or 0.002))
                if expected < PATIENCE / 5 or (cost_of_a_call is None and expected < PATIENCE):
                    rows.append(contenders.boto3(server, 1))
                    if latency == 0 and users >= 500:
                        cost_of_a_call = rows[-1].wall / calls
                else:
                    rows.append(Row("boto3, one call after the other", wall=expected, calls=calls, note="computed: calls × (latency + time of a call without latency)"))
                rows += [contenders.prowler(server), contenders.steampipe(server)]
                same_rows(rows, server.truth["keys"])
            yield Result("keys", f"{users:,} users, {latency} ms", floor or None, rows)


def behind_a_bucket(plan, binary, folder):
    """A token bucket of which nobody is told."""
    users, rate, burst = plan.bucket
    calls = users + math.ceil(users / 1000)
    with servers.fast_iam(folder, "--users", users, "--latency-ms", 50, "--rate", rate, "--burst", burst) as server:
        rows = [contenders.assay(binary, server, "query", KEYS, "--output", "csv"), contenders.boto3(server, IN_FLIGHT),
                contenders.boto3(server, IN_FLIGHT, "adaptive")]
        same_rows(rows[:1], server.truth["keys"])
        for row in rows[1:]:
            row.sound = True  # giving up under throttles is a result here
    floor = max((users - burst) / rate, calls * 0.05 / IN_FLIGHT)
    yield Result("bucket", f"{users:,} users, 50 ms, {rate} calls a second after a burst of {burst}", floor, rows)


def stale_keys(_, binary, folder):
    """Old active keys of 1,000 users: asked one by one, or with the credential report's help."""
    has_report = "--max-staleness" in subprocess.run([binary, "query", "--help"], capture_output=True, text=True).stdout
    with servers.fast_iam(folder, "--users", 1000, "--with-keys", 0.12, "--stale", 0.13, "--latency-ms", 50) as server:
        rows = [contenders.assay(binary, server, "query", STALE, "--output", "csv")]
        if has_report:
            rows.append(contenders.assay(binary, server, "query", STALE, "--output", "csv", "--max-staleness", "4h", who="assay, with a report of at most 4 h"))
        same_rows(rows, len(server.truth["alarm"]))
        rows.append(contenders.boto3(server, IN_FLIGHT))
    found = f"{server.truth['users_with_keys']} of the users have keys, {len(server.truth['alarm'])} keys are active and old."
    yield Result("stale", "Old active keys of 1,000 users, 50 ms", None, rows, found)


def an_organization(_, binary, folder):
    """A whole benchmark on three accounts."""
    config = pathlib.Path(folder) / "assay.yaml"
    config.write_text("connections:\n  org: { cloud: aws, regions: [us-east-1, eu-west-1], organization: { role: OrganizationAccountAccessRole } }\n")
    with servers.estate(50) as (server, accounts):
        run = ("--config", config, "run", "benchmark", "cis_v200", "--output", "csv")
        rows = [contenders.assay(binary, server, *run, codes=(0, 1, 2)), contenders.prowler(server), contenders.steampipe(server)]
    yield Result("estate", f"CIS v2.0.0 of {len(accounts)} accounts in 2 regions, 50 ms", None, rows)


CASES = {"keys": keys_of_all_users, "bucket": behind_a_bucket, "stale": stale_keys, "estate": an_organization}


@dataclasses.dataclass
class Results(list):
    binary: pathlib.Path = None


def run(plan, binary):
    results = Results()
    results.binary = binary
    with tempfile.TemporaryDirectory() as folder:
        for name in plan.only:
            for result in CASES[name](plan, binary, folder):
                results.append(shown(result))
    return results
