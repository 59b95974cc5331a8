"""Storage accounts beyond plain reads: keys and their rotation (written to the Activity Log), parts that every account has, and the data plane's service properties."""
import base64
import datetime as dt
import hashlib
import re

import azure_estate
from answers import Answer, Refused
from store import public

SERVICES = {"blobservices": "blobServices", "fileservices": "fileServices", "queueservices": "queueServices", "tableservices": "tableServices"}
DATA_SERVICES = ("blob", "queue", "table", "file", "dfs", "web")


class Storage:
    def __init__(self, store, clock, switches):
        self.store, self.clock, self.switches = store, clock, switches
        self.generations = {}

    # -- keys ---------------------------------------------------------------------------------------------------------

    def keys(self, account):
        """The values are a function of account, key and how often it was made; each contains the canary."""
        times, out = account["properties"]["keyCreationTime"], []
        for name in ("key1", "key2"):
            turn = self.generations.get((account["name"], name), 0)
            noise = base64.b64encode(hashlib.sha512(f"{account['name']}/{name}/{turn}".encode()).digest()).decode()
            value = azure_estate.CANARY + "key" + noise[len(azure_estate.CANARY) + 3:]
            key = {"keyName": name, "value": value, "permissions": "Full" if self.switches.schema_only else "FULL"}
            if times[name] is not None or not self.switches.schema_only:
                key["creationTime"] = times[name]
            out.append(key)
        return {"keys": out}

    def list_keys(self, account, caller):
        if account.get("_locked"):
            raise Refused(409, "ScopeLocked", f"The scope '{account['id']}' cannot perform write operation because following scope(s) are locked: '{account['id']}'. Please remove the lock and try again.")
        self.log(account, azure_estate.LIST_KEYS, "Succeeded", caller)
        return Answer(self.keys(account))

    def regenerate(self, account, name, caller):
        if name not in ("key1", "key2"):
            raise Refused(400, "InvalidArgument", f"The request parameter 'keyName' is invalid: '{name}'.")
        if account["name"] in self.switches.failing_keys:
            self.log(account, azure_estate.REGENERATE, "Failed", caller)
            raise Refused(409, "StorageAccountOperationInProgress", f"An operation is currently performing on this storage account '{account['name']}' that requires exclusive access.")
        account["properties"]["keyCreationTime"][name] = azure_estate.iso(self.clock.now())
        self.generations[(account["name"], name)] = self.generations.get((account["name"], name), 0) + 1
        self.log(account, azure_estate.REGENERATE, "Succeeded", caller)
        return Answer(self.keys(account))

    def update(self, account, properties):
        """The two settings that are about keys. A policy needs to know how old both keys are."""
        if set(properties) - {"allowSharedKeyAccess", "keyPolicy"}:
            raise Refused(400, "InvalidRequestPropertyValue", f"This fake does not change {', '.join(properties)}.")
        now = account["properties"]
        if "keyPolicy" in properties and None in now["keyCreationTime"].values():
            raise Refused(400, "InvalidValuesForRequestParameters", "The key expiration period cannot be set before each key has been rotated once: the creation time of a key is not known.")
        now |= properties

    def log(self, account, operation, end, caller):
        """Began and ended, under one correlation id; the log's ids are not spelled as the account list's."""
        now, correlation = self.clock.now(), azure_estate.identity("live", len(self.store.log), account["id"])
        rid = account["id"].replace("resourceGroups", "resourcegroups")
        began = azure_estate.event(rid, now - dt.timedelta(milliseconds=3), "Started", operation, correlation, caller, 0)
        self.store.write(began, azure_estate.event(rid, now, end, operation, correlation, caller, 1))

    # -- parts that are always there ------------------------------------------------------------------------------------

    def service(self, rid):
        """`…/blobServices/default` of an account for which the estate names none."""
        m = re.fullmatch(r"(/subscriptions/.+/storageaccounts/([^/]+))/(blob|file|queue|table)services/default", rid)
        account = m and self.store.resources.get(m[1])
        if not account:
            return None
        kind = SERVICES[m[3] + "services"]
        if account["kind"] == "FileStorage" and m[3] != "file":
            raise Refused(400, "FeatureNotSupportedForAccount", f"{kind} is not supported for the account.")
        properties = {"cors": {"corsRules": []}}
        if m[3] == "blob":
            properties |= {"deleteRetentionPolicy": {"enabled": False}, "isVersioningEnabled": False}
        if m[3] == "file":
            properties |= {"shareDeleteRetentionPolicy": {"enabled": True, "days": 7}, "protocolSettings": {"smb": {}}}
        out = {"id": f"{account['id']}/{kind}/default", "name": "default", "type": f"Microsoft.Storage/storageAccounts/{kind}", "properties": properties}
        return out | ({"sku": account["sku"]} if m[3] in ("blob", "file") else {})

    def versioned(self, account, version):
        """Key creation times and policies came with 2021-04-01."""
        out = public(account)
        properties = out["properties"]
        if version < "2021-04-01":
            properties = {k: v for k, v in properties.items() if k not in ("keyCreationTime", "keyPolicy", "sasPolicy")}
        elif self.switches.schema_only:
            properties = dict(properties)
            times = {k: v for k, v in properties["keyCreationTime"].items() if v is not None}
            properties["keyCreationTime"] = times
            if properties.get("keyPolicy", {}) is None:
                del properties["keyPolicy"]
        return out | {"properties": properties}

    # -- data plane -----------------------------------------------------------------------------------------------------

    def target(self, call):
        """(account, service) of a data-plane address: by host (`acct.queue.…`) or by path (`/acct/queue/`); None for any other."""
        m = re.match(r"([a-z0-9]{3,24})\.(\w+)\.", call.host)
        if m and m[2] in DATA_SERVICES:
            return m[1], m[2]
        if len(call.lower) >= 2 and call.lower[1] in DATA_SERVICES and re.fullmatch(r"[a-z0-9]{3,24}", call.segments[0]):
            return call.segments[0], call.lower[1]
        return None

    def properties(self, call, name, service):
        if call.query.get("restype") != "service" or call.query.get("comp") != "properties" or call.method != "GET":
            raise Refused(400, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.", "xml")
        version = call.headers.get("x-ms-version", "")
        if version < "2017-11-09":
            raise Refused(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format: x-ms-version.", "xml")
        account = self.store.accounts.get(name)
        if account is None or service not in account["properties"]["primaryEndpoints"]:
            raise Refused(404, "ResourceNotFound", "The specified resource does not exist.", "xml")
        if self.switches.is_denied(account["id"].split("/")[2].lower()):
            raise Refused(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.", "xml")
        off = {"version": "1.0", "delete": False, "read": False, "write": False, "retention": None}
        logging = self.store.estate["data_plane"].get(name, {}).get(service, off)

        def flag(value):
            return str(bool(value)).lower()

        def retention(days):
            return f"<RetentionPolicy><Enabled>{flag(days)}</Enabled>{f'<Days>{days}</Days>' if days else ''}</RetentionPolicy>"

        def metrics(kind, on):
            apis = "<IncludeAPIs>true</IncludeAPIs>" if on else ""
            return f"<{kind}><Version>1.0</Version><Enabled>{flag(on)}</Enabled>{apis}{retention(7 if on else None)}</{kind}>"

        extra = "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy><StaticWebsite><Enabled>false</Enabled></StaticWebsite>" if service == "blob" else ""
        text = ('\ufeff<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties>'
                f"<Logging><Version>{logging['version']}</Version><Read>{flag(logging['read'])}</Read><Write>{flag(logging['write'])}</Write><Delete>{flag(logging['delete'])}</Delete>"
                f"{retention(logging['retention'])}</Logging>{metrics('HourMetrics', True)}{metrics('MinuteMetrics', False)}<Cors />{extra}</StorageServiceProperties>")
        return Answer(text, headers={"x-ms-version": version}, kind="application/xml")
