"""`--log-level`: every call in a line on stderr, and never a secret."""
import re

from conftest import CREDENTIALS

KEYS = "select user_name, access_key_id from aws_iam_access_key"
LINE = re.compile(r"^(info|debug|trace): \d\d:\d\d:\d\d\.\d{3}Z iam:(\w+) (\S+) (\S+): (.*)$", re.M)


def test_every_call_is_a_line(assay, fast_iam):
    server, truth = fast_iam("--users", 40)
    done = assay("query", KEYS, "--output", "json", "--log-level", "debug", url=server.url)
    assert done.code == 0 and len(done.rows()) == truth["keys"]
    lines = LINE.findall(done.err)
    assert len(lines) == len(done.err.splitlines()) == server.stats()["total"] == 41, done.err
    assert {line[0] for line in lines} == {"debug"} and all(re.fullmatch(r"ok, \d+ ms", line[4]) for line in lines)
    quiet = assay("query", KEYS, "--output", "json", url=server.url)
    assert quiet.err == "" and quiet.rows() == done.rows()
    assert assay("query", KEYS, "--output", "none", "--log-level", "info", url=server.url).err == "", "calls that went well"


def test_failed_calls_are_named_with_status_and_request(assay, estate, proxy):
    proxy.post("/__config?rule=deny=*/*/iam:ListUsers")
    done = assay("query", "select name from aws_iam_user", "--output", "none", "--log-level", "info", url=proxy.url)
    assert done.code == 2
    (line,) = [line for line in LINE.findall(done.err) if line[1] == "ListUsers"]
    assert line[0] == "info" and re.search(r"^403 AccessDenied\w*, \d+ ms, request id ", line[4].strip()), line


def test_no_secret_is_logged(assay, fast_iam):
    server, _ = fast_iam("--users", 5)
    env = {"AWS_SESSION_TOKEN": "canary-session-token", "ASSAY_LOG_LEVEL": "trace"}
    done = assay("query", f"{KEYS}; {KEYS}", "--output", "none", url=server.url, env=env)
    assert done.code == 0 and ": known" in done.err and "trace: " in done.err
    for secret in ("canary", CREDENTIALS["AWS_SECRET_ACCESS_KEY"], CREDENTIALS["AWS_ACCESS_KEY_ID"], "Signature", "user-0000"):
        assert secret not in done.err, secret
