"""Users pay for API calls: what a query may cost, counted by the proxy or the fake, not by assay."""
import math
import os
import signal
import subprocess
import time

from conftest import BIN, CREDENTIALS

KEYS = "select user_name, access_key_id, create_date from aws_iam_access_key"


def test_listing_keys_costs_pages_plus_users(assay, fast_iam):
    server, truth = fast_iam("--users", 2000)
    done = assay("query", KEYS, "--output", "json", url=server.url)
    assert done.code == 0, done.err
    assert len(done.rows()) == truth["keys"]
    calls = server.stats()["calls"]
    assert calls.get("ListUsers") == math.ceil(2000 / 1000)
    assert calls.get("ListAccessKeys") == 2000
    assert "GetAccessKeyLastUsed" not in calls
    assert server.stats()["total"] == 2002, calls


def test_a_key_column_skips_the_parent_list(assay, fast_iam):
    server, _ = fast_iam("--users", 50)
    done = assay("query", KEYS + " where user_name = 'user-000007'", "--output", "json", url=server.url)
    assert done.code == 0, done.err
    assert server.stats()["calls"] == {"ListAccessKeys": 1}
    server.reset()
    assay("query", KEYS + " where user_name in ('user-000001', 'user-000002', 'user-000003', 'user-000004', 'user-000005')", "--output", "none", url=server.url)
    assert server.stats()["calls"] == {"ListAccessKeys": 5}


def test_a_limit_stops_paging(assay, fast_iam):
    server, _ = fast_iam("--users", 5000)
    done = assay("query", "select name from aws_iam_user limit 3", "--output", "json", url=server.url)
    assert len(done.rows()) == 3
    assert server.stats()["calls"]["ListUsers"] == 1


def test_a_filter_on_one_call_spares_the_others(assay, estate, proxy):
    account = estate.accounts[0]
    columns = "name, mfa_enabled, groups, login_profile"

    def users(where):
        proxy.reset()
        done = assay("query", f"select {columns} from aws_iam_user where account_id = '{account}' and {where}", "--output", "json",
                     url=proxy.url, config=estate.config)
        assert done.code == 0, done.err
        return done.rows(), proxy.stats()["by_action"]

    every, calls = users("true")
    assert calls["iam:ListMFADevices"] == calls["iam:ListGroupsForUser"] == len(every) == 25
    rows, calls = users("mfa_enabled")
    assert rows == [row for row in every if row["mfa_enabled"]] and 0 < len(rows) < 25
    assert calls["iam:ListMFADevices"] == 25
    assert calls["iam:ListGroupsForUser"] == calls["iam:GetLoginProfile"] == len(rows)


def test_exists_is_answered_by_the_first_row(assay, fast_iam):
    server, _ = fast_iam("--users", 2000)
    for where, found in [("status = 'Active'", "t"), ("status = 'Nothing'", "f")]:
        server.reset()
        done = assay("query", f"select exists (select 1 from aws_iam_access_key where {where})::text as e", "--output", "json", url=server.url)
        assert [r["e"][0] for r in done.rows()] == [found]
        calls = server.stats()["calls"]["ListAccessKeys"]
        assert calls < 200 if found == "t" else calls == 2000


def test_per_row_calls_are_made_only_for_their_columns(assay, fast_iam):
    server, truth = fast_iam("--users", 40)
    assay("query", "select access_key_id, access_key_last_used_date from aws_iam_access_key", "--output", "none", url=server.url)
    assert server.stats()["calls"]["GetAccessKeyLastUsed"] == truth["keys"]


def test_filters_are_decided_before_calls(assay, fast_iam):
    server, truth = fast_iam("--users", 1200)

    def calls(where, columns="user_name, access_key_id, status, create_date, access_key_last_used_date"):
        server.reset()
        done = assay("query", f"select {columns} from aws_iam_access_key where {where}", "--output", "json", url=server.url)
        assert done.code == 0, done.err
        return done.rows(), server.stats()["calls"]

    every, all_calls = calls("true")
    assert len(every) == truth["keys"] and all_calls["GetAccessKeyLastUsed"] == truth["keys"]

    # a user's name is known before the user's keys are listed
    rows, asked = calls("user_name like '%7' and user_name not in ('user-000007')")
    users = [u for u in range(1200) if u % 10 == 7 and u != 7]
    assert rows == [r for r in every if int(r["user_name"][-6:]) in users]
    assert asked == {"ListUsers": 2, "ListAccessKeys": len(users), "GetAccessKeyLastUsed": len(rows)}

    # status and date are known before a key's last use is asked for
    rows, asked = calls("status = 'Active' and create_date <= date_trunc('day', now()) - interval '90 days'")
    assert sorted(r["access_key_id"] for r in rows) == truth["alarm"]
    assert asked == {"ListUsers": 2, "ListAccessKeys": 1200, "GetAccessKeyLastUsed": len(truth["alarm"])}

    # one that needs the last use itself waits for it
    rows, asked = calls("coalesce(access_key_last_used_date::text, '') = ''")
    assert rows == [r for r in every if r["access_key_last_used_date"] is None]
    assert asked["GetAccessKeyLastUsed"] == truth["keys"]

    # a filter that fails for a row fails as it does without calls to save
    server.reset()
    done = assay("query", "select access_key_last_used_date from aws_iam_access_key where 1 / (length(user_name) - 11) = 1", url=server.url)
    assert done.code == 65 and "division by zero" in done.err


def test_section_1_makes_each_distinct_call_once(assay, estate, proxy):
    done = assay("run", "benchmark", "cis_v200_1", "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 1, done.err
    stats = proxy.stats()
    users, accounts = 25, 3
    calls = stats["by_action"]
    assert calls["iam:ListUsers"] == accounts
    assert calls["iam:ListAccessKeys"] == users * accounts
    assert calls["iam:GetCredentialReport"] == accounts
    assert calls["iam:GetAccountSummary"] == accounts
    assert calls["iam:GetAccountPasswordPolicy"] == accounts
    assert calls.get("sts:GetCallerIdentity", 0) <= 1, "one per credential; members are known from the organization"
    assert calls["organizations:ListAccounts"] == 1
    assert calls["ec2:DescribeRegions"] <= accounts
    assert calls["access-analyzer:GET /analyzer"] == accounts * 2
    for action, limit in {"iam:ListAttachedUserPolicies": users, "iam:ListUserPolicies": users, "iam:ListVirtualMFADevices": 1}.items():
        assert calls.get(action, 0) <= limit * accounts, (action, calls[action])


def test_scope_filters_prune_before_any_call(assay, estate, proxy):
    member = estate.accounts[1]
    done = assay("query", f"select group_id from aws_vpc_security_group where region = 'eu-west-1' and account_id = '{member}'", "--output", "json",
                 url=proxy.url, config=estate.config)
    assert done.code == 0 and done.rows(), done.err
    assert proxy.stats()["by_action"]["ec2:DescribeSecurityGroups"] == 1


JOIN = "select k.user_name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name"


def test_a_join_asks_only_for_the_matching_users(assay, fast_iam):
    server, _ = fast_iam("--users", 2000)
    wanted = [f"user-{i:06d}" for i in range(0, 2000, 50)]
    listed = assay("query", KEYS, "--output", "json", url=server.url).rows()
    keys = sorted(row["access_key_id"] for row in listed if row["user_name"] in wanted)
    joins = [
        JOIN + " where u.path = '/ops/'",
        "select k.access_key_id from aws_iam_access_key k join aws_iam_user u on k.user_name = u.name where u.path = '/ops/'",
        "select access_key_id from aws_iam_access_key where user_name in (select name from aws_iam_user where path = '/ops/')",
        "select access_key_id from aws_iam_access_key k where exists (select 1 from aws_iam_user u where u.name = k.user_name and u.path = '/ops/')",
        "with ops as (select name from aws_iam_user where path = '/ops/') select access_key_id from ops left join aws_iam_access_key on user_name = name where user_name is not null",
    ]
    for sql in joins:
        server.reset()
        done = assay("query", sql, "--output", "json", url=server.url)
        assert done.code == 0, done.err
        assert sorted(row["access_key_id"] for row in done.rows()) == keys, sql
        assert server.stats()["calls"] == {"ListUsers": 1, "ListAccessKeys": len(wanted)}, sql


def test_a_subquery_of_one_row_and_values_ask_by_key(assay, fast_iam):
    server, _ = fast_iam("--users", 100)
    one = "select access_key_id from aws_iam_access_key where user_name = (select max(name) from aws_iam_user)"
    assert assay("query", one, "--output", "none", url=server.url).code == 0
    assert server.stats()["calls"] == {"ListUsers": 1, "ListAccessKeys": 1}
    server.reset()
    values = "select access_key_id from (values ('user-000003'), ('user-000004'), ('user-000003'), ('nobody')) v(who) join aws_iam_access_key k on k.user_name = v.who"
    assert assay("query", values, "--output", "none", url=server.url).code == 0
    assert server.stats()["calls"] == {"ListAccessKeys": 3}
    server.reset()
    listed = "select count(*) from (values ('user-000003'), ('user-000004')) v(who) join aws_iam_user u on u.name = v.who"
    assert assay("query", listed, "--output", "json", url=server.url).rows() == [{"count": 2}]
    assert server.stats()["calls"] == {"ListUsers": 1}


def test_a_limit_over_a_join_stops_early(assay, fast_iam):
    server, _ = fast_iam("--users", 5000)
    done = assay("query", JOIN + " limit 1", "--output", "json", url=server.url)
    assert len(done.rows()) == 1, done.err
    calls = server.stats()["calls"]
    # The next page may be on its way already.
    assert calls["ListUsers"] <= 2 and calls["ListAccessKeys"] <= 3, calls


def test_a_join_in_an_organization_asks_each_account_for_its_own(assay, estate, proxy):
    sql = "select u.account_id, u.name, k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name and k.account_id = u.account_id"
    wanted = "(select account_id as a, min(name) as n from aws_iam_user group by 1)"
    few = f"select k.account_id, k.user_name, k.access_key_id from {wanted} u join aws_iam_access_key k on k.user_name = u.n and k.account_id = u.a"
    accounts, users = 3, 25
    everything = assay("query", sql, "--output", "json", url=proxy.url, config=estate.config)
    assert everything.code == 0, everything.err
    calls = proxy.stats()["by_action"]
    assert (calls["iam:ListUsers"], calls["iam:ListAccessKeys"]) == (accounts, accounts * users)
    names = {}
    for row in assay("query", "select account_id, name from aws_iam_user", "--output", "json", url=estate.url, config=estate.config).rows():
        names[row["account_id"]] = min(names.get(row["account_id"], row["name"]), row["name"])
    proxy.reset()
    done = assay("query", few, "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 0, done.err
    want = sorted((r["account_id"], r["name"], r["access_key_id"]) for r in everything.rows() if names[r["account_id"]] == r["name"])
    assert sorted((r["account_id"], r["user_name"], r["access_key_id"]) for r in done.rows()) == want
    calls = proxy.stats()["by_action"]
    assert (calls["iam:ListUsers"], calls["iam:ListAccessKeys"]) == (accounts, accounts)


def test_a_join_that_is_cancelled_leaves_no_call_in_flight(fast_iam, tmp_path):
    server, _ = fast_iam("--users", 3000, "--latency-ms", 50)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"} | CREDENTIALS
    running = subprocess.Popen([BIN, "query", JOIN, "--output", "none"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while server.stats()["calls"].get("ListAccessKeys", 0) < 50 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 130
    finally:
        running.kill()
    time.sleep(0.2)
    after = server.stats()
    assert after["total"] < 3000, "it was cancelled before its end"
    time.sleep(0.5)
    assert server.stats()["total"] == after["total"]
