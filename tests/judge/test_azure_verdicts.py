"""Every verdict over storage account keys, row for row, against a judge that reads the same estate through the Azure Python SDK."""
import collections
import contextlib
import datetime as dt
import json
import re
import urllib.parse
import urllib.request

import pytest
from azure.core.credentials import AccessToken
from azure.mgmt.storage import StorageManagementClient

import azure_estate
import azure_truth
from conftest import BACKEND, ROOT, FakeArm, child

CONTROLS = list(azure_truth.JUDGES)
BENCHMARK = "conformity_azure_storage"
LIMITS = {c: (90, 30) if c == "StorageAccounts-002" else (90, 30, 365) for c in CONTROLS}
COMPARISON = ROOT / "docs" / "azure-key-rotation.md"


class Fake(FakeArm):
    """The fake of Azure over plain http, with the SDK as a second reader."""

    # the SDK sends tokens over plain http only when every call says so
    call = {"enforce_https": False}

    def __init__(self, ready, estate):
        super().__init__(ready, estate)
        subscriptions = list(dict.fromkeys(t["subscription_id"] for t in self.truth()))
        self.readable = [s for s in subscriptions if s != azure_estate.DENIED]
        self.denied = [s for s in subscriptions if s == azure_estate.DENIED]

    def get_token(self, *_, **__):
        """The credential of the SDK's clients."""
        resource = urllib.parse.quote(self.url, safe="")
        request = urllib.request.Request(f"{self.url}/msi/token?api-version=2019-08-01&resource={resource}", headers={"X-IDENTITY-HEADER": self.ready["identity_header"]})
        with urllib.request.urlopen(request, timeout=30) as answer:
            token = json.load(answer)
        return AccessToken(token["access_token"], int(token["expires_on"]))

    def options(self):
        return {"base_url": self.url, "credential_scopes": [f"{self.url}/.default"]}

    def judge(self, subscription):
        return azure_truth.Subscription(self, subscription, dt.datetime.now(dt.timezone.utc), self.call, **self.options())

    def storage(self, subscription):
        return StorageManagementClient(self, subscription, **self.options()).storage_accounts


@contextlib.contextmanager
def serve(estate):
    with child(BACKEND / "fake_arm", "--estate", estate) as ready:
        yield Fake(ready, estate)


def results(done):
    """{control id: [(resource, status, reason, dimensions)]} of a JSON report."""
    out = {}

    def walk(group):
        for control in group.get("controls") or []:
            rows = out.setdefault(control["control_id"].removeprefix("control."), [])
            rows += [(r["resource"], r["status"], r["reason"], {d["key"]: d["value"] for d in r["dimensions"]}) for r in control.get("results") or []]
        for child in group.get("groups") or []:
            walk(child)

    walk(done.json())
    return out


def judged(subscriptions, control, limit):
    expected = {}
    for s in subscriptions:
        expected |= azure_truth.JUDGES[control](s, limit)
    return expected


@pytest.fixture(scope="module")
def states():
    """Two subscriptions that can be read and one that is denied."""
    with serve("states") as server:
        yield server


@pytest.fixture(scope="module")
def truth(states):
    return [states.judge(s) for s in states.readable]


@pytest.fixture(scope="module")
def report(assay, states):
    done = assay("run", "benchmark", BENCHMARK, "--output", "json", env=states.env)
    return done, results(done)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_row(control, report, states, truth):
    rows = [r for r in report[1][control] if r[3]["subscription_id"] not in states.denied]
    assert not azure_truth.differences(judged(truth, control, 90), [r[:3] for r in rows])
    for _, _, reason, dimensions in rows:
        assert dimensions["name"] and dimensions["resource_group"] == dimensions["resource_group"].lower() and dimensions["region"], reason


@pytest.mark.parametrize("control, limit", [(c, n) for c in CONTROLS for n in LIMITS[c] if n != 90])
def test_every_row_with_another_limit(assay, control, limit, states, truth):
    done = assay("run", "control", control, "--arg", f"max_age_days={limit}", "--output", "json", env=states.env)
    rows = [r[:3] for r in results(done)[control] if r[3]["subscription_id"] not in states.denied]
    assert not azure_truth.differences(judged(truth, control, limit), rows)


def test_the_estate_has_every_state(truth):
    verdicts = {c: collections.Counter(status for status, _ in judged(truth, c, 90).values()) for c in CONTROLS}
    for control, wanted in (("StorageAccounts-002", "ok alarm skip"), ("azure_storage_account_key_age", "ok alarm skip"),
                            ("azure_storage_account_key_expiration_policy", "ok alarm skip"), ("azure_storage_account_shared_key_access_disabled", "ok alarm")):
        assert all(verdicts[control][status] for status in wanted.split()), verdicts


def test_the_denied_subscription_is_error_and_the_rest_intact(report, states):
    done, rows = report
    assert done.code == 2, done.err
    assert set(rows) == set(CONTROLS)
    for control in CONTROLS:
        for denied in states.denied:
            mine = [r for r in rows[control] if denied in r[0] or r[3]["subscription_id"] == denied]
            assert mine and {status for _, status, _, _ in mine} == {"error"}, control
            assert "AuthorizationFailed" in mine[0][2]
        assert {r[1] for r in rows[control] if r[3]["subscription_id"] in states.readable} <= {"ok", "alarm", "skip"}
    assert "AuthorizationFailed" in done.err


def test_a_denied_log_alone_is_error_for_the_event_rule_only(assay):
    with serve("readable") as server:
        server.control(faults=[{"when": {"path": f"{server.readable[0]}/providers/microsoft.insights"}, "do": "error", "status": 403, "code": "AuthorizationFailed", "message": "no"}])
        done = assay("run", "benchmark", BENCHMARK, "--output", "json", env=server.env)
        assert done.code == 2, done.err
        rows = results(done)
    for control in CONTROLS:
        mine = {r[1] for r in rows[control] if r[3]["subscription_id"] == server.readable[0]}
        assert mine == {"error"} if control == "StorageAccounts-002" else "error" not in mine, control
        assert "error" not in {r[1] for r in rows[control] if r[3]["subscription_id"] == server.readable[1]}


def test_calls(assay):
    """At most one account list and one scan of the log per subscription, whatever the number of controls; keys are never listed."""
    for what in (["control", "StorageAccounts-002"], ["benchmark", BENCHMARK]):
        with serve("readable") as server:
            done = assay("run", *what, "--output", "none", env=server.env)
            assert done.code == 1, done.err
            calls = server.calls("arm")
        assert not [c for c in calls if c["method"] != "GET"], calls
        assert not [c for c in calls if "listkeys" in c["path"].lower()]
        for subscription in server.readable:
            mine = [c["path"].lower().split("/providers/")[-1] for c in calls if subscription in c["path"]]
            assert sorted(mine) == ["microsoft.insights/eventtypes/management/values", "microsoft.storage/storageaccounts"], mine


def test_pages_and_noise(assay, states, truth):
    """Small pages, empty pages, and a principal that may only read."""
    with serve("states") as server:
        server.control(page_size={"storageAccounts": 3, "events": 4}, empty_pages=1, role="reader", strict_filter=True)
        done = assay("run", "control", "StorageAccounts-002", "--output", "json", env=server.env)
    rows = [r[:3] for r in results(done)["StorageAccounts-002"] if r[3]["subscription_id"] not in states.denied]
    assert not azure_truth.differences(judged(truth, "StorageAccounts-002", 90), rows)


def test_ten_thousand_accounts_within_the_bucket(assay):
    with serve("many:10000") as server:
        server.control(bucket={"capacity": 250, "refill": 25})
        done = assay("run", "control", "StorageAccounts-002", "--output", "json", env=server.env)
        assert done.code == 1, done.err
        calls, truth = server.calls("arm"), server.truth()
    assert not [c for c in calls if c["status"] == 429]
    assert not [c for c in calls if "listkeys" in c["path"].lower()]
    rows = results(done)["StorageAccounts-002"]
    assert len(rows) == 10_000
    old = {t["id"].lower(): t["last_success_days"] is None for t in truth}
    assert {r[0].lower(): r[1] == "alarm" for r in rows} == old


def test_a_rotation_changes_the_verdict(assay):
    """The order of the remediation text: key1 first, then key2, each seen at once."""
    with serve("readable") as server:
        storage = server.storage(server.readable[0])
        stale = next(t for t in server.truth() if t["name"] == "stbothstale")

        def verdict():
            done = assay("run", "benchmark", BENCHMARK, "--output", "json", env=server.env)
            rows = results(done)
            event = next(r[1] for r in rows["StorageAccounts-002"] if r[3]["name"] == stale["name"])
            keys = [r[1] for r in sorted(rows["azure_storage_account_key_age"]) if r[3]["name"] == stale["name"]]
            return event, keys

        assert verdict() == ("alarm", ["alarm", "alarm"])
        storage.regenerate_key(stale["resource_group"], stale["name"], {"keyName": "key1"}, **server.call)
        assert verdict() == ("ok", ["ok", "alarm"])
        storage.regenerate_key(stale["resource_group"], stale["name"], {"keyName": "key2"}, **server.call)
        assert verdict() == ("ok", ["ok", "ok"])


@pytest.mark.parametrize("days", ["91", "365", "0", "-1"])
def test_a_limit_that_the_log_cannot_answer_is_refused(assay, states, days):
    states.forget()
    for words in (["run", "control", "StorageAccounts-002"], ["run", "benchmark", BENCHMARK], ["run", "control", "azure_compliance.control.StorageAccounts-002"],
                  ["query", "StorageAccounts-002"]):
        done = assay(*words, "--arg", f"max_age_days={days}", env=states.env)
        assert (done.code, done.out) == (65, ""), (words, done.err)
        assert "azure_storage_account_key_age" in done.err and "max_age_days" in done.err, done.err
    assert not states.calls("arm"), "refused before anything is asked"


STALE = """
select 'aws' as cloud, account_id as owner, access_key_id as key, create_date as made from aws_iam_access_key
where status = 'Active' and create_date <= current_date - interval '90 days'
union all
select 'azure', subscription_id, storage_account_name || '/' || key_name, creation_time from azure_storage_account_key
where creation_time <= current_date - interval '90 days'
"""


def test_stale_keys_of_both_clouds_in_one_statement(assay, estate, truth, states, tmp_path):
    both = tmp_path / "assay.yaml"
    both.write_text(estate.config.read_text() + "  azure: { cloud: azure }\n")
    with serve("readable") as server:
        done = assay("query", STALE, "--output", "json", url=estate.url, config=both, env=server.env)
    assert done.code == 0, done.err
    now = dt.datetime.now(dt.timezone.utc)
    limit = azure_truth.midnight(now, 90)
    aws = {k["id"] for a in estate.truth for k in a["access_keys"]
           if k["status"] == "Active" and dt.datetime.fromisoformat(k["created"]).replace(tzinfo=dt.timezone.utc) <= limit}
    azure = {f"{a.name}/{key}" for s in truth for a in s.accounts for key, made in s.keys(a).items() if made and made <= limit}
    found = collections.defaultdict(set)
    for row in done.rows():
        found[row["cloud"]].add(row["key"])
    assert aws and azure
    assert dict(found) == {"aws": aws, "azure": azure}


def comparison():
    """The rows of the page's second table: account, the case, and what everybody says."""
    for line in COMPARISON.read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if re.fullmatch(r"`str\w+`", cells[0]):
            yield cells[0].strip("`"), cells[1:]


def test_the_comparison_of_rule_sets(assay):
    with serve("rules") as server:
        done = assay("run", "benchmark", BENCHMARK, "--output", "json", env=server.env)
        assert done.code == 1, done.err
        subscriptions = [server.judge(s) for s in server.readable]
        states = {t["name"]: t["state"] for t in server.truth()}
    for control in CONTROLS:
        assert not azure_truth.differences(judged(subscriptions, control, 90), [r[:3] for r in results(done)[control]])
    ours = {c: collections.defaultdict(list) for c in CONTROLS}
    for control, rows in results(done).items():
        for _, status, _, dimensions in sorted(rows):
            ours[control][dimensions["name"]].append(status)
    found = {}
    for s in subscriptions:
        for a in s.accounts:
            others = ["pass" if rule(s, a) else "fail" for rule in azure_truth.OTHERS]
            event, (key1, key2), policy = (ours[c][a.name] for c in CONTROLS[:3])
            found[a.name] = [states[a.name], *others, *event, key1 if key1 == key2 else f"{key1}, {key2}", *policy]
    assert dict(comparison()) == found
