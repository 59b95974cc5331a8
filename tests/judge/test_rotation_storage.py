"""Rotation of storage account keys from end to end against the fake of Azure: one key at a time, consumers moved in between."""
import json
import signal
import time

import pytest
import yaml
from azure_estate import CANARY, PROD, TEAM
from rotating import Commands


class Azure(Commands):
    """The fake of Azure, and a vault in it."""

    def __init__(self, fake, folder):
        super().__init__(folder, fake.env | {"AZURE_KEYVAULT_SUFFIX": fake.ready["vault_suffix"]})
        self.fake = fake
        self.vault = f"keyvault:http://{fake.ready['vault_suffix']}/secrets/{{account}}"

    def plan(self, *args, grace="0", code=0):
        done = self.rotate("plan", "--storage", "--out", "plan.yaml", "--grace", grace, "-o", "json", *args)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def account(self, name):
        return self.fake.ask(f"/_account/{name}")

    def regenerated(self):
        """Which keys, in order."""
        return [json.loads(c["body"])["keyName"] for c in self.fake.calls("arm") if c["path"].lower().endswith("/regeneratekey")]

    def writes(self):
        return [c for c in self.fake.calls() if c["method"] != "GET" and c["service"] != "login"]

    def in_vault(self, name):
        """What the vault gives consumers."""
        return json.loads(self.fake.ask(f"/_vault/{name}")["value"])


@pytest.fixture
def azure(start_fake_arm, tmp_path):
    return Azure(start_fake_arm("readable"), tmp_path)


def test_a_plan_looks_at_the_list_and_nothing_else(azure):
    plan = azure.plan()
    names = {a["name"] for a in plan["storage_accounts"]}
    assert names >= {"stbothstale", "stonestale", "stnulltimes", "stonenull", "stteamstale"}, "a key of unknown age is old"
    assert not names & {"stfresh", "styoung", "stnosharedkey"}
    assert {l["owner"]: l["because"]["guard"] for l in plan["left_alone"]} == {"stnosharedkey": "shared_key_off"}
    assert not azure.writes(), "no key is listed"
    calls = [c for c in azure.fake.calls("arm") if "storageaccounts" in c["path"].lower()]
    assert len(calls) == 2, "one list per subscription"
    assert {a["name"] for a in azure.plan("--account", TEAM)["storage_accounts"]} == {"stteamstale"}
    assert {a["name"] for a in azure.plan("--where", "resource_group = 'rg-data'")["storage_accounts"]} == {"stfiles"}
    assert yaml.safe_load((azure.folder / "plan.yaml").read_text())["storage_accounts"][0]["action"] == {"do": "rotate_keys"}


def test_consumers_are_moved_and_one_key_is_regenerated_at_a_time(azure):
    """The document this replaces renewed both keys at once and reset people's passwords."""
    azure.plan("--storage-account", "stbothstale", "--sink", azure.vault)
    old = azure.account("stbothstale")
    texts = []

    def go(*words, state):
        done = azure.rotate(*words, "--yes", "--report", "report.json")
        texts.extend([done.stdout, done.stderr])
        assert done.returncode == 0 and state in done.stdout, done.stdout + done.stderr
        return done

    done = go("apply", "plan.yaml", state="waiting")
    run = azure.run_id()
    assert "--moved stbothstale=key2" in done.stdout
    assert azure.regenerated() == [] and azure.in_vault("stbothstale")["key"] == old["keys"]["key2"], "consumers get key2 first"
    go("resume", run, state="waiting")
    assert azure.regenerated() == [], "nobody has said that consumers were moved"
    go("resume", run, "--moved", "stbothstale", state="waiting")
    now = azure.account("stbothstale")
    assert azure.regenerated() == ["key1"] and now["keys"]["key2"] == old["keys"]["key2"] and now["keys"]["key1"] != old["keys"]["key1"]
    assert azure.in_vault("stbothstale")["key"] == now["keys"]["key1"], "consumers get the new key1"
    go("resume", run, "--moved", "stbothstale", state="waiting")
    assert azure.regenerated() == ["key1"], "the same command again says nothing about key1"
    go("resume", run, "--moved", "stbothstale=key1", state="done")
    assert azure.regenerated() == ["key1", "key2"]
    then = azure.account("stbothstale")
    assert then["keys"]["key1"] == now["keys"]["key1"] == azure.in_vault("stbothstale")["key"] and then["keys"]["key2"] != now["keys"]["key2"]
    report = json.loads((azure.folder / "report.json").read_text())
    assert {v["status"] for v in report["after"]} == {"ok"} and {v["control"] for v in report["after"]} == {"azure_storage_account_key_age"}
    journal = azure.journals()[0].read_text()
    assert "the activity log has it at" in journal
    assert {c["service"] for c in azure.fake.calls()} <= {"arm", "vault", "login"}, "nobody's password is of any interest"
    azure.none_of([CANARY], *texts)


def test_without_a_sink_a_person_moves_consumers(azure):
    azure.plan("--storage-account", "stbothstale")
    done = azure.rotate("apply", "plan.yaml", "--yes")
    assert done.returncode == 0 and "move all consumers of stbothstale to key2" in done.stdout
    wrong = azure.rotate("resume", azure.run_id(), "--yes", "--moved", "stbothstale=key1")
    assert wrong.returncode == 65 and "has not asked for that" in wrong.stderr
    status = azure.rotate("status", "stbothstale")
    assert "move all consumers of stbothstale to key2" in status.stdout
    assert azure.rotate("undo", azure.run_id(), "--yes").returncode == 0
    assert not azure.writes(), "not even a key was listed"


def test_the_second_key_waits_for_the_grace_period(azure):
    azure.plan("--storage-account", "stbothstale", grace="1h")
    azure.rotate("apply", "plan.yaml", "--yes")
    azure.rotate("resume", azure.run_id(), "--yes", "--moved", "stbothstale=key2")
    done = azure.rotate("resume", azure.run_id(), "--yes", "--moved", "stbothstale=key1")
    assert done.returncode == 0 and azure.regenerated() == ["key1"] and "regenerate_key2 from" in done.stdout
    undone = azure.rotate("undo", azure.run_id(), "--yes")
    assert undone.returncode == 2 and "irreversible" in undone.stdout and azure.regenerated() == ["key1"]


@pytest.mark.parametrize("guard", ["locked", "changed", "shared_key_off", "excluded"])
def test_what_forbids_it_is_seen_before_anything_is_changed(azure, guard):
    azure.plan("--storage-account", "stbothstale", "--storage-account", "stonestale")
    scope = f"/subscriptions/{PROD}/resourceGroups/rg-app/providers/Microsoft.Storage/storageAccounts/stbothstale"
    extra = []
    if guard == "locked":
        azure.fake.control(locks=[{"scope": scope, "name": "freeze", "level": "ReadOnly"}])
    elif guard == "excluded":
        extra = ["--exclude", "stboth*"]
    else:
        newer = {"key1": "2020-01-01T00:00:00.0000000Z", "key2": "2020-01-02T00:00:00.0000000Z"}
        azure.fake.ask("/_account/stbothstale", {"keyCreationTime": newer} if guard == "changed" else {"allowSharedKeyAccess": False})
    done = azure.rotate("apply", "plan.yaml", "--yes", *extra)
    assert done.returncode == 2 and guard in done.stdout, done.stdout + done.stderr
    assert "move all consumers of stonestale" in done.stdout, "the other one goes on"
    assert azure.regenerated() == []


def test_the_alternatives_are_checked_and_done_once(azure):
    unknown = azure.plan("--expiration-policy", "60d", "--storage-account", "stnulltimes", "--storage-account", "stpolicynone")
    assert {l["because"]["guard"] for l in unknown["left_alone"]} == {"unknown_age"}
    done = azure.rotate("apply", "plan.yaml", "--yes", "--report", "report.json")
    assert done.returncode == 0 and azure.account("stpolicynone")["properties"]["keyPolicy"]["keyExpirationPeriodInDays"] == 60, done.stdout + done.stderr
    report = json.loads((azure.folder / "report.json").read_text())
    assert [v["status"] for v in report["before"]] == ["alarm"] and [v["status"] for v in report["after"]] == ["ok"]
    undone = azure.rotate("undo", azure.run_id(), "--yes")
    assert undone.returncode == 2 and "--key-exp-days" in undone.stdout

    azure.plan("--disable-shared-key", "--storage-account", "stbothstale", "--storage-account", "stonestale", grace="7d")
    azure.fake.control(transactions={"stbothstale": {"SAS": [[30, 2]]}, "stonestale": {"AccountKey": [[24 * 9, 4]], "OAuth": [[1, 9]]}})
    done = azure.rotate("apply", "plan.yaml", "--yes", "--report", "report.json")
    assert done.returncode == 2 and "shared_key_used" in done.stdout, done.stdout + done.stderr
    assert azure.account("stbothstale")["properties"].get("allowSharedKeyAccess") is not False
    assert azure.account("stonestale")["properties"]["allowSharedKeyAccess"] is False
    assert not azure.regenerated()


def test_a_regeneration_that_fails_is_told_and_not_repeated_blindly(azure):
    """One run of many accounts, each of which meets one fault; none stops another."""
    faults = {
        "stbothstale": ({"do": "error", "status": 403, "code": "AuthorizationFailed"}, "waiting"),
        "stonestale": ({"do": "error", "status": 409, "code": "ScopeLocked"}, "waiting"),
        "stnulltimes": ({"do": "error", "status": 404, "code": "ResourceNotFound"}, "waiting"),
        "stonenull": ({"do": "throttle"}, "waiting"),
        "stfailed": ({"do": "error", "status": 500}, "unknown"),
        "stunfinished": ({"do": "drop"}, "unknown"),
        # the answer is lost, the creation time shows what happened
        "stnoise": ({"do": "garbage"}, "waiting"),
        "stpolicy365": (None, "waiting"),
    }
    azure.plan(*[word for name in faults for word in ("--storage-account", name)])
    azure.rotate("apply", "plan.yaml", "--yes")
    run = azure.run_id()
    azure.fake.control(faults=[{"when": {"path": f"/{name}/regenerateKey"}, "times": 1, **fault} for name, (fault, _) in faults.items() if fault])
    moved = [word for name in faults for word in ("--moved", name)]
    done = azure.rotate("resume", run, "--yes", "--parallel", "16", "--report", "report.json", *moved)
    items = {i["owner"]: i for i in json.loads((azure.folder / "report.json").read_text())["items"]}
    assert done.returncode == 2
    untouched = {"stnoise", "stpolicy365"}
    for name, (_, state) in faults.items():
        assert items[name]["state"] == state and (items[name]["error"] is None) == (name in untouched), items[name]
    before = {name: azure.account(name) for name in faults}
    again = azure.rotate("resume", run, "--yes", "--parallel", "16")
    for name, (fault, state) in faults.items():
        calls = [c for c in azure.fake.calls("arm") if f"/{name}/regeneratekey" in c["path"].lower()]
        certain = state == "waiting" and name not in untouched
        assert len(calls) == (2 if certain else 1), f"{name}: {again.stdout}"
        assert azure.account(name)["keys"]["key2"] == before[name]["keys"]["key2"], "key2 is in use"
        assert {json.loads(c["body"])["keyName"] for c in calls} == {"key1"}
    azure.none_of([CANARY], done.stdout, done.stderr, again.stdout, again.stderr)


@pytest.mark.parametrize("path, late", [("listKeys", False), ("/secrets/stbothstale$", True), ("regenerateKey", False), ("regenerateKey", True)])
def test_killed_while_a_call_is_on_its_way(azure, path, late):
    azure.plan("--storage-account", "stbothstale", "--sink", azure.vault)
    old = azure.account("stbothstale")
    words = ["apply", "plan.yaml", "--yes"]
    if path == "regenerateKey":
        azure.rotate(*words)
        words = ["resume", azure.run_id(), "--yes", "--moved", "stbothstale"]
    wait = {"after": 3000} if late else {"ms": 3000}
    azure.fake.forget()
    azure.fake.control(faults=[{"when": {"path": path, "method": "PUT" if "secrets" in path else "POST"}, "times": 1, "do": "latency", **wait}])
    process = azure.start("rotate", *words)
    until = time.monotonic() + 20
    while not [c for c in azure.fake.calls() if c["fault"] == "latency"]:
        assert time.monotonic() < until, process.communicate(timeout=5)
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    azure.fake.control(faults=[])
    time.sleep(0 if late else 3)
    done = azure.rotate("resume", azure.run_id(), "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    now = azure.account("stbothstale")
    if path == "regenerateKey":
        assert azure.regenerated() == ["key1"], "not twice"
        assert now["keys"]["key2"] == old["keys"]["key2"] and azure.in_vault("stbothstale")["key"] == now["keys"]["key1"] != old["keys"]["key1"]
    else:
        assert azure.regenerated() == [] and azure.in_vault("stbothstale")["key"] == old["keys"]["key2"]
