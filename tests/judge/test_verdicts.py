"""Every verdict of CIS section 1, row for row, against a judge that reads the same estate through boto3; and the seeded truth of key ages."""
import collections
import datetime as dt

import boto3
import pytest

import section1
from conftest import CREDENTIALS
from test_faults import verdicts

REGIONS = ["us-east-1", "eu-west-1"]


@pytest.fixture(scope="module")
def report(assay, estate):
    done = assay("run", "benchmark", "cis_v200_1", "--output", "json", url=estate.url, config=estate.config)
    assert done.code == 1, done.err
    return verdicts(done)


@pytest.fixture(scope="module")
def accounts(estate):
    keys = dict(aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    now = dt.datetime.now(dt.timezone.utc)
    out = [section1.Account(boto3.Session(**keys, region_name="us-east-1"), estate.url, REGIONS, now)]
    for member in estate.accounts[1:]:
        sts = boto3.client("sts", endpoint_url=estate.url, region_name="us-east-1", **keys)
        c = sts.assume_role(RoleArn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole", RoleSessionName="judge")["Credentials"]
        session = boto3.Session(c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"], region_name="us-east-1")
        out.append(section1.Account(session, estate.url, REGIONS, now))
    return out


@pytest.mark.parametrize("control", sorted(section1.JUDGES, key=lambda c: int(c.rsplit("_", 1)[1])))
def test_section_1(control, report, accounts):
    expected = set().union(*(section1.JUDGES[control](a) for a in accounts))
    assert report[f"control.{control}"] == expected


def test_the_judge_covers_the_section(report):
    assert set(report) == {f"control.{c}" for c in section1.JUDGES}
    assert len(section1.JUDGES) == 22


def test_key_ages_equal_the_seeded_truth(report, estate):
    limit = dt.datetime.now(dt.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - dt.timedelta(days=90)
    expected = collections.Counter(
        "skip" if k["status"] != "Active" else "alarm" if dt.datetime.fromisoformat(k["created"]) <= limit else "ok"
        for account in estate.truth for k in account["access_keys"])
    # the estate's own roles have no keys, so the truth is complete
    assert collections.Counter(s for _, s in report["control.cis_v200_1_14"]) == expected
    assert all(expected[s] for s in ("ok", "alarm", "skip"))


def test_the_spellings_of_powerpipe_work(assay, estate):
    ours = assay("run", "control", "cis_v200_1_14", "--output", "csv", url=estate.url, config=estate.config)
    for words in (("run", "control", "aws_compliance.control.cis_v200_1_14"), ("control", "run", "cis_v200_1_14")):
        assert assay(*words, "--output", "csv", url=estate.url, config=estate.config).out == ours.out
