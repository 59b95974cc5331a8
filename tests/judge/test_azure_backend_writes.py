"""The fake of Azure changes what real clients tell it to change: keys, key settings, locks that forbid, metrics, versions of secrets."""
import datetime as dt

import pytest

azure_identity = pytest.importorskip("azure.identity")

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.models import KeyPolicy, StorageAccountUpdateParameters
from azure_estate import PROD
from test_azure_backend import client, fake, module_fake, sign_in  # noqa: F401  fixtures

GROUP = f"/subscriptions/{PROD}/resourceGroups/rg-app"


def account_id(name):
    return f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}"


def test_key_settings_are_changed_and_a_policy_needs_to_know_the_keys_ages(client):
    accounts = client(StorageManagementClient).storage_accounts
    changed = accounts.update("rg-app", "stfresh", StorageAccountUpdateParameters(key_policy=KeyPolicy(key_expiration_period_in_days=60), allow_shared_key_access=False))
    assert (changed.key_policy.key_expiration_period_in_days, changed.allow_shared_key_access) == (60, False)
    again = accounts.get_properties("rg-app", "stfresh")
    assert (again.key_policy.key_expiration_period_in_days, again.allow_shared_key_access) == (60, False)
    with pytest.raises(HttpResponseError) as refused:
        accounts.update("rg-app", "stnulltimes", StorageAccountUpdateParameters(key_policy=KeyPolicy(key_expiration_period_in_days=60)))
    assert refused.value.status_code == 400


@pytest.mark.parametrize("scope,level,forbidden", [
    (account_id("stfresh"), "ReadOnly", True), (GROUP, "ReadOnly", True), (f"/subscriptions/{PROD}", "ReadOnly", True), (GROUP, "CanNotDelete", False), (account_id("stother"), "ReadOnly", False)])
def test_a_read_only_lock_forbids_what_is_inside_it(fake, client, scope, level, forbidden):
    fake.control(locks=[{"scope": scope, "name": "freeze", "level": level}])
    accounts = client(StorageManagementClient).storage_accounts
    before = accounts.get_properties("rg-app", "stfresh").key_creation_time.key1
    for change in (lambda: accounts.list_keys("rg-app", "stfresh"), lambda: accounts.regenerate_key("rg-app", "stfresh", {"keyName": "key1"})):
        if forbidden:
            with pytest.raises(HttpResponseError) as refused:
                change()
            assert (refused.value.status_code, refused.value.error.code) == (409, "ScopeLocked")
        else:
            change()
    assert (accounts.get_properties("rg-app", "stfresh").key_creation_time.key1 == before) == forbidden


def test_metrics_are_split_by_how_requests_were_authorized(fake, client):
    fake.control(transactions={"stfresh": {"AccountKey": [[1, 5], [100, 2]], "SAS": [[3, 1]], "OAuth": [[2, 7]]}})
    span = f"{fake.now - dt.timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}/{fake.now + dt.timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
    metrics = client(MonitorManagementClient).metrics

    def totals(**more):
        answer = metrics.list(account_id("stfresh"), timespan=span, interval="PT1H", metricnames="Transactions", aggregation="Total", **more)
        return {s.metadatavalues[0].value if s.metadatavalues else None: sum(p.total or 0 for p in s.data) for s in answer.value[0].timeseries}

    assert totals(filter="Authentication eq '*'") == {"AccountKey": 5, "SAS": 1, "OAuth": 7}
    assert totals(filter="Authentication eq 'SAS' or Authentication eq 'OAuth'") == {"SAS": 1, "OAuth": 7}
    assert totals() == {None: 13}
    assert not metrics.list(account_id("stbothstale"), timespan=span, interval="PT1H", metricnames="Transactions", aggregation="Total", filter="Authentication eq '*'").value[0].timeseries


def test_a_vault_gives_its_newest_version_and_none_if_that_is_disabled(fake, sign_in, test_ca):
    secrets = pytest.importorskip("azure.keyvault.secrets")
    vault = secrets.SecretClient(fake.tls, sign_in["secret"](), connection_verify=str(test_ca.authority), verify_challenge_resource=False)
    first = vault.set_secret("a-b", "one", tags={"t": "1"}, content_type="text/plain")
    vault.set_secret("a-b", "two")
    assert (vault.get_secret("a-b").value, vault.get_secret("a-b", first.properties.version).value) == ("two", "one")
    assert {p.version for p in vault.list_properties_of_secret_versions("a-b")} == {first.properties.version, vault.get_secret("a-b").properties.version}
    vault.update_secret_properties("a-b", vault.get_secret("a-b").properties.version, enabled=False)
    with pytest.raises(HttpResponseError, match="not allowed on a disabled secret"):
        vault.get_secret("a-b")
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("nothing")
    vault.begin_delete_secret("a-b")
    assert vault.get_deleted_secret("a-b").name == "a-b"
    with pytest.raises(ResourceExistsError):
        vault.set_secret("a-b", "three")
