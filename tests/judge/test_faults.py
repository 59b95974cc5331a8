"""Faults: the same rows as without, or the scope named and exit code 2; never a wrong ok, never a hang."""
import json

import pytest

KEYS = "select account_id, user_name, access_key_id, status from aws_iam_access_key"


def verdicts(done):
    """{control id: {(resource, status)}} of a JSON report."""
    out = {}

    def walk(group):
        for control in group.get("controls") or []:
            out.setdefault(control["control_id"], set()).update((r["resource"], r["status"]) for r in control.get("results") or [])
        for child in group.get("groups") or []:
            walk(child)

    walk(done.json())
    return out


@pytest.fixture(scope="module")
def clean(assay, estate):
    return assay("query", KEYS, "--output", "json", url=estate.url, config=estate.config).rows()


def test_random_faults_change_nothing(assay, estate, proxy, clean):
    proxy.post("/__config?throttle=0.05&error5xx=0.01&reset=0.01&jitter_ms=5&latency_ms=5")
    done = assay("query", KEYS, "--output", "json", url=proxy.url, config=estate.config)
    assert proxy.stats()["faults"], "the proxy must have injected something"
    assert (done.code, done.rows()) == (0, clean), done.err


def test_a_denied_region_is_named_and_the_rest_is_there(assay, estate, proxy):
    proxy.post("/__config?rule=deny=*/eu-west-1/ec2:DescribeSecurityGroups")
    sql = "select region, group_id from aws_vpc_security_group"
    done = assay("query", sql, "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 2
    assert {r["region"] for r in done.rows()} == {"us-east-1"}
    assert "eu-west-1" in done.err and "UnauthorizedOperation" in done.err
    allowed = assay("query", sql, "--output", "json", "--allow-partial", url=proxy.url, config=estate.config)
    assert allowed.code == 0 and "eu-west-1" in allowed.err


def test_a_denied_account_is_error_and_never_ok(assay, estate, proxy):
    member = estate.accounts[2]
    proxy.post(f"/__config?rule=deny={member}/*/iam:*")
    done = assay("run", "control", "cis_v200_1_14", "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 2
    rows = verdicts(done)["control.cis_v200_1_14"]
    denied = [status for resource, status in rows if member in resource]
    assert denied and set(denied) == {"error"}
    assert any(status == "alarm" for _, status in rows), "the other accounts keep their verdicts"


def test_a_denied_per_row_call_makes_the_rows_of_its_scope_error(assay, estate, proxy):
    proxy.post(f"/__config?rule=deny={estate.accounts[0]}/*/s3:GET /{{bucket}}?policy".replace(" ", "%20"))
    done = assay("run", "control", "cis_v200_2_1_1", "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 2, done.err
    rows = verdicts(done)["control.cis_v200_2_1_1"]
    mine = {s for r, s in rows if f"example-{estate.accounts[0][-4:]}" in r}
    assert mine == {"error"}
    assert {s for r, s in rows if f"example-{estate.accounts[1][-4:]}" in r} <= {"ok", "alarm"}


def test_a_denied_table_of_a_join_makes_its_rows_error(assay, estate, proxy):
    denied = estate.accounts[1]
    proxy.post(f"/__config?rule=deny={denied}/*/iam:GetAccountPasswordPolicy")
    done = assay("run", "control", "cis_v200_1_8", "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 2, done.err
    rows = dict(verdicts(done)["control.cis_v200_1_8"])
    assert rows.pop(f"arn:aws:::{denied}") == "error"
    assert set(rows) == {f"arn:aws:::{a}" for a in estate.accounts if a != denied} and set(rows.values()) <= {"ok", "alarm"}


@pytest.mark.parametrize("fault", ["html404", "html500", "truncate"])
def test_an_answer_that_is_no_answer_is_never_no_rows(assay, estate, proxy, fault):
    proxy.post(f"/__config?rule={fault}=*/*/iam:ListUsers")
    done = assay("query", KEYS, "--output", "json", url=proxy.url, config=estate.config)
    assert done.code == 2 or done.code == 69, (done.code, done.err)
    assert "ListUsers" in done.err


def test_a_token_that_expires_in_mid_run_is_renewed(assay, estate, proxy, clean):
    proxy.post("/__config?key_life=20")
    done = assay("query", KEYS, "--output", "json", url=proxy.url, config=estate.config)
    assert proxy.stats()["faults"].get("expired"), "tokens must have expired"
    assert (done.code, done.rows()) == (0, clean), done.err


def test_slow_answers_are_waited_for(assay, estate, proxy, clean):
    proxy.post("/__config?slow_ms=1500&rule=slow=*/*/iam:ListUsers")
    done = assay("query", KEYS, "--output", "json", url=proxy.url, config=estate.config)
    assert (done.code, done.rows()) == (0, clean)


def test_json_rows_are_the_same_bytes_twice(assay, estate):
    runs = [assay("run", "benchmark", "cis_v200_1", "--output", "csv", url=estate.url, config=estate.config).out for _ in range(2)]
    assert runs[0] == runs[1] and json.dumps(runs[0])
