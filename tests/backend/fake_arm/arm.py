"""The Resource Manager: reads of any resource and list by its path, the few operations, subscriptions, tenants, locations; and the little of Graph that is read."""
import json
import re

from answers import Answer, Refused
from metrics import LOCKS, Locks, Metrics
from store import public

# Kinds that exist even where the estate has none of them: an empty list, not an error.
KINDS = {k.lower() for k in """
Microsoft.Storage/storageAccounts Microsoft.Storage/storageAccounts/blobServices Microsoft.Storage/storageAccounts/blobServices/containers Microsoft.Storage/storageAccounts/fileServices
Microsoft.Storage/storageAccounts/fileServices/shares Microsoft.Storage/storageAccounts/queueServices Microsoft.Storage/storageAccounts/queueServices/queues Microsoft.Storage/storageAccounts/tableServices
Microsoft.Storage/storageAccounts/tableServices/tables Microsoft.Storage/storageAccounts/managementPolicies Microsoft.Storage/storageAccounts/encryptionScopes
Microsoft.Storage/storageAccounts/privateEndpointConnections Microsoft.KeyVault/vaults Microsoft.KeyVault/vaults/keys Microsoft.KeyVault/vaults/secrets Microsoft.Network/networkSecurityGroups
Microsoft.Network/networkInterfaces Microsoft.Network/publicIPAddresses Microsoft.Compute/virtualMachines Microsoft.Compute/virtualMachines/extensions Microsoft.Compute/disks Microsoft.Sql/servers
Microsoft.Sql/servers/auditingSettings Microsoft.Sql/servers/securityAlertPolicies Microsoft.Sql/servers/vulnerabilityAssessments Microsoft.Sql/servers/encryptionProtector
Microsoft.Sql/servers/administrators Microsoft.Sql/servers/virtualNetworkRules Microsoft.Sql/servers/firewallRules Microsoft.Sql/servers/privateEndpointConnections Microsoft.Insights/diagnosticSettings
Microsoft.Insights/activityLogAlerts Microsoft.Authorization/roleAssignments Microsoft.Authorization/roleDefinitions Microsoft.GuestConfiguration/guestConfigurationAssignments
""".split()}
DATED = re.compile(r"\d{4}-\d\d-\d\d(-preview|-privatepreview)?")
LOG = ["microsoft.insights", "eventtypes", "management", "values"]
REGIONS = [("westeurope", "West Europe", "4.9", "52.3667"), ("northeurope", "North Europe", "-6.2597", "53.3478"), ("eastus", "East US", "-79.8164", "37.3719")]
MISSING = {"microsoft.storage/storageaccounts/managementpolicies": ("ManagementPolicyNotFound", "No ManagementPolicy found for account {account}"),
           "microsoft.storage/storageaccounts/blobservices/containers": ("ContainerNotFound", "The specified container does not exist.")}


class ResourceManager:
    def __init__(self, store, clock, switches, pager, storage, log, graph):
        self.store, self.clock, self.switches, self.pager, self.storage, self.log, self.graph = store, clock, switches, pager, storage, log, graph
        self.metrics, self.locks = Metrics(store, clock, switches), Locks(switches)

    def answer(self, call):
        version = call.query.get("api-version")
        if not version:
            raise Refused(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
        if not DATED.fullmatch(version):
            raise Refused(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid. The supported versions are dates.")
        if not call.segments:
            raise Refused(404, "NotFound", "The resource was not found.")
        first = call.lower[0]
        if first == "tenants" and len(call.lower) == 1:
            return self.listed(call, self.store.estate["tenants"], "tenants")
        if first == "providers":
            return self.provider(call)
        if first != "subscriptions":
            raise Refused(404, "InvalidResourceNamespace", f"The resource namespace '{call.segments[0]}' is invalid.")
        if len(call.lower) == 1:
            return self.subscriptions(call)
        return self.in_subscription(call, version)

    # -- tenant ---------------------------------------------------------------------------------------------------------

    def provider(self, call):
        if call.lower[1:] == ["microsoft.resourcegraph", "resources"] and call.method == "POST":
            return self.graph.answer(call)
        if call.lower[1:] == LOG:
            return self.log.answer(call)
        if call.lower[1:] == ["microsoft.subscription", "policies", "default"] and call.method == "GET":
            return Answer({"id": "providers/Microsoft.Subscription/policies/default", "name": "default", "type": "providers/Microsoft.Subscription/policies", "properties": {
                "policyId": "291bba3f-e0a5-47bc-a099-3bdcb2a50a05", "blockSubscriptionsLeavingTenant": True, "blockSubscriptionsIntoTenant": False, "exemptedPrincipals": []}})
        raise Refused(404, "InvalidResourceType", f"The resource type could not be found in the namespace '{'/'.join(call.segments[1:])}'.")

    def subscriptions(self, call):
        """Subscriptions on which the principal has no right at all would not be listed; a denied one is listed and refuses."""
        out = self.listed(call, list(self.store.subscriptions.values()), "subscriptions")
        if not self.switches.schema_only:
            out.body["count"] = {"type": "Total", "value": len(self.store.subscriptions)}
        return out

    # -- subscription -----------------------------------------------------------------------------------------------------

    def in_subscription(self, call, version):
        sub = call.subscription
        if sub not in self.store.subscriptions:
            if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sub):
                raise Refused(400, "InvalidSubscriptionId", f"The provided subscription identifier '{call.segments[1]}' is malformed or invalid.")
            raise Refused(404, "SubscriptionNotFound", f"The subscription '{call.segments[1]}' could not be found.")
        rest = call.lower[2:]
        only = self.switches.groups_only(sub)
        if rest and (self.switches.is_denied(sub) or only is not None and not (rest[0] == "resourcegroups" and rest[1:2] and rest[1] in only)):
            self.deny(call, "read" if call.method == "GET" else "action", call.path)
        words = "/".join(rest).rpartition("providers/")[2].split("/")
        if self.switches.is_hidden("/".join([words[0], *words[1::2]])):
            self.deny(call, "read", call.path)
        if call.method in ("POST", "PATCH"):
            return self.operation(call)
        if call.method != "GET":
            raise Refused(405, "MethodNotAllowed", f"The HTTP method '{call.method}' is not supported: this fake is for readers.")
        if not rest:
            return Answer(self.store.subscriptions[sub])
        if rest == ["locations"]:
            return Answer({"value": [self.location(sub, *r) for r in REGIONS]})
        if rest[0] == "providers" and rest[1:] == LOG:
            return self.log.answer(call)
        if rest == ["resources"]:
            return self.resources(call, sub)
        if rest[-3:] == LOCKS.strip("/").split("/"):
            return self.locks.answer(call)
        if rest[-3:] == ["providers", "microsoft.insights", "metrics"]:
            return self.metrics.answer(call)
        return self.read(call, version)

    def deny(self, call, verb, scope):
        kind = "/".join(call.operation().split("/providers/")[-1].replace("/{}", "").split("/")) if "/providers/" in call.path.lower() else "Microsoft.Resources/subscriptions/resourceGroups"
        raise Refused(403, "AuthorizationFailed", f"The client '{call.token.subject}' with object id '{call.token.subject}' does not have authorization to perform action '{kind}/{verb}' over scope "
                                                  f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.")

    def location(self, sub, name, display, longitude, latitude):
        group = "US" if name == "eastus" else "Europe"
        return {"id": f"/subscriptions/{sub}/locations/{name}", "name": name, "type": "Region", "displayName": display, "regionalDisplayName": f"({group}) {display}",
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geographyGroup": group, "longitude": longitude, "latitude": latitude, "physicalLocation": display,
                             "pairedRegion": [{"name": "northeurope", "id": f"/subscriptions/{sub}/locations/northeurope"}]}}

    def resources(self, call, sub):
        """`/resources`: no properties, only what every resource has."""
        m = re.fullmatch(r"\s*resourceType\s+eq\s+'([^']+)'\s*", call.query.get("$filter", ""), re.I)
        if call.query.get("$filter") and not m:
            raise Refused(400, "InvalidFilterInQueryString", "Invalid $filter in query string.")
        found = [{k: v for k, v in public(r).items() if k in ("id", "name", "type", "location", "tags", "sku", "kind", "managedBy", "identity") and v is not None}
                 for r in self.store.under(sub) if not m or r["type"].lower() == m[1].lower()]
        return self.listed(call, found, "resources", self.number(call, "$top"))

    def read(self, call, version):
        """A resource by its id, or the list at its path."""
        path = "/" + "/".join(call.lower)
        if path in self.store.resources or path.endswith("/default") and self.storage.service(path):
            return self.one(call, self.store.resources.get(path) or self.storage.service(path), version)
        if path.endswith("/instanceview"):
            machine = self.store.resources.get(path.rsplit("/", 1)[0])
            if machine:
                return Answer(machine["_instance_view"])
        parent, kind, is_list = self.place(path)
        if not is_list:
            if kind == "resourcegroups":
                raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group_of(call)}' could not be found.")
            code, message = MISSING.get(kind, ("ResourceNotFound", f"The Resource '{kind_of(call)}' under resource group '{group_of(call)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"))
            if kind is not None and kind not in KINDS:
                self.unknown(call)
            raise Refused(404, code, message.format(account=call.segments[-3] if len(call.segments) > 3 else ""))
        self.exists(parent, call)
        return self.many(call, path, kind, version)

    def place(self, path):
        """(id of the parent, kind, is it a list?) of a path below a subscription."""
        scope, mark, tail = path.rpartition("/providers/")
        if not mark:
            parts = path.strip("/").split("/")
            if len(parts) == 3 and parts[2] == "resourcegroups":
                return f"/subscriptions/{parts[1]}", "resourcegroups", True
            return None, "resourcegroups" if len(parts) == 4 and parts[2] == "resourcegroups" else None, False
        words = tail.split("/")
        kind = "/".join([words[0], *words[1::2]])
        parent = scope if len(words) == 2 else path.rsplit("/", 1)[0]
        return parent, kind, len(words) % 2 == 0

    def exists(self, parent, call):
        parts = parent.strip("/").split("/")
        if len(parts) == 2 or parent in self.store.resources or parent.endswith("/default") and self.storage.service(parent):
            return
        if len(parts) >= 4 and parts[2] == "resourcegroups" and "/".join(["", *parts[:4]]) not in self.store.resources:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group_of(call)}' could not be found.")
        raise Refused(404, "ParentResourceNotFound" if len(parts) > 8 else "ResourceNotFound", f"The Resource '{parent}' was not found.")

    def unknown(self, call):
        raise Refused(404, "InvalidResourceType", f"The resource type '{kind_of(call)}' could not be found in the namespace for api version '{call.query['api-version']}'.")

    def many(self, call, path, kind, version):
        if kind != "resourcegroups" and kind not in KINDS:
            self.unknown(call)
        if re.fullmatch(r"microsoft\.storage/storageaccounts/(blob|file|queue|table)services", kind) and path not in self.store.lists:
            return Answer({"value": [public(self.storage.service(f"{path}/default"))]})
        found = self.store.lists.get(path, [])
        if "deleted" not in call.query.get("$include", "").lower():
            found = [r for r in found if not r.get("_deleted")]
        last = path.rsplit("/", 1)[1]
        page, more = self.pager.page(call, found, last, asked=self.number(call, "$maxpagesize") or self.number(call, "$top"))
        return self.pager.answer(call, [self.shown(r, version, False) for r in page], more, last)

    def one(self, call, resource, version):
        out = self.shown(resource, version, True)
        expand = call.query.get("$expand", "").lower()
        if "stats" in expand and "_stats" in resource:
            out["properties"] = out["properties"] | resource["_stats"]
        if "instanceview" in expand and "_instance_view" in resource:
            out["properties"] = out["properties"] | {"instanceView": resource["_instance_view"]}
        return Answer(out)

    def shown(self, resource, version, single):
        if resource.get("type") == "Microsoft.Storage/storageAccounts":
            return self.storage.versioned(resource, version)
        out = public(resource)
        if resource.get("type") == "Microsoft.KeyVault/vaults" and version < "2021":
            out.pop("systemData", None)
            out["properties"] = {k: v for k, v in out["properties"].items() if k != "publicNetworkAccess"}
        if single and "_detail" in resource:  # lists of keys leave out what the key is made of
            out["properties"] = out["properties"] | resource["_detail"]
        return out

    def number(self, call, name):
        text = call.query.get(name)
        if text is not None and not (text.isdigit() and int(text) >= 1):
            raise Refused(400, "InvalidQueryParameterValue", f"The value '{text}' of {name} is not a positive number.")
        return int(text) if text else None

    def listed(self, call, items, kind, asked=None):
        page, more = self.pager.page(call, items, kind, asked=asked)
        return self.pager.answer(call, page, more, kind)

    # -- operations -------------------------------------------------------------------------------------------------------

    def operation(self, call):
        patch = call.method == "PATCH"
        verb = "update" if patch else call.lower[-1]
        account = self.store.resources.get("/" + "/".join(call.lower if patch else call.lower[:-1]))
        if verb not in ("listkeys", "regeneratekey", "update"):
            raise Refused(405, "MethodNotAllowed", "The HTTP method 'POST' is not supported: this fake is for readers.")
        if account is None or account.get("type") != "Microsoft.Storage/storageAccounts":
            raise Refused(404, "ResourceNotFound", f"The Resource '{kind_of(call)}' under resource group '{group_of(call)}' was not found.")
        if self.switches.role == "reader":
            action = "Microsoft.Storage/storageAccounts/write" if patch else f"Microsoft.Storage/storageAccounts/{call.segments[-1]}/action"
            raise Refused(403, "AuthorizationFailed", f"The client '{call.token.subject}' does not have authorization to perform action '{action}' over "
                                                      f"scope '{account['id']}' or the scope is invalid. If access was recently granted, please refresh your credentials.")
        locked = self.locks.forbid(account["id"])
        if locked:
            raise locked
        caller = "robot@contoso.example"
        if verb == "listkeys":
            return self.storage.list_keys(account, caller)
        try:
            body = json.loads(call.body)
            if patch:
                properties = body["properties"]
            else:
                name = body["keyName"]
        except (ValueError, KeyError, TypeError):
            raise Refused(400, "InvalidRequestContent", "The request content was invalid: keyName or properties is required.") from None
        if patch:
            self.storage.update(account, properties)
            return Answer(self.storage.versioned(account, call.query["api-version"]))
        return self.storage.regenerate(account, name, caller)


def kind_of(call):
    tail = "/".join(call.segments).rpartition("/providers/")[2]
    return tail or "/".join(call.segments[2:])


def group_of(call):
    return call.segments[3] if len(call.segments) > 3 and call.lower[2] == "resourcegroups" else "<null>"


def microsoft_graph(call, store, pager):
    """`/v1.0/organization`, `/v1.0/users`: pages by `@odata.nextLink`."""
    if call.method != "GET" or len(call.lower) not in (2, 3) or call.lower[1] not in store.estate["graph"]:
        raise Refused(404, "", "", body={"error": {"code": "Request_ResourceNotFound", "message": "Resource not found for the segment.", "innerError": {"date": "2026-01-01T00:00:00", "request-id": "0"}}})
    items = store.estate["graph"][call.lower[1]]
    if len(call.lower) == 3:
        found = [i for i in items if i["id"].lower() == call.lower[2]]
        if not found:
            raise Refused(404, "Request_ResourceNotFound", f"Resource '{call.segments[2]}' does not exist or one of its queried reference-property objects are not present.")
        return Answer({"@odata.context": f"{call.base}/v1.0/$metadata#{call.lower[1]}/$entity"} | found[0])
    if call.query.get("$select"):
        items = [{k: v for k, v in i.items() if k in call.query["$select"].split(",")} for i in items]
    top = call.query.get("$top", "")
    page, more = pager.page(call, items, call.lower[1], "$skiptoken", int(top) if top.isdigit() else None)
    out = pager.answer(call, page, more, call.lower[1], "@odata.nextLink")
    out.body = {"@odata.context": f"{call.base}/v1.0/$metadata#{call.lower[1]}"} | out.body
    return out
