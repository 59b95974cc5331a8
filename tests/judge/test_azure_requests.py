"""Each request that assay sends to Azure is one that the official specifications have: path, parameters, and the Activity Log's documented filters."""
import pytest

from azure_estate import PROD
from specifications import needs_specifications, official

# Versions are chosen newer than the specifications here; that they exist is known from the SDK, see src/tables/azure.
TABLES = ["azure_storage_account", "azure_storage_account_key", "azure_storage_account_key_event", "azure_storage_blob_service", "azure_storage_container", "azure_storage_queue", "azure_storage_share_file",
          "azure_storage_table", "azure_key_vault", "azure_diagnostic_setting", "azure_log_alert", "azure_subscription", "azure_tenant", "azure_location", "azure_resource_group"]
# Not in the specifications that we have: the policy of a tenant (Microsoft.Subscription).
OTHERS = ("/providers/microsoft.subscription/",)


@pytest.fixture
def fake(start_fake_arm):
    fake = start_fake_arm("readable")
    fake.control(strict_filter=True)
    return fake


def differences(fake):
    calls = [c for c in fake.calls("arm") if not c["path"].lower().startswith(OTHERS)]
    assert calls
    return [(c["method"], c["path"], d) for c in calls for d in official().request(c["method"], c["path"], c["query"], any_version=True)]


@needs_specifications
@pytest.mark.parametrize("table", TABLES)
def test_a_whole_table(assay, fake, table):
    fake.control(page_size={"*": 5})
    done = assay("query", f"select * from {table}", "--output", "none", env=fake.env)
    assert done.code == 0, done.err
    assert differences(fake) == []


EVENTS = "select correlation_id from azure_storage_account_key_event where "
ACCOUNT = f"/subscriptions/{PROD}/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/strotated"


@needs_specifications
@pytest.mark.parametrize("where", [
    "true", "event_timestamp > now() - interval '10 days'", "event_timestamp >= now() - interval '400 days'", "event_timestamp between now() - interval '9 days' and now() - interval '2 days'",
    "resource_group = 'rg-shared'", f"storage_account_id = '{ACCOUNT.lower()}'", f"resource_id = '{ACCOUNT}' and resource_group = 'rg-shared' and event_timestamp > now() - interval '30 days'",
    "correlation_id = 'it''s no id'", "resource_group in ('rg-shared', 'rg-app')",
])
def test_filters_of_the_log_are_documented_ones(assay, fake, where):
    done = assay("query", EVENTS + where, "--output", "json", env=fake.env)
    assert done.code == 0, done.err
    assert differences(fake) == []
    logs = [c for c in fake.calls("arm") if c["path"].endswith("/values")]
    assert logs and all(c["documented_filter"] and c["status"] == 200 for c in logs), logs
