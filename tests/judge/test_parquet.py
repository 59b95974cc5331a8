"""Parquet output, read by DuckDB: the same values as JSON has, all or nothing, and not in memory."""
import datetime
import decimal
import json
import os
import pty
import signal
import subprocess
import sys

import duckdb
import pytest

from conftest import BIN, CREDENTIALS
from test_performance import MEASURE

KEYS = "select user_name, access_key_id, create_date from aws_iam_access_key"
TYPES = """select * from (values
    (true, 1::int2, 2::int4, 9007199254740993, 1.5::float8, 0.1::float4, 'é; "x"'::text, date '2024-02-29', timestamptz '2024-03-05 10:00:00.123456+02',
     timestamp '1969-12-31 23:59:59.5', time '10:11:12.5', interval '1 year -2 days 3.5 s', '{"a": [1, null]}'::jsonb, '10.0.0.1'::inet, '10.0.0.0/8'::cidr,
     123456789012345678901234567890.10::numeric, array['a', null, 'b,c'], array[1, 2], '\\x00ff'::bytea),
    (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null))
    as t (b, i2, i4, i8, f8, f4, t, d, tz, ts, ti, iv, j, ip, net, n, ta, ia, by)"""


def env(url=None):
    full = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    return full | (CREDENTIALS | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"} if url else {})


def written(path, *args, url=None):
    """Runs a query into a file: (exit code, stderr)."""
    with open(path, "wb") as out:
        done = subprocess.run([BIN, "query", *args, "--output", "parquet"], env=env(url), stdout=out, stderr=subprocess.PIPE, text=True, timeout=300, cwd="/")
    return done.returncode, done.stderr


def read(path, what="*"):
    return duckdb.sql(f"select {what} from read_parquet('{path}')")


def metadata(path):
    """What the file says of itself."""
    found = duckdb.sql(f"select value from parquet_kv_metadata('{path}') where key = 'assay'::blob").fetchall()
    return json.loads(found[0][0]) if found else None


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


# of a type: how DuckDB is asked for it, and what JSON's value is to be then
SAME = ("{}", lambda v: v)
AS = {
    "timestamptz": ("epoch_us({})", lambda v: (moment(v) - moment("1970-01-01T00:00:00Z")) // datetime.timedelta(microseconds=1)),
    "timestamp": ("{}", moment),
    "date": ("{}", datetime.date.fromisoformat),
    "time": ("{}", datetime.time.fromisoformat),
    "bytea": ("{}", lambda v: bytes.fromhex(v.removeprefix("\\x"))),
    "jsonb": ("json({})::text", lambda v: v),
    "float4": ("{}::text::float8", float),
}


def equal(file, document):
    """Does the file have the rows of a JSON document?"""
    columns = document["columns"]
    how = [AS.get(c["data_type"], SAME) for c in columns]
    rows = read(file, ", ".join(ask.format('"' + c["name"] + '"') for c, (ask, _) in zip(columns, how))).fetchall()
    assert len(rows) == len(document["rows"])
    for row, expected in zip(rows, document["rows"]):
        for column, (_, to), found in zip(columns, how, row):
            wanted = expected[column["name"]]
            if column["data_type"] == "jsonb" and found is not None:
                found = json.loads(found, parse_float=decimal.Decimal)
            elif column["data_type"] == "numeric" and found is not None:
                found = decimal.Decimal(found)
            elif column["data_type"] == "float8" and found is not None:
                found, wanted = float(found), float(wanted)
            assert found == (None if wanted is None else to(wanted)), (column, row)


def both(assay, tmp_path, sql, *args):
    file = tmp_path / "rows.parquet"
    assert written(file, sql, *args) == (0, "")
    document = json.loads(assay("query", sql, "--output", "json", *args).out, parse_float=decimal.Decimal)
    equal(file, document)
    return file, document


def test_every_type_is_what_it_is_in_json(assay, tmp_path):
    file, _ = both(assay, tmp_path, TYPES)
    types = dict(zip(read(file).columns, map(str, read(file).types)))
    assert types == {
        "b": "BOOLEAN", "i2": "SMALLINT", "i4": "INTEGER", "i8": "BIGINT", "f8": "DOUBLE", "f4": "FLOAT", "t": "VARCHAR", "d": "DATE", "tz": "TIMESTAMP WITH TIME ZONE",
        "ts": "TIMESTAMP", "ti": "TIME", "iv": "VARCHAR", "j": "VARCHAR", "ip": "VARCHAR", "net": "VARCHAR", "n": "VARCHAR", "ta": "VARCHAR[]", "ia": "BIGINT[]", "by": "BLOB"}
    assert metadata(file) is None


@pytest.mark.parametrize("table", [
    "aws_iam_user", "aws_iam_access_key", "aws_iam_role", "aws_iam_account_password_policy", "aws_iam_credential_report", "aws_s3_bucket", "aws_vpc_security_group_rule",
    "aws_kms_key", "azure_subscription", "azure_storage_account", "azure_storage_account_key", "azure_storage_account_key_event", "azure_role_definition"])
def test_tables_of_the_demo(assay, tmp_path, table):
    _, document = both(assay, tmp_path, f"select * from {table}", "--demo")
    assert document["rows"]


@pytest.mark.parametrize("sql", ["select 1 as a, 2 as a", "select null as x", "select row(1, 'x', array[row(true, null)]) as r", "explain select 1",
                                 "select g, array[g::timestamptz, null] as l from generate_series(timestamp '2024-01-01', timestamp '2024-01-02', interval '1 hour') g"])
def test_shapes(tmp_path, sql):
    assert written(tmp_path / "rows.parquet", sql) == (0, "")
    assert read(tmp_path / "rows.parquet", "columns(*)::text").fetchall()


def test_no_rows_are_a_file_with_columns(assay, tmp_path):
    file, _ = both(assay, tmp_path, TYPES + " where i8 = 0")
    assert len(read(file).columns) == 19
    file, document = both(assay, tmp_path, "select * from aws_iam_user where name = 'nobody'", "--demo")
    assert read(file).columns == [c["name"] for c in document["columns"]]


def test_memory_does_not_grow_with_rows(tmp_path):
    def peak(rows, output):
        sql = f"select g, md5(g::text) as a, md5((g + 1)::text) as b, now() as t from generate_series(1, {rows}) g"
        command = [sys.executable, "-c", MEASURE, BIN, "query", sql, "--output", output]
        _, _, memory, status = json.loads(subprocess.run(command, env=env(), capture_output=True, text=True, check=True).stdout)
        assert status == 0
        return memory
    for rows in (100_000, 500_000):
        csv, parquet = peak(rows, "csv"), peak(rows, "parquet")
        print(f"{rows} rows: csv {csv:.0f} MB, Parquet {parquet:.0f} MB")
        assert parquet < csv + 60
    file = tmp_path / "rows.parquet"
    assert written(file, "select g, md5(g::text) as a, md5((g + 1)::text) as b from generate_series(1, 500000) g") == (0, "")
    found = read(file, "count(*), sum(g), count(distinct a), bool_and(a = md5(g::text)), bool_and(b = md5((g + 1)::text))").fetchall()
    assert found == [(500_000, 125_000_250_000, 500_000, True, True)]
    [(groups,)] = duckdb.sql(f"select num_row_groups from parquet_file_metadata('{file}')").fetchall()
    assert groups > 1


def test_what_cannot_be_a_file_is_refused_before_anything_runs(assay, tmp_path):
    two = assay("query", "select 1; select 2", "--output", "parquet")
    assert (two.code, two.out) == (64, "")
    assert two.err == "error: a Parquet file has the rows of one statement, and there are 2\nhint: run them one by one, each into its own file\n"
    assert written(tmp_path / "rows.parquet", "set max_staleness = '4h'; select 1 as a") == (0, ""), "SET has no rows"
    none = assay("query", "select from generate_series(1, 3)", "--output", "parquet")
    assert (none.code, none.out, none.err) == (65, "", "error: the statement has no columns, and a Parquet file needs one\n")
    ours, theirs = pty.openpty()
    done = subprocess.run([BIN, "query", "select 1", "-o", "parquet"], env=env(), stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 64
    assert done.stderr == "error: Parquet is not text: a terminal cannot show it\nhint: send it to a file: assay query … --output parquet > rows.parquet\n"


def test_what_is_cut_off_is_no_file(fast_iam, tmp_path):
    file = tmp_path / "rows.parquet"
    code, err = written(file, "select 1 / (500000 - g), md5(g::text), md5((g + 1)::text) from generate_series(1, 1000000) g")
    assert code == 65 and "division by zero" in err
    assert file.stat().st_size > 1 << 20, "row groups before the error were written"
    with pytest.raises(duckdb.Error):
        read(file).fetchall()

    server, _ = fast_iam("--users", 2000, "--latency-ms", 50)
    with open(file, "wb") as out:
        process = subprocess.Popen([BIN, "query", KEYS, "--output", "parquet"], env=env(server.url), stdout=out, stderr=subprocess.DEVNULL)
        while server.stats()["total"] < 200:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    with pytest.raises(duckdb.Error):
        read(file).fetchall()


def test_what_lacks_rows_says_so(fast_iam, tmp_path):
    server, truth = fast_iam("--users", 2000, "--latency-ms", 50)
    file = tmp_path / "rows.parquet"
    code, err = written(file, KEYS, "--query-timeout", "2s", url=server.url)
    assert code == 2 and "statement timeout" in err
    said = metadata(file)
    assert said["complete"] is False and 0 < said["rows_returned"] < truth["keys"]
    assert read(file, "count(*)").fetchall() == [(said["rows_returned"],)]


def test_the_shell_writes_files(assay, tmp_path):
    file = tmp_path / "rows.parquet"
    done = assay(stdin=f".once {file}\nselect 1 as a, 'x' as b;\nselect 2;\n")
    assert (done.code, done.out) == (0, " ?column?\n----------\n        2\n(1 row)\n"), done.err
    assert read(file).fetchall() == [(1, "x")]
    # the file that was there stays where the next statement fails
    done = assay(stdin=f".once {file}\nselect 1 / (5000 - g) from generate_series(1, 100000) g;\n")
    assert done.code == 65
    assert read(file).fetchall() == [(1, "x")] and os.listdir(tmp_path) == ["rows.parquet"]
    done = assay(stdin=".output parquet\n")
    assert (done.code, done.err) == (65, "error: Parquet goes to a file: write `.once rows.parquet` before the statement\n")
