"""Rotation of access keys from end to end against moto: what is planned, what is done, what is left alone, what can be taken back."""
import collections
import json
import os
import pty
import signal
import stat
import subprocess
import time

import pytest
import yaml
from conftest import BIN
from rotating import OPERATOR, Account, start_account


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with start_account(tmp_path_factory.mktemp("server")) as account:
        yield account


@pytest.fixture
def account(server, tmp_path):
    """An empty account, and no state."""
    server.ask("/__reset")
    return Account(server.url, tmp_path)


def old(name, **more):
    return {"name": name, "keys": [{"age_days": 200, "used_days": 30} | more.pop("key", {})], **more}


def guards(plan):
    return {left["owner"]: left["because"]["guard"] for left in plan["left_alone"]}


def test_a_plan_says_what_and_why_and_changes_nothing(account):
    account.seed(
        old("alice"),
        {"name": "young", "keys": [{"age_days": 10}]},
        {"name": "two", "keys": [{"age_days": 200}, {"age_days": 20, "status": "Inactive"}]},
        {"name": "off", "keys": [{"age_days": 200, "status": "Inactive"}]},
        old("never", tags={"assay:rotate": "never"}),
        old("ses-smtp-user.20240101-101010"),
        old("mailer", key={"used_service": "ses"}),
        old("breakglass", path="/break-glass/"),
        old("svc-x"),
        old("root"),
        {"name": "operator", "keys": [{"id": OPERATOR, "age_days": 300, "used_days": 0}]},
    )
    before = account.truth()
    plan = account.plan("--exclude", "svc-*", "--exclude-path", "/break-glass/*")
    assert account.truth() == before
    assert {k["user"] for k in plan["access_keys"]} == {"alice", "root"}, "an ordinary user called root is an ordinary user"
    assert guards(plan) == {"two": "two_keys", "off": "inactive", "never": "excluded", "ses-smtp-user.20240101-101010": "ses_smtp", "mailer": "ses_smtp",
                            "breakglass": "excluded", "svc-x": "excluded", "operator": "own_key"}
    alice = next(k for k in plan["access_keys"] if k["user"] == "alice")
    assert alice["age_days"] == 200 and alice["status"] == "Active" and alice["last_used"]["service"] == "s3"
    assert alice["steps"] == ["create", "deliver", "verify", "deactivate", "delete"]
    written = yaml.safe_load((account.folder / "plan.yaml").read_text())
    assert [k["key"] for k in written["access_keys"]] == [k["key"] for k in plan["access_keys"]]
    assert not [c for c in account.calls() if c["action"].startswith(("Create", "Update", "Delete", "Put"))]


def test_a_plan_that_sees_nothing_does_not_say_that_there_is_nothing(account):
    account.seed(old("alice"))
    account.script({"action": "ListUsers", "nth": 1, "when": "before", "kind": "AccessDenied/403"})
    done = account.rotate("plan")
    assert done.returncode == 2 and "of what could be seen" in done.stderr and "nothing to do" not in done.stderr, done.stderr
    assert "incomplete: aws_iam_user" in done.stderr and "AccessDenied" in done.stderr


def test_a_plan_for_2000_users_costs_their_lists_and_the_candidates(account):
    account.seed(*[{"name": f"u{i:04}", "keys": [{"age_days": 200 if i % 100 == 0 else 5}]} for i in range(2000)])
    plan = account.plan()
    assert [k["user"] for k in plan["access_keys"]] == [f"u{i:04}" for i in range(0, 2000, 100)], "of all pages"
    by_action = collections.Counter(call["action"] for call in account.calls())
    own = by_action.pop("GetCallerIdentity")
    assert own <= 2 and by_action == {"ListUsers": 20, "ListAccessKeys": 2000, "GetAccessKeyLastUsed": 20, "ListUserTags": 20}


def test_a_full_run_replaces_the_key_and_the_control_is_ok(account):
    first = account.seed(old("alice"), old("bob"))
    account.plan()
    done = account.rotate("apply", "plan.yaml", "--yes", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    truth = account.truth()
    for user in ("alice", "bob"):
        keys = truth["users"][user]["keys"]
        assert len(keys) == 1 and first[user][0] not in keys, "one key, and not the old one"
        (key, about), = keys.items()
        assert about["status"] == "Active"
        assert account.stored(f"assay/{user}") == {"aws_access_key_id": key, "aws_secret_access_key": about["secret"], "user_name": user, "account_id": "123456789012"}
    report = json.loads((account.folder / "report.json").read_text())
    assert {i["state"] for i in report["items"]} == {"done"}
    assert {v["status"] for v in report["before"]} == {"alarm"} and {v["status"] for v in report["after"]} == {"ok"}
    account.no_secret_in(done.stdout, done.stderr)
    journal, = account.journals()
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    status = account.rotate("status")
    assert status.returncode == 0 and "done" in status.stdout and journal.stem in status.stdout


def test_nothing_to_do_is_said(account):
    account.seed({"name": "young", "keys": [{"age_days": 10}]})
    done = account.rotate("plan", "--out", "plan.yaml")
    assert done.returncode == 0 and "nothing to do" in done.stderr
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 0 and "nothing to do" in done.stderr


def test_each_step_alone_hands_its_list_to_the_next(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan()
    assert account.rotate("create", "plan.yaml", "--yes", "--out", "created.yaml").returncode == 0
    keys = account.keys("alice")
    assert len(keys) == 2 and set(keys.values()) == {"Active"}
    early = account.rotate("delete", "created.yaml", "--yes")
    assert early.returncode == 2 and "not_inactive" in early.stdout + early.stderr
    assert account.keys("alice") == keys, "an active key is not deleted"
    assert account.rotate("deactivate", "created.yaml", "--yes", "--out", "deactivated.yaml").returncode == 0
    assert account.keys("alice")[first] == "Inactive" and len(account.calls("UpdateAccessKey")) == 1, "what is said was done"
    assert account.rotate("delete", "deactivated.yaml", "--yes", "--out", "left.yaml").returncode == 0
    assert first not in account.keys("alice") and len(account.keys("alice")) == 1
    done = account.rotate("resume", sorted(account.journals(), key=lambda p: p.stat().st_mtime_ns)[0].stem, "--yes", "--out", "again.yaml")
    lists = [yaml.safe_load((account.folder / f"{name}.yaml").read_text()) for name in ("created", "again")]
    assert done.returncode == 0 and lists[0]["access_keys"] == lists[1]["access_keys"] != [], "of a run that was cut off, the list can be had again"
    empty = account.rotate("deactivate", "left.yaml", "--yes")
    assert empty.returncode == 0 and "nothing to do" in empty.stderr


def test_a_run_waits_and_goes_on(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan(grace="3s", settle="2s")
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 0 and "waiting" in done.stdout, done.stdout + done.stderr
    assert account.keys("alice")[first] == "Active"
    run = account.run_id()
    assert account.keys("alice") == (account.rotate("resume", run, "--yes"), account.keys("alice"))[1], "too early: nothing changes"
    time.sleep(3)
    assert account.rotate("resume", run, "--yes").returncode == 0
    assert account.keys("alice")[first] == "Inactive"
    time.sleep(2)
    assert account.rotate("resume", run, "--yes").returncode == 0
    assert first not in account.keys("alice")


def test_a_key_in_use_is_not_cut_off(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan(grace="1h")
    account.rotate("apply", "plan.yaml", "--yes")
    account.touch(key=first, used_days=0)
    done = account.rotate("resume", account.run_id(), "--yes")
    assert account.keys("alice")[first] == "Active", done.stdout


def test_without_a_grace_a_key_used_since_the_plan_is_refused(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan()
    time.sleep(1.1)
    account.touch(key=first, used_days=0)
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 2 and "used_since" in done.stdout
    assert account.keys("alice")[first] == "Active" and len(account.keys("alice")) == 2


@pytest.mark.parametrize("meanwhile", ["status", "second_key", "new_user", "deleted_user", "deleted_key"])
def test_what_changed_since_the_plan_is_left_alone(account, meanwhile):
    first = account.seed(old("alice"), old("bob"))["alice"][0]
    account.plan()
    if meanwhile == "status":
        account.touch(key=first, status="Inactive")
    elif meanwhile == "second_key":
        account.seed({"name": "alice", "keys": [{"age_days": 0}]})
    elif meanwhile == "new_user":
        account.touch(recreate_user="alice")
    elif meanwhile == "deleted_user":
        account.touch(delete_user="alice")
    else:
        account.seed({"name": "alice", "keys": [{"age_days": 5}]})
        account.touch(delete_key=first)
    before = account.truth()["users"].get("alice")
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 2 and ("NoSuchEntity" if meanwhile == "deleted_user" else "changed") in done.stdout, done.stdout + done.stderr
    assert account.truth()["users"].get("alice") == before
    assert len(account.keys("bob")) == 1, "the other one went on"


def test_undo_gives_the_old_key_back_and_takes_the_unused_new_one(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan(settle="1h")
    account.rotate("apply", "plan.yaml", "--yes")
    assert account.keys("alice")[first] == "Inactive"
    done = account.rotate("undo", account.run_id(), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.keys("alice") == {first: "Active"}


def test_undo_keeps_a_new_key_that_is_in_use(account):
    first = account.seed(old("alice"))["alice"][0]
    account.plan(settle="1h")
    account.rotate("apply", "plan.yaml", "--yes")
    new, = set(account.keys("alice")) - {first}
    account.touch(key=new, used_days=0)
    done = account.rotate("undo", first, "--yes")
    assert done.returncode == 2 and "used" in done.stdout
    assert account.keys("alice") == {first: "Active", new: "Active"}


def test_retiring_is_a_plan_of_its_own(account):
    made = account.seed({"name": "two", "keys": [{"age_days": 300, "status": "Inactive"}, {"age_days": 20, "used_days": 1}]},
                        {"name": "unused", "keys": [{"age_days": 400}, {"age_days": 100, "used_days": 1}]},
                        {"name": "both", "keys": [{"age_days": 400, "used_days": 2}, {"age_days": 100, "used_days": 1}]})
    plan = account.plan("--retire")
    assert {(k["user"], k["key"], tuple(k["steps"])) for k in plan["access_keys"]} == {
        ("two", made["two"][0], ("delete",)), ("unused", made["unused"][0], ("deactivate", "delete"))}
    assert account.rotate("apply", "plan.yaml", "--yes").returncode == 0
    assert account.keys("two") == {made["two"][1]: "Active"} and account.keys("unused") == {made["unused"][1]: "Active"}
    assert len(account.keys("both")) == 2


def test_the_limit_of_two_keys_never_ends_in_a_deletion(account):
    """The runbook this replaces deleted the old keys after LimitExceeded."""
    first = account.seed(old("alice"))["alice"][0]
    account.plan()
    account.script({"action": "CreateAccessKey", "nth": 1, "kind": "LimitExceeded/409"})
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 2 and "LimitExceeded" in done.stdout
    assert account.keys("alice") == {first: "Active"}
    assert not account.calls("DeleteAccessKey") and not account.calls("UpdateAccessKey")


def test_more_keys_than_max_need_a_word(account):
    account.seed(*[old(f"u{i}") for i in range(4)])
    account.plan()
    done = account.rotate("apply", "plan.yaml", "--yes", "--max", "3")
    assert done.returncode == 2 and "--max" in done.stdout + done.stderr
    assert not account.calls("CreateAccessKey")


def test_nobody_to_ask_is_a_usage_error(account):
    account.seed(old("alice"))
    account.plan()
    done = account.rotate("apply", "plan.yaml", stdin="")
    assert done.returncode == 64 and "--yes" in done.stderr
    assert not account.calls("CreateAccessKey")


@pytest.mark.parametrize("answer, goes", [("y", True), ("n", False), ("", False), ("yess", False)])
def test_a_person_is_asked(account, answer, goes):
    first = account.seed(old("alice"))["alice"][0]
    account.plan()
    outer, inner = pty.openpty()
    process = subprocess.Popen([BIN, "rotate", "apply", "plan.yaml"], env=account.env, cwd=account.folder, stdin=inner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(outer, f"{answer}\n".encode())
    stdout, stderr = process.communicate(timeout=60)
    os.close(outer), os.close(inner)
    assert process.returncode == 0 and "1 of 1 will be worked on. Go on? [y/N]" in stderr, stderr
    assert "create deliver verify deactivate delete" in stderr and "secretsmanager:assay/{user}" in stderr, "what will happen is shown before"
    assert (first not in account.keys("alice")) == goes and bool(account.calls("CreateAccessKey")) == goes
    assert goes or "nothing was changed" in stderr and not account.journals()


def test_ctrl_c_at_the_question_is_no(account):
    account.seed(old("alice"))
    account.plan()
    outer, inner = pty.openpty()
    process = subprocess.Popen([BIN, "rotate", "apply", "plan.yaml"], env=account.env, cwd=account.folder, stdin=inner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "[y/N]" not in "".join(iter(lambda: process.stderr.read(1), "]")) + "]":
        continue
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    os.close(outer), os.close(inner)
    assert process.returncode == 130 and not account.calls("CreateAccessKey") and not account.journals()


def test_a_journal_that_was_altered_is_not_gone_on_with(account):
    account.seed(old("alice"))
    account.plan(grace="1h")
    account.rotate("apply", "plan.yaml", "--yes")
    journal, = account.journals()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:2] + lines[3:]))
    status = account.rotate("status")
    assert "line" in status.stdout + status.stderr and status.returncode == 2
    done = account.rotate("resume", journal.stem, "--yes")
    assert done.returncode != 0 and not account.calls("UpdateAccessKey")


def test_users_are_a_view_of_their_own(account):
    account.seed(*[{"name": f"u{i:03}", "keys": []} for i in range(120)])
    done = account.rotate("users", "-o", "csv")
    lines = done.stdout.splitlines()
    assert lines[0] == "user_name,user_id,created_on,account_id" and len(lines) == 121, "all pages"


def test_only_old_keys_of_chosen_users(account):
    account.seed(old("alice"), old("bob"), old("carl", key={"age_days": 95}))
    assert {k["user"] for k in account.plan("--user", "alice", "--user", "carl")["access_keys"]} == {"alice", "carl"}
    assert {k["user"] for k in account.plan("--older-than", "100d")["access_keys"]} == {"alice", "bob"}
    assert {k["user"] for k in account.plan("--where", "user_name like '%l%' and create_date < now() - interval '100 days'")["access_keys"]} == {"alice"}
    bad = account.rotate("plan", "--where", "no_such_column = 1")
    assert bad.returncode == 65 and "no_such_column" in bad.stderr


@pytest.mark.parametrize("text, message", [
    ("", "plan.yaml"), ("assay_rotation_plan: 9\n", "plan.yaml"), ("[]", "plan.yaml"), ("a: [", "plan.yaml:"), ("assay_rotation_plan: 1\nkeys: []\n", "plan.yaml"),
])
def test_a_plan_that_is_none_is_refused(account, text, message):
    (account.folder / "plan.yaml").write_text(text)
    done = account.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 65 and message in done.stderr, done.stderr
