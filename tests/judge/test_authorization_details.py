"""One paged answer about all users, groups, roles and policies in the place of calls for each: the same rows, value by value."""
import json

import boto3
import pytest

from conftest import BACKEND, CREDENTIALS, Server, child

USERS = 30
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]})
TABLES = {
    "aws_iam_user": ("name, user_id, path, arn, create_date, permissions_boundary_arn, permissions_boundary_type, inline_policies, inline_policies_std, "
                     "attached_policy_arns, tags_src, tags, title, akas, account_id, region", "true"),
    "aws_iam_role": ("name, arn, role_id, assume_role_policy, assume_role_policy_std, create_date, instance_profile_arns, path, permissions_boundary_arn, "
                     "permissions_boundary_type, role_last_used_date, role_last_used_region, tags_src, inline_policies, inline_policies_std, "
                     "attached_policy_arns, title, tags, akas", "true"),
    "aws_iam_group": ("name, group_id, path, arn, create_date, inline_policies, inline_policies_std, attached_policy_arns, users, title, akas", "true"),
    "aws_iam_policy": ("name, policy_id, path, arn, is_aws_managed, is_attachable, create_date, update_date, attachment_count, is_attached, "
                       "default_version_id, policy, policy_std, title, akas", "is_attached"),
}


@pytest.fixture(scope="module")
def server():
    """An account with something in every column, behind a proxy that counts and refuses."""
    with child(BACKEND / "estate.py", "--accounts", 1, "--users", USERS, "--seed", 3) as ready, \
            child(BACKEND / "chaos_proxy.py", "--listen", 0, "--upstream", ready["ready"]) as proxy:
        iam = boto3.client("iam", endpoint_url=ready["ready"], region_name="us-east-1", aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                           aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        tags = [{"Key": "team", "Value": "é & <x>"}, {"Key": "empty", "Value": ""}]
        policy = iam.create_policy(PolicyName="details", PolicyDocument=ALLOW, Description="d", Tags=tags)["Policy"]["Arn"]
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=ALLOW.replace("Get*", "List*"), SetAsDefault=True)
        iam.create_policy(PolicyName="details-free", PolicyDocument=ALLOW)
        iam.create_user(UserName="details", Path="/ops/", Tags=tags, PermissionsBoundary=policy)
        iam.create_group(GroupName="details", Path="/ops/")
        iam.create_role(RoleName="details", AssumeRolePolicyDocument=ALLOW, Tags=tags, PermissionsBoundary=policy)
        iam.create_instance_profile(InstanceProfileName="details")
        iam.add_role_to_instance_profile(InstanceProfileName="details", RoleName="details")
        for kind in ("user", "group", "role"):
            name = {f"{kind.title()}Name": "details"}
            for inline in ("b", "a"):
                getattr(iam, f"put_{kind}_policy")(PolicyName=inline, PolicyDocument=ALLOW, **name)
            for arn in (policy, "arn:aws:iam::aws:policy/ReadOnlyAccess"):
                getattr(iam, f"attach_{kind}_policy")(PolicyArn=arn, **name)
        iam.add_user_to_group(UserName="details", GroupName="details")
        yield Server(proxy["ready"])


def ask(assay, server, sql, *rules):
    server.post("/__config?" + "&".join(f"rule={rule}" for rule in rules or [""]))
    server.reset()
    done = assay("query", sql, "--output", "json", url=server.url)
    assert done.code == 0, done.err
    return done, {name.removeprefix("iam:"): n for name, n in server.stats()["by_action"].items() if n and not name.startswith("sts")}


def in_any_order(rows):
    # IAM promises no order within a list of policies
    sets = ("attached_policy_arns", "inline_policies", "inline_policies_std", "tags_src")
    order = lambda value: sorted(value, key=json.dumps) if value else value
    return sorted(({k: order(v) if k in sets else v for k, v in row.items()} for row in rows), key=lambda row: row["arn"])


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_those_of_listing(assay, server, table):
    columns, where = TABLES[table]
    sql = f"select {columns} from {table} where {where}"
    at_once, calls = ask(assay, server, sql)
    listed, many = ask(assay, server, sql, "deny=*/*/iam:GetAccountAuthorizationDetails")
    assert in_any_order(at_once.rows()) == in_any_order(listed.rows())
    assert any(row["name"] == "details" for row in at_once.rows())
    assert calls.pop("GetAccountAuthorizationDetails") == 1
    # members of groups are not in it
    assert set(calls) <= {"GetGroup"}, calls
    assert sum(many.values()) > len(listed.rows()), many
    assert "listed, for the account authorization details cannot be used: AccessDenied" in listed.err, listed.err
    assert at_once.err == ""


def test_what_is_not_in_it_is_still_asked_for_each(assay, server):
    rows, calls = ask(assay, server, "select name, tags, mfa_enabled from aws_iam_user")
    assert calls == {"GetAccountAuthorizationDetails": 1, "ListMFADevices": len(rows.rows())}
    rows, calls = ask(assay, server, "select name, tags, password_last_used from aws_iam_user")
    assert calls == {"ListUsers": 1, "GetUser": len(rows.rows())}
    _, calls = ask(assay, server, "select arn, tags from aws_iam_user where name = 'details'")
    assert calls == {"GetUser": 1} or calls == {"GetUser": 2}, calls


def test_a_page_that_fails_is_a_failure_and_not_a_smaller_answer(assay, server):
    server.post("/__config?rule=truncate=*/*/iam:GetAccountAuthorizationDetails")
    done = assay("query", "select name, tags from aws_iam_user", "--output", "json", url=server.url)
    assert done.code == 0 and len(done.rows()) > USERS, done.err
    assert "cannot be used" in done.err
