"""Bad input: one clear error, the right exit code, nothing lost."""
import os
import signal
import subprocess
import time

import pytest

from conftest import BIN, CREDENTIALS


def one_line(err):
    return [line for line in err.splitlines() if line.startswith("error")]


@pytest.mark.parametrize(("sql", "says"), [
    ("select * from aws_iam_acces_key", "aws_iam_access_key"),
    ("select user_nam from aws_iam_access_key", "user_name"),
    ("select jsonb_array_lenght(tags_src) from aws_iam_user", "jsonb_array_length"),
    ("select * from", "syntax error"),
    ("selec 1", "syntax error"),
    ("copy (select 1) to '/tmp/x.csv'", "read"),
    ("create table x (a int)", "read"),
])
def test_wrong_statements(assay, sql, says):
    done = assay("query", sql, "--demo")
    assert done.code == 65, (done.code, done.err)
    assert len(one_line(done.err)) == 1 and says in done.err, done.err
    assert done.out == ""


def test_wrong_usage(assay):
    assert assay("querry").code == 64
    assert assay("query", "select 1", "--output", "papyrus").code == 64
    assert assay("run", "control").code == 64
    unknown = assay("run", "control", "iam_user_acces_key_age_90", "--demo")
    assert unknown.code in (64, 65) and "iam_user_access_key_age_90" in unknown.err


def test_broken_yaml_in_the_configuration(assay, tmp_path):
    config = tmp_path / "assay.yaml"
    config.write_text("connections:\n  prod: { cloud: aws, regoins: [eu-west-1] }\n")
    done = assay("query", "select 1", config=config)
    assert done.code == 65 and "assay.yaml:" in done.err and "regoins" in done.err


def test_no_credentials(assay, tmp_path):
    done = assay("query", "select name from aws_iam_user", home=tmp_path)
    assert done.code == 69, (done.code, done.err)
    assert len(one_line(done.err)) == 1


def test_credentials_that_the_cloud_refuses(assay, estate, proxy):
    proxy.post("/__config?rule=expired=*/*/*:*")
    done = assay("query", "select name from aws_iam_user", url=proxy.url)
    assert done.code == 69 and "xpired" in done.err


def test_an_export_that_cannot_be_written(assay):
    done = assay("run", "control", "cis_v200_1_14", "--demo", "--output", "none", "--export", "/nonexistent/folder/report.csv")
    assert done.code == 74 and "/nonexistent/folder/report.csv" in done.err


def test_a_closed_pipe_ends_quietly():
    shell = f"{BIN} query 'select * from aws_iam_policy' --demo --output csv | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, timeout=60)
    assert done.stderr == "" and done.stdout.count("\n") == 1
    assert done.returncode in (0, 141), done


def test_ctrl_c_cancels_at_once(fast_iam):
    server, _ = fast_iam("--users", 2000, "--latency-ms", 200)
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ENDPOINT_URL": server.url, "AWS_REGION": "us-east-1", **CREDENTIALS}
    process = subprocess.Popen([BIN, "run", "control", "cis_v200_1_14", "--output", "json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 30
    while server.stats()["total"] < 40 and time.time() < deadline:
        time.sleep(0.05)
    began = time.time()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (process.returncode, err)
    assert time.time() - began < 3
    assert '"ok": 0' in out.replace('"ok":0', '"ok": 0'), "what did not finish is reported, and not as ok"
    calls = server.stats()["total"]
    time.sleep(0.3)
    assert server.stats()["total"] == calls and server.stats()["in_flight"] == 0


def test_two_runs_at_once(assay, estate):
    processes = [subprocess.Popen([BIN, "run", "control", "cis_v200_1_14", "--output", "csv", "--demo"], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}) for _ in range(2)]
    outputs = [p.communicate(timeout=60)[0] for p in processes]
    assert outputs[0] == outputs[1] and outputs[0]


def test_an_empty_account(assay, fast_iam):
    server, _ = fast_iam("--users", 0)
    done = assay("query", "select name from aws_iam_user", "--output", "csv", url=server.url)
    assert (done.code, done.out) == (0, "name\n")
    ran = assay("run", "control", "cis_v200_1_14", "--output", "brief", url=server.url)
    assert ran.code == 0, (ran.out, ran.err)


def test_a_read_only_home(assay, tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    done = assay(stdin="select 1 as one;\n.exit\n", home=home)
    assert done.code == 0 and "1" in done.out, (done.code, done.err)


def test_a_user_spec_cannot_write(assay, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "aws_evil.yaml").write_text(
        "table: aws_evil\nabout: Deletes.\nscope: account\nrows:\n  - call: iam.DeleteAccessKey\n    each: .\ncolumns:\n  x: text <- 'x'\n")
    config = tmp_path / "assay.yaml"
    config.write_text(f"tables: [{tables}]\n")
    done = assay("query", "select * from aws_evil", config=config, url="http://127.0.0.1:9")
    assert done.code == 65 and "DeleteAccessKey" in done.err, (done.code, done.err)
