"""Faults of Azure: the same rows as without, or the scope named and exit code 2; never a wrong ok, never a hang, never a secret in sight."""
import collections
import os
import pathlib
import time

import pytest

from azure_estate import CANARY, DENIED, DISABLED, PROD, TEAM, WARNED

ACCOUNTS = "select subscription_id, name from azure_storage_account"
EVENTS = "select subscription_id, storage_account_name, correlation_id, status from azure_storage_account_key_event"
LIST = "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts"
# What may be sent by POST, since its answer is only read.
READING_POSTS = ("/providers/microsoft.resourcegraph/resources", "/listkeys")


@pytest.fixture
def fake(start_fake_arm):
    """Two subscriptions, both readable."""
    return start_fake_arm("readable")


@pytest.fixture
def ask(assay, fake):
    """Runs a query against the fake; JSON rows are in a file of their own, so that stdout and stderr can be searched."""
    def run(sql, *options, env=None, **more):
        return assay("query", sql, "--output", "json", *options, env=fake.env | (env or {}), **more)
    return run


def expected(fake, *subs):
    return sorted((t["subscription_id"], t["name"]) for t in fake.truth() if t["subscription_id"] in subs)


def found(done):
    return sorted((r["subscription_id"].lower(), r["name"]) for r in done.rows())


def listing(sub):
    """The path of a subscription's account list, as a pattern."""
    return f"/subscriptions/{sub}/providers/microsoft.storage/storageaccounts$"


def intact(fake, done, broken=PROD, *words, partly=False):
    """One subscription could not be read: it is named, the other one's rows are all there; of its own none, or those of the pages that were right."""
    assert done.code == 2, (done.code, done.err)
    rows = found(done)
    assert [r for r in rows if r[0] != broken] == expected(fake, TEAM if broken == PROD else PROD)
    mine = [r for r in rows if r[0] == broken]
    assert set(mine) <= set(expected(fake, broken)) and len(mine) == len(set(mine))
    assert partly or not mine
    assert broken in done.err
    for word in words:
        assert word in done.err, done.err


# -- throttling -----------------------------------------------------------------------------------------------------------


def test_a_storm_of_429_is_waited_out(fake, ask):
    fake.control(faults=[{"do": "throttle", "times": 3, "retry_after": 2, "when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err
    calls = [c for c in fake.calls("arm") if c["operation"] == LIST and c["subscription"] == PROD]
    assert [c["status"] for c in calls] == [429, 429, 429, 200]
    for early, late in zip(calls, calls[1:]):
        assert late["at"] - early["at"] >= 1.95, "asking earlier than told renews the wait"


def test_a_throttled_subscription_does_not_stop_the_others(fake, ask):
    fake.control(faults=[{"do": "throttle", "retry_after": 1, "when": {"path": listing(PROD)}}])
    began = time.monotonic()
    done = ask(ACCOUNTS)
    intact(fake, done, PROD, "SubscriptionRequestsThrottled")
    assert time.monotonic() - began < 120, "the end of the budget must be reached"
    team = [c for c in fake.calls("arm") if c["subscription"] == TEAM]
    assert [c["status"] for c in team] == [200]


def test_throttling_without_a_wait_is_not_hammered(fake, ask):
    fake.control(faults=[{"do": "throttle", "times": 2, "retry_after": 0, "when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err
    calls = [c for c in fake.calls("arm") if c["operation"] == LIST and c["subscription"] == PROD]
    assert len(calls) == 3 and calls[1]["at"] - calls[0]["at"] > 0.2


def test_the_bucket_of_reads_is_never_emptied(assay, start_fake_arm):
    """More calls than the published buckets hold: the client slows down before it is told to."""
    fake = start_fake_arm("many:400")
    # two more than published, for what is under way between the two clocks
    fake.control(bucket={"capacity": 252, "refill": 25}, storage_buckets={"list": {"capacity": 100, "refill": 1 / 3}, "read": {"capacity": 800, "refill": 8 / 3}}, page_size={"storageAccounts": 50})
    done = assay("query", "select name, is_versioning_enabled from azure_storage_blob_service", "--output", "json", env=fake.env)
    assert done.code == 0 and len(done.rows()) == 400, done.err
    stats = fake.stats()
    assert stats["throttled"] == 0
    assert stats["total"] == 1 + 8 + 400


# -- tokens ---------------------------------------------------------------------------------------------------------------


def test_a_token_that_expires_between_pages_is_renewed(fake, ask):
    fake.control(page_size={"storageAccounts": 5}, faults=[{"do": "expire", "times": 1, "skip": 1, "when": {"path": listing(PROD), "page": 2}}])
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err
    assert fake.stats()["tokens"] == 2
    statuses = collections.Counter(c["status"] for c in fake.calls("arm"))
    assert statuses[401] >= 1


def test_tokens_that_are_always_refused_end_the_query(fake, ask):
    fake.control(faults=[{"do": "expire", "when": {"path": "storageaccounts"}}])
    done = ask(ACCOUNTS)
    assert done.code in (2, 69) and "ExpiredAuthenticationToken" in done.err, (done.code, done.err)
    assert len(fake.calls()) < 40
    assert CANARY not in done.out + done.err and "CANARY" not in done.out + done.err


def test_one_token_serves_every_subscription(fake, ask):
    done = ask("select count(*) as n from azure_storage_account a join azure_storage_account_key k on k.storage_account_id = a.id")
    assert done.code == 0, done.err
    assert fake.stats()["tokens"] == 1


def test_tokens_go_to_their_audience_only(fake, ask):
    done = ask("select name, queue_logging_read from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'")
    assert done.code == 0, done.err
    assert [r["queue_logging_read"] for r in done.rows()] == [True]
    assert {(c["service"], c["audience"]) for c in fake.calls() if c["service"] != "login"} == {("arm", fake.url), ("storage", "https://storage.azure.com")}


# -- pages ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", [{"page_size": {"*": 1}}, {"page_size": {"*": 4}, "empty_pages": 3}, {"gzip": True}])
def test_pages_of_every_kind_are_followed(fake, ask, switches):
    fake.control(**switches)
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err
    assert {c["status"] for c in fake.calls("arm")} == {200}, "a link is followed as it is"


@pytest.mark.parametrize("kind", ["loop", "back"])
def test_pages_that_go_in_circles_are_refused(fake, ask, kind):
    fake.control(page_size={"storageAccounts": 5}, faults=[{"do": kind, "when": {"path": listing(PROD), "page": 2}}])
    done = ask(ACCOUNTS)
    intact(fake, done, PROD, "circle", partly=True)
    assert len([c for c in fake.calls("arm") if c["subscription"] == PROD]) <= 6


def test_no_token_goes_to_a_host_that_an_answer_names(fake, ask, start_fake_arm):
    thief = start_fake_arm("readable")
    fake.control(faults=[{"do": "foreign", "host": thief.url, "when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    intact(fake, done, PROD, partly=True)
    assert thief.calls() == [], "the other host must not be called at all"


# -- answers that are none --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule, word", [
    ({"do": "html", "status": 404}, "HtmlAnswer"), ({"do": "html", "status": 500}, "HtmlAnswer"), ({"do": "html", "status": 200}, "HtmlAnswer"), ({"do": "truncate"}, "MalformedAnswer"),
    ({"do": "garbage"}, "MalformedAnswer"), ({"do": "empty_body"}, "MalformedAnswer"), ({"do": "retype"}, "no list"), ({"do": "other"}, "no list"), ({"do": "drop"}, ""),
    ({"do": "error", "status": 404, "code": "", "message": ""}, "404"),
    ({"do": "error", "status": 500, "code": "InternalServerError", "message": "m"}, "InternalServerError"),
    ({"do": "error", "status": 403, "code": "AuthorizationFailed", "message": "no way", "shape": "flat"}, "AuthorizationFailed"),
])
def test_an_answer_that_is_no_answer_is_never_no_rows(fake, ask, rule, word):
    fake.control(faults=[rule | {"when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    intact(fake, done, PROD, word)
    assert "<html" not in done.err.lower()


@pytest.mark.parametrize("rule", [{"do": "html", "status": 502}, {"do": "truncate"}, {"do": "drop"}, {"do": "error", "status": 503, "code": "ServiceUnavailable"}])
def test_what_passes_is_asked_again(fake, ask, rule):
    fake.control(faults=[rule | {"times": 1, "when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err


def test_a_broken_page_in_the_middle_loses_the_whole_scope_or_nothing(fake, ask):
    fake.control(page_size={"events": 10}, faults=[{"do": "html", "status": 404, "skip": 2, "when": {"path": f"{PROD}/providers/microsoft.insights"}}])
    done = ask(EVENTS)
    assert done.code == 2 and PROD in done.err, (done.code, done.err)
    truth = {r["correlation_id"]: r["status"] for t in fake.truth() for r in t["rotations"]}
    rows = done.rows()
    assert {r["correlation_id"] for r in rows if r["subscription_id"] == TEAM} == {r["correlation_id"] for t in fake.truth() if t["subscription_id"] == TEAM for r in t["rotations"]}
    assert all(truth.get(r["correlation_id"], "Succeeded") == r["status"] for r in rows if r["subscription_id"] == TEAM)


def test_slow_answers_are_waited_for(fake, ask):
    fake.control(faults=[{"do": "latency", "ms": 1500, "when": {"path": listing(PROD)}}])
    done = ask(ACCOUNTS)
    assert (done.code, found(done)) == (0, expected(fake, PROD, TEAM)), done.err


# -- subscriptions --------------------------------------------------------------------------------------------------------


def test_denied_and_disabled_subscriptions_are_named(assay, start_fake_arm):
    fake = start_fake_arm("all")
    done = assay("query", ACCOUNTS, "--output", "json", env=fake.env)
    assert done.code == 2
    assert found(done) == expected(fake, PROD, TEAM, WARNED)
    for words in ((DENIED, "AuthorizationFailed"), (DISABLED, "SubscriptionDisabled")):
        assert all(w in done.err for w in words), done.err
    assert not [c for c in fake.calls("arm") if c["subscription"] == DISABLED], "reads of a disabled subscription are not tried"


def test_globs_choose_subscriptions_by_id_and_name(assay, start_fake_arm, tmp_path):
    fake = start_fake_arm("all")
    config = tmp_path / "assay.yaml"
    for globs, subs in ((["prod-*"], [PROD, TEAM]), (["PROD-MAIN"], [PROD]), ([f"{TEAM[:8].upper()}*"], [TEAM]), (["behind-*", "*-000000000000b", TEAM], [TEAM, WARNED])):
        fake.forget()
        config.write_text(f"connections:\n  azure: {{ cloud: azure, subscriptions: {globs} }}\n")
        done = assay("query", ACCOUNTS, "--output", "json", config=config, env=fake.env)
        assert (done.code, found(done)) == (0, expected(fake, *subs)), (globs, done.err)
        assert {c["subscription"] for c in fake.calls("arm")} - {None} == set(subs)


def test_every_call_only_reads(fake, assay):
    done = assay("run", "benchmark", "conformity_azure_storage", "--output", "none", env=fake.env)
    assert done.code == 1, done.err
    for call in fake.calls("arm"):
        assert call["method"] == "GET" or call["method"] == "POST" and call["path"].lower().endswith(READING_POSTS), call
        assert not call["path"].lower().endswith("/listkeys"), call


# -- TLS ------------------------------------------------------------------------------------------------------------------


def test_over_tls_with_an_authority_of_ones_own(assay, fake_arm_tls):
    done = assay("query", ACCOUNTS, "--output", "json", env=fake_arm_tls.env)
    assert done.code == 2 and found(done) == expected(fake_arm_tls, PROD, TEAM), done.err
    assert {c["credential"] for c in fake_arm_tls.calls("arm")} == {"secret"}
    strange = {k: v for k, v in fake_arm_tls.env.items() if k != "SSL_CERT_FILE"}
    fake_arm_tls.forget()
    done = assay("query", ACCOUNTS, "--output", "json", env=strange)
    assert done.code == 69 and "certificate" in done.err.lower(), (done.code, done.err)
    assert fake_arm_tls.calls() == []


# -- secrets --------------------------------------------------------------------------------------------------------------

KEYS = "select name, access_keys from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'"
QUIET = ["select * from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'", "select count(*) from azure_storage_account",
         "select a.* from azure_storage_account a where name = 'stfresh' and resource_group = 'rg-app'", "select * from azure_storage_account_key",
         "select column_name from information_schema.columns where table_name = 'azure_storage_account'"]


def without_secrets(*texts):
    for text in texts:
        assert "CANARY" not in text, text[max(0, text.index("CANARY") - 200):][:400]


def everything_below(folder):
    """Every byte of every file, decompressed where it is packed by zstd."""
    import zstandard
    out = []
    for root, _, files in os.walk(folder):
        for name in files:
            data = (pathlib.Path(root) / name).read_bytes()
            out.append(data.decode("latin1"))
            for start in range(len(data)):
                if data.startswith(b"\x28\xb5\x2f\xfd", start):
                    with zstandard.ZstdDecompressor().stream_reader(data[start:]) as reader:
                        out.append(reader.read().decode("latin1"))
    return out


def test_keys_are_shown_to_whoever_insists(fake, ask):
    done = ask(KEYS, "--show-secrets")
    assert done.code == 0, done.err
    keys = done.rows()[0]["access_keys"]
    assert [k["keyName"] if "keyName" in k else k["KeyName"] for k in keys] == ["key1", "key2"]
    assert CANARY in str(keys), "the canary must be where it may be, or this file proves nothing"
    without_secrets(done.err)
    assert [c["path"].rsplit("/", 1)[1] for c in fake.calls("arm") if c["method"] == "POST"] == ["listKeys"]


@pytest.mark.parametrize("sql", QUIET)
@pytest.mark.parametrize("options", [(), ("--show-secrets",)])
def test_keys_are_not_fetched_unless_they_are_named(fake, ask, sql, options):
    done = ask(sql, *options)
    assert done.code == 0, done.err
    without_secrets(done.out, done.err)
    assert "access_keys" not in done.out
    assert not [c for c in fake.calls("arm") if c["method"] != "GET"]


def test_keys_that_are_named_without_the_flag_are_an_error(fake, ask):
    for sql in (KEYS, "select access_keys is null from azure_storage_account", "select 1 from azure_storage_account where access_keys is not null"):
        done = ask(sql)
        assert done.code == 65 and "--show-secrets" in done.err, (sql, done.code, done.err)
        without_secrets(done.out, done.err)
    assert not [c for c in fake.calls("arm") if c["method"] != "GET"]


@pytest.mark.parametrize("rule", [{"do": "truncate"}, {"do": "garbage"}, {"do": "retype"}, {"do": "drop"}, {"do": "html", "status": 500}, {"do": "error", "status": 409, "code": "ScopeLocked"},
                                  {"do": "throttle", "retry_after": 0}])
def test_errors_about_keys_show_none_of_them(fake, ask, rule):
    """Half an answer with keys in it is still an answer with keys in it."""
    fake.control(faults=[rule | {"when": {"path": "listkeys"}}])
    done = ask("select access_keys is null as none from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'", "--show-secrets", env={"RUST_LOG": "trace", "RUST_BACKTRACE": "1"})
    assert done.code == 2 or rule["do"] == "retype", (done.code, done.err)
    without_secrets(done.out, done.err)


def test_no_secret_is_in_recordings_files_or_logs(fake, assay, tmp_path):
    """The answer with keys, the tokens, the client's own secret: none is written anywhere, whatever is recorded."""
    home, bundle = tmp_path / "home", tmp_path / "bundle"
    home.mkdir()
    done = assay("query", KEYS, "--output", "json", "--show-secrets", "--record", str(bundle), env=fake.env | {"RUST_LOG": "trace", "TMPDIR": str(home)}, home=home)
    assert done.code == 0 and CANARY in done.out, done.err
    without_secrets(done.err)
    assert bundle.exists()
    kept = everything_below(tmp_path) + ([bundle.read_bytes().decode("latin1")] if bundle.is_file() else [])
    assert any("stfresh" in text for text in kept), "the recording must hold what may be held"
    without_secrets(*kept)
    replayed = assay("query", "select name from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'", "--output", "json", "--replay", str(bundle))
    assert replayed.code == 0 and [r["name"] for r in replayed.rows()] == ["stfresh"], replayed.err
    without_secrets(replayed.out, replayed.err)


def test_no_secret_is_in_reports(fake, assay):
    for output in ("text", "csv", "json", "md", "html"):
        done = assay("run", "benchmark", "conformity_azure_storage", "--output", output, env=fake.env)
        without_secrets(done.out, done.err)
    done = assay("explain", KEYS, env=fake.env)
    without_secrets(done.out, done.err)
    refused = assay("run", "control", "StorageAccounts-002", "--show-secrets", env=fake.env)
    assert refused.code == 64, "never in a report"


def test_a_wrong_secret_is_not_repeated(assay, fake_arm_tls):
    done = assay("query", ACCOUNTS, "--output", "json", env=fake_arm_tls.env | {"AZURE_CLIENT_SECRET": f"{CANARY}-mistyped"})
    assert done.code == 69 and "AADSTS7000215" in done.err, (done.code, done.err)
    without_secrets(done.out, done.err)
