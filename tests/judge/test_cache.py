"""Answers kept on disk: the next run asks nothing, nobody gets another's, nothing can be read, and what is old is said to be."""
import concurrent.futures
import datetime
import os
import re
import stat

import pytest

from conftest import CREDENTIALS

USERS = "select name, path from aws_iam_user"
KEYS = "select user_name, access_key_id from aws_iam_access_key"
OTHER = {"AWS_ACCESS_KEY_ID": "AKIAI44QH8DHBEXAMPLE", "AWS_SECRET_ACCESS_KEY": "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}
NOTE = re.compile(r"^note: (\w+) of (account|subscription|connection) (\S+) as of (\S+ \S+Z), from the cache \((.+) old\)$", re.M)


@pytest.fixture
def kept(assay, tmp_path):
    """Runs assay with a cache on disk whose key is a file; `kept.folder` is where it is."""
    config = tmp_path / "assay.yaml"
    config.write_text("cache: { disk: true, ttl: 1h, key: file:keys/cache.key, path: kept }\nconnections: { one: { cloud: aws, regions: [us-east-1] } }\n")

    def run(*args, **more):
        return assay(*args, config=more.pop("config", config), home=tmp_path, **more)

    run.folder, run.config = tmp_path / "kept", config
    return run


def test_the_second_run_asks_nothing_and_says_how_old_it_is(kept, fast_iam):
    server, truth = fast_iam("--users", 1200)
    first = kept("query", KEYS, "--output", "json", "--timing", url=server.url)
    assert first.code == 0 and len(first.rows()) == truth["keys"], first.err
    assert not NOTE.search(first.err) and first.json()["metadata"]["as_of"] == []
    server.reset()
    second = kept("query", KEYS, "--output", "json", "--timing", url=server.url)
    assert second.rows() == first.rows()
    assert server.stats()["total"] == 0
    metadata = second.json()["metadata"]
    assert metadata["calls"] == 0 and metadata["cache_hits"] == 1202 and metadata["complete"] is True
    (part,) = metadata["as_of"]
    assert (part["table"], part["source"], part["connection"]) == ("aws_iam_access_key", "cache", "one")
    at = datetime.datetime.fromisoformat(part["at"])
    assert 0 <= (datetime.datetime.now(datetime.timezone.utc) - at).total_seconds() < 120
    (note,) = NOTE.findall(second.err)
    assert note[0] == "aws_iam_access_key" and note[3] == at.strftime("%Y-%m-%d %H:%M:%SZ")


def test_the_account_is_named_and_costs_no_call(kept, estate, proxy):
    sql = "select account_id, name from aws_iam_user"
    assert kept("query", sql, "--output", "none", url=proxy.url).code == 0
    proxy.reset()
    again = kept("query", sql, "--output", "json", url=proxy.url)
    assert again.code == 0 and again.rows() and proxy.stats()["by_action"] == {}, again.err
    assert [note[1:3] for note in NOTE.findall(again.err)] == [("account", again.rows()[0]["account_id"])]


def test_a_benchmark_of_an_organization_is_answered_from_disk(assay, estate, proxy, tmp_path):
    config = tmp_path / "assay.yaml"
    config.write_text("cache: { disk: true, ttl: 1h, key: file:cache.key, path: kept }\n" + estate.config.read_text())

    def run():
        return assay("run", "benchmark", "cis_v200_1", "--output", "json", url=proxy.url, config=config, home=tmp_path)

    first = run()
    assert first.json()["completeness"]["as_of"] == []
    asked = sum(proxy.stats()["by_action"].values())
    proxy.reset()
    second = run()
    assert second.code == first.code == 1
    calls = proxy.stats()["by_action"]
    # Refusals, what has a member named like a secret, and the making of reports are asked again.
    assert sum(calls.values()) < asked / 5, calls
    assert "iam:ListUsers" not in calls and "organizations:ListAccounts" not in calls
    older = second.json()["completeness"]["as_of"]
    assert {part["account"] for part in older if part["table"] == "aws_iam_user"} == set(estate.accounts)
    assert all(part["source"] == "cache" and part["connection"] == "org" for part in older)
    assert NOTE.search(second.err) and " more from the cache" in second.err
    same = [{**document.json(), "completeness": None, "calls": None, "time": None} for document in (first, second)]
    assert same[0] == same[1]


def test_another_principal_gets_nothing_of_it(kept, fast_iam):
    server, _ = fast_iam("--users", 30)

    def calls(env, *options):
        server.reset()
        done = kept("query", USERS, "--output", "none", *options, url=server.url, env=env)
        assert done.code == 0, done.err
        return server.stats()["calls"].get("ListUsers", 0)

    assert (calls({}), calls({})) == (1, 0)
    assert (calls(OTHER), calls(OTHER)) == (1, 0)
    assert calls({**CREDENTIALS, "AWS_SECRET_ACCESS_KEY": OTHER["AWS_SECRET_ACCESS_KEY"]}) == 1, "the key's id alone proves nothing"
    assert calls({"AWS_SESSION_TOKEN": "token"}) == 1, "a session is whoever STS says it is"
    assert calls({"AWS_ENDPOINT_URL_IAM": server.url + "/"}) == 1, "another address is another cloud"
    assert calls({}) == 0


def test_the_time_to_live_and_the_switches(kept, fast_iam):
    server, _ = fast_iam("--users", 30)

    def calls(*options, env=None):
        server.reset()
        assert kept("query", USERS, "--output", "none", *options, url=server.url, env=env).code == 0
        return server.stats()["total"]

    assert calls("--disk-cache=false") == 1 and not kept.folder.exists()
    assert (calls(), calls()) == (1, 0)
    assert calls("--cache-ttl", "0") == 1
    assert calls(env={"ASSAY_CACHE_TTL": "0"}) == 1
    assert calls(env={"ASSAY_DISK_CACHE": "false"}) == 1
    assert calls() == 0, "what was kept is still there"
    kept.config.write_text(kept.config.read_text().replace("disk: true, ", ""))
    assert calls() == 1
    assert calls("--disk-cache") == 0
    kept.config.write_text("cache: { disk: true, key: file:keys/cache.key, path: kept }\nconnections: { one: { cloud: aws, regions: [us-east-1], cache: false } }\n")
    assert (calls(), calls()) == (1, 1), "the connection keeps nothing"


def test_status_and_clear(kept, fast_iam):
    server, _ = fast_iam("--users", 30)
    empty = kept("cache", "status", "--output", "json")
    assert empty.code == 0 and empty.rows() == [], empty.err
    kept("query", USERS, "--output", "none", url=server.url)
    status = kept("cache", "status", "--output", "json")
    (row,) = status.rows()
    assert (row["connection"], row["entries"], row["path"]) == ("one", "1", str(kept.folder / "one"))
    assert int(row["bytes"]) > 300 and row["oldest"].endswith("Z")
    assert f"disk: on; folder: {kept.folder}; at most 256 MiB a connection; key: file {kept.config.parent}/keys/cache.key" in status.err
    assert kept("cache", "clear", "--connection", "other").err == "removed 0 answers, 0 bytes\n"
    assert kept("cache", "clear").err.startswith("removed 1 answer, ")
    server.reset()
    kept("query", USERS, "--output", "none", url=server.url)
    assert server.stats()["total"] == 1
    shell = kept(stdin=".cache status\n.cache clear\n.cache status\n", url=server.url)
    assert shell.code == 0 and "on: answers are reused for 3600 s\n" in shell.err and "one: 1 answers, " in shell.err.split("disk: on")[1], shell.err
    assert "one: " not in shell.err.split("disk: on")[2]
    assert kept("cache", "status", "--output", "json").rows() == []


def test_the_shell_says_what_is_older_than_the_statement(kept, fast_iam):
    server, _ = fast_iam("--users", 30)
    done = kept(stdin=f"{USERS} limit 1;\nselect count(*) from aws_iam_user;\n", url=server.url)
    assert done.code == 0
    assert server.stats()["total"] == 1
    assert [note[0] for note in NOTE.findall(done.err)] == ["aws_iam_user"], done.err


def test_nothing_can_be_read_and_nobody_else_can_look(kept, fast_iam):
    server, _ = fast_iam("--users", 30)
    kept("query", KEYS, "--output", "none", url=server.url)
    seen = 0
    for folder, _, files in os.walk(kept.config.parent):
        for name in files:
            path = os.path.join(folder, name)
            if name in ("assay.yaml", "truth.json"):
                continue
            seen += 1
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
            content = open(path, "rb").read()
            # which operations are called is no secret to statistics: they are those of the spec
            operation = () if name == "statistics.json" else (b"ListAccessKeys",)
            for canary in (b"user-0000", b"AKIA", b"UserName", b"111122223333", *operation):
                assert canary not in content and canary.decode() not in path, path
        if folder.startswith(str(kept.folder)):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
    assert seen >= 2, "the key and the answers"


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


def test_what_any_table_calls_secret_stays_off_the_disk(kept, fast_iam, tmp_path):
    server, _ = fast_iam("--users", 30)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/aws_mine.yaml").write_text(SPEC)
    kept.config.write_text(kept.config.read_text() + "tables: [specs]\n")
    for _ in range(2):
        server.reset()
        # Another table reads the same call.
        assert kept("query", USERS, "--output", "none", url=server.url).code == 0
        assert server.stats()["total"] == 1
    assert kept("cache", "status", "--output", "json").rows() == []


def test_a_changed_or_foreign_cache_is_asked_again_and_said_once(kept, fast_iam):
    server, _ = fast_iam("--users", 30)
    want = kept("query", USERS, "--output", "json", url=server.url).rows()
    (file,) = (kept.folder / "one").glob("*.seg")
    whole = bytearray(file.read_bytes())
    whole[-20] ^= 1
    file.write_bytes(whole)
    done = kept("query", USERS, "--output", "json", url=server.url)
    assert done.code == 0 and done.rows() == want
    assert done.err.count("note: the cache on disk of one was changed, cut off or made with another key: that part is asked again\n") == 1, done.err
    (kept.config.parent / "keys/cache.key").unlink()
    done = kept("query", USERS, "--output", "json", url=server.url)
    assert done.rows() == want and done.err.count("made with another key") == 1
    assert kept("query", USERS, "--output", "json", "--timing", url=server.url).json()["metadata"]["calls"] == 0


def test_a_key_that_others_can_read_is_not_used(kept, fast_iam):
    server, _ = fast_iam("--users", 30)
    kept("query", USERS, "--output", "none", url=server.url)
    (kept.config.parent / "keys/cache.key").chmod(0o644)
    server.reset()
    done = kept("query", USERS, "--output", "none", url=server.url)
    assert done.code == 0 and server.stats()["total"] == 1
    assert "note: the cache on disk is not used: the key file " in done.err and "chmod 600" in done.err


def test_the_kernel_keeps_the_key_where_it_can(assay, fast_iam, tmp_path):
    server, _ = fast_iam("--users", 30)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data")}

    def run(*args):
        return assay(*args, "--disk-cache", url=server.url, env=env, home=tmp_path)

    done = run("query", USERS, "--output", "none")
    assert done.code == 0 and not done.err, done.err
    server.reset()
    assert run("query", USERS, "--output", "none").code == 0
    assert server.stats()["total"] == 0
    status = run("cache", "status")
    assert f"folder: {tmp_path}/cache/assay/answers; " in status.err
    # Containers often have no key ring; then it is a file.
    assert ("key: the kernel's persistent key ring" in status.err) != (tmp_path / "data/assay/cache.key").exists()


def test_two_processes_at_once(kept, fast_iam):
    server, truth = fast_iam("--users", 300, "--latency-ms", 20)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(kept, "query", KEYS, "--output", "json", url=server.url) for _ in range(6)]
        for done in (run.result() for run in runs):
            assert done.code == 0 and len(done.rows()) == truth["keys"]
            assert "cache on disk" not in done.err, done.err
    server.reset()
    assert len(kept("query", KEYS, "--output", "json", url=server.url).rows()) == truth["keys"]
    assert server.stats()["total"] == 0
    assert not list((kept.folder / "one").glob("*.tmp"))


def test_recordings_and_rotation_do_not_use_it(kept, fast_iam, tmp_path):
    server, _ = fast_iam("--users", 30)
    kept("query", USERS, "--output", "none", url=server.url)
    server.reset()
    kept("query", USERS, "--output", "none", "--record", str(tmp_path / "a.bundle"), url=server.url)
    assert server.stats()["total"] == 1, "a recording holds what the cloud says now"
    replayed = kept("--replay", str(tmp_path / "a.bundle"), "query", USERS, "--output", "none")
    assert replayed.code == 0 and not NOTE.search(replayed.err)
    server.reset()
    kept("rotate", "users", "--output", "none", url=server.url)
    assert server.stats()["calls"].get("ListUsers") == 1
    server.reset()
    kept("doctor", url=server.url)
    assert server.stats()["calls"].get("GetCallerIdentity") == 1


def test_azure_is_kept_by_tenant_and_client(assay, fake_arm_tls, tmp_path):
    config = tmp_path / "assay.yaml"
    config.write_text("cache: { disk: true, ttl: 1h, key: file:cache.key, path: kept }\nconnections: { azure: { cloud: azure } }\n")
    sql = "select subscription_id, name from azure_resource_group"

    def arm():
        fake_arm_tls.forget()
        done = assay("query", sql, "--output", "json", env=fake_arm_tls.env, config=config, home=tmp_path)
        assert done.rows(), done.err
        return [call["path"] for call in fake_arm_tls.calls("arm")], done

    first, one = arm()
    second, two = arm()
    assert two.rows() == one.rows()
    # The subscription that refuses is asked again; the others, and their list, are known.
    assert len(second) < len(first) and not any(path.rstrip("/").lower() == "/subscriptions" for path in second), (first, second)
    assert {note[1] for note in NOTE.findall(two.err)} == {"subscription"}
    text = b"".join(path.read_bytes() for path in (tmp_path / "kept").rglob("*.seg"))
    assert text and all(row["name"].encode() not in text for row in one.rows())
