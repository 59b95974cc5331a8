"""Users pay for API calls: what a query may cost, counted by the proxy or the fake, not by assay."""
import math

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


def test_per_row_calls_are_made_only_for_their_columns(assay, fast_iam):
    server, truth = fast_iam("--users", 40)
    assay("query", "select access_key_id, access_key_last_used_date from aws_iam_access_key", "--output", "none", url=server.url)
    assert server.stats()["calls"]["GetAccessKeyLastUsed"] == truth["keys"]


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
