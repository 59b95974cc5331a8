"""The fake of Azure is one that real clients accept, over TLS, and that the official specifications allow.

The Azure SDK for Python signs in, lists, pages, rotates keys, reads the log, meets errors and waits when throttled. The specifications
(folder `azure-specs` below $ASSAY_TEST_DATA; skipped without) judge each request that the SDK made and each answer that it got.
"""
import datetime as dt
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

azure_identity = pytest.importorskip("azure.identity")

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.subscription import SubscriptionClient

import azure_estate
from azure_estate import CANARY, DENIED, PROD, TEAM
from specifications import needs_specifications, official

REGENERATE = "microsoft.storage/storageaccounts/regeneratekey/action"


@pytest.fixture(scope="module")
def module_fake(tmp_path_factory, test_ca):
    """One fake for all tests here; each begins with its state of the beginning."""
    from conftest import BACKEND, FakeArm, child
    options = ["--estate", "states", "--cert", test_ca.server, "--key", test_ca.server_key, "--client-certificate", test_ca.client]
    with child(BACKEND / "fake_arm", *options) as ready:
        yield FakeArm(ready, "states", test_ca.authority)


@pytest.fixture
def fake(module_fake):
    module_fake.reset()
    return module_fake


@pytest.fixture
def sign_in(fake, test_ca):
    """The three ways an application can prove itself to Entra, by the SDK's own credentials."""
    common = {"authority": fake.tls, "disable_instance_discovery": True, "connection_verify": str(test_ca.authority)}
    return {
        "secret": lambda secret=fake.client_secret, tenant=fake.tenant: azure_identity.ClientSecretCredential(tenant, fake.client_id, secret, **common),
        "certificate": lambda path=test_ca.client_both: azure_identity.CertificateCredential(fake.tenant, fake.client_id, certificate_path=str(path), **common),
        "federated": lambda text=fake.ready["federated_token"]: azure_identity.ClientAssertionCredential(fake.tenant, fake.client_id, lambda: text, **common),
    }


@pytest.fixture
def client(fake, sign_in, test_ca):
    """Makes a client of the SDK for a subscription."""
    def make(kind, sub=PROD, credential=None, **more):
        options = {"base_url": fake.tls, "credential_scopes": [f"{fake.tls}/.default"], "connection_verify": str(test_ca.authority)} | more
        args = [credential or sign_in["secret"]()] + ([] if kind is SubscriptionClient else [sub])
        return kind(*args, **options)
    return make


def since(fake, days=89):
    return f"eventTimestamp ge '{(fake.now - dt.timedelta(days=days)).strftime('%Y-%m-%dT%H:%M:%SZ')}'"


# -- signing in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["secret", "certificate", "federated"])
def test_each_credential_of_the_sdk_gets_a_token_and_reads(fake, sign_in, client, way):
    storage = client(StorageManagementClient, credential=sign_in[way]())
    assert storage.storage_accounts.get_properties("rg-app", "stfresh").name == "stfresh"
    assert {c["credential"] for c in fake.calls("arm")} == {way}


def test_what_entra_refuses(fake, sign_in, test_ca):
    scope = f"{fake.tls}/.default"
    for credential, number in ((sign_in["secret"]("wrong"), "AADSTS7000215"), (sign_in["secret"](tenant=str(uuid.uuid4())), "AADSTS90002"),
                               (sign_in["federated"]("not a token"), "AADSTS50027")):
        with pytest.raises(ClientAuthenticationError, match=number):
            credential.get_token(scope)
    with pytest.raises(ClientAuthenticationError, match="AADSTS500011"):
        sign_in["secret"]().get_token("https://nobody.example/.default")
    fake.control(client_certificate=test_ca.server.read_text())
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        sign_in["certificate"]().get_token(scope)


def test_a_token_lives_as_long_as_told(fake, sign_in):
    scope = f"{fake.tls}/.default"
    assert sign_in["secret"]().get_token(scope).expires_on > time.time() + 3000
    fake.control(token_lifetime=120)
    assert sign_in["secret"]().get_token(scope).expires_on < time.time() + 130


def test_managed_identities_of_the_sdk(fake, monkeypatch, test_ca):
    """App Service by its two variables, a virtual machine by the metadata address."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", fake.ready["identity_header"])
    credential = azure_identity.ManagedIdentityCredential()
    storage = StorageManagementClient(credential, PROD, base_url=fake.tls, credential_scopes=[f"{fake.tls}/.default"], connection_verify=str(test_ca.authority))
    assert storage.storage_accounts.get_properties("rg-app", "stfresh").name == "stfresh"
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.delenv("IDENTITY_HEADER")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", fake.url)
    token = azure_identity.ManagedIdentityCredential().get_token(f"{fake.tls}/.default")
    assert token.expires_on > time.time() + 3000
    assert {c["credential"] for c in fake.calls("arm")} == {"app service"}


def test_a_token_for_somebody_else_is_refused(fake, client):
    for scope in ("https://storage.azure.com/.default", "https://graph.microsoft.com/.default"):
        storage = client(StorageManagementClient, credential_scopes=[scope])
        with pytest.raises(ClientAuthenticationError) as refused:
            list(storage.storage_accounts.list())
        assert refused.value.error.code == "InvalidAuthenticationTokenAudience"


# -- reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", [{}, {"page_size": {"storageAccounts": 2}}, {"page_size": {"*": 3}, "empty_pages": 2}, {"gzip": True}])
def test_the_sdk_lists_every_account_over_any_pages(fake, client, switches):
    fake.control(**switches)
    accounts = list(client(StorageManagementClient).storage_accounts.list())
    truth = [t for t in fake.truth() if t["subscription_id"] == PROD]
    assert [a.name for a in accounts] == [t["name"] for t in truth]
    for account, true in zip(accounts, truth):
        assert account.id == true["id"]
        for key in ("key1", "key2"):
            at = getattr(account.key_creation_time, key)
            assert (at and at.isoformat().replace("+00:00", "Z")) == true["keys"][key]["created"], (true["name"], key)
        assert (account.key_policy and account.key_policy.key_expiration_period_in_days) == true["policy_days"]
        assert account.allow_shared_key_access == true["shared_key_access"]
    pages = sum("storageAccounts" in c["path"] for c in fake.calls("arm"))
    assert pages == {"storageAccounts": 12, "*": 10}.get(next(iter(switches.get("page_size", {"": 0}))), 1)


def test_names_are_read_without_regard_to_case(fake, client):
    storage = client(StorageManagementClient, sub=PROD.upper())
    assert storage.storage_accounts.get_properties("RG-APP", "STFRESH").name == "stfresh"
    assert [a.name for a in storage.storage_accounts.list_by_resource_group("rg-upper")] == ["stupper"]
    assert next(iter(storage.storage_accounts.list_by_resource_group("rg-upper"))).id.startswith("/SUBSCRIPTIONS/")


def test_parts_of_an_account(fake, client):
    storage = client(StorageManagementClient)
    assert [c.name for c in storage.blob_containers.list("rg-app", "stfresh", maxpagesize="3")] == [f"box{n}" for n in range(1, 8)]
    assert [c.name for c in storage.blob_containers.list("rg-app", "stfresh", include="deleted")][-1] == "thrown-away"
    assert [q.name for q in storage.queue.list("rg-app", "stfresh")] == ["orders", "mails"]
    assert [t.name for t in storage.table.list("rg-app", "stfresh")] == ["Customers", "Visits"]
    assert [s.name for s in storage.file_shares.list("rg-app", "stfresh")] == ["home", "scratch"]
    assert storage.blob_services.get_service_properties("rg-app", "stfresh").is_versioning_enabled is True
    assert storage.blob_services.get_service_properties("rg-app", "stonestale").is_versioning_enabled is False
    assert storage.management_policies.get("rg-app", "stfresh", "default").policy.rules[0].name == "archive"
    assert [s.state for s in storage.encryption_scopes.list("rg-app", "stfresh")] == ["Enabled", "Disabled"]
    with pytest.raises(ResourceNotFoundError) as missing:
        storage.management_policies.get("rg-app", "stonestale", "default")
    assert missing.value.error.code == "ManagementPolicyNotFound"


def test_subscriptions_groups_and_locations(fake, client):
    subscriptions = client(SubscriptionClient)
    assert [(s.subscription_id, s.state) for s in subscriptions.subscriptions.list()] == [(s, "Enabled") for s in (PROD, TEAM, DENIED)]
    assert [t.tenant_id for t in subscriptions.tenants.list()] == [azure_estate.TENANT, azure_estate.GUEST_TENANT]
    assert "westeurope" in {location.name for location in subscriptions.subscriptions.list_locations(PROD)}
    groups = client(ResourceManagementClient).resource_groups.list()
    assert {g.name.lower() for g in groups} >= {t["resource_group"] for t in fake.truth() if t["subscription_id"] == PROD}


def test_alerts_of_the_log(fake, client):
    assert [a.name for a in client(MonitorManagementClient).activity_log_alerts.list_by_subscription_id()] == ["policy-changes", "switched-off"]


# -- rotation and the log -------------------------------------------------------------------------------------------------


def test_regenerating_a_key_changes_its_time_and_writes_both_events(fake, client):
    storage, monitor = client(StorageManagementClient), client(MonitorManagementClient)
    before = storage.storage_accounts.get_properties("rg-app", "stbothstale").key_creation_time
    old = storage.storage_accounts.list_keys("rg-app", "stbothstale")["keys"]
    new = storage.storage_accounts.regenerate_key("rg-app", "stbothstale", {"keyName": "key2"})["keys"]
    assert old[0]["value"] == new[0]["value"] and old[1]["value"] != new[1]["value"]
    assert all(CANARY in k["value"] for k in old + new)
    after = storage.storage_accounts.get_properties("rg-app", "stbothstale").key_creation_time
    assert after.key1 == before.key1 and after.key2 > before.key2
    uri = f"/subscriptions/{PROD}/resourceGroups/rg-app/providers/Microsoft.Storage/storageAccounts/stbothstale"
    events = [e for e in monitor.activity_logs.list(filter=f"{since(fake)} and resourceUri eq '{uri}'") if e.operation_name.value.lower() == REGENERATE]
    assert [e.status.value for e in events] == ["Succeeded", "Started"]
    assert len({e.correlation_id for e in events}) == 1
    assert abs((events[0].event_timestamp - after.key2).total_seconds()) < 1


def test_a_rotation_that_fails(fake, client):
    fake.control(failing_keys=["stbothstale"])
    storage, monitor = client(StorageManagementClient), client(MonitorManagementClient)
    before = storage.storage_accounts.get_properties("rg-app", "stbothstale").key_creation_time
    with pytest.raises(HttpResponseError) as failed:
        storage.storage_accounts.regenerate_key("rg-app", "stbothstale", {"keyName": "key1"})
    assert failed.value.status_code == 409
    assert storage.storage_accounts.get_properties("rg-app", "stbothstale").key_creation_time == before
    events = monitor.activity_logs.list(filter=f"{since(fake, 1)} and resourceGroupName eq 'rg-app'")
    assert [e.status.value for e in events if e.operation_name.value.lower() == REGENERATE] == ["Failed", "Started"]


def test_the_log_has_what_the_estate_says(fake, client):
    fake.control(page_size={"events": 4})
    for sub in (PROD, TEAM):
        found = {}
        for e in client(MonitorManagementClient, sub=sub).activity_logs.list(filter=since(fake, 89.99)):
            if e.operation_name.value.lower() == REGENERATE:
                found.setdefault(e.correlation_id, []).append(e)
        for true in (t for t in fake.truth() if t["subscription_id"] == sub):
            for rotation in (r for r in true["rotations"] if r["age_days"] < 89.9):
                events = found.pop(rotation["correlation_id"])
                assert {e.resource_id.lower() for e in events} == {true["id"].lower()}
                assert events[0].status.value == rotation["status"] and events[0].caller == rotation["caller"]
                assert events[0].event_timestamp.isoformat(timespec="microseconds").replace("+00:00", "Z") == max(rotation["at"] if len(events) == 2 else rotation["began"], "")
        assert {e.resource_id.rsplit("/", 1)[1].lower() for events in found.values() for e in events} <= {"stdeleted", "stalmost90"}


def test_what_the_log_filters_by(fake, client):
    log = client(MonitorManagementClient).activity_logs
    uri = f"/SUBSCRIPTIONS/{PROD}/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/strotated"
    for clause in (f"resourceUri eq '{uri}'", "resourceGroupName eq 'RG-Shared'"):
        assert [e.status.value for e in log.list(filter=f"{since(fake)} and {clause}")] == ["Succeeded", "Started"]
    until = (fake.now - dt.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert all(e.event_timestamp < fake.now - dt.timedelta(days=29) for e in log.list(filter=f"{since(fake)} and eventTimestamp le '{until}'"))
    one = next(iter(log.list(filter=since(fake), select="eventName,operationName,status")))
    assert one.status.value and one.caller is None and one.resource_id is None
    # as az and the portal have been seen to ask
    unquoted = (fake.now - dt.timedelta(days=80)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert {e.status.value for e in log.list(filter=f"eventTimestamp ge {unquoted} and resourceGroupName eq 'rg-app' and status eq 'Failed'")} == {"Failed"}
    assert [c["documented_filter"] for c in fake.calls("arm")] == [True] * 4 + [False]


@pytest.mark.parametrize("text", ["", "eventTimestamp le '2026-01-01T00:00:00Z'", "{old}", "{new} and operationName eq 'x'", "{new} or caller eq 'x'", "eventTimestamp ge 'yesterday'",
                                  "{new} and eventTimestamp ge '2026-01-01T00:00:00Z'"])
def test_filters_that_the_log_refuses(fake, client, text):
    text = text.format(old=since(fake, 91), new=since(fake))
    with pytest.raises(HttpResponseError) as refused:
        list(client(MonitorManagementClient).activity_logs.list(filter=text))
    assert refused.value.status_code == 400


def test_strict_filters_take_only_documented_patterns(fake, client):
    fake.control(strict_filter=True)
    log = client(MonitorManagementClient).activity_logs
    assert list(log.list(filter=f"{since(fake)} and resourceGroupName eq 'rg-shared'"))
    for more in ("status eq 'Failed'", "resourceGroupName eq 'rg-shared' and resourceProvider eq 'Microsoft.Storage'"):
        with pytest.raises(HttpResponseError):
            list(log.list(filter=f"{since(fake)} and {more}"))


# -- errors ---------------------------------------------------------------------------------------------------------------


def test_errors_as_the_sdk_reads_them(fake, client):
    storage = client(StorageManagementClient)
    for call, code in ((lambda: storage.storage_accounts.get_properties("rg-app", "stnobody"), "ResourceNotFound"),
                       (lambda: list(storage.storage_accounts.list_by_resource_group("rg-nowhere")), "ResourceGroupNotFound"),
                       (lambda: list(client(StorageManagementClient, sub=DENIED).storage_accounts.list()), "AuthorizationFailed"),
                       (lambda: list(client(StorageManagementClient, sub=str(uuid.uuid4())).storage_accounts.list()), "SubscriptionNotFound"),
                       (lambda: storage.storage_accounts.list_keys("rg-app", "stlocked"), "ScopeLocked")):
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.error.code == code
    fake.control(role="reader")
    with pytest.raises(HttpResponseError) as refused:
        storage.storage_accounts.list_keys("rg-app", "stfresh")
    assert refused.value.status_code == 403 and refused.value.error.code == "AuthorizationFailed"


def test_the_sdk_waits_as_long_as_it_is_told(fake, client):
    fake.control(faults=[{"do": "throttle", "times": 2, "retry_after": 1, "when": {"service": "arm"}}])
    began = time.monotonic()
    assert len(list(client(StorageManagementClient).storage_accounts.list())) > 20
    assert time.monotonic() - began >= 2
    assert [c["status"] for c in fake.calls("arm")] == [429, 429, 200]


def test_a_bucket_of_reads_runs_empty(fake, client):
    fake.control(bucket={"capacity": 3, "refill": 0.001})
    storage = client(StorageManagementClient, retry_total=0)
    for _ in range(3):
        storage.storage_accounts.get_properties("rg-app", "stfresh")
    with pytest.raises(HttpResponseError) as refused:
        storage.storage_accounts.get_properties("rg-app", "stfresh")
    assert refused.value.status_code == 429


def test_the_storage_provider_has_buckets_of_its_own(fake, client):
    fake.control(storage_buckets={"list": {"capacity": 1, "refill": 0.001}, "read": {"capacity": 2, "refill": 0.001}})
    storage = client(StorageManagementClient, retry_total=0)
    list(storage.storage_accounts.list())
    storage.storage_accounts.get_properties("rg-app", "stfresh")
    storage.blob_services.get_service_properties("rg-app", "stfresh")
    for call in (lambda: list(storage.storage_accounts.list()), lambda: storage.queue_services.list("rg-app", "stfresh")):
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.status_code == 429
    assert list(client(MonitorManagementClient).activity_logs.list(filter=since(fake)))


@pytest.mark.parametrize("rule", [{"do": "html", "status": 500}, {"do": "html", "status": 404}, {"do": "error", "status": 500, "code": "InternalServerError", "shape": "flat"},
                                  {"do": "truncate"}, {"do": "garbage"}, {"do": "drop"}])
def test_answers_that_no_client_can_use(fake, client, rule):
    fake.control(faults=[rule | {"when": {"path": "storageAccounts"}}])
    with pytest.raises(Exception):
        list(client(StorageManagementClient, retry_total=0).storage_accounts.list())


def test_switches_that_do_not_exist_are_refused(fake):
    for wrong in ({"pagesize": 2}, {"faults": [{"do": "explode"}]}, {"faults": [{"do": "html", "when": {"url": "x"}}]}):
        with pytest.raises(AssertionError, match="no switch|not a fault"):
            fake.control(**wrong)


def test_resets_take_everything_back(fake, client):
    fake.control(denied=[PROD], page_size={"*": 1})
    with pytest.raises(HttpResponseError):
        list(client(StorageManagementClient).storage_accounts.list())
    fake.reset()
    assert len(list(client(StorageManagementClient).storage_accounts.list())) > 20
    assert fake.stats()["calls"] == {"GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts": 1}


# -- by the specifications ------------------------------------------------------------------------------------------------

# Where the fake differs from the specifications on purpose, because the service does: each is sent, and none is sent with `schema_only`.
DEVIATIONS = {
    "value[].properties.keyCreationTime.key1: null": "accounts older than the member: their keys have no time",
    "value[].properties.keyCreationTime.key2: null": "as key1",
    "value[].properties.keyPolicy: null": "seen for accounts whose policy was taken away",
    "keys[].permissions: 'FULL' is none of ['Read', 'Full']": "the recorded service writes capitals",
    "nextLink: null": "some providers write the end of a list as null",
    "value[].caller: null": "events of the platform have no caller",
}
# Where the specifications are known to be wrong: members that every event has, and rows that their own examples give as an array.
BEYOND = {"value[].channels: not in the specification", "value[].relatedEvents: not in the specification", "data: not an object"}


class Raw:
    """Asks the fake without any client, and judges request and answer."""

    def __init__(self, fake):
        self.fake = fake
        url = f"{fake.url}/msi/token?api-version=2019-08-01&resource={urllib.parse.quote(fake.url)}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"X-IDENTITY-HEADER": fake.ready["identity_header"]}), timeout=30) as answer:
            self.token = json.load(answer)["access_token"]

    def ask(self, method, path, query, body=None):
        """(status, body, differences of the request, differences of the answer), of the first page."""
        url = f"{self.fake.url}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode(), headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, found = answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            status, found = e.code, json.load(e)
        judge = official()
        return status, found, judge.request(method, path, query, body), judge.answer(method, path, status, found, query.get("api-version"))


def requests(now):
    """(method, path, query, body) of every kind of read that the specifications and the fake both have."""
    sub, group = f"/subscriptions/{PROD}", f"/subscriptions/{PROD}/resourceGroups/rg-app"
    account, storage = f"{group}/providers/Microsoft.Storage/storageAccounts/stfresh", {"api-version": "2021-06-01"}
    log = {"api-version": "2015-04-01", "$filter": f"eventTimestamp ge '{(now - dt.timedelta(days=89)).strftime('%Y-%m-%dT%H:%M:%SZ')}'"}
    out = [("GET", f"{account}{tail}", storage, None) for tail in (
        "", "/blobServices", "/blobServices/default", "/blobServices/default/containers", "/blobServices/default/containers/box1", "/fileServices", "/fileServices/default",
        "/fileServices/default/shares", "/fileServices/default/shares/home", "/queueServices", "/queueServices/default", "/queueServices/default/queues", "/tableServices", "/tableServices/default",
        "/tableServices/default/tables", "/managementPolicies/default", "/encryptionScopes", "/encryptionScopes/scope-1", "/privateEndpointConnections")]
    out += [("GET", f"{where}/providers/Microsoft.Storage/storageAccounts", storage, None) for where in (sub, group)]
    out += [("POST", f"{account}/listKeys", storage, None), ("POST", f"{account}/regenerateKey", storage, {"keyName": "key1"})]
    out += [("GET", f"{sub}/providers/Microsoft.Insights/eventtypes/management/values", log, None), ("GET", "/providers/Microsoft.Insights/eventtypes/management/values", log, None),
            ("GET", f"{sub}/providers/Microsoft.Insights/eventtypes/management/values", log | {"$select": "eventName,operationName,status"}, None),
            ("GET", f"{sub}/providers/Microsoft.Insights/activityLogAlerts", {"api-version": "2020-10-01"}, None), ("GET", f"{sub}/providers/Microsoft.KeyVault/vaults", {"api-version": "2019-09-01"}, None),
            ("GET", "/subscriptions", {"api-version": "2021-01-01"}, None), ("GET", "/tenants", {"api-version": "2021-01-01"}, None), ("GET", f"{sub}/locations", {"api-version": "2021-01-01"}, None),
            ("GET", f"{sub}/resourcegroups", {"api-version": "2021-04-01"}, None), ("GET", f"{sub}/resources", {"api-version": "2021-04-01"}, None),
            ("POST", "/providers/Microsoft.ResourceGraph/resources", {"api-version": "2021-03-01"}, {"query": "resources | where type =~ 'microsoft.compute/disks'", "subscriptions": [PROD]})]
    return out


@needs_specifications
def test_every_answer_is_one_that_the_specifications_allow(fake):
    fake.control(schema_only=True)
    raw, wrong = Raw(fake), []
    for method, path, query, body in requests(fake.now):
        status, found, asked, answered = raw.ask(method, path, query, body)
        assert status == 200, (path, found)
        wrong += [(method, path, "request", d) for d in asked] + [(method, path, "answer", d) for d in answered if d not in BEYOND]
    assert wrong == []


@needs_specifications
def test_what_the_fake_sends_beyond_the_specifications_is_named(fake):
    raw, seen = Raw(fake), set()
    for method, path, query, body in requests(fake.now):
        if "Microsoft.Storage" in path or "eventtypes" in path:
            seen |= set(raw.ask(method, path, query, body)[3])
    assert seen - BEYOND == set(DEVIATIONS)


@needs_specifications
def test_errors_have_the_shape_of_the_specifications(fake):
    raw = Raw(fake)
    sub = f"/subscriptions/{PROD}"
    status, found, _, answered = raw.ask("GET", f"{sub}/providers/Microsoft.Insights/eventtypes/management/values", {"api-version": "2015-04-01", "$filter": "nonsense"})
    assert (status, answered) == (400, []) and set(found) == {"code", "message"}
    status, found, _, answered = raw.ask("GET", f"{sub}/resourceGroups/rg-app/providers/Microsoft.Storage/storageAccounts/stnobody/queueServices", {"api-version": "2021-06-01"})
    assert (status, answered) == (404, []) and set(found["error"]) == {"code", "message"}


@needs_specifications
def test_the_judge_takes_what_the_sdk_asks(fake, client):
    """The SDK knows the service; if the judge found its requests wrong, the judge would be wrong."""
    storage, monitor = client(StorageManagementClient), client(MonitorManagementClient)
    list(storage.storage_accounts.list())
    list(storage.blob_containers.list("rg-app", "stfresh", maxpagesize="2"))
    storage.storage_accounts.list_keys("rg-app", "stfresh")
    list(monitor.activity_logs.list(filter=since(fake), select="status"))
    calls = fake.calls("arm")
    assert len(calls) >= 7
    for call in calls:
        assert official().request(call["method"], call["path"], call["query"], any_version=True) == [], call


@needs_specifications
@pytest.mark.parametrize("change, difference", [
    (lambda a: a["value"][0].update(location=7), "value[].location: int is not a string"),
    (lambda a: a["value"][0].pop("location"), "value[].location: missing"),
    (lambda a: a["value"][0].update(surprise=1), "value[].surprise: not in the specification"),
    (lambda a: a["value"][0]["properties"].update(creationTime="yesterday"), "value[].properties.creationTime: 'yesterday' is no RFC 3339 time"),
    (lambda a: a["value"][0]["properties"].update(provisioningState="Perhaps"), "value[].properties.provisioningState: 'Perhaps' is none of ['Creating', 'ResolvingDNS', 'Succeeded']"),
    (lambda a: a["value"][0]["properties"].update(supportsHttpsTrafficOnly="yes"), "value[].properties.supportsHttpsTrafficOnly: 'yes' is not a boolean"),
    (lambda a: a["value"][0]["properties"].update(keyPolicy={}), "value[].properties.keyPolicy.keyExpirationPeriodInDays: missing"),
    (lambda a: a["value"][0]["properties"].update(keyPolicy={"keyExpirationPeriodInDays": 2**31}), f"value[].properties.keyPolicy.keyExpirationPeriodInDays: {2**31} does not fit int32"),
    (lambda a: a.update(value={}), "value: not an array"),
])
def test_the_judge_sees_what_is_wrong(fake, change, difference):
    fake.control(schema_only=True)
    path = f"/subscriptions/{PROD}/providers/Microsoft.Storage/storageAccounts"
    _, answer, _, right = Raw(fake).ask("GET", path, {"api-version": "2021-06-01"})
    assert right == []
    change(answer)
    assert official().answer("GET", path, 200, answer) == [difference]


@needs_specifications
@pytest.mark.parametrize("method, path, query, difference", [
    ("GET", "/subscriptions/{sub}/providers/Microsoft.Storage/storageAccount", {}, "no operation"),
    ("GET", "/subscriptions/{sub}/providers/Microsoft.Storage/storageAccounts", {}, "?api-version: missing"),
    ("GET", "/subscriptions/{sub}/providers/Microsoft.Storage/storageAccounts", {"api-version": "2021-06-01", "$top": "3"}, "?$top: not in the specification"),
    ("GET", "/subscriptions/{sub}/providers/Microsoft.Insights/eventtypes/management/values", {"api-version": "2015-04-01"}, "?$filter: missing"),
    ("GET", "/subscriptions/{sub}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/ab", {"api-version": "2021-06-01"}, "{accountName}: "),
    ("POST", "/subscriptions/{sub}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/abc/regenerateKey", {"api-version": "2021-06-01"}, "body: missing"),
])
def test_the_judge_sees_wrong_requests(method, path, query, difference):
    found = official().request(method, path.format(sub=PROD), query)
    assert any(difference in d for d in found), found
