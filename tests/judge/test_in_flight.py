"""What is not wanted any more is not asked any more: after LIMIT, an error, a time-out or Ctrl-C the server sees no further call."""
import os
import signal
import subprocess
import time

import pytest

from conftest import BIN, CREDENTIALS
from test_shell import Terminal

USERS, LATENCY_MS = 3000, 120
LIST = "select user_name, access_key_id, create_date from aws_iam_access_key"
# a key that some user has, so that the error comes early, but after the first calls
DIVIDES = "select 1 / (length(access_key_id) - 20) from aws_iam_access_key"
JOIN = "select k.access_key_id from aws_iam_user u join aws_iam_access_key k on k.user_name = u.name"


def settled(server):
    """The number of calls a tenth of a second after now, once it is sure that it stays."""
    time.sleep(0.1)
    calls = server.stats()["total"]
    time.sleep(0.6)
    after = server.stats()
    assert after["total"] == calls, f"{after['total'] - calls} calls later than 100 ms after the end"
    assert after["in_flight"] == 0
    return calls


@pytest.fixture
def server(fast_iam):
    return fast_iam("--users", USERS, "--latency-ms", LATENCY_MS)[0]


def environment(server, **more):
    return CREDENTIALS | {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1"} | more


CASES = {
    "a limit": (LIST + " limit 1;", "(1 row)", {}),
    "a limit under a filter": (LIST + " where status = 'Inactive' limit 1;", "(1 row)", {}),
    "a limit over a join": (JOIN + " limit 1;", "(1 row)", {}),
    "exists": ("select exists (select 1 from aws_iam_access_key) as found;", "(1 row)", {}),
    "an error of a row": (DIVIDES + ";", "division by zero", {}),
    "a time-out": (LIST + ";", "statement timeout", {"ASSAY_QUERY_TIMEOUT": "900ms"}),
    "a time-out over a join": (JOIN + " order by 1;", "statement timeout", {"ASSAY_QUERY_TIMEOUT": "900ms"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_shell_goes_on_and_no_call_does(server, tmp_path, case):
    statement, ends_with, more = CASES[case]
    shell = Terminal(tmp_path, **environment(server, **more))
    shell.until("assay> ")
    shell.type(statement + "\n")
    shell.until(ends_with)
    assert 0 < settled(server) < USERS / 3
    shell.until("assay> ")
    shell.type("\x04")
    shell.code()


@pytest.mark.parametrize("statement", [LIST, JOIN + " order by 1", "select count(*) from aws_iam_access_key a join aws_iam_access_key b using (user_name)"])
def test_ctrl_c_in_the_shell_ends_the_calls(server, tmp_path, statement):
    shell = Terminal(tmp_path, **environment(server))
    shell.until("assay> ")
    shell.type(statement + ";\n")
    while server.stats()["total"] < 50:
        time.sleep(0.02)
    shell.type("\x03")
    shell.until("cancelled")
    assert settled(server) < USERS / 2
    shell.until("assay> ")
    shell.type("select 6 * 7 as answer;\n")
    assert "42" in shell.until("(1 row)")
    shell.until("assay> ")
    shell.type("\x04")
    shell.code()


@pytest.mark.parametrize("words", [("query", LIST), ("run", "control", "cis_v200_1_14")])
def test_an_interrupt_ends_the_command_and_its_calls(server, words):
    full = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | environment(server)
    with subprocess.Popen([BIN, *words], env=full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while server.stats()["total"] < 50:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=10)
    assert running.returncode == 130 and "interrupted" in err
    assert settled(server) < USERS / 2


def test_a_time_out_is_incomplete_and_keeps_what_there_is(assay, server):
    done = assay("query", LIST, "--output", "json", "--query-timeout", "1s", url=server.url)
    assert done.code == 2
    assert "statement timeout: it took longer than 1s (--query-timeout, set statement_timeout)" in done.err
    assert 0 < len(done.rows()) < USERS
    assert done.json()["metadata"]["complete"] is False
    settled(server)
    done = assay("query", f"set statement_timeout = 1000; {LIST}", "--output", "json", url=server.url)
    assert done.code == 2 and 0 < len(done.rows()) < USERS and "statement timeout: it took longer than 1s" in done.err
    settled(server)
    partial = assay("query", LIST, "--output", "none", "--query-timeout", "500ms", "--allow-partial", url=server.url)
    assert partial.code == 0 and "warning: incomplete" in partial.err
    plenty = assay("query", "select name from aws_iam_user where name = 'user-000001'", "--output", "json", "--query-timeout", "1m", url=server.url)
    assert plenty.code == 0 and len(plenty.rows()) == 1


def test_a_control_that_takes_too_long_is_an_error_and_the_others_stand(assay, server):
    done = assay("run", "control", "cis_v200_1_14", "cis_v200_1_4", "--output", "json", "--query-timeout", "1s", url=server.url)
    assert done.code == 2
    controls = {c["control_id"].rsplit(".", 1)[1]: c for c in done.json()["controls"]}
    assert "statement timeout" in controls["cis_v200_1_14"]["run_error"] and controls["cis_v200_1_14"]["run_status"] == 8
    assert controls["cis_v200_1_4"]["summary"]["ok"] == 1
    settled(server)


def test_a_limit_over_several_accounts_ends_the_calls_of_all(assay, estate, proxy):
    proxy.post("/__config?latency_ms=200")
    done = assay("query", LIST + " limit 1", "--output", "csv", url=proxy.url, config=estate.config)
    assert done.code == 0 and len(done.out.splitlines()) == 2, done.err
    time.sleep(0.1)
    calls = proxy.stats()["by_action"]
    time.sleep(0.6)
    assert proxy.stats()["by_action"] == calls
    assert calls["iam:ListAccessKeys"] < 3 * 25 / 2


@pytest.mark.parametrize("statement", [
    "select access_key_id, access_key_last_used_date from aws_iam_access_key limit 1",
    "select u.name, (select count(*) from aws_iam_access_key k where k.user_name = u.name) from aws_iam_user u limit 2",
    f"select * from ({LIST} union all {LIST}) both limit 3",
    f"{LIST} limit 1; select 1 / (length(access_key_id) - 20) from aws_iam_access_key; {LIST}",
])
def test_a_command_ends_with_its_calls(assay, server, statement):
    done = assay("query", statement, "--output", "csv", url=server.url)
    assert (done.code, "division by zero" in done.err) == ((65, True) if "/" in statement else (0, False)), done.err
    assert settled(server) < USERS / 3


def test_a_reader_that_goes_away_ends_the_calls(server):
    full = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | environment(server)
    with subprocess.Popen([BIN, "query", LIST, "--output", "csv"], env=full, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"user_name,access_key_id,create_date\n"
        running.stdout.close()
        assert running.wait(timeout=20) == 0
    assert settled(server) < USERS / 2
