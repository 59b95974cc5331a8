"""A credential report in the place of calls per user: fewer calls, the same rows, and never fewer of them than it promises."""
import re

import pytest

USERS, KEYED, STALE = 1000, 120, 15
OLD = "create_date <= now() - interval '90 days'"
STALE_KEYS = f"select user_name, access_key_id, create_date from aws_iam_access_key where status = 'Active' and {OLD} order by 1, 2"
EXACTLY = ("--users", USERS, "--keyed", KEYED, "--stale-users", STALE)


def ask(assay, server, sql, *options, code=0):
    server.reset()
    done = assay("query", sql, "--output", "json", *options, url=server.url)
    assert done.code == code, done.err
    return done, server.stats()["calls"]


def older(done):
    # written where there is something to say
    return done.json().get("metadata", {}).get("as_of", [])


def test_stale_keys_of_a_thousand_users(assay, fast_iam):
    server, truth = fast_iam(*EXACTLY)
    assert (truth["users"], truth["users_with_keys"], len(truth["alarm"])) == (USERS, KEYED, STALE)
    listed, calls = ask(assay, server, STALE_KEYS)
    assert calls == {"ListUsers": 1, "ListAccessKeys": USERS}
    fused, calls = ask(assay, server, STALE_KEYS, "--max-staleness", "4h")
    assert calls == {"GetCredentialReport": 1, "ListAccessKeys": STALE}
    assert fused.rows() == listed.rows()
    assert sorted(row["access_key_id"] for row in fused.rows()) == truth["alarm"]
    [part] = older(fused)
    assert (part["table"], part["source"]) == ("aws_iam_access_key", "credential report")
    assert re.search(r"^note: aws_iam_access_key of connection aws as of \S+ \S+Z, from the credential report \(.+ old\)$", fused.err, re.M), fused.err
    assert older(listed) == [] and listed.err == ""


@pytest.mark.parametrize("sql, rest", [
    ("select user_name, status from aws_iam_access_key where status = 'Active' order by 1", {}),
    ("select count(*) as n, count(distinct user_name) as users from aws_iam_access_key where status in ('Active')", {}),
    ("select user_name, access_key_last_used_date, access_key_last_used_service, access_key_last_used_region from aws_iam_access_key "
     "where status = 'Active' order by 1, 2, 3", {}),
    ("select account_id, region, count(*) as n from aws_iam_access_key where status = 'Active' group by 1, 2", {"GetCallerIdentity": 1}),
    ("select name, mfa_enabled, create_date, password_last_used from aws_iam_user order by 1", {}),
    ("select u.name from aws_iam_user u where not u.mfa_enabled and not exists (select 1 from aws_iam_access_key k "
     "where k.user_name = u.name and k.status = 'Active') order by 1", {}),
])
def test_what_the_report_has_costs_the_report(assay, fast_iam, sql, rest):
    server, _ = fast_iam("--users", 200, "--keyed", 60, "--stale-users", 9)
    listed, _ = ask(assay, server, sql)
    fused, calls = ask(assay, server, sql, "--max-staleness", "4h")
    assert calls == {"GetCredentialReport": 1} | rest
    assert fused.rows() == listed.rows() and fused.rows()


@pytest.mark.parametrize("sql", [
    "select user_name, access_key_id, status from aws_iam_access_key order by 1, 2",
    f"select user_name, access_key_id from aws_iam_access_key where {OLD} order by 1, 2",
    "select user_name, status from aws_iam_access_key where status = 'Inactive' order by 1",
    "select user_name, status from aws_iam_access_key where status <> 'Inactive' order by 1",
    f"select user_name from aws_iam_access_key where status = 'Active' or {OLD} order by 1",
])
def test_inactive_keys_are_listed(assay, fast_iam, sql):
    server, _ = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5)
    live, wanted = ask(assay, server, sql)
    allowed, calls = ask(assay, server, sql, "--max-staleness", "4h")
    assert calls == wanted == {"ListUsers": 1, "ListAccessKeys": 100}
    assert allowed.rows() == live.rows()


def test_one_user_is_asked_by_name(assay, fast_iam):
    server, _ = fast_iam("--users", 100, "--keyed", 50)
    _, calls = ask(assay, server, "select access_key_id from aws_iam_access_key where status = 'Active' and user_name = 'user-000004'", "--max-staleness", "4h")
    assert calls == {"ListAccessKeys": 1}


def test_filters_on_the_user_spare_users_of_the_report(assay, fast_iam):
    server, _ = fast_iam(*EXACTLY)
    sql = STALE_KEYS.replace("where", "where user_name like 'user-0000%' and")
    listed, _ = ask(assay, server, sql)
    fused, calls = ask(assay, server, sql, "--max-staleness", "4h")
    assert calls == {"GetCredentialReport": 1, "ListAccessKeys": len({row["user_name"] for row in listed.rows()})}
    assert fused.rows() == listed.rows() and fused.rows()


def test_users_of_a_join_are_screened(assay, fast_iam):
    server, _ = fast_iam(*EXACTLY)
    sql = ("select k.user_name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name "
           f"where u.path = '/' and k.status = 'Active' and k.{OLD} order by 1, 2")
    listed, calls = ask(assay, server, sql)
    assert calls["ListAccessKeys"] == USERS * 49 // 50
    fused, calls = ask(assay, server, sql, "--max-staleness", "4h")
    assert calls["GetCredentialReport"] == 1 and calls["ListAccessKeys"] <= STALE
    assert fused.rows() == listed.rows() and fused.rows()


@pytest.mark.parametrize("age, allowed, calls", [
    (239, "4h", {"GetCredentialReport": 1, "ListAccessKeys": 5}),
    (239, "3h", {"GetCredentialReport": 1, "ListUsers": 1, "ListAccessKeys": 100}),
    (59, "1h", {"GetCredentialReport": 1, "ListAccessKeys": 5}),
    (241, "4h", {"GetCredentialReport": 2, "GenerateCredentialReport": 2, "ListAccessKeys": 5}),
    (241, "5m", {"GetCredentialReport": 2, "GenerateCredentialReport": 2, "ListAccessKeys": 5}),
    (-1, "4h", {"GetCredentialReport": 2, "GenerateCredentialReport": 2, "ListAccessKeys": 5}),
    (0, "0", {"ListUsers": 1, "ListAccessKeys": 100}),
])
def test_how_old_a_report_may_be(assay, fast_iam, age, allowed, calls):
    server, truth = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5, "--report-age-min", age)
    done, made = ask(assay, server, STALE_KEYS, "--max-staleness", allowed)
    assert made == calls
    assert sorted(row["access_key_id"] for row in done.rows()) == truth["alarm"]
    assert bool(older(done)) == ("ListUsers" not in calls)
    told = "cannot be used: it is of 20" in done.err
    assert told == (allowed == "3h"), done.err


@pytest.mark.parametrize("denied, age", [("GetCredentialReport", 0), ("GenerateCredentialReport", -1), ("GenerateCredentialReport", 241)])
def test_a_denied_report_is_listed_instead(assay, fast_iam, denied, age):
    server, truth = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5, "--report-age-min", age, "--deny", denied)
    done, calls = ask(assay, server, STALE_KEYS, "--max-staleness", "4h")
    assert calls["ListUsers"] == 1 and calls["ListAccessKeys"] == 100
    assert sorted(row["access_key_id"] for row in done.rows()) == truth["alarm"]
    assert re.search(r"listed, for the credential report cannot be used: AccessDenied: not authorized to perform: iam:" + denied, done.err), done.err


def test_users_of_whom_the_report_is_wrong(assay, fast_iam):
    server, truth = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5, "--odd")
    listed, _ = ask(assay, server, STALE_KEYS)
    fused, calls = ask(assay, server, STALE_KEYS, "--max-staleness", "4h")
    # no date, activated again, deactivated since, deleted since, and a user called like the column
    assert calls["ListAccessKeys"] == 5 + 5
    assert fused.rows() == listed.rows()
    assert {"odd-no-date", "odd-activated-again", "user"} <= {row["user_name"] for row in fused.rows()}
    assert not {"odd-changed-since", "odd-deleted"} & {row["user_name"] for row in fused.rows()}
    assert sorted(row["access_key_id"] for row in fused.rows()) == truth["alarm"]


def test_the_control_that_skips_inactive_keys_is_not_changed(assay, fast_iam):
    server, truth = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5)
    live = assay("run", "control", "cis_v200_1_14", "--output", "json", url=server.url)
    wanted = server.stats()["calls"]
    server.reset()
    allowed = assay("run", "control", "cis_v200_1_14", "--output", "json", "--max-staleness", "4h", url=server.url)
    assert server.stats()["calls"] == wanted and "GetCredentialReport" not in wanted
    assert (live.code, allowed.code) == (1, 1)
    results = lambda done: re.sub(r'"(started|finished|seconds|duration|at)[^,]*,', "", done.out)
    assert results(allowed).count('"alarm"') == results(live).count('"alarm"') > 0


def test_which_way_is_taken_is_shown(assay, fast_iam):
    server, _ = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5)
    plan = assay("query", "explain " + STALE_KEYS, "--output", "csv", "--max-staleness", "4h", url=server.url)
    assert "summary=[credential report, then listed]" in plan.out, plan.out
    plan = assay("query", "explain select count(*) from aws_iam_access_key where status = 'Active'", "--output", "csv", "--max-staleness", "4h", url=server.url)
    assert "summary=[credential report]" in plan.out, plan.out
    plan = assay("query", "explain " + STALE_KEYS, "--output", "csv", url=server.url)
    assert "summary=" not in plan.out
    plan = assay("query", "explain analyze " + STALE_KEYS, "--output", "csv", "--max-staleness", "4h", url=server.url)
    assert "by_summary=1" in plan.out and "api_calls=6" in plan.out, plan.out


def test_the_configuration_can_allow_it(assay, fast_iam, tmp_path):
    server, _ = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5)
    config = tmp_path / "assay.yaml"
    config.write_text("max_staleness: 4h\n")
    for option, calls in [([], {"GetCredentialReport": 1, "ListAccessKeys": 5}), (["--max-staleness", "0"], {"ListUsers": 1, "ListAccessKeys": 100})]:
        server.reset()
        done = assay("query", STALE_KEYS, "--output", "json", *option, url=server.url, config=config)
        assert done.code == 0 and server.stats()["calls"] == calls, done.err


def test_statements_can_allow_it(assay, fast_iam):
    server, _ = fast_iam("--users", 100, "--keyed", 50, "--stale-users", 5)
    fused, listed = {"GetCredentialReport": 1, "ListAccessKeys": 5}, {"ListUsers": 1, "ListAccessKeys": 100}
    _, calls = ask(assay, server, f"set max_staleness = '4h'; {STALE_KEYS}")
    assert calls == fused
    # SET costs nothing, and the bill is that of what runs
    _, calls = ask(assay, server, f"set max_staleness to '4h'; {STALE_KEYS}", "--max-calls", "10")
    assert calls == fused
    _, calls = ask(assay, server, f"reset max_staleness; {STALE_KEYS}", "--max-staleness", "4h")
    assert calls == fused, "RESET goes back to the option"
    for back in ("reset all", "set max_staleness to default", "set max_staleness = 0", ".max_staleness 0"):
        server.reset()
        done = assay(stdin=f"set max_staleness = '4h';\n{STALE_KEYS};\n.cache clear\n{back};\n{STALE_KEYS};\n", url=server.url)
        assert done.code == 0, done.err
        assert server.stats()["calls"] == {k: fused.get(k, 0) + listed.get(k, 0) for k in fused | listed}, back
    done = assay(stdin=".max_staleness 90m\nshow max_staleness;\n.output csv\nset session max_staleness = '1.5 h';\nshow max_staleness;\n.max_staleness\n")
    assert (done.code, done.out, done.err) == (0, " max_staleness\n---------------\n 90min\n(1 row)\nmax_staleness\n90min\n", "5400 s\n")
