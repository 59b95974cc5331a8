"""Signing in to Azure, from end to end: every source of tokens, over TLS with an authority of our own where the cloud would have TLS; what
goes wrong is one line that says what to do; nothing secret comes out.
"""
import base64
import json
import os
import pathlib
import socket
import stat
import threading
import urllib.parse
import urllib.request

import pytest

from azure_estate import CANARY, PROD, TEAM

SQL = "select subscription_id from azure_subscription order by subscription_id"
TOKENS = "eyJ"


@pytest.fixture
def fake(start_fake_arm):
    """Two readable subscriptions, over TLS."""
    return start_fake_arm("readable", tls=True)


def asked(run, fake, drop=(), add=None, **more):
    """The query with the fake's environment, less some variables, plus others."""
    env = {k: v for k, v in fake.env.items() if k not in drop} | (add or {})
    return run("query", SQL, "--output", "json", env=env, **more)


def doctor(run, fake, drop=(), add=None, **more):
    env = {k: v for k, v in fake.env.items() if k not in drop} | (add or {})
    return run("doctor", "--connection", "azure", env=env, **more)


def both(done):
    assert done.code == 0, (done.code, done.err)
    assert [r["subscription_id"] for r in done.rows()] == [PROD, TEAM]
    silent(done)


def silent(done):
    """No secret and no token in sight."""
    for text in (done.out, done.err):
        assert CANARY not in text and TOKENS not in text, text


def refused(done, *words):
    """No connection works: 69, one line of error, which says all of this."""
    assert done.code == 69, (done.code, done.err, done.out)
    lines = [line for line in done.err.splitlines() if line.startswith("error")]
    assert len(lines) == 1, done.err
    for word in words:
        assert word in lines[0], lines[0]
    silent(done)


def logins(fake):
    """The requests for tokens."""
    return [c for c in fake.calls("login")]


def script(folder, name, text):
    """An executable for the PATH; gives the folder that it is in."""
    folder = folder / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


SECRET = ("AZURE_CLIENT_SECRET",)
PRINCIPAL = ("AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")


def test_a_client_secret_over_tls(assay, fake):
    both(asked(assay, fake))
    assert len(logins(fake)) == 1, "one token for one audience, however many subscriptions"
    told = doctor(assay, fake)
    assert told.code == 0, (told.out, told.err)
    assert f"client secret from the environment, tenant {fake.tenant}, client {fake.client_id}, valid for 59 min" in told.out
    silent(told)


def test_a_certificate_whose_assertion_the_authority_checks(assay, fake, test_ca, tmp_path):
    both(asked(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": str(test_ca.client_both)}))
    told = doctor(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": str(test_ca.client_both)})
    assert f"client certificate, {test_ca.client_both}, tenant {fake.tenant}" in told.out, told.out
    silent(told)
    # As a connection has it; the environment's secret is not used.
    config = tmp_path / "assay.yaml"
    config.write_text(f"connections:\n  azure: {{ cloud: azure, certificate: {test_ca.client_both}, tenant: {fake.tenant}, client_id: {fake.client_id} }}\n")
    both(asked(assay, fake, PRINCIPAL, {"AZURE_CLIENT_SECRET": "wrong"}, config=config))


def test_other_forms_of_the_key(assay, fake, test_ca, tmp_path):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key = serialization.load_pem_private_key(test_ca.client_key.read_bytes(), None)

    def written(name, form, encryption=None, kind=serialization.Encoding.PEM):
        path = tmp_path / name
        path.write_bytes(key.private_bytes(kind, form, encryption or serialization.NoEncryption()) + test_ca.client.read_bytes())
        return {"AZURE_CLIENT_CERTIFICATE_PATH": str(path)}

    pkcs1 = written("pkcs1.pem", serialization.PrivateFormat.TraditionalOpenSSL)
    both(asked(assay, fake, SECRET, pkcs1))
    password = serialization.BestAvailableEncryption(b"pw")
    for n, form in enumerate((serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8)):
        locked = written(f"locked{n}.pem", form, password)
        refused(asked(assay, fake, SECRET, locked), f"locked{n}.pem: the private key has a password", "openssl pkcs12")
        refused(asked(assay, fake, SECRET, locked | {"AZURE_CLIENT_CERTIFICATE_PASSWORD": "pw"}), "files with a password are not read")
    pkcs12 = pytest.importorskip("cryptography.hazmat.primitives.serialization.pkcs12")
    x509 = pytest.importorskip("cryptography.x509")
    pfx = tmp_path / "sp.pfx"
    pfx.write_bytes(pkcs12.serialize_key_and_certificates(b"sp", key, x509.load_pem_x509_certificate(test_ca.client.read_bytes()), None, password))
    refused(asked(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": str(pfx)}), "sp.pfx: is a PKCS#12 (PFX)", "openssl pkcs12")
    alone = tmp_path / "alone.pem"
    alone.write_bytes(test_ca.client_key.read_bytes() + test_ca.server.read_bytes())
    refused(asked(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": str(alone)}), "no certificate in it belongs to the private key")
    refused(asked(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere/sp.pem"}), "/nowhere/sp.pem: ")


def test_a_certificate_that_is_not_registered(assay, fake, tmp_path):
    certificates = pytest.importorskip("certificates")
    other = certificates.make(tmp_path)
    refused(asked(assay, fake, SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": str(other.client_both)}), "client certificate: AADSTS700027")


def test_a_federated_token(assay, fake, tmp_path):
    file = tmp_path / "token"
    file.write_text(fake.ready["federated_token"])
    both(asked(assay, fake, SECRET, {"AZURE_FEDERATED_TOKEN_FILE": str(file)}))
    refused(asked(assay, fake, SECRET, {"AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"}), "workload identity: AZURE_FEDERATED_TOKEN_FILE /nowhere/token: ")
    refused(asked(assay, fake, PRINCIPAL, {"AZURE_FEDERATED_TOKEN_FILE": str(file)}), "not the tenant (AZURE_TENANT_ID", "and the application id (AZURE_CLIENT_ID")


def test_the_identity_of_an_app_service(assay, start_fake_arm):
    plain = start_fake_arm("readable")
    both(asked(assay, plain))
    told = doctor(assay, plain)
    assert "managed identity of the app service, tenant " in told.out, told.out
    own = asked(assay, plain, add={"AZURE_CLIENT_ID": "11111111-2222-4333-8444-555555555555"})
    both(own)
    assert any("client_id=11111111-2222-4333-8444-555555555555" in json.dumps(c) for c in logins(plain)), logins(plain)
    refused(asked(assay, plain, add={"IDENTITY_HEADER": f"{CANARY}wrong"}), "managed identity of the app service: Unauthorized")
    refused(asked(assay, plain, ("IDENTITY_HEADER",)), "IDENTITY_ENDPOINT is set, but not IDENTITY_HEADER")


def test_a_proxy_never_sees_a_managed_identity(assay, start_fake_arm):
    plain = start_fake_arm("readable")
    nobody = "http://127.0.0.1:9"
    asked(assay, plain, add={"HTTP_PROXY": nobody, "http_proxy": nobody})
    assert logins(plain), "the token was asked for without the proxy"


def az_answers(fake):
    """What `az account get-access-token` prints: a token that the fake knows."""
    form = {"client_id": fake.client_id, "client_secret": fake.client_secret, "grant_type": "client_credentials", "scope": f"{fake.tls}/.default"}
    with urllib.request.urlopen(f"{fake.url}/{fake.tenant}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode(), timeout=10) as answer:
        token = json.load(answer)["access_token"]
    return token, json.dumps({"accessToken": token, "expires_on": 4102444800, "tokenType": "Bearer"})


def test_the_azure_cli(assay, fake, tmp_path):
    _, answer = az_answers(fake)
    log = tmp_path / "log"
    path = script(tmp_path, "az", f'echo "$@" >> {log}\ncat <<END\n{answer}\nEND\n')
    config = tmp_path / "assay.yaml"
    config.write_text("connections: { azure: { cloud: azure, credential: cli } }\n")
    # The environment's secret is not used: the connection names its source.
    both(asked(assay, fake, (), {"PATH": path}, config=config))
    assert log.read_text().splitlines() == [f"account get-access-token -o json --scope {fake.tls}/.default --tenant {fake.tenant}"]
    told = doctor(assay, fake, PRINCIPAL, {"PATH": path}, config=config)
    assert f"Azure CLI, tenant {fake.tenant}, client {fake.client_id}, valid for " in told.out, told.out
    silent(told)
    path = script(tmp_path, "az", "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1\n")
    refused(asked(assay, fake, PRINCIPAL, {"PATH": path}, config=config), "Azure CLI: Please run 'az login' to setup account.")
    path = script(tmp_path, "az", "echo WARNING no json\n")
    refused(asked(assay, fake, PRINCIPAL, {"PATH": path}, config=config), "Azure CLI: ")


def test_the_azure_developer_cli(assay, fake, tmp_path):
    token, _ = az_answers(fake)
    path = script(tmp_path, "azd", "echo '" + json.dumps({"token": token, "expiresOn": "2100-01-01T00:00:00Z"}) + "'\n")
    config = tmp_path / "assay.yaml"
    config.write_text("connections: { azure: { cloud: azure, credential: azd } }\n")
    both(asked(assay, fake, PRINCIPAL, {"PATH": path}, config=config))


def test_a_wrong_secret(assay, fake):
    done = asked(assay, fake, add={"AZURE_CLIENT_SECRET": f"{CANARY}wrong"})
    refused(done, "client secret from the environment: AADSTS7000215: Invalid client secret provided.")
    assert len(logins(fake)) == 1, "a wrong secret is not tried again and again: that locks people out"
    told = doctor(assay, fake, add={"AZURE_CLIENT_SECRET": f"{CANARY}wrong"})
    assert told.code == 69 and "AADSTS7000215" in told.out + told.err
    silent(told)


def test_a_wrong_tenant_and_an_unknown_application(assay, fake):
    refused(asked(assay, fake, add={"AZURE_TENANT_ID": "00000000-0000-4000-8000-000000000000"}), "AADSTS90002")
    refused(asked(assay, fake, add={"AZURE_CLIENT_ID": "00000000-0000-4000-8000-000000000000"}), "AADSTS700016")


@pytest.mark.parametrize(("drop", "add", "words"), [
    (("AZURE_TENANT_ID",), {}, ["AZURE_CLIENT_SECRET is set, but not the tenant (AZURE_TENANT_ID, or `tenant` of the connection)"]),
    (("AZURE_CLIENT_ID",), {}, ["AZURE_CLIENT_SECRET is set, but not the application id (AZURE_CLIENT_ID"]),
    (SECRET, {"AZURE_CLIENT_CERTIFICATE_PATH": "x.pem", "AZURE_TENANT_ID": ""}, ["AZURE_CLIENT_CERTIFICATE_PATH is set, but not the tenant"]),
])
def test_what_is_set_by_half(assay, fake, drop, add, words):
    refused(asked(assay, fake, drop, add), *words)
    assert logins(fake) == []


def test_nothing_at_all(assay, fake, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = asked(assay, fake, PRINCIPAL, {"PATH": str(empty)})
    refused(done, "no credentials for Azure", "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set", "AZURE_FEDERATED_TOKEN_FILE is not set",
            "managed identity", "Azure CLI: az not found on PATH", "Azure Developer CLI: azd not found on PATH")


def test_a_server_that_nobody_vouches_for(assay, fake, tmp_path, test_ca):
    certificates = pytest.importorskip("certificates")
    other = certificates.make(tmp_path)
    refused(asked(assay, fake, add={"SSL_CERT_FILE": str(other.authority)}), f"cannot reach {fake.tls}", "certificate")


def test_an_authority_where_nothing_answers(assay, fake):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        nobody = f"https://localhost:{s.getsockname()[1]}"
        refused(asked(assay, fake, add={"AZURE_AUTHORITY_HOST": nobody}), f"cannot reach {nobody}")


@pytest.mark.parametrize(("status", "body"), [(502, "<html>bad gateway</html>"), (200, "<html>sign in</html>")])
def test_an_authority_that_speaks_html(assay, fake, status, body):
    """A captive portal, a proxy: what answers is no authority."""
    served = []

    def answer(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                served.append(connection.recv(65536))
                connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        done = asked(assay, fake, add={"AZURE_AUTHORITY_HOST": f"http://127.0.0.1:{server.getsockname()[1]}"})
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)
    assert served and done.code != 0, (done.code, done.err)
    assert "answered" in done.err and "html" not in done.err, done.err
    silent(done)


@pytest.mark.parametrize(("variable", "value"), [
    ("AZURE_AUTHORITY_HOST", "http://login.example"), ("AZURE_RESOURCE_MANAGER_ENDPOINT", "http://192.0.2.1"), ("AZURE_GRAPH_ENDPOINT", "http://graph.example"),
    ("AZURE_STORAGE_SUFFIX", "com"), ("AZURE_ENVIRONMENT", "germany"),
])
def test_endpoints_that_must_not_be(assay, fake, variable, value):
    """No secret goes out, and no token, over plain http to another machine."""
    done = asked(assay, fake, add={variable: value})
    assert done.code != 0, (done.code, done.err)
    assert variable in done.err and value in done.err, done.err
    silent(done)
    assert logins(fake) == []


@pytest.mark.parametrize(("fields", "says"), [
    ("credential: password", "unknown `credential: password`"),
    ("client_secret: x", "client_secret"),
    ("credential: cli, certificate: x.pem", "`certificate` belongs to `credential: certificate`"),
    ("endpoints: { resource_manager: 'http://arm.example' }", "`connections.azure.endpoints.resource_manager`"),
    ("endpoints: { arm: 'https://arm.example' }", "arm"),
    ("environment: mars", "unknown cloud `mars`"),
    ("profile: x", "`profile` belongs to `cloud: aws`"),
])
def test_configurations_that_must_not_be(assay, fake, tmp_path, fields, says):
    config = tmp_path / "assay.yaml"
    config.write_text(f"connections: {{ azure: {{ cloud: azure, {fields} }} }}\n")
    done = asked(assay, fake, config=config)
    assert done.code not in (0, 2) and says in done.err, (done.code, done.err)
    assert logins(fake) == []


def test_endpoints_of_the_connection(assay, fake, tmp_path):
    """A cloud of one's own, all in the configuration; and its name in the rows."""
    config = tmp_path / "assay.yaml"
    endpoints = f"resource_manager: '{fake.tls}', authority: '{fake.tls}', graph: '{fake.tls}', storage: '{fake.tls.split('//')[1]}'"
    config.write_text(f"connections: {{ azure: {{ cloud: azure, environment: FakeCloud, endpoints: {{ {endpoints} }} }} }}\n")
    drop = ("AZURE_AUTHORITY_HOST", "AZURE_RESOURCE_MANAGER_ENDPOINT", "AZURE_GRAPH_ENDPOINT", "AZURE_STORAGE_SUFFIX")
    both(asked(assay, fake, drop, config=config))
    env = {k: v for k, v in fake.env.items() if k not in drop}
    named = assay("query", "select distinct cloud_environment from azure_subscription", "--output", "json", env=env, config=config)
    assert [r["cloud_environment"] for r in named.rows()] == ["FakeCloud"]


def test_a_login_over_plain_http_stays_on_this_machine(assay, start_fake_arm):
    plain = start_fake_arm("readable")
    env = {"AZURE_TENANT_ID": plain.tenant, "AZURE_CLIENT_ID": plain.client_id, "AZURE_CLIENT_SECRET": plain.client_secret, "AZURE_AUTHORITY_HOST": plain.url}
    both(asked(assay, plain, ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"), env))


def test_short_lived_tokens_are_renewed_and_none_is_written_down(assay, fake, tmp_path):
    fake.control(token_lifetime=60)
    bundle = tmp_path / "bundle.json"
    both(asked(assay, fake))
    done = assay("query", SQL, "--output", "json", "--record", str(bundle), env=fake.env)
    both(done)
    for path in [bundle, *pathlib.Path(tmp_path).rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert CANARY.encode() not in data and base64.b64encode(CANARY.encode())[:16] not in data and b"Bearer" not in data, path
