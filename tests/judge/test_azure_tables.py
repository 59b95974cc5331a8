"""The Azure tables against the fake Resource Manager: every column of every row as the estate has it, and what a query costs in calls."""
import datetime as dt
import json
import re

import azure_estate
import pytest
from conftest import BACKEND, FakeArm, child

OURS = {"subscription_id", "resource_group", "region", "title", "akas", "cloud_environment", "_ctx", "sp_connection_name", "sp_ctx"}


def path(text):
    """The value at a dotted path, whatever the case of its names."""
    def get(value):
        for name in text.split("."):
            value = member(value, name)
        return value
    return get


def member(value, name):
    return next((v for k, v in value.items() if k.lower() == name.lower()), None) if isinstance(value, dict) else None


def by_name(resource, column):
    """A column that needs no source: the member of that name, of the resource or of its properties."""
    name = column.replace("_", "")
    found = member(resource, name)
    return found if found is not None else member(resource.get("properties"), name)


def group_of(rid):
    found = re.search(r"/resourcegroups/([^/]+)", rid.lower())
    return found and found[1]


def renamed(items, **names):
    return [{new: path(old)(i) for new, old in names.items()} for i in items or []] or None


CONNECTION = dict(PrivateEndpointConnectionId="id", PrivateEndpointId="properties.privateEndpoint.id", ProvisioningState="properties.provisioningState",
                  PrivateLinkServiceConnectionStateStatus="properties.privateLinkServiceConnectionState.status",
                  PrivateLinkServiceConnectionStateDescription="properties.privateLinkServiceConnectionState.description",
                  PrivateLinkServiceConnectionStateActionsRequired="properties.privateLinkServiceConnectionState.actionsRequired")


class Estate:
    """The estate's resources by kind and place, as the fake was given them."""

    def __init__(self, now):
        self.data = azure_estate.build("readable", now)
        self.resources = self.data["resources"]

    def kind(self, *kinds):
        return [r for r in self.resources if (r.get("type") or "").lower() in {k.lower() for k in kinds} and not r.get("_deleted")]

    def below(self, rid, kind):
        """Parts of a resource, null where there are none."""
        return [shown(r) for r in self.kind(kind) if r["id"].lower().startswith(rid.lower() + "/")]

    def settings(self, rid):
        return [shown(r) for r in self.resources if (r.get("_under") or "").lower() == rid.lower()]

    def one(self, rid):
        return next((r for r in self.resources if r["id"].lower() == rid.lower()), None)


def shown(resource):
    return {k: v for k, v in resource.items() if not k.startswith("_")}


# Per table: the kind of resource, and the columns whose value is not the member of their name.
def storage_account(e, r):
    p = r["properties"]
    has = p["primaryEndpoints"]
    part = lambda kind: e.one(f"{r['id']}/{kind}/default") or {}
    blob, file = part("blobServices").get("properties"), part("fileServices").get("properties")
    if blob is None and "blob" in has:
        blob = {"deleteRetentionPolicy": {"enabled": False}, "isVersioningEnabled": False}
    if file is None:
        file = {"shareDeleteRetentionPolicy": {"enabled": True, "days": 7}, "protocolSettings": {"smb": {}}}
    logs = {s: e.data["data_plane"].get(r["name"], {}).get(s, {"version": "1.0", "delete": False, "read": False, "write": False, "retention": None} if s in has else {})
            for s in ("blob", "queue", "table")}
    queue, table = logs["queue"], logs["table"]
    policy = e.one(f"{r['id']}/managementPolicies/default")
    out = {
        "sku_name": r["sku"]["name"], "sku_tier": r["sku"]["tier"], "enable_https_traffic_only": True,
        "encryption_key_source": "Microsoft.Storage", "encryption_services": p["encryption"]["services"],
        "network_rule_bypass": "AzureServices", "network_rule_default_action": "Allow", "network_ip_rules": [], "virtual_network_rules": [],
        "sas_expiration_period": path("sasPolicy.sasExpirationPeriod")(p), "sas_expiration_action": path("sasPolicy.expirationAction")(p),
        "blob_change_feed_enabled": path("changeFeed.enabled")(blob), "blob_versioning_enabled": path("isVersioningEnabled")(blob),
        "blob_container_soft_delete_enabled": path("containerDeleteRetentionPolicy.enabled")(blob),
        "blob_container_soft_delete_retention_days": path("containerDeleteRetentionPolicy.days")(blob),
        "blob_restore_policy_days": path("restorePolicy.days")(blob), "blob_restore_policy_enabled": path("restorePolicy.enabled")(blob),
        "blob_soft_delete_enabled": path("deleteRetentionPolicy.enabled")(blob), "blob_soft_delete_retention_days": path("deleteRetentionPolicy.days")(blob),
        "file_soft_delete_enabled": path("shareDeleteRetentionPolicy.enabled")(file), "file_soft_delete_retention_days": path("shareDeleteRetentionPolicy.days")(file),
        "queue_logging_delete": queue.get("delete"), "queue_logging_read": queue.get("read"), "queue_logging_write": queue.get("write"), "queue_logging_version": queue.get("version"),
        "queue_logging_retention_enabled": bool(queue["retention"]) if queue else None, "queue_logging_retention_days": queue.get("retention"),
        "table_logging_delete": table.get("delete"), "table_logging_read": table.get("read"), "table_logging_write": table.get("write"), "table_logging_version": table.get("version"),
        "lifecycle_management_policy": policy and shown(policy),
        "encryption_scope": renamed(e.below(r["id"], "Microsoft.Storage/storageAccounts/encryptionScopes"), Id="id", Name="name", Type="type", Source="properties.source",
                                    State="properties.state", CreationTime="properties.creationTime", LastModifiedTime="properties.lastModifiedTime",
                                    KeyURI="properties.keyVaultProperties.keyUri", RequireInfrastructureEncryption="properties.requireInfrastructureEncryption") or [],
        "diagnostic_settings": e.settings(r["id"]),
    }
    out |= {f"primary_{s}_endpoint": has.get(s) for s in ("blob", "dfs", "file", "queue", "table", "web")}
    for s in ("blob", "file", "queue", "table"):
        out[f"default_{s}_diagnostic_settings"] = e.settings(f"{r['id']}/{s}Services/default") if s in has else None
    return out


def logging_of(row, e, r):
    """The JSON of the data plane's services: booleans and numbers, not XML's texts."""
    logs = e.data["data_plane"].get(r["name"], {})
    off = {"version": "1.0", "delete": False, "read": False, "write": False, "retention": None}
    for column, service in (("blob_service_logging", "blob"), ("table_properties", "table")):
        if service not in r["properties"]["primaryEndpoints"]:
            assert row[column] is None, (r["name"], column)
            continue
        want = logs.get(service, off)
        got = row[column] if column == "blob_service_logging" else row[column]["Logging"]
        assert got == {"Version": want["version"], "Delete": want["delete"], "Read": want["read"], "Write": want["write"],
                       "RetentionPolicy": {"Enabled": bool(want["retention"]), "Days": want["retention"]}}, (r["name"], column)
    assert row["table_logging_retention_policy"] == (row["table_properties"] and row["table_properties"]["Logging"]["RetentionPolicy"])
    files = row["file_services"]
    assert len(files) == 1 and files[0]["name"] == "default" and "smb" in files[0]["properties"]["protocolSettings"]


def location_of(e, r):
    account = e.one(r["id"].split("/blobServices")[0].split("/queueServices")[0].split("/tableServices")[0])
    return {"storage_account_name": account["name"], "region": account["location"]}


def container(e, r):
    p = r["properties"]
    return {"account_name": "stfresh", "immutability_policy": p.get("immutabilityPolicy"), "legal_hold": p.get("legalHold")}


def vault(e, r):
    p = r["properties"]
    return {"purge_protection_enabled": p.get("enablePurgeProtection"), "soft_delete_enabled": p.get("enableSoftDelete"), "sku_family": "A", "sku_name": p["sku"]["name"],
            "access_policies": renamed(p["accessPolicies"], tenantId="tenantId", objectId="objectId", applicationId="applicationId", permissionsKeys="permissions.keys",
                                       permissionsSecrets="permissions.secrets", permissionsCertificates="permissions.certificates", permissionsStorage="permissions.storage") or [],
            "private_endpoint_connections": renamed(p.get("privateEndpointConnections"), **CONNECTION), "diagnostic_settings": e.settings(r["id"])}


def attributes(r):
    a = r["properties"]["attributes"]
    return {"vault_name": r["id"].split("/vaults/")[1].split("/")[0], "enabled": a["enabled"], "created_at": a["created"], "updated_at": a["updated"],
            "expires_at": a.get("exp"), "not_before": a.get("nbf")}


def key(e, r):
    d = r["_detail"]
    return attributes(r) | {"recovery_level": r["properties"]["attributes"]["recoveryLevel"], "key_type": d["kty"], "curve_name": d.get("curveName"), "key_size": d.get("keySize"),
                            "key_ops": d["keyOps"], "key_uri_with_version": d["keyUriWithVersion"], "rotation_policy": d.get("rotationPolicy")}


def secret(e, r):
    return attributes(r) | {"id": r["properties"]["secretUriWithVersion"], "recoverable_days": 90}


def disk(e, r):
    p, c = r["properties"], r["properties"]["creationData"]
    return {"sku_name": r["sku"]["name"], "sku_tier": r["sku"]["tier"], "disk_iops_mbps_read_write": p.get("diskMBpsReadWrite"), "disk_iops_mbps_read_only": p.get("diskMBpsReadOnly"),
            "encryption_type": path("encryption.type")(p), "encryption_disk_encryption_set_id": path("encryption.diskEncryptionSetId")(p), "creation_data_option": c["createOption"],
            "creation_data_source_resource_id": c.get("sourceResourceId"), "creation_data_image_reference_id": path("imageReference.id")(c),
            "creation_data_image_reference_lun": path("imageReference.lun")(c), "encryption_settings_collection_enabled": path("encryptionSettingsCollection.enabled")(p),
            "encryption_settings_collection_version": path("encryptionSettingsCollection.encryptionSettingsVersion")(p),
            "encryption_settings_collection_settings": path("encryptionSettingsCollection.encryptionSettings")(p)}


def machine(e, r):
    p, view = r["properties"], r["_instance_view"]
    at = lambda text: path(text)(p)
    nics = [e.one(n["id"]) for n in at("networkProfile.networkInterfaces")]
    ips = [c["properties"] for n in nics for c in n["properties"]["ipConfigurations"]]
    out = {"power_state": next(s["code"].split("/")[1] for s in view["statuses"] if s["code"].startswith("PowerState/")), "size": at("hardwareProfile.vmSize"),
           "os_name": view.get("osName"), "os_version": view.get("osVersion"), "statuses": view["statuses"], "os_type": at("storageProfile.osDisk.osType"),
           "admin_user_name": "operator", "allow_extension_operations": at("osProfile.allowExtensionOperations"), "computer_name": at("osProfile.computerName"),
           "boot_diagnostics_enabled": at("diagnosticsProfile.bootDiagnostics.enabled"), "boot_diagnostics_storage_uri": at("diagnosticsProfile.bootDiagnostics.storageUri"),
           "disable_password_authentication": at("osProfile.linuxConfiguration.disablePasswordAuthentication"), "provision_vm_agent": at("osProfile.linuxConfiguration.provisionVMAgent"),
           "provision_vm_agent_windows": at("osProfile.windowsConfiguration.provisionVMAgent"), "enable_automatic_updates": at("osProfile.windowsConfiguration.enableAutomaticUpdates"),
           "time_zone": at("osProfile.windowsConfiguration.timeZone"), "linux_configuration_ssh_public_keys": at("osProfile.linuxConfiguration.ssh.publicKeys"),
           "managed_disk_id": at("storageProfile.osDisk.managedDisk.id"), "os_disk_caching": "ReadWrite", "os_disk_create_option": "FromImage", "os_disk_name": at("storageProfile.osDisk.name"),
           "os_disk_vhd_uri": at("storageProfile.osDisk.vhd.uri"), "data_disks": at("storageProfile.dataDisks"), "network_interfaces": at("networkProfile.networkInterfaces"), "secrets": [],
           "private_ips": [i["privateIPAddress"] for i in ips], "public_ips": [e.one(i["publicIPAddress"]["id"])["properties"]["ipAddress"] for i in ips]}
    out |= {f"image_{n}": at(f"storageProfile.imageReference.{m}") for n, m in
            (("exact_version", "exactVersion"), ("id", "id"), ("offer", "offer"), ("publisher", "publisher"), ("sku", "sku"), ("version", "version"))}
    return out


def machine_parts(row, e, r):
    """What is asked of a machine in calls of their own, in the spelling that published queries read."""
    found = e.below(r["id"], "Microsoft.Compute/virtualMachines/extensions")
    assert [(x["Name"], x["Publisher"], x["ExtensionType"], x["ProvisioningState"], x["AutoUpgradeMinorVersion"], x["Settings"]) for x in row["extensions"] or []] == \
        [(x["name"], *(x["properties"][m] for m in ("publisher", "type", "provisioningState", "autoUpgradeMinorVersion", "settings"))) for x in found]
    found = e.below(r["id"], "Microsoft.GuestConfiguration/guestConfigurationAssignments")
    assert [(x["name"], x["complianceStatus"], x["guestConfiguration"]["name"]) for x in row["guest_configuration_assignments"] or []] == \
        [(x["name"], x["properties"]["complianceStatus"], x["properties"]["guestConfiguration"]["name"]) for x in found]


def sql_server(e, r):
    of = lambda kind: e.below(r["id"], f"Microsoft.Sql/servers/{kind}")
    kind = "Microsoft.Sql/servers/privateEndpointConnections"
    private = renamed(r["properties"]["privateEndpointConnections"], **CONNECTION)
    return {"server_audit_policy": of("auditingSettings"), "server_security_alert_policy": of("securityAlertPolicies"), "server_azure_ad_administrator": of("administrators"),
            "server_vulnerability_assessment": of("vulnerabilityAssessments"), "firewall_rules": of("firewallRules"), "virtual_network_rules": of("virtualNetworkRules"),
            "encryption_protector": renamed(of("encryptionProtector"), id="id", name="name", type="type", location="location", kind="kind", subregion="properties.subregion",
                                            serverKeyName="properties.serverKeyName", serverKeyType="properties.serverKeyType", uri="properties.uri", thumbprint="properties.thumbprint"),
            "private_endpoint_connections": [c | {"PrivateEndpointConnectionName": "pe-sql", "PrivateEndpointConnectionType": kind} for c in private or []],
            "tags_src": r["tags"]}


def log_alert(e, r):
    return {"actions": json.dumps(r["properties"]["actions"], separators=(",", ":")), "region": "global"}


def plain(e, r):
    return {}


TABLES = {
    "azure_resource_group": ("Microsoft.Resources/resourceGroups", lambda e, r: {"resource_group": None}, None),
    "azure_storage_account": ("Microsoft.Storage/storageAccounts", storage_account, logging_of),
    "azure_storage_container": ("Microsoft.Storage/storageAccounts/blobServices/containers", container, None),
    "azure_storage_queue": ("Microsoft.Storage/storageAccounts/queueServices/queues", location_of, None),
    "azure_storage_table": ("Microsoft.Storage/storageAccounts/tableServices/tables", location_of, None),
    "azure_storage_share_file": ("Microsoft.Storage/storageAccounts/fileServices/shares", lambda e, r: {"storage_account_name": "stfresh", "share_usage_bytes": 652945}, None),
    "azure_key_vault": ("Microsoft.KeyVault/vaults", vault, None),
    "azure_key_vault_key": ("Microsoft.KeyVault/vaults/keys", key, None),
    "azure_key_vault_secret": ("Microsoft.KeyVault/vaults/secrets", secret, None),
    "azure_role_assignment": ("Microsoft.Authorization/roleAssignments", plain, None),
    "azure_role_definition": ("Microsoft.Authorization/roleDefinitions", lambda e, r: {"role_type": r["properties"]["type"], "title": r["properties"]["roleName"]}, None),
    "azure_log_alert": ("Microsoft.Insights/activityLogAlerts", log_alert, None),
    "azure_network_security_group": ("Microsoft.Network/networkSecurityGroups", lambda e, r: {"diagnostic_settings": e.settings(r["id"])}, None),
    "azure_compute_virtual_machine": ("Microsoft.Compute/virtualMachines", machine, machine_parts),
    "azure_compute_disk": ("Microsoft.Compute/disks", disk, None),
    "azure_sql_server": ("Microsoft.Sql/servers", sql_server, None),
}
# Columns that the last function of a table looks at.
ELSEWHERE = {"azure_storage_account": {"blob_service_logging", "table_properties", "table_logging_retention_policy", "file_services"},
             "azure_compute_virtual_machine": {"extensions", "guest_configuration_assignments"}}
EVENTS = "azure_monitor_activity_log_event"


@pytest.fixture(scope="module")
def fake():
    """A fake with the readable estate, whose lists come in pages, and what the estate holds."""
    with child(BACKEND / "fake_arm", "--estate", "readable") as ready:
        server = FakeArm(ready, "readable")
        server.control(page_size={"storageAccounts": 5, "containers": 3, "events": 20, "*": 100})
        server.held = Estate(server.now)
        yield server


@pytest.fixture
def ask(assay, fake):
    """Runs a query and gives its rows; the calls of it are counted from nothing."""
    def run(sql, *flags):
        fake.forget()
        done = assay("query", sql, "--output", "json", *flags, env=fake.env)
        assert done.code == 0, done.err
        document = done.json()
        ask.types = {c["name"]: c["data_type"] for c in document["columns"]}
        return document["rows"]

    ask = run
    return run


def moment(value):
    """Seconds or a text with any number of digits, to the microsecond."""
    if value is None or isinstance(value, (int, float)):
        return value and dt.datetime.fromtimestamp(value, dt.timezone.utc)
    at = dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.replace("Z", "+00:00").replace(" ", "T")))
    return at if at.tzinfo else at.replace(tzinfo=dt.timezone.utc)


def same(got, want, kind):
    if kind == "timestamptz":
        return moment(got) == moment(want)
    if kind == "float8":
        return got == want if want is None else float(got) == float(want)
    return got == want


def based(value, fake):
    """The estate's addresses as the fake serves them."""
    if isinstance(value, str):
        return value.replace("@BASE@", fake.url)
    if isinstance(value, list):
        return [based(v, fake) for v in value]
    return {k: based(v, fake) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_what_the_estate_says(ask, fake, table):
    kind, special, more = TABLES[table]
    wanted = {(r["properties"]["secretUriWithVersion"] if table == "azure_key_vault_secret" else r["id"]): r for r in fake.held.kind(kind)}
    rows = ask(f"select * from {table}")
    types = ask.types
    assert sorted(r["id"] for r in rows) == sorted(wanted), table
    for row in rows:
        resource = wanted[row["id"]]
        rid = resource["id"]
        expected = special(fake.held, resource)
        common = {"subscription_id": rid.split("/")[2].lower(), "title": resource["name"], "akas": [rid] + ([rid.lower()] if rid.lower() != rid else []),
                  "cloud_environment": "AzurePublicCloud", "sp_connection_name": "azure", "resource_group": group_of(rid), "region": (resource.get("location") or "").lower() or None}
        for column, got in row.items():
            if column in ELSEWHERE.get(table, ()) or column in ("_ctx", "sp_ctx"):
                continue
            if column in expected:
                want = expected[column]
            elif column in OURS:
                want = common[column]
            else:
                want = by_name(resource, column)
            got = got.lower() if column == "subscription_id" else got
            assert same(got, based(want, fake), types[column]), (table, resource["name"], column, got, want)
        if more:
            more(row, fake.held, resource)


def test_accounts_of_a_file_service_only(ask, fake):
    """No queues, tables, blobs: null, and nobody is asked for what is not there."""
    row = ask("select * from azure_storage_account where name = 'stfiles'")[0]
    assert all(row[c] is None for c in row if c.startswith(("blob_", "queue_", "table_", "default_blob", "default_queue", "default_table"))), row
    assert row["file_soft_delete_enabled"] is True
    asked = [c["path"].lower() for c in fake.calls() if "stfiles" in c["path"].lower()]
    assert not [p for p in asked if re.search("blobservices|queueservices|tableservices|/stfiles/(blob|queue|table)", p)], asked


def test_subscriptions_tenants_and_locations(ask, fake):
    rows = ask("select subscription_id, display_name, state, tenant_id, title, id from azure_subscription")
    assert [(r["subscription_id"], r["display_name"], r["state"], r["tenant_id"], r["title"], r["id"]) for r in rows] == \
        [(s["subscriptionId"], s["displayName"], s["state"], s["tenantId"], s["displayName"], s["id"]) for s in fake.held.data["subscriptions"]]
    rows = ask("select name, tenant_id, tenant_category, country, country_code, domains, subscription_policy, subscription_id from azure_tenant")
    for row, tenant in zip(rows, fake.held.data["tenants"], strict=True):
        assert (row["name"], row["tenant_id"], row["tenant_category"], row["country"], row["country_code"], row["domains"], row["subscription_id"]) == \
            (tenant["displayName"], tenant["tenantId"], tenant["tenantCategory"], tenant.get("country"), tenant["countryCode"], tenant["domains"], None)
    assert rows[0]["subscription_policy"]["properties"]["blockSubscriptionsIntoTenant"] is False
    assert rows[1]["subscription_policy"] is None, "the policy of another tenant is not known"
    rows = ask("select name, display_name, latitude, longitude, id, subscription_id from azure_location where name = 'westeurope'")
    assert len(rows) == 2 and {(r["display_name"], r["latitude"], r["longitude"]) for r in rows} == {("West Europe", "52.3667", "4.9")}


def test_diagnostic_settings_of_subscriptions(ask, fake):
    rows = ask("select name, id, storage_account_id, workspace_id, logs, metrics, resource_group, type from azure_diagnostic_setting")
    want = next(r for r in fake.held.resources if r["name"] == "to-archive")
    p = want["properties"]
    assert [(r["name"], r["id"], r["storage_account_id"], r["workspace_id"], r["logs"], r["metrics"], r["resource_group"], r["type"]) for r in rows] == \
        [("to-archive", want["id"], p["storageAccountId"], p["workspaceId"], p["logs"], None, None, None)]


def test_blob_services_are_those_of_accounts_that_have_blobs(ask, fake):
    rows = ask("select storage_account_name, name, is_versioning_enabled, delete_retention_policy, container_delete_retention_policy, cors_rules, change_feed_enabled, region, sku_tier "
               "from azure_storage_blob_service")
    accounts = [a for a in fake.held.kind("Microsoft.Storage/storageAccounts") if a["kind"] != "FileStorage"]
    assert sorted(r["storage_account_name"].lower() for r in rows) == sorted(a["name"].lower() for a in accounts)
    row = next(r for r in rows if r["storage_account_name"] == "stfresh")
    assert (row["is_versioning_enabled"], row["delete_retention_policy"], row["container_delete_retention_policy"], row["change_feed_enabled"], row["region"], row["sku_tier"]) == \
        (True, {"enabled": True, "days": 14}, {"enabled": True, "days": 7}, True, "westeurope", "Standard")
    assert row["cors_rules"][0]["allowedOrigins"] == ["https://www.contoso.example"]


def test_a_row_for_each_key(ask, fake):
    rows = ask("select * from azure_storage_account_key")
    truth = fake.truth()
    assert [(r["storage_account_name"], r["key_name"]) for r in sorted(rows, key=lambda r: (r["storage_account_name"], r["key_name"]))] == \
        sorted((a["name"], k) for a in truth for k in ("key1", "key2"))
    accounts = {a["name"]: a for a in truth}
    for row in rows:
        account = accounts[row["storage_account_name"]]
        made = account["keys"][row["key_name"]]
        assert moment(row["creation_time"]) == moment(made["created"]), row
        age = made["age_days"]
        assert row["age_in_days"] == (None if age is None else int(age)), row
        assert (row["storage_account_id"], row["allow_shared_key_access"], row["key_expiration_period_in_days"], row["resource_group"], row["region"]) == \
            (account["id"], account["shared_key_access"], account["policy_days"], account["resource_group"], account["region"])
        assert row["title"] == f"{account['name']}/{row['key_name']}" and row["subscription_id"].lower() == account["subscription_id"]
        assert "CANARY" not in str(row)


def test_a_row_for_each_regeneration(ask, fake):
    rows = ask("select * from azure_storage_account_key_event order by event_timestamp")
    now = fake.now
    truth = fake.truth()
    wanted = {r["correlation_id"]: (a, r) for a in truth for r in a["rotations"]}
    deleted = azure_estate.DELETED
    oldest = [c for c, (_, r) in wanted.items() if r["age_days"] >= 90]
    found = {r["correlation_id"]: r for r in rows}
    assert len(found) == len(rows), "one row for an operation"
    gone = [r for r in rows if r["storage_account_name"] == deleted.name]
    assert len(gone) == 1
    assert set(found) - {gone[0]["correlation_id"]} == set(wanted) - set(oldest)
    for correlation, (account, rotation) in wanted.items():
        if correlation in oldest:
            continue
        row = found[correlation]
        assert row["status"] == rotation["status"], row
        began, ended = moment(rotation["began"]), moment(rotation["at"])
        assert moment(row["event_timestamp"]).replace(microsecond=0) == (began if rotation["status"] == "Started" else ended).replace(microsecond=0), row
        assert moment(row["started_at"]).replace(microsecond=0) == began.replace(microsecond=0), row
        assert (row["caller"], row["client_ip_address"], row["storage_account_name"], row["resource_group"], row["storage_account_id"], row["key_name"]) == \
            (rotation["caller"], "203.0.113.7", account["name"], account["resource_group"], account["id"].lower(), None)
        assert row["sub_status"] == {"Succeeded": "OK", "Failed": "Conflict", "Started": None}[rotation["status"]]
        assert row["operation_name"].lower() == "microsoft.storage/storageaccounts/regeneratekey/action"


def filters(fake):
    return [c["query"]["$filter"] for c in fake.calls() if "$filter" in c["query"] and "$skiptoken" not in c["query"]]


def test_time_group_and_account_go_into_the_filter(ask, fake):
    account = next(a for a in fake.held.kind("Microsoft.Storage/storageAccounts") if a["name"] == "strotated")["id"].lower()
    table = "azure_storage_account_key_event"
    one = f"{table} where subscription_id = '{azure_estate.PROD}'"
    rows = ask(f"select storage_account_name from {one} and resource_group = 'rg-shared'")
    assert [r["storage_account_name"] for r in rows] == ["strotated"]
    assert "resourceGroupName eq 'rg-shared'" in filters(fake)[0] and "resourceProvider" not in filters(fake)[0]
    rows = ask(f"select status from {one} and storage_account_id = '{account}' and resource_group = 'rg-shared'")
    assert [r["status"] for r in rows] == ["Succeeded"]
    assert f"resourceUri eq '{account}'" in filters(fake)[0] and "resourceGroupName" not in filters(fake)[0]
    assert ask(f"select status from {one} and storage_account_id = '{account}' and resource_group = 'rg-app'") == []
    since = (fake.now - dt.timedelta(days=15)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = ask(f"select event_timestamp from {one} and event_timestamp >= '{since}'")
    assert rows and all(moment(r["event_timestamp"]) >= moment(since) for r in rows)
    start = re.search(r"eventTimestamp ge '([^']+)'", filters(fake)[0])[1]
    assert dt.timedelta(0) <= moment(since) - moment(start) <= dt.timedelta(hours=2)
    assert all(c["documented_filter"] for c in fake.calls() if "documented_filter" in c), "only what the specification names"


def test_the_activity_log_as_it_is(ask, fake):
    rows = ask(f"select * from {EVENTS} where subscription_id = '{azure_estate.PROD}'")
    now = fake.now
    kept = [e for e in fake.held.data["events"] if e["subscriptionId"].lower() == azure_estate.PROD and now - moment(e["eventTimestamp"]) < dt.timedelta(days=90)]
    young = [e for e in kept if now - moment(e["eventTimestamp"]) < dt.timedelta(days=89, hours=23)]
    found = {r["id"]: r for r in rows}
    assert len(found) == len(rows) and {e["id"] for e in young} <= set(found) <= {e["id"] for e in kept}
    for event in young:
        row = found[event["id"]]
        for column, name in (("operation_name", "operationName.value"), ("status", "status.value"), ("sub_status", "subStatus.value"), ("event_name", "eventName.value"), ("title", "eventName.value"),
                             ("category", "category.value"), ("resource_provider_name", "resourceProviderName.value"), ("resource_type", "resourceType.value"), ("caller", "caller"),
                             ("correlation_id", "correlationId"), ("resource_id", "resourceId"), ("resource_group", "resourceGroupName"), ("level", "level"), ("claims", "claims"),
                             ("authorization_info", "authorization"), ("http_request", "httpRequest"), ("properties", "properties"), ("event_data_id", "eventDataId"), ("operation_id", "operationId")):
            assert row[column] == path(name)(event), (column, row[column])
        assert moment(row["event_timestamp"]) == moment(event["eventTimestamp"])
        assert moment(row["submission_timestamp"]) == moment(event["submissionTimestamp"])
    ask(f"select id from {EVENTS} where resource_provider_name = 'Microsoft.Storage' and event_timestamp < now() - interval '1 day' and subscription_id = '{azure_estate.PROD}'")
    assert re.fullmatch(r"eventTimestamp ge '[^']+' and eventTimestamp le '[^']+' and resourceProvider eq 'Microsoft.Storage'", filters(fake)[0]) or \
        all(part in filters(fake)[0] for part in ("eventTimestamp ge '", "eventTimestamp le '", "resourceProvider eq 'Microsoft.Storage'"))
    correlation, provider = kept[0]["correlationId"], kept[0]["resourceProviderName"]["value"]
    rows = ask(f"select id from {EVENTS} where correlation_id = '{correlation}' and resource_provider_name = '{provider}'")
    assert sorted(r["id"] for r in rows) == sorted(e["id"] for e in kept if e["correlationId"] == correlation)
    assert "correlationId eq" in filters(fake)[0] and "resourceProvider" not in filters(fake)[0]


def calls(fake):
    """How often each operation was called, subscriptions and tokens left out."""
    out = {}
    for call in fake.calls():
        if call["service"] in ("arm", "storage") and call["path"].rstrip("/").lower() != "/subscriptions":
            name = call["operation"].replace("GET ", "").split("/providers/")[-1]
            out[name] = out.get(name, 0) + 1
    return out


LIST = "Microsoft.Storage/storageAccounts"


def test_a_plain_list_costs_its_pages(ask, fake):
    pages = sum(-(-sum(a["id"].split("/")[2].lower() == sub for a in fake.held.kind(LIST)) // 5) for sub in (azure_estate.PROD, azure_estate.TEAM))
    ask("select name, key_policy, allow_shared_key_access from azure_storage_account")
    assert calls(fake) == {LIST: pages}
    ask("select storage_account_name, key_name, age_in_days from azure_storage_account_key")
    assert calls(fake) == {LIST: pages}
    ask("select a.name, k.key_name, k.age_in_days from azure_storage_account a join azure_storage_account_key k on k.storage_account_id = a.id")
    assert calls(fake) == {LIST: pages}, "both tables read the same list"


def test_a_get_by_key_costs_one_call(ask, fake):
    one = f"subscription_id = '{azure_estate.PROD}'"
    for sql, path_of in (
        ("select name, kind from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app'", f"{LIST}/{{}}"),
        ("select key_name, age_in_days from azure_storage_account_key where storage_account_name = 'stfresh' and resource_group = 'rg-app'", f"{LIST}/{{}}"),
        ("select name, public_access from azure_storage_container where name = 'box1' and account_name = 'stfresh' and resource_group = 'rg-app'", f"{LIST}/{{}}/blobServices/{{}}/containers/{{}}"),
        ("select name, vault_uri from azure_key_vault where name = 'kv-main' and resource_group = 'rg-app'", "Microsoft.KeyVault/vaults/{}"),
        ("select name, key_type from azure_key_vault_key where name = 'signing' and vault_name = 'kv-main' and resource_group = 'rg-app'", "Microsoft.KeyVault/vaults/{}/keys/{}"),
        ("select name, size from azure_compute_virtual_machine where name = 'vm-web' and resource_group = 'rg-app'", "Microsoft.Compute/virtualMachines/{}"),
        ("select name, disk_state from azure_compute_disk where name = 'orphan' and resource_group = 'rg-app'", "Microsoft.Compute/disks/{}"),
        ("select name, security_rules from azure_network_security_group where name = 'nsg-web' and resource_group = 'rg-app'", "Microsoft.Network/networkSecurityGroups/{}"),
        ("select name, state from azure_sql_server where name = 'sql-main' and resource_group = 'rg-data'", "Microsoft.Sql/servers/{}"),
        (f"select name, role_name from azure_role_definition where name = '{'acdd72a7-3385-48ef-bd42-f606fba81ae7'}'", "Microsoft.Authorization/roleDefinitions/{}"),
    ):
        rows = ask(f"{sql} and {one}")
        assert len(rows) == (2 if "account_key " in sql else 1), sql
        assert list(calls(fake).values()) == [1] and list(calls(fake))[0].lower() in (path_of.lower(), path_of.replace("blobServices/{}", "blobServices/default").lower()), (sql, calls(fake))
    ask("select name from azure_resource_group where name = 'RG-EMPTY'")
    assert ask("select name, region from azure_storage_account where name = 'nobody' and resource_group = 'rg-app'") == []
    assert ask("select name from azure_storage_account where name = 'stfresh' and resource_group = 'rg-nowhere'") == []


def test_parts_are_asked_for_one_account_only(ask, fake):
    rows = ask(f"select name, region from azure_storage_queue where storage_account_name = 'stfresh' and subscription_id = '{azure_estate.PROD}'")
    assert sorted(r["name"] for r in rows) == ["mails", "orders"]
    assert {n: c for n, c in calls(fake).items() if n != LIST} == {f"{LIST}/{{}}/queueServices/default/queues": 1} or \
        sum(c for n, c in calls(fake).items() if n.endswith("/queues")) == 1


def test_per_account_calls_are_made_only_for_their_columns(ask, fake):
    ask("select name, queue_logging_read, queue_logging_retention_days from azure_storage_account")
    asked = [c for c in fake.calls() if c["service"] == "storage"]
    assert len(asked) == sum("queue" in a["properties"]["primaryEndpoints"] for a in fake.held.kind(LIST))
    assert {c["query"]["comp"] for c in asked} == {"properties"} and all("/queue" in c["path"] for c in asked)
    ask("select name, blob_versioning_enabled from azure_storage_account")
    assert sum(c for n, c in calls(fake).items() if "blobServices" in n) == len(asked)


def test_further_calls_are_made_for_the_rows_asked_for_only(ask, fake):
    for sql, kind in (
        ("select queue_logging_read from azure_storage_account where name in ('stfresh', 'stupper')", "/queue/"),
        ("select diagnostic_settings from azure_key_vault where name = 'kv-main'", "/diagnosticSettings"),
        ("select diagnostic_settings from azure_network_security_group where resource_group = 'rg-app' and name = 'nsg-web'", "/diagnosticSettings"),
        ("select power_state from azure_compute_virtual_machine where name = 'vm-web'", "/instanceView"),
        ("select firewall_rules from azure_sql_server where name = 'sql-open'", "/firewallRules"),
        ("select key_type from azure_key_vault_key where name = 'curve'", "/keys/"),
        ("select share_usage_bytes from azure_storage_share_file where name = 'home' and storage_account_name = 'stfresh'", "/shares/"),
    ):
        rows = ask(sql)
        assert sum(kind in c["path"] for c in fake.calls()) == len(rows) == (2 if " in (" in sql else 1), sql


def test_keys_are_listed_only_on_request(ask, assay, fake):
    for sql in ("select * from azure_storage_account", "select a.* from azure_storage_account a", "select count(*) from azure_storage_account", "select * from azure_storage_account_key"):
        ask(sql)
        assert not [c for c in fake.calls() if c["method"] == "POST"], sql
    fake.forget()
    done = assay("query", "select name, access_keys from azure_storage_account", env=fake.env)
    assert done.code != 0 and "--show-secrets" in done.err, done.err
    assert not [c for c in fake.calls() if c["method"] == "POST"]
    rows = ask("select name, access_keys from azure_storage_account where name = 'stfresh' and resource_group = 'rg-app' and subscription_id = '" + azure_estate.PROD + "'", "--show-secrets")
    assert [c["path"].rsplit("/", 1)[1].lower() for c in fake.calls() if c["method"] == "POST"] == ["listkeys"]
    ask("select access_keys from azure_storage_account where name = 'stfresh'", "--show-secrets")
    assert sum(c["method"] == "POST" for c in fake.calls()) == 1, "of one account, and no other"
    keys = rows[0]["access_keys"]
    assert [set(k) for k in keys] == [{"KeyName", "Permissions", "CreationTime", "Value"}] * 2
    assert [k["KeyName"] for k in keys] == ["key1", "key2"] and all(k["Value"].startswith("CANARY") for k in keys)


def test_members_that_published_queries_read(ask):
    """Control SQL reads into the JSON columns; the spelling of the members is part of the table."""
    rows = ask("""
        select
          a.name,
          s ->> 'Source' as source, s ->> 'Id' as id, s ->> 'Name' as scope,
          (a.key_policy ->> 'keyExpirationPeriodInDays')::int as days,
          a.blob_service_logging ->> 'Read' as read,
          a.file_services -> 0 -> 'properties' -> 'protocolSettings' -> 'smb' ->> 'channelEncryption' as encryption,
          a.default_blob_diagnostic_settings -> 0 -> 'properties' -> 'logs' -> 0 ->> 'category' as category
        from azure_storage_account a, jsonb_array_elements(a.encryption_scope) s
        order by scope""")
    assert [(r["name"], r["source"], r["scope"]) for r in rows] == [("stfresh", "Microsoft.Storage", "scope-1"), ("stfresh", "Microsoft.KeyVault", "scope-2")]
    assert {(r["read"], r["encryption"], r["category"]) for r in rows} == {("true", "AES-256-GCM", "StorageRead")}
    rows = ask("select name, e ->> 'Name' as extension, e ->> 'Publisher' as publisher, e ->> 'ExtensionType' as kind from azure_compute_virtual_machine, jsonb_array_elements(extensions) e")
    assert [(r["name"], r["extension"], r["kind"]) for r in rows] == [("vm-web", "AzureMonitorLinuxAgent", "AzureMonitorLinuxAgent")]
    rows = ask("select name, p ->> 'kind' as kind, c ->> 'PrivateLinkServiceConnectionStateStatus' as state from azure_sql_server, jsonb_array_elements(encryption_protector) p, "
               "jsonb_array_elements(private_endpoint_connections) c")
    assert [(r["name"], r["kind"], r["state"]) for r in rows] == [("sql-main", "azurekeyvault", "Approved")]
    rows = ask("select name, r -> 'properties' ->> 'destinationPortRange' as port, r -> 'properties' ->> 'sourceAddressPrefix' as source from azure_network_security_group, "
               "jsonb_array_elements(security_rules) r order by port")
    assert [(r["name"], r["port"], r["source"]) for r in rows] == [("nsg-web", "22", "*"), ("nsg-web", "3389", "10.0.0.0/8"), ("nsg-web", "443", "*")]
