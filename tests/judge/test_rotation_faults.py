"""Rotation when things break: killed at every call, every call refused once in every way, and nothing secret left anywhere."""
import json
import pathlib
import signal
import time

import pytest
from rotating import start_account, works_for_somebody


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with start_account(tmp_path_factory.mktemp("rotation")) as account:
        yield account


@pytest.fixture
def user(server, request):
    """A user of this test alone, with one old key, and its plan; the script is empty."""
    name = f"u-{abs(hash(request.node.nodeid)) % 10**10}"
    server.script()
    key = server.seed({"name": name, "keys": [{"age_days": 200, "used_days": 30}]})[name][0]
    server.plan("--user", name)
    server.script()
    return type("User", (), {"name": name, "old": key})


def settle(server, user, how):
    """Goes on until nothing more happens, or takes everything back; gives the last answer."""
    run = server.run_id()
    done = server.rotate(how, run, "--yes")
    for _ in range(3):
        if how == "resume" and "done" not in done.stdout:
            done = server.rotate(how, run, "--yes")
    return done


def no_orphan(server, user):
    """No key is left whose secret nobody has."""
    document = server.stored(f"assay/{user.name}")
    known = {user.old} | ({document["aws_access_key_id"]} if document else set())
    assert set(server.keys(user.name)) <= known, "a key whose secret nobody holds"


def calls_of_a_run(server):
    """How many calls a run makes, counted once on a user of its own."""
    server.script()
    server.seed({"name": "counted", "keys": [{"age_days": 200}]})
    server.plan("--user", "counted")
    server.script()
    assert server.rotate("apply", "plan.yaml", "--yes").returncode == 0
    return [c["action"] for c in server.calls()]


@pytest.mark.parametrize("how", ["resume", "undo"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_call(server, when, how):
    """kill -9 while the nth call is on its way, before or after it took effect; then the run is resumed, or taken back."""
    actions = calls_of_a_run(server)
    writes = {"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "GetCallerIdentity"}
    first = actions.index("CreateAccessKey") - 1
    last = len(actions) - 1 - actions[::-1].index("DeleteAccessKey")
    for n in range(first + 1, last + 3):
        if n > len(actions) or (when == "after" and actions[n - 1] not in writes):
            continue
        name = f"k{n}{when}{how}"
        server.script()
        old = server.seed({"name": name, "keys": [{"age_days": 200, "used_days": 30}]})[name][0]
        server.plan("--user", name)
        server.script({"action": "*", "nth": n, "when": when, "kind": "hold"})
        process = server.start("rotate", "apply", "plan.yaml", "--yes")
        held = server.wait_held()
        assert held, f"call {n} never came: {process.communicate(timeout=30)}"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        server.ask("/__release")
        assert works_for_somebody(server, name, old), f"killed {when} call {n} ({held['action']}): nobody has a working key"
        server.script()
        user = type("User", (), {"name": name, "old": old})
        if not server.journals():
            continue
        done = settle(server, user, how)
        place = f"killed {when} call {n} ({held['action']}), then {how}: {done.stdout}{done.stderr}"
        assert works_for_somebody(server, name, old), place
        no_orphan(server, user)
        keys = server.keys(name)
        if how == "resume":
            assert done.returncode == 0 and old not in keys and list(keys.values()) == ["Active"], place
        elif old in keys:
            assert keys[old] == "Active", place
        deleted = [c for c in server.calls("DeleteAccessKey") if c.get("AccessKeyId") == old]
        assert len(deleted) <= 1, "the old key was deleted twice"


FAULTS = ["AccessDenied/403", "LimitExceeded/409", "NoSuchEntity/404", "ServiceFailure/500", "Throttling/400", "ExpiredToken/403", "InvalidClientTokenId/403",
          "reset", "garbage"]
CALLS = ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "ListAccessKeys", "GetAccessKeyLastUsed", "GetUser", "CreateSecret", "PutSecretValue",
         "UpdateSecretVersionStage", "GetCallerIdentity"]
STATES = {"untouched", "waiting", "deactivated", "done", "new_key_left", "unknown"}


@pytest.mark.parametrize("action", CALLS)
@pytest.mark.parametrize("kind", FAULTS)
def test_every_call_refused_once_in_every_way(server, user, action, kind):
    for when in ("before", "after") if kind in ("reset", "garbage", "ServiceFailure/500") else ("before",):
        server.script({"action": action, "nth": 1, "when": when, "kind": kind})
        done = server.rotate("apply", "plan.yaml", "--yes", "--report", "report.json")
        assert done.returncode in (0, 2, 69), done.stderr
        assert works_for_somebody(server, user.name, user.old), f"{kind} {when} {action}: {done.stdout}{done.stderr}"
        if (server.folder / "report.json").exists():
            items = json.loads((server.folder / "report.json").read_text())["items"]
            assert {i["state"] for i in items} <= STATES
            (server.folder / "report.json").unlink()
        server.script()
        if user.old in server.keys(user.name):
            settle(server, user, "undo")
            keys = server.keys(user.name)
            assert keys.get(user.old) == "Active", f"undo after {kind} {when} {action}: {keys}"
            no_orphan(server, user)
        server.no_secret_in(done.stdout, done.stderr)
        if when == "before" and kind in ("reset", "garbage", "ServiceFailure/500"):
            if user.old not in server.keys(user.name):
                return
            server.plan("--user", user.name)


def test_a_key_that_spreads_slowly_is_waited_for(server, user):
    server.script(propagation=2)
    done = server.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.calls("GetCallerIdentity")) >= 3


def test_two_runs_of_an_account_do_not_overlap(server, user):
    server.script({"action": "CreateAccessKey", "nth": 1, "when": "before", "kind": "hold", "proceed": True})
    process = server.start("rotate", "apply", "plan.yaml", "--yes")
    assert server.wait_held()
    second = server.rotate("apply", "plan.yaml", "--yes")
    assert second.returncode == 2 and str(process.pid) in second.stdout + second.stderr, second.stdout + second.stderr
    server.ask("/__release")
    assert process.wait(timeout=60) == 0
    assert len(server.keys(user.name)) == 1


def test_ctrl_c_leaves_a_run_that_can_go_on(server, user):
    server.script({"action": "UpdateAccessKey", "nth": 1, "when": "before", "kind": "hold"})
    process = server.start("rotate", "apply", "plan.yaml", "--yes")
    assert server.wait_held()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    server.ask("/__release")
    server.script()
    assert settle(server, user, "resume").returncode == 0
    assert user.old not in server.keys(user.name) and works_for_somebody(server, user.name, user.old)


@pytest.mark.parametrize("sink", ["file:{folder}/out/{{user}}.json", "command:{folder}/take.sh {{user}} {{key_id}}"])
def test_a_secret_is_only_in_its_sink(server, user, sink, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = tmp_path / "take.sh"
    script.write_text(f"#!/bin/sh\numask 077\ncat > {out}/$1.json\ncat {out}/$1.json\ncat {out}/$1.json >&2\nsleep 0.3\n")
    script.chmod(0o755)
    process = server.start("rotate", "apply", "plan.yaml", "--yes", "--report", "report.json", "--sink", sink.format(folder=tmp_path))
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


@pytest.mark.parametrize("level", ["trace"])
def test_a_secret_is_in_no_log(server, user, level):
    done = server.rotate("apply", "plan.yaml", "--yes", env={"RUST_LOG": level, "RUST_BACKTRACE": "1"})
    assert done.returncode == 0
    server.no_secret_in(done.stdout, done.stderr)


def test_a_sink_that_fails_takes_everything_back(server, user, tmp_path):
    script = tmp_path / "take.sh"
    script.write_text("#!/bin/sh\ncat >&2\nexit 3\n")
    script.chmod(0o755)
    done = server.rotate("apply", "plan.yaml", "--yes", "--sink", f"command:{script}")
    assert done.returncode == 2 and "untouched" in done.stdout, done.stdout + done.stderr
    assert server.keys(user.name) == {user.old: "Active"}
    server.truth()
    created = [c for c in server.calls("CreateAccessKey")]
    assert len(created) == 1 and len(server.calls("DeleteAccessKey")) == 1
    server.no_secret_in(done.stdout, done.stderr)


@pytest.mark.parametrize("sink, message", [
    ("nowhere:x", "nowhere"), ("file:relative/x", "file"), ("file:/no/such/folder/x.json", "/no/such/folder"), ("command:/no/such/program", "/no/such/program"),
    ("secretsmanager:", "secretsmanager"), ("keyvault:http://evil.example/secrets/x", "keyvault"), ("file:/tmp/{nobody}.json", "nobody"), ("", "sink"),
])
def test_a_sink_that_cannot_work_is_refused_before_anything_is_changed(server, user, sink, message):
    done = server.rotate("apply", "plan.yaml", "--yes", "--sink", sink)
    assert done.returncode in (2, 65, 64, 74), done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert server.keys(user.name) == {user.old: "Active"} and not server.calls("CreateAccessKey")


def test_partial_credentials_are_one_clear_error(server, user):
    done = server.rotate("apply", "plan.yaml", "--yes", env={"AWS_SECRET_ACCESS_KEY": ""})
    assert done.returncode == 69 and server.keys(user.name) == {user.old: "Active"}
