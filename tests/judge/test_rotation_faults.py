"""Rotation when things break: killed wherever the journal stands, every call answered in every wrong way, and nothing secret left anywhere."""
import concurrent.futures
import json
import pathlib
import signal
import time

import pytest
from rotating import Account, start_account, users

WRITES = {"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "GetCallerIdentity"}
# what consumers had before, in a secret that is there already
FORMER = '{"what": "it was"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with start_account(tmp_path_factory.mktemp("rotation")) as account:
        yield account


@pytest.fixture
def user(server, request):
    """A user of this test alone; the script is empty."""
    server.script()
    user, = users(server, f"u-{abs(hash(request.node.nodeid)) % 10**10}")
    server.script()
    return user


def alone(server, name):
    """The same account with a state of its own."""
    (server.folder / name).mkdir()
    return Account(server.url, server.folder / name)


def journal_points(account, user):
    """Where a run can be killed so that its journal differs: before the first call after each line, and before and after each write."""
    account.script(journal=str(account.state / "rotations"))
    assert account.rotate("apply", user.plan, "--yes").returncode == 0
    assert user.is_rotated()
    points, seen = [], set()
    for n, call in enumerate(account.calls(), 1):
        write = call["action"] in WRITES and call["lines"] > 0
        if write or call["lines"] not in seen:
            points.append((n, "before"))
        if write:
            points.append((n, "after"))
        seen.add(call["lines"])
    assert {c["action"] for c in account.calls()} >= WRITES - {"CreateSecret"}
    return points


def deletions(account, user):
    return len([c for c in account.calls("DeleteAccessKey") if c["AccessKeyId"] == user.old])


def killed(account, user, n, when):
    """kill -9 while a call is on its way; says where, and how often the old key was asked to be deleted."""
    account.script({"action": "*", "nth": n, "when": when, "kind": "hold"})
    process = account.start("rotate", "apply", user.plan, "--yes")
    held = account.wait_held()
    assert held, f"call {n} never came: {process.communicate(timeout=60)}"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    account.ask("/__release")
    place = f"killed {when} call {n} ({held['action']})"
    assert user.works(), f"{place}: nobody has a working key"
    return place, deletions(account, user)


def gone_on(account, user, how, place):
    """What a person does then. Nobody is ever without a key, nothing is left that nobody has."""
    place = f"{place}, then {how}"
    if not account.journals() or not account.journals()[0].read_bytes():
        assert user.is_restored(), f"{place}: something was done before the journal's first line"
        return
    gone = user.old not in user.keys()
    done = account.rotate(how, account.run_id(), "--yes")
    place = f"{place}: {done.stdout}{done.stderr}"
    assert user.works(), place
    if how == "resume" or gone:
        assert user.is_rotated(), place
        assert done.returncode == (0 if how == "resume" else 2), place
    else:
        assert done.returncode == 0 and user.is_restored(), place
    status = account.rotate("status", account.run_id())
    assert status.returncode == 0 and "done" in status.stdout, status.stdout + status.stderr


def test_killed_at_every_journal_point(server):
    """Then the run is gone on with, or taken back; each in a state of its own, so that many can do it at once."""
    counted, = users(server, "counted", secret=FORMER)
    points = journal_points(alone(server, "counted"), counted)
    assert len(points) >= 16, points
    # after a read both ways would be the same: they take turns there
    twice = {n for n, when in points if when == "after"}
    cases = [(how, n, when) for i, (n, when) in enumerate(points) for j, how in enumerate(("resume", "undo")) if n in twice or i % 2 == j]
    made = users(server, *[f"k{i:03}" for i in range(len(cases))], secret=FORMER)
    dead = []
    for user, (how, n, when) in zip(made, cases):
        account = alone(server, user.name)
        dead.append((account, user, how, *killed(account, user, n, when)))
    server.script()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for ended in [pool.submit(gone_on, account, user, how, place) for account, user, how, place, _ in dead]:
            ended.result()
    for (account, user, how, place, before), (_, _, when) in zip(dead, cases):
        most = 2 if "before" in place and "DeleteAccessKey" in place else 1
        assert before + deletions(account, user) <= most, f"{place}, then {how}: deleted again although it was gone"


FAULTS = ["AccessDenied/403", "LimitExceeded/409", "NoSuchEntity/404", "ServiceFailure/500", "Throttling/400", "ExpiredToken/403", "InvalidClientTokenId/403",
          "reset", "garbage"]
# whether these took effect nobody can tell by the answer
DOUBTFUL = ["ServiceFailure/500", "reset", "garbage"]
# the call of a run that is meant: reads were made before, when it was shown what will happen and what the control says
READS = {"ListAccessKeys": 3, "GetUser": 2, "ListUserPolicies": 2, "GetAccessKeyLastUsed": 1, "DescribeSecret": 2}
STATES = {"untouched", "waiting", "deactivated", "done", "new_key_left", "unknown"}


class Crowd:
    """One run of many users, each of whom meets one fault, and of a bystander who meets none; in a state of its own."""

    def __init__(self, server, how):
        self.how, self.account = how, alone(server, how)
        certain = [kind for kind in FAULTS if kind not in DOUBTFUL]
        few = certain[:1] + ["Throttling/400"]
        keys, sink = ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"], ["PutSecretValue", "UpdateSecretVersionStage", "GetCallerIdentity"]
        cases = [(action, 1, kind, when) for action in keys + sink[1:2] for kind in DOUBTFUL for when in ("before", "after")]
        if how == "resume":
            cases += [(action, 1, kind, when) for action in (sink[0], sink[2]) for kind in DOUBTFUL for when in ("before", "after")]
            cases += [(action, 1, kind, "before") for action in keys for kind in certain]
            cases += [(action, 1, kind, "before") for action in sink for kind in few]
            cases += [(action, nth, kind, "before") for action, nth in READS.items() for kind in few]
        made = users(server, *[f"f{i:03}-{how}" for i in range(len(cases))], secret=FORMER)
        self.bystander, = users(server, f"bystander-{how}")
        plans = [json.loads(u.plan.read_text()) for u in [*made, self.bystander]]
        (self.account.folder / "all.yaml").write_text(json.dumps(plans[-1] | {"access_keys": [k for p in plans for k in p["access_keys"]]}))
        self.users = [(user, cases[int(user.name[1:4])]) for user in made]
        self.faults = [{"user": user.name, "action": action, "nth": nth, "kind": kind, "when": when} for user, (action, nth, kind, when) in self.users]

    def run(self, *words):
        self.done = self.account.rotate(*words, "--yes", "--parallel", "64", "--report", "report.json", timeout=240)
        report = json.loads((self.account.folder / "report.json").read_text())
        self.items = {i["owner"]: i for i in report["items"]}
        return self

    def each(self):
        for user, case in self.users:
            yield user, case, self.items[user.name], f"{case}, {self.how}: {self.items[user.name]}"


def test_every_call_answered_in_every_way(server):
    """Each stops in a documented state or goes on, and none stops another; then the run is gone on with, or taken back."""
    server.script()
    crowds = [Crowd(server, "resume"), Crowd(server, "undo")]
    server.script(*crowds[0].faults, *crowds[1].faults)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda crowd: crowd.run("apply", "all.yaml", "--max", "500"), crowds))
        for crowd in crowds:
            assert crowd.done.returncode == 2, crowd.done.stdout + crowd.done.stderr
            assert crowd.items[crowd.bystander.name]["state"] == "done" and crowd.bystander.is_rotated(), "one that fails stops no other"
            for user, (action, _, kind, _), item, place in crowd.each():
                assert item["state"] in STATES, place
                assert item["state"] == "done" or item["error"] or item["refusal"], f"a fault is told: {place}"
                assert user.works(), place
                if action == "CreateAccessKey":
                    assert user.is_restored(), f"the old keys stay whatever becomes of the new one: {place}"
                if kind not in DOUBTFUL and action in ("UpdateAccessKey", "DeleteAccessKey"):
                    assert item["state"] == {"UpdateAccessKey": "waiting", "DeleteAccessKey": "deactivated"}[action], f"nothing is said that was not done: {place}"
            server.no_secret_in(crowd.done.stdout, crowd.done.stderr)
        server.script()
        list(pool.map(lambda crowd: crowd.run(crowd.how, crowd.account.run_id()), crowds))
    for crowd in crowds:
        for user, _, item, place in crowd.each():
            assert user.is_rotated() if crowd.how == "resume" or user.old not in user.keys() else user.is_restored(), place
        server.no_secret_in(crowd.done.stdout, crowd.done.stderr)
    assert crowds[0].done.returncode == 0, crowds[0].done.stdout + crowds[0].done.stderr


@pytest.mark.parametrize("kind", DOUBTFUL)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_secret_that_may_have_been_made_is_none_that_is_left(server, user, kind, when):
    server.script({"action": "CreateSecret", "nth": 1, "kind": kind, "when": when})
    done = server.rotate("apply", user.plan, "--yes")
    assert done.returncode == 2 and user.is_restored(), done.stdout + done.stderr
    assert not server.truth()["secrets"].get(f"assay/{user.name}"), "an orphaned secret"
    assert server.rotate("resume", server.run_id(), "--yes").returncode == 0 and user.is_rotated()


def test_a_key_that_spreads_slowly_is_waited_for(server, user):
    server.script(propagation=2)
    done = server.rotate("apply", user.plan, "--yes")
    assert done.returncode == 0 and user.is_rotated(), done.stdout + done.stderr
    assert len([c for c in server.calls("GetCallerIdentity") if c["key"] == user.delivered()]) == 3


def test_two_runs_of_an_account_do_not_overlap(server, user):
    other, = users(server, f"{user.name}-other")
    server.script({"action": "CreateAccessKey", "nth": 1, "when": "before", "kind": "hold", "proceed": True})
    process = server.start("rotate", "apply", user.plan, "--yes")
    assert server.wait_held()
    second = server.rotate("apply", other.plan, "--yes")
    assert second.returncode == 2 and f"process {process.pid}" in second.stderr and other.is_restored(), second.stdout + second.stderr
    again = server.rotate("apply", user.plan, "--yes")
    assert again.returncode == 2 and "unfinished_run" in again.stdout, again.stdout + again.stderr
    server.ask("/__release")
    process.communicate(timeout=60)
    assert process.returncode == 0 and user.is_rotated()


def test_ctrl_c_leaves_a_run_that_can_go_on(server, user):
    server.script({"action": "UpdateAccessKey", "nth": 1, "when": "after", "kind": "hold"})
    process = server.start("rotate", "apply", user.plan, "--yes")
    assert server.wait_held()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    server.ask("/__release")
    server.script()
    assert server.rotate("resume", server.run_id(), "--yes").returncode == 0
    assert user.is_rotated()


@pytest.mark.parametrize("sink", ["file:{folder}/out/{{user}}.json", "command:{folder}/take.sh {{user}} {{key_id}}"])
def test_a_secret_is_only_in_its_sink(server, user, sink, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    script = tmp_path / "take.sh"
    script.write_text(f"#!/bin/sh\numask 077\ncat > {out}/$1.json\ncat {out}/$1.json\ncat {out}/$1.json >&2\nsleep 0.3\n")
    script.chmod(0o755)
    process = server.start("rotate", "apply", user.plan, "--yes", "--report", "report.json", "--sink", sink.format(folder=tmp_path))
    lines = set()
    while process.poll() is None:
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.add(path.read_text(errors="replace"))
            except OSError:
                continue
        time.sleep(0.02)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stdout + stderr
    stored = out / f"{user.name}.json"
    document = json.loads(stored.read_text())
    truth = server.truth()["users"][user.name]["keys"]
    assert {document["aws_access_key_id"]: document["aws_secret_access_key"]} == {k: v["secret"] for k, v in truth.items()}
    assert stored.stat().st_mode & 0o077 == 0
    assert any("take.sh" in line for line in lines) or sink.startswith("file")
    server.no_secret_in(stdout, stderr, *lines)


def test_a_secret_is_in_no_log(server, user):
    loud = {"RUST_LOG": "trace", "RUST_BACKTRACE": "1", "LOG_SENSITIVE_BODIES": "true", "AWS_LOG_LEVEL": "debug"}
    done = server.rotate("apply", user.plan, "--yes", env=loud)
    assert done.returncode == 0 and user.is_rotated(), done.stderr
    for verb in ("status", "undo"):
        told = server.rotate(verb, server.run_id(), *(["--yes"] if verb == "undo" else []), env=loud)
        server.no_secret_in(done.stdout, done.stderr, told.stdout, told.stderr)


def test_a_sink_that_fails_takes_everything_back(server, user, tmp_path):
    script = tmp_path / "take.sh"
    script.write_text("#!/bin/sh\ncat >&2\nexit 3\n")
    script.chmod(0o755)
    done = server.rotate("apply", user.plan, "--yes", "--sink", f"command:{script}")
    assert done.returncode == 2 and "untouched" in done.stdout, done.stdout + done.stderr
    assert user.keys() == {user.old: "Active"}
    server.truth()
    assert len(server.calls("CreateAccessKey")) == 1 and len(server.calls("DeleteAccessKey")) == 1
    server.no_secret_in(done.stdout, done.stderr)


@pytest.mark.parametrize("sink, message", [
    ("nowhere:x", "nowhere"), ("file:relative/x", "file"), ("file:/no/such/folder/x.json", "/no/such/folder"), ("command:/no/such/program", "/no/such/program"),
    ("secretsmanager:", "secretsmanager"), ("keyvault:http://evil.example/secrets/x", "no vault"), ("file:/tmp/{nobody}.json", "nobody"), ("", "sink"),
])
def test_a_sink_that_cannot_work_is_refused_before_anything_is_changed(server, user, sink, message):
    done = server.rotate("apply", user.plan, "--yes", "--sink", sink)
    assert done.returncode in (2, 65), done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert user.keys() == {user.old: "Active"} and not server.calls("CreateAccessKey")


@pytest.mark.parametrize("env, says", [
    ({"AWS_SECRET_ACCESS_KEY": ""}, "credentials"), ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "connection refused"), ({"AWS_ENDPOINT_URL": "tls"}, "tls"),
])
def test_what_cannot_be_asked_is_not_touched(server, user, env, says):
    """Partial credentials, nobody there, no TLS where there should be."""
    env = {k: server.url.replace("http://", "https://") if v == "tls" else v for k, v in env.items()}
    done = server.rotate("apply", user.plan, "--yes", env=env)
    assert done.returncode in (2, 69) and says in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    assert user.keys() == {user.old: "Active"} and not server.calls("CreateAccessKey")
    done = server.rotate("plan", env=env)
    assert done.returncode == 69, done.stdout + done.stderr
