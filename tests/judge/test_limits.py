"""Limits: a bucket that nobody publishes is found out, and costs few throttles, little time and no row."""
import time

from conftest import BIN

KEYS = "select user_name, access_key_id from aws_iam_access_key"
# a debug build on a busy machine does not send evenly
SLACK = 1.5 if "/debug/" in BIN else 1.0


def test_a_bucket_is_found_out(assay, fast_iam):
    # the first meeting turns away what is under way, some thirty calls, however many come after it
    users, rate, burst = 5000, 150, 40
    server, truth = fast_iam("--users", users, "--latency-ms", 50, "--rate", rate, "--burst", burst)
    began = time.monotonic()
    done = assay("query", KEYS, "--output", "json", url=server.url)
    wall, stats = time.monotonic() - began, server.stats()
    assert (done.code, len(done.rows())) == (0, truth["keys"]), done.err
    throttled, ideal = sum(stats["throttled"].values()), (users - burst) / rate
    print(f"{throttled} of {stats['total']} calls throttled, {wall:.1f} s where {ideal:.1f} s would do")
    assert throttled <= users * 0.01 * SLACK
    assert wall <= (ideal / 0.9 + 1) * SLACK


def test_buckets_of_several_services_change_no_row(assay, estate, proxy):
    clean = assay("query", KEYS, "--output", "json", url=estate.url, config=estate.config).rows()
    proxy.post("/__config?rps=iam=20:5,default=20:5&latency_ms=5")
    done = assay("query", KEYS, "--output", "json", url=proxy.url, config=estate.config)
    assert (done.code, done.rows()) == (0, clean), done.err
    assert proxy.stats()["faults"].get("rate_limit"), "the bucket must have been empty"


def test_a_class_of_operations_keeps_its_configured_rate(assay, fast_iam, tmp_path):
    users, rate = 105, 20
    server, truth = fast_iam("--users", users, "--latency-ms", 10, "--rate", rate, "--burst", 5)
    config = tmp_path / "assay.yaml"
    # one less than the bucket has: calls do not arrive as evenly as they leave
    config.write_text('limits: { aws: { "iam:List*": { rate: 1 }, "iam:ListAccessKeys": { rate: 20, burst: 4 }, "iam:ListUsers": { rate: 100 } } }\n')
    began = time.monotonic()
    done = assay("query", KEYS, "--output", "json", url=server.url, config=config)
    wall, stats = time.monotonic() - began, server.stats()
    assert (done.code, len(done.rows())) == (0, truth["keys"]), done.err
    assert (stats["calls"]["ListAccessKeys"], stats["throttled"]) == (users, {})
    assert wall >= (users - 5) / rate - 0.1


def test_operations_beside_a_class_are_free(assay, fast_iam, tmp_path):
    server, truth = fast_iam("--users", 105, "--latency-ms", 10)
    config = tmp_path / "assay.yaml"
    config.write_text('limits: { aws: { "iam:GetAccessKeyLastUsed": { rate: 1 } } }\n')
    began = time.monotonic()
    done = assay("query", KEYS, "--output", "json", url=server.url, config=config)
    assert (done.code, len(done.rows())) == (0, truth["keys"]), done.err
    assert time.monotonic() - began < 3, "nothing here is limited to one a second"
