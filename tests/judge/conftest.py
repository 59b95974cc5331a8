"""Fixtures: the binary under test, moto with a known estate, the fault-injecting proxy, the fast fake IAM, and the fake of Azure.

Every server is a child process on a free loopback port, started by the test and ended by its process id.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKEND = ROOT / "tests" / "backend"
sys.path.append(str(BACKEND))

import azure_estate
import certificates
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BIN = os.environ.get("ASSAY_BIN", str(TARGET / "debug" / "assay"))
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}


@contextlib.contextmanager
def child(*command):
    """Runs a server that prints one JSON line when it is ready."""
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, f"{command[0]} ended before it was ready"
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(timeout=20)


class Server:
    """A backend and what it counted."""

    def __init__(self, url):
        self.url = url

    def stats(self):
        with urllib.request.urlopen(self.url + "/__stats", timeout=10) as answer:
            return json.load(answer)

    def post(self, path):
        request = urllib.request.Request(self.url + path, method="POST", data=b"")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def reset(self):
        self.post("/__reset")


class Result:
    """What a run of the binary gave."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        return json.loads(self.out)

    def rows(self):
        return self.json()["rows"]


def run(*args, url=None, config=None, home=None, env=None, stdin=None, timeout=300):
    """Runs assay with nothing of the caller's environment but PATH."""
    full = {"PATH": os.environ["PATH"], "HOME": str(home or "/nonexistent"), "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true"}
    if url:
        full |= CREDENTIALS | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}
    full |= env or {}
    command = [BIN, *args]
    if config:
        command[1:1] = ["--config", str(config)]
    return Result(subprocess.run(command, env=full, capture_output=True, text=True, timeout=timeout, input=stdin, cwd="/"))


@pytest.fixture(scope="session")
def assay():
    return run


@pytest.fixture(scope="session")
def estate(tmp_path_factory):
    """Three accounts, two regions, 25 users each: (url, truth, config of the organization)."""
    folder = tmp_path_factory.mktemp("estate")
    truth = folder / "truth.json"
    with child(BACKEND / "estate.py", "--accounts", 3, "--users", 25, "--seed", 7, "--truth", truth) as ready:
        config = folder / "assay.yaml"
        config.write_text("connections:\n  org: { cloud: aws, regions: [us-east-1, eu-west-1], organization: { role: OrganizationAccountAccessRole } }\n")
        yield type("Estate", (), {"url": ready["ready"], "truth": json.loads(truth.read_text()), "accounts": ready["accounts"], "config": config})


@pytest.fixture
def proxy(estate):
    """The fault-injecting, counting proxy in front of the estate; without faults until told."""
    with child(BACKEND / "chaos_proxy.py", "--listen", 0, "--upstream", estate.url) as ready:
        yield Server(ready["ready"])


@pytest.fixture
def fast_iam(tmp_path):
    """Starts the fast fake IAM with options; gives (server, truth)."""
    with contextlib.ExitStack() as stack:
        def start(*options):
            truth = tmp_path / "truth.json"
            ready = stack.enter_context(child(BACKEND / "fast_iam.py", "--port", 0, "--truth", truth, *options))
            return Server(f"http://127.0.0.1:{ready['port']}"), json.loads(truth.read_text())
        yield start


class FakeArm:
    """A running fake of Azure (tests/backend/fake_arm): where it is, whose estate it serves, how tests steer and count it."""

    def __init__(self, ready, estate, authority=None):
        self.ready, self.estate, self.authority = ready, estate, authority
        self.url, self.tls = ready["ready"], ready.get("tls")
        self.tenant, self.client_id, self.client_secret = ready["tenant"], ready["client_id"], ready["client_secret"]
        self.now = azure_estate.parse_now(ready["now"])
        host = self.tls or self.url
        self.env = {"AZURE_RESOURCE_MANAGER_ENDPOINT": host, "AZURE_GRAPH_ENDPOINT": host, "AZURE_STORAGE_SUFFIX": host.split("//")[1]}
        if self.tls:
            self.env |= {"AZURE_TENANT_ID": self.tenant, "AZURE_CLIENT_ID": self.client_id, "AZURE_CLIENT_SECRET": self.client_secret, "AZURE_AUTHORITY_HOST": self.tls,
                         "SSL_CERT_FILE": str(authority)}
        else:
            self.env |= {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": ready["identity_header"]}

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{path}: {e.read().decode()}") from None

    def control(self, **switches):
        """Sets switches, see tests/backend/fake_arm/switches.py."""
        return self.ask("/_control", switches)

    def calls(self, service=None):
        """Every call received; `service` is arm, graph, storage or login."""
        return [c for c in self.ask("/_calls") if service in (None, c["service"])]

    def stats(self):
        return self.ask("/_stats")

    def forget(self):
        self.ask("/_calls", method="DELETE")

    def reset(self):
        self.ask("/_reset", {})

    def truth(self):
        return azure_estate.truth(self.estate, self.now)


@pytest.fixture(scope="session")
def test_ca(tmp_path_factory):
    """A certificate authority of the tests, a server certificate of it for localhost, and a client's own certificate."""
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def start_fake_arm(test_ca):
    """Starts fakes of Azure: `start_fake_arm("many:10000", "--now", …, tls=True)`."""
    with contextlib.ExitStack() as stack:
        def start(estate="states", *options, tls=False):
            secure = ["--cert", test_ca.server, "--key", test_ca.server_key, "--client-certificate", test_ca.client] if tls else []
            ready = stack.enter_context(child(BACKEND / "fake_arm", "--estate", estate, *secure, *options))
            return FakeArm(ready, estate, test_ca.authority)
        yield start


@pytest.fixture
def fake_arm(start_fake_arm):
    """The fake with three subscriptions, one of them denied, over plain http; `run(…, env=fake_arm.env)`."""
    return start_fake_arm()


@pytest.fixture
def fake_arm_tls(start_fake_arm):
    """The same over TLS with a test authority; the credential is a client secret."""
    return start_fake_arm(tls=True)
