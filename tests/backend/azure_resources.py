"""Everything of an Azure estate that is not a storage account, its keys or its log: one or two of each kind, with and without the members
that may be missing. Shapes as the official examples have them, values of our own. See `azure_estate.py` for `_` members and `@BASE@`.
"""
import datetime as dt
import uuid

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
KEY_OPERATOR = "81a9662b-bebf-436f-a333-f67b29880f12"
USER = "11111111-aaaa-4bbb-8ccc-000000000001"
ROBOT = "11111111-aaaa-4bbb-8ccc-000000000002"
CUSTOM_ROLE = "22222222-aaaa-4bbb-8ccc-000000000001"


def guid(*parts):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def group(sub, name, region="westeurope"):
    return {"id": f"/subscriptions/{sub}/resourceGroups/{name}", "name": name, "type": "Microsoft.Resources/resourceGroups", "location": region,
            "tags": {"owner": "platform"}, "properties": {"provisioningState": "Succeeded"}}


def everything_else(sub, tenant, now):
    def days(n, suffix="Z", digits=0):
        at = (now - dt.timedelta(days=n)).strftime("%Y-%m-%dT%H:%M:%S")
        return at + ("." + "123456789"[:digits] if digits else "") + suffix

    def unix(n):
        return int((now - dt.timedelta(days=n)).timestamp())

    base = f"/subscriptions/{sub}"
    app = f"{base}/resourceGroups/rg-app"
    data = f"{base}/resourceGroups/rg-data"
    stfresh = f"{app}/providers/Microsoft.Storage/storageAccounts/stfresh"
    workspace = f"{data}/providers/Microsoft.OperationalInsights/workspaces/log-main"
    out = [group(sub, "rg-empty", "northeurope")]
    out += storage_children(stfresh, tenant, days)
    out += diagnostics(sub, stfresh, workspace, f"{app}/providers/Microsoft.KeyVault/vaults/kv-main", f"{app}/providers/Microsoft.Network/networkSecurityGroups/nsg-web")
    out += key_vaults(app, data, tenant, days, unix)
    out += network(app, days)
    out += compute(app, days)
    out += sql(data, tenant, days)
    out += roles(base, days)
    out.append({"id": f"{app}/providers/microsoft.insights/activityLogAlerts/policy-changes", "name": "policy-changes", "type": "Microsoft.Insights/ActivityLogAlerts", "location": "Global",
                "tags": {}, "properties": {"scopes": [base], "enabled": True, "description": "Tells of changed policy assignments.",
                                           "condition": {"allOf": [{"field": "category", "equals": "Administrative"},
                                                                   {"field": "operationName", "equals": "Microsoft.Authorization/policyAssignments/write"}]},
                                           "actions": {"actionGroups": [{"actionGroupId": f"{app}/providers/microsoft.insights/actionGroups/on-call", "webhookProperties": {}}]}}})
    out.append({"id": f"{app}/providers/microsoft.insights/activityLogAlerts/switched-off", "name": "switched-off", "type": "Microsoft.Insights/ActivityLogAlerts", "location": "Global",
                "properties": {"scopes": [app], "enabled": False, "condition": {"allOf": [{"field": "status", "equals": "Succeeded"}]}, "actions": {"actionGroups": []}}})
    return out


def storage_children(account, tenant, days):
    blob, file, queue, table = (f"{account}/{s}Services/default" for s in ("blob", "file", "queue", "table"))
    kind = "Microsoft.Storage/storageAccounts"
    sku = {"name": "Standard_LRS", "tier": "Standard"}
    cors = {"corsRules": [{"allowedOrigins": ["https://www.contoso.example"], "allowedMethods": ["GET", "PUT"], "maxAgeInSeconds": 100,
                           "exposedHeaders": ["x-ms-meta-*"], "allowedHeaders": ["*"]}]}
    out = [
        {"id": blob, "name": "default", "type": f"{kind}/blobServices", "sku": sku, "properties": {
            "cors": cors, "defaultServiceVersion": "2019-07-07", "deleteRetentionPolicy": {"enabled": True, "days": 14},
            "containerDeleteRetentionPolicy": {"enabled": True, "days": 7}, "isVersioningEnabled": True, "changeFeed": {"enabled": True, "retentionInDays": 7},
            "restorePolicy": {"enabled": True, "days": 6, "minRestoreTime": days(6, digits=7)}}},
        {"id": file, "name": "default", "type": f"{kind}/fileServices", "sku": sku, "properties": {
            "cors": {"corsRules": []}, "shareDeleteRetentionPolicy": {"enabled": True, "days": 9},
            "protocolSettings": {"smb": {"versions": "SMB3.1.1", "channelEncryption": "AES-256-GCM"}}}},
        {"id": queue, "name": "default", "type": f"{kind}/queueServices", "properties": {"cors": cors}},
        {"id": table, "name": "default", "type": f"{kind}/tableServices", "properties": {"cors": {"corsRules": []}}},
        {"id": f"{account}/managementPolicies/default", "name": "DefaultManagementPolicy", "type": f"{kind}/managementPolicies", "properties": {
            "lastModifiedTime": days(44, digits=7), "policy": {"rules": [{"enabled": True, "name": "archive", "type": "Lifecycle", "definition": {
                "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["logs"]},
                "actions": {"baseBlob": {"tierToCool": {"daysAfterModificationGreaterThan": 30}, "delete": {"daysAfterModificationGreaterThan": 1000}}}}}]}}},
        {"id": f"{account}/encryptionScopes/scope-1", "name": "scope-1", "type": f"{kind}/encryptionScopes", "properties": {
            "source": "Microsoft.Storage", "state": "Enabled", "creationTime": days(300, digits=7), "lastModifiedTime": days(200, digits=7)}},
        {"id": f"{account}/encryptionScopes/scope-2", "name": "scope-2", "type": f"{kind}/encryptionScopes", "properties": {
            "source": "Microsoft.KeyVault", "state": "Disabled", "creationTime": days(300, digits=7), "lastModifiedTime": days(100, digits=7),
            "keyVaultProperties": {"keyUri": "https://kv-main.vault.azure.net/keys/scope/863425f1358359c"}}},
    ]
    for n in range(1, 8):
        properties = {"publicAccess": ("None", "Blob", "Container")[n % 3], "leaseStatus": "Unlocked", "leaseState": "Available", "lastModifiedTime": days(n, ".0000000Z"),
                      "hasImmutabilityPolicy": n == 1, "hasLegalHold": n == 2, "defaultEncryptionScope": "$account-encryption-key", "denyEncryptionScopeOverride": False,
                      "metadata": {"purpose": f"box {n}"}}
        if n == 1:
            properties["immutabilityPolicy"] = {"etag": '"8d592d74cb3011a"', "properties": {"immutabilityPeriodSinceCreationInDays": 100, "state": "Locked"},
                                                "updateHistory": [{"update": "put", "immutabilityPeriodSinceCreationInDays": 3, "timestamp": days(9), "tenantId": tenant}]}
        if n == 2:
            properties["legalHold"] = {"hasLegalHold": True, "tags": [{"tag": "case-17", "timestamp": days(8), "tenantId": tenant}]}
        out.append({"id": f"{blob}/containers/box{n}", "name": f"box{n}", "type": f"{kind}/blobServices/containers", "etag": f'"0x8D589847D51C7D{n}"', "properties": properties})
    out.append({"id": f"{blob}/containers/thrown-away", "name": "thrown-away", "type": f"{kind}/blobServices/containers", "etag": '"0x8D589847D51C7DF"', "_deleted": True,
                "properties": {"publicAccess": "None", "leaseStatus": "Unlocked", "leaseState": "Expired", "lastModifiedTime": days(30, ".0000000Z"), "hasImmutabilityPolicy": False,
                               "hasLegalHold": False, "deleted": True, "deletedTime": days(3, ".0000000Z"), "remainingRetentionDays": 4, "version": "01D7E2A3B4C5D6E7"}})
    out += [{"id": f"{queue}/queues/{n}", "name": n, "type": f"{kind}/queueServices/queues", "properties": {"metadata": m}} for n, m in (("orders", {"team": "shop"}), ("mails", {}))]
    out += [{"id": f"{table}/tables/{n}", "name": n, "type": f"{kind}/tableServices/tables", "properties": {"tableName": n}} for n in ("Customers", "Visits")]
    for n, protocol in (("home", "SMB"), ("scratch", "NFS")):
        out.append({"id": f"{file}/shares/{n}", "name": n, "type": f"{kind}/fileServices/shares", "etag": '"0x8D589847D51C7DE"', "properties": {
            "lastModifiedTime": days(12, ".0000000Z"), "shareQuota": 1024, "accessTier": "TransactionOptimized", "accessTierChangeTime": days(20, ".0000000Z"),
            "enabledProtocols": protocol, "leaseStatus": "unlocked", "leaseState": "available", "metadata": {"team": n}} | ({"rootSquash": "NoRootSquash"} if protocol == "NFS" else {}),
            "_stats": {"shareUsageBytes": 652945}})
    return out


def diagnostics(sub, account, workspace, vault, nsg):
    """Settings of the subscription, of resources and of a resource's part. The subscription's ids are spelled as the service does."""
    def setting(resource, name, **properties):
        return {"id": f"{resource.lower()}/providers/microsoft.insights/diagnosticSettings/{name}", "type": "Microsoft.Insights/diagnosticSettings", "name": name, "location": None, "kind": None,
                "tags": None, "identity": None, "properties": {"storageAccountId": None, "serviceBusRuleId": None, "workspaceId": None, "eventHubAuthorizationRuleId": None, "eventHubName": None,
                                                               "logAnalyticsDestinationType": None, "metrics": [], "logs": []} | properties, "_under": resource}

    log = [{"category": c, "categoryGroup": None, "enabled": e, "retentionPolicy": {"enabled": e, "days": 365 if e else 0}} for c, e in (("StorageRead", True), ("StorageDelete", False))]
    return [
        {"id": f"subscriptions/{sub}/providers/AzureResourceManager/diagnosticSettings/to-archive", "type": None, "name": "to-archive", "_under": f"/subscriptions/{sub}",
         "properties": {"storageAccountId": account, "workspaceId": workspace, "logs": [{"category": c, "enabled": c != "ServiceHealth"} for c in (
             "Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy", "Autoscale", "ResourceHealth")]}},
        setting(account, "metrics-only", workspaceId=workspace, metrics=[{"category": "Transaction", "enabled": True, "retentionPolicy": {"enabled": False, "days": 0}}]),
        setting(f"{account}/blobServices/default", "blob-log", workspaceId=workspace, logs=log),
        setting(f"{account}/queueServices/default", "queue-log", workspaceId=workspace, logs=log),
        setting(vault, "audit", storageAccountId=account, logs=[{"category": "AuditEvent", "categoryGroup": None, "enabled": True, "retentionPolicy": {"enabled": True, "days": 180}}]),
        setting(nsg, "flow", workspaceId=workspace, logs=[{"category": "NetworkSecurityGroupEvent", "enabled": True, "retentionPolicy": {"enabled": False, "days": 0}}]),
    ]


def key_vaults(app, data, tenant, days, unix):
    main, bare = f"{app}/providers/Microsoft.KeyVault/vaults/kv-main", f"{data}/providers/Microsoft.KeyVault/vaults/kv-bare"
    system = {"createdBy": "alice@contoso.example", "createdByType": "User", "createdAt": days(800, ".123Z"), "lastModifiedBy": "alice@contoso.example", "lastModifiedByType": "User",
              "lastModifiedAt": days(80, ".123Z")}
    out = [
        {"id": main, "name": "kv-main", "type": "Microsoft.KeyVault/vaults", "location": "westeurope", "tags": {"tier": "gold"}, "systemData": system, "properties": {
            "sku": {"family": "A", "name": "premium"}, "tenantId": tenant, "accessPolicies": [{"tenantId": tenant, "objectId": USER, "permissions": {
                "keys": ["get", "list", "create"], "secrets": ["get", "list", "set"], "certificates": ["get"]}}],
            "enabledForDeployment": True, "enabledForDiskEncryption": True, "enabledForTemplateDeployment": False, "enableSoftDelete": True, "softDeleteRetentionInDays": 90,
            "enableRbacAuthorization": False, "enablePurgeProtection": True, "vaultUri": "https://kv-main.vault.azure.net/", "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled", "networkAcls": {"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": [{"value": "203.0.113.0/24"}], "virtualNetworkRules": []},
            "privateEndpointConnections": [{"id": f"{main}/privateEndpointConnections/pe-1", "properties": {
                "privateEndpoint": {"id": f"{app}/providers/Microsoft.Network/privateEndpoints/pe-1"}, "provisioningState": "Succeeded",
                "privateLinkServiceConnectionState": {"status": "Approved", "description": "Auto-approved", "actionsRequired": "None"}}}]}},
        {"id": bare, "name": "kv-bare", "type": "Microsoft.KeyVault/vaults", "location": "northeurope", "tags": {}, "properties": {
            "sku": {"family": "A", "name": "standard"}, "tenantId": tenant, "accessPolicies": [], "enabledForDeployment": False, "enableRbacAuthorization": True,
            "vaultUri": "https://kv-bare.vault.azure.net/", "provisioningState": "Succeeded", "publicNetworkAccess": "Disabled"}},
    ]
    for name, kty, expires, more in (("signing", "RSA", unix(-200), {"keySize": 2048}), ("curve", "EC", None, {"curveName": "P-256"}), ("expired", "RSA", unix(5), {"keySize": 4096})):
        attributes = {"enabled": name != "expired", "created": unix(400), "updated": unix(40), "recoveryLevel": "Recoverable+Purgeable", "exportable": False}
        if expires:
            attributes |= {"nbf": unix(390), "exp": expires}
        uri = f"https://kv-main.vault.azure.net:443/keys/{name}"
        detail = {"kty": kty, "keyOps": ["sign", "verify"], "keyUriWithVersion": f"{uri}/{guid('version', name).replace('-', '')}"} | more
        if name == "signing":
            detail["rotationPolicy"] = {"attributes": {"expiryTime": "P90D", "created": unix(400), "updated": unix(40)}, "lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "notify"}}]}
        out.append({"id": f"{main}/keys/{name}", "name": name, "type": "Microsoft.KeyVault/vaults/keys", "location": "westeurope", "tags": {}, "properties": {"attributes": attributes, "keyUri": uri}, "_detail": detail})
    for name, expires in (("database", unix(-30)), ("forever", None)):
        attributes = {"enabled": True, "created": unix(300), "updated": unix(100)} | ({"exp": expires, "nbf": unix(299)} if expires else {})
        uri = f"https://kv-main.vault.azure.net/secrets/{name}"
        out.append({"id": f"{main}/secrets/{name}", "name": name, "type": "Microsoft.KeyVault/vaults/secrets", "location": "westeurope", "tags": {"app": name},
                    "properties": {"contentType": "text/plain", "attributes": attributes, "secretUri": uri, "secretUriWithVersion": f"{uri}/{guid('secret', name).replace('-', '')}"}})
    return out


def network(app, days):
    provider = f"{app}/providers/Microsoft.Network"
    out = []
    for name, rules in (("nsg-web", [("ssh-from-anywhere", 130, "22", "*"), ("https", 140, "443", "*"), ("admin", 150, "3389", "10.0.0.0/8")]), ("nsg-empty", [])):
        nsg = f"{provider}/networkSecurityGroups/{name}"

        def rule(kind, rule_name, priority, direction, access, port, source, target="*"):
            return {"name": rule_name, "id": f"{nsg}/{kind}/{rule_name}", "type": f"Microsoft.Network/networkSecurityGroups/{kind}", "etag": 'W/"1d8b2b5e"', "properties": {
                "provisioningState": "Succeeded", "protocol": "*" if kind.startswith("default") else "Tcp", "sourcePortRange": "*", "destinationPortRange": port,
                "sourceAddressPrefix": source, "destinationAddressPrefix": target, "access": access, "priority": priority, "direction": direction,
                "sourcePortRanges": [], "destinationPortRanges": [], "sourceAddressPrefixes": [], "destinationAddressPrefixes": []}}

        properties = {
            "provisioningState": "Succeeded", "resourceGuid": guid("nsg", name), "securityRules": [rule("securityRules", n, p, "Inbound", "Allow", port, s) for n, p, port, s in rules],
            "defaultSecurityRules": [rule("defaultSecurityRules", "AllowVnetInBound", 65000, "Inbound", "Allow", "*", "VirtualNetwork", "VirtualNetwork"),
                                     rule("defaultSecurityRules", "DenyAllInBound", 65500, "Inbound", "Deny", "*", "*")]}
        if rules:
            properties |= {"subnets": [{"id": f"{provider}/virtualNetworks/net/subnets/web"}], "networkInterfaces": [{"id": f"{provider}/networkInterfaces/nic-web"}],
                           "flowLogs": [{"id": f"{provider}/networkWatchers/watcher/flowLogs/web"}]}
        out.append({"name": name, "id": nsg, "etag": 'W/"1d8b2b5e"', "type": "Microsoft.Network/networkSecurityGroups", "location": "westeurope", "tags": {"zone": "dmz"} if rules else None, "properties": properties})
    nic, ip = f"{provider}/networkInterfaces/nic-web", f"{provider}/publicIPAddresses/ip-web"
    out.append({"name": "nic-web", "id": nic, "etag": 'W/"1d8b2b5e"', "location": "westeurope", "type": "Microsoft.Network/networkInterfaces", "properties": {
        "provisioningState": "Succeeded", "macAddress": "00-0D-3A-1B-C7-21", "enableIPForwarding": False, "primary": True,
        "virtualMachine": {"id": f"{app}/providers/Microsoft.Compute/virtualMachines/vm-web"}, "networkSecurityGroup": {"id": f"{provider}/networkSecurityGroups/nsg-web"},
        "ipConfigurations": [{"name": "ipconfig1", "id": f"{nic}/ipConfigurations/ipconfig1", "properties": {
            "provisioningState": "Succeeded", "privateIPAddress": "10.1.2.4", "privateIPAllocationMethod": "Dynamic", "primary": True, "privateIPAddressVersion": "IPv4",
            "publicIPAddress": {"id": ip}, "subnet": {"id": f"{provider}/virtualNetworks/net/subnets/web"}}}]}})
    out.append({"name": "ip-web", "id": ip, "etag": 'W/"1d8b2b5e"', "location": "westeurope", "type": "Microsoft.Network/publicIPAddresses", "sku": {"name": "Standard", "tier": "Regional"}, "properties": {
        "provisioningState": "Succeeded", "publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Static", "idleTimeoutInMinutes": 4, "ipAddress": "203.0.113.80",
        "ipConfiguration": {"id": f"{nic}/ipConfigurations/ipconfig1"}}})
    return out


def compute(app, days):
    provider = f"{app}/providers/Microsoft.Compute"
    web, idle = f"{provider}/virtualMachines/vm-web", f"{provider}/virtualMachines/vm-idle"

    def status(code, display):
        return {"code": code, "level": "Info", "displayStatus": display, "time": days(3, "+00:00", 6)}

    def disk(name, **properties):
        return {"name": name, "id": f"{provider}/disks/{name}", "type": "Microsoft.Compute/disks", "location": "westeurope", "tags": {"backup": "daily"}, "zones": ["1"],
                "sku": {"name": "Premium_LRS", "tier": "Premium"}, "properties": {
                    "provisioningState": "Succeeded", "timeCreated": days(500, "+00:00", 7), "uniqueId": guid("disk", name), "diskSizeGB": 64, "diskSizeBytes": 68719476736, "diskIOPSReadWrite": 240,
                    "diskMBpsReadWrite": 50, "diskState": "Attached", "networkAccessPolicy": "AllowAll", "publicNetworkAccess": "Enabled", "creationData": {"createOption": "Empty"},
                    "encryption": {"type": "EncryptionAtRestWithPlatformKey"}} | properties}

    machine = {"name": "vm-web", "id": web, "type": "Microsoft.Compute/virtualMachines", "location": "westeurope", "tags": {"role": "web"}, "zones": ["1"],
               "identity": {"type": "SystemAssigned", "principalId": guid("vm", "web"), "tenantId": guid("tenant")},
               "properties": {
                   "vmId": guid("vmid", "web"), "provisioningState": "Succeeded", "timeCreated": days(500, "+00:00", 7), "hardwareProfile": {"vmSize": "Standard_DS3_v2"}, "priority": "Regular",
                   "storageProfile": {"imageReference": {"publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts", "version": "latest", "exactVersion": "22.04.202301010"},
                                      "osDisk": {"osType": "Linux", "name": "os-web", "createOption": "FromImage", "caching": "ReadWrite", "diskSizeGB": 64,
                                                 "managedDisk": {"storageAccountType": "Premium_LRS", "id": f"{provider}/disks/os-web"}},
                                      "dataDisks": [{"lun": 0, "name": "data-web", "createOption": "Attach", "caching": "None", "diskSizeGB": 64, "managedDisk": {"id": f"{provider}/disks/data-web"}}]},
                   "osProfile": {"computerName": "vm-web", "adminUsername": "operator", "secrets": [], "allowExtensionOperations": True, "linuxConfiguration": {
                       "disablePasswordAuthentication": True, "provisionVMAgent": True, "ssh": {"publicKeys": [{"path": "/home/operator/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAAexample"}]}}},
                   "networkProfile": {"networkInterfaces": [{"id": f"{app}/providers/Microsoft.Network/networkInterfaces/nic-web", "properties": {"primary": True}}]},
                   "securityProfile": {"securityType": "TrustedLaunch", "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True}},
                   "diagnosticsProfile": {"bootDiagnostics": {"enabled": True, "storageUri": "https://stfresh.blob.core.windows.net/"}}},
               "_instance_view": {"computerName": "vm-web", "osName": "ubuntu", "osVersion": "22.04", "hyperVGeneration": "V2",
                                  "vmAgent": {"vmAgentVersion": "2.9.1.1", "statuses": [status("ProvisioningState/succeeded", "Ready")]},
                                  "disks": [{"name": "os-web", "statuses": [status("ProvisioningState/succeeded", "Provisioning succeeded")]}],
                                  "statuses": [status("ProvisioningState/succeeded", "Provisioning succeeded"), {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"}]}}
    stopped = {"name": "vm-idle", "id": idle, "type": "Microsoft.Compute/virtualMachines", "location": "northeurope", "properties": {
        "vmId": guid("vmid", "idle"), "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_B1s"}, "storageProfile": {
            "osDisk": {"osType": "Windows", "name": "os-idle", "createOption": "FromImage", "caching": "ReadWrite", "vhd": {"uri": "https://stfresh.blob.core.windows.net/vhds/os.vhd"}}, "dataDisks": []},
        "osProfile": {"computerName": "vm-idle", "adminUsername": "operator", "windowsConfiguration": {"provisionVMAgent": True, "enableAutomaticUpdates": False, "timeZone": "UTC"}, "secrets": []},
        "networkProfile": {"networkInterfaces": []}},
        "_instance_view": {"statuses": [status("ProvisioningState/succeeded", "Provisioning succeeded"), {"code": "PowerState/deallocated", "level": "Info", "displayStatus": "VM deallocated"}]}}
    extension = {"name": "AzureMonitorLinuxAgent", "id": f"{web}/extensions/AzureMonitorLinuxAgent", "type": "Microsoft.Compute/virtualMachines/extensions", "location": "westeurope", "properties": {
        "autoUpgradeMinorVersion": True, "provisioningState": "Succeeded", "publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent", "typeHandlerVersion": "1.0", "settings": {}}}
    assignment = {"id": f"{web}/providers/Microsoft.GuestConfiguration/guestConfigurationAssignments/AzureLinuxBaseline", "name": "AzureLinuxBaseline", "location": "westeurope",
                  "type": "Microsoft.GuestConfiguration/guestConfigurationAssignments", "properties": {"complianceStatus": "NonCompliant", "provisioningState": "Succeeded",
                                                                                                        "guestConfiguration": {"name": "AzureLinuxBaseline", "version": "1.*"}}}
    return [machine, stopped, extension, assignment,
            disk("os-web", osType="Linux", hyperVGeneration="V2", creationData={"createOption": "FromImage", "imageReference": {"id": f"{provider}/images/golden", "lun": 0}})
            | {"managedBy": web},
            disk("data-web", encryption={"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": f"{provider}/diskEncryptionSets/des"}, maxShares=2, shareInfo=[{"vmUri": web}])
            | {"managedBy": web, "managedByExtended": [web]},
            {"name": "orphan", "id": f"{provider}/disks/orphan", "type": "Microsoft.Compute/disks", "location": "northeurope", "sku": {"name": "Standard_LRS", "tier": "Standard"}, "properties": {
                "provisioningState": "Succeeded", "timeCreated": days(900, "+00:00", 6), "diskSizeGB": 10, "diskState": "Unattached", "creationData": {
                    "createOption": "Copy", "sourceResourceId": f"{provider}/snapshots/old"}, "encryptionSettingsCollection": {"enabled": True, "encryptionSettingsVersion": "1.1", "encryptionSettings": []}}}]


def sql(data, tenant, days):
    out = []
    for name, good in (("sql-main", True), ("sql-open", False)):
        server = f"{data}/providers/Microsoft.Sql/servers/{name}"
        kind = "Microsoft.Sql/servers"
        private = [{"id": f"{server}/privateEndpointConnections/pe-sql", "name": "pe-sql", "type": f"{kind}/privateEndpointConnections", "properties": {
            "privateEndpoint": {"id": f"{data}/providers/Microsoft.Network/privateEndpoints/pe-sql"}, "provisioningState": "Ready",
            "privateLinkServiceConnectionState": {"status": "Approved", "description": "Auto-approved", "actionsRequired": "None"}}}] if good else []
        out.append({"id": server, "name": name, "type": kind, "location": "westeurope", "kind": "v12.0", "tags": {"tier": "gold"} if good else {}, "properties": {
            "administratorLogin": "operator", "version": "12.0", "state": "Ready", "fullyQualifiedDomainName": f"{name}.database.windows.net", "minimalTlsVersion": "1.2" if good else "None",
            "publicNetworkAccess": "Disabled" if good else "Enabled", "restrictOutboundNetworkAccess": "Disabled",
            "privateEndpointConnections": [{k: p[k] for k in ("id", "properties")} for p in private]}})
        out += private
        out.append({"id": f"{server}/auditingSettings/default", "name": "default", "type": f"{kind}/auditingSettings", "properties": {
            "state": "Enabled" if good else "Disabled", "storageEndpoint": "https://stfresh.blob.core.windows.net" if good else "", "retentionDays": 120 if good else 0,
            "auditActionsAndGroups": ["BATCH_COMPLETED_GROUP"] if good else [], "storageAccountSubscriptionId": "00000000-0000-0000-0000-000000000000",
            "isStorageSecondaryKeyInUse": False, "isAzureMonitorTargetEnabled": good}})
        out.append({"id": f"{server}/securityAlertPolicies/Default", "name": "Default", "type": f"{kind}/securityAlertPolicies", "properties": {
            "state": "Enabled" if good else "Disabled", "creationTime": days(200, ".937Z"), "emailAccountAdmins": good, "emailAddresses": ["security@contoso.example"] if good else [""],
            "disabledAlerts": [""], "retentionDays": 30 if good else 0, "storageAccountAccessKey": "", "storageEndpoint": ""}})
        out.append({"id": f"{server}/vulnerabilityAssessments/default", "name": "default", "type": f"{kind}/vulnerabilityAssessments", "properties": {
            "recurringScans": {"isEnabled": good, "emailSubscriptionAdmins": good, "emails": ["security@contoso.example"] if good else []}}})
        out.append({"id": f"{server}/encryptionProtector/current", "name": "current", "type": f"{kind}/encryptionProtector", "location": "West Europe", "kind": "azurekeyvault" if good else "servicemanaged",
                    "properties": {"serverKeyName": "kv-main_sql_0123", "serverKeyType": "AzureKeyVault", "uri": "https://kv-main.vault.azure.net/keys/sql/0123"} if good else
                    {"serverKeyName": "ServiceManaged", "serverKeyType": "ServiceManaged"}})
        if good:
            out.append({"id": f"{server}/administrators/ActiveDirectory", "name": "ActiveDirectory", "type": f"{kind}/administrators", "properties": {
                "administratorType": "ActiveDirectory", "login": "dba@contoso.example", "sid": USER, "tenantId": tenant, "azureADOnlyAuthentication": True}})
            out.append({"id": f"{server}/virtualNetworkRules/web", "name": "web", "type": f"{kind}/virtualNetworkRules", "properties": {
                "ignoreMissingVnetServiceEndpoint": False, "state": "Ready", "virtualNetworkSubnetId": f"{data}/providers/Microsoft.Network/virtualNetworks/net/subnets/web"}})
        else:
            out += [{"id": f"{server}/firewallRules/{n}", "name": n, "type": f"{kind}/firewallRules", "properties": {"startIpAddress": a, "endIpAddress": b}}
                    for n, a, b in (("AllowAllWindowsAzureIps", "0.0.0.0", "0.0.0.0"), ("everyone", "0.0.0.0", "255.255.255.255"))]
    return out


def roles(base, days):
    provider = f"{base}/providers/Microsoft.Authorization"

    def role(name, title, kind, actions, not_actions=(), scopes=("/",)):
        return {"id": f"{provider}/roleDefinitions/{name}", "type": "Microsoft.Authorization/roleDefinitions", "name": name, "properties": {
            "roleName": title, "type": kind, "description": f"What a {title} may do.", "assignableScopes": list(scopes), "createdOn": days(2000, ".1234567Z"), "updatedOn": days(100, ".1234567Z"),
            "createdBy": None, "updatedBy": None, "permissions": [{"actions": list(actions), "notActions": list(not_actions), "dataActions": [], "notDataActions": []}]}}

    def assignment(principal, kind, definition, scope=base):
        name = guid("assignment", principal, definition, scope)
        return {"id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", "type": "Microsoft.Authorization/roleAssignments", "name": name, "_in": f"{base}/providers/Microsoft.Authorization/roleAssignments",
                "properties": {"roleDefinitionId": f"{provider}/roleDefinitions/{definition}", "principalId": principal, "principalType": kind, "scope": scope, "condition": None,
                               "conditionVersion": None, "createdOn": days(300, ".1234567Z"), "updatedOn": days(300, ".1234567Z"), "createdBy": USER, "updatedBy": USER,
                               "delegatedManagedIdentityResourceId": None, "description": None}}

    return [role(OWNER, "Owner", "BuiltInRole", ["*"]), role(READER, "Reader", "BuiltInRole", ["*/read"]),
            role(KEY_OPERATOR, "Storage Account Key Operator Service Role", "BuiltInRole",
                 ["Microsoft.Storage/storageAccounts/listkeys/action", "Microsoft.Storage/storageAccounts/regeneratekey/action"]),
            role(CUSTOM_ROLE, "Almost Owner", "CustomRole", ["*"], ["Microsoft.Authorization/*/Delete"], (base,)),
            assignment(USER, "User", OWNER), assignment(ROBOT, "ServicePrincipal", READER), assignment(ROBOT, "ServicePrincipal", KEY_OPERATOR, f"{base}/resourceGroups/rg-app")]


def data_plane():
    """Get Service Properties of the storage data plane, by account and service. Accounts not named have logging off."""
    on = {"version": "1.0", "delete": True, "read": True, "write": True, "retention": 30}
    return {"stfresh": {"blob": on, "queue": on, "table": on | {"retention": None}}, "stonestale": {"queue": on | {"read": False, "version": "2.0"}}}


def graph(tenant):
    users = [{"id": guid("user", str(n)), "displayName": f"User {n:02d}", "userPrincipalName": f"user{n:02d}@contoso.example", "mail": None if n % 2 else f"user{n:02d}@contoso.example",
              "accountEnabled": n % 5 != 0, "userType": "Guest" if n % 7 == 0 else "Member", "createdDateTime": "2020-01-02T03:04:05Z"} for n in range(1, 13)]
    return {"organization": [{"id": tenant, "displayName": "Contoso", "countryLetterCode": "NL", "tenantType": "AAD", "createdDateTime": "2019-05-06T07:08:09Z",
                              "verifiedDomains": [{"name": "contoso.example", "type": "Managed", "isDefault": True, "isInitial": False, "capabilities": "Email"}]}], "users": users}
