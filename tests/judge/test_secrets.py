"""Secret columns against a live backend: what shows them, what never does; and what doctor says of a cloud nobody uses."""
import json

import zstandard

SPEC = """\
table: aws_mine
about: Users whose ARN is a secret.
scope: account
rows:
  - { call: iam.ListUsers, each: Users }
secret: [word]
columns:
  name: text <- UserName
  word: text <- Arn
"""


def configured(tmp_path):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/aws_mine.yaml").write_text(SPEC)
    config = tmp_path / "assay.yaml"
    config.write_text("connections: { one: { cloud: aws, regions: [us-east-1] } }\ntables: [specs]\n")
    return config


def recorded(bundle):
    """Service, operation and answer of each recorded call."""
    text = zstandard.ZstdDecompressor().stream_reader(bundle.read_bytes()).read().decode()
    lines = [line.split("\t") for line in text.splitlines()[1:]]
    return [(line[2], line[3], json.loads(line[6])) for line in lines]


def test_a_secret_is_shown_where_it_is_named_and_asked_for(assay, estate, tmp_path):
    config = configured(tmp_path)
    sql = "select *, word from aws_mine order by name limit 2"
    hidden = assay("query", sql, url=estate.url, config=config)
    assert hidden.code == 65 and "is secret" in hidden.err and "--show-secrets" in hidden.err
    shown = assay("query", sql, "--show-secrets", "--output", "json", url=estate.url, config=config)
    assert shown.code == 0, shown.err
    assert all(row["word"].startswith("arn:aws:iam::") for row in shown.rows())
    bare = assay("query", "select * from aws_mine", "--show-secrets", "--output", "json", url=estate.url, config=config)
    assert bare.code == 0 and bare.rows() and all("word" not in row for row in bare.rows())


def test_recordings_leave_out_what_any_table_calls_secret(assay, estate, tmp_path):
    """The table with the secret column is never read: another one reads the same member of the same call."""
    config = configured(tmp_path)
    bundle = tmp_path / "x.bundle"
    done = assay("query", "select name, arn from aws_iam_user", "--output", "json", "--record", str(bundle), url=estate.url, config=config)
    assert done.code == 0 and all(row["arn"] for row in done.rows())
    users = [user for service, operation, answer in recorded(bundle) if (service, operation) == ("iam", "ListUsers") for user in answer["Users"]]
    assert users and all(user["UserName"] and user["Arn"] is None for user in users)
    # What a recording does not hold is not told as an empty value.
    again = assay("--replay", str(bundle), "query", "select name, word from aws_mine", "--show-secrets", config=config)
    assert again.code == 0 and "note: aws_mine.word is secret: a recording leaves it out" in again.err


def test_doctor_does_not_miss_a_cloud_that_nobody_uses(assay, estate, tmp_path):
    done = assay("doctor", url=estate.url, home=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "\naws (aws)\n  credentials: " in done.out
    assert "\nazure (azure)\n  not used, there are no credentials: " in done.out


def test_doctor_names_subscriptions_and_how_they_answer(assay, fake_arm, tmp_path):
    done = assay("doctor", env=fake_arm.env, home=tmp_path)
    assert done.code == 2, done.out + done.err
    assert "\naws (aws)\n  not used, there are no credentials: " in done.out
    assert f"  tenant: {fake_arm.tenant} (" in done.out
    lines = done.out.split("  subscriptions: ")[1].splitlines()
    assert lines[0] == str(len(lines) - 1)
    assert sum(line.endswith(": readable") for line in lines[1:]) == len(lines) - 2, done.out
    assert "accounts cannot be used" in done.err
    config = tmp_path / "assay.yaml"
    config.write_text("connections: { azure: { cloud: azure } }\n")
    query = "select subscription_id, count(*) as n from azure_resource_group group by 1 order by 1"
    rows = assay("query", query, "--output", "json", env=fake_arm.env, config=config)
    assert rows.code == 2 and "incomplete: azure_resource_group in subscription " in rows.err, rows.err
    assert rows.json()["metadata"]["complete"] is False
