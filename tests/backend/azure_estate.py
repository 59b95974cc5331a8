#!/usr/bin/env python3
"""Azure estates whose facts are known: what the fake Resource Manager serves, and the truth that tests judge by.

  python azure_estate.py states --now 2026-03-01T00:00:00Z          # an estate as JSON
  python azure_estate.py states --now 2026-03-01T00:00:00Z --truth  # its facts as JSON

`CASES` says for every storage account in which state it is, as ages in days before `now`. `build` makes the API's resources and the
Activity Log of it, `truth` states the same facts without the API's shapes; neither is derived from the other. An estate is plain data:

  {"now", "tenants", "subscriptions", "denied", "resources", "events", "data_plane", "graph", "applications"}

Members of a resource that begin with `_` are for the fake only and never served. `@BASE@` in a value is replaced by the address that
the client used. Every secret the fake can give away contains `CANARY`.
"""
import argparse
import dataclasses
import datetime as dt
import json
import re
import uuid

import azure_resources

UTC = dt.timezone.utc
CANARY = "CANARYofAssayTests"
TENANT = "5f0c2f3a-7a1e-4a55-9d0b-3b7f0f6b9c01"
GUEST_TENANT = "5f0c2f3a-7a1e-4a55-9d0b-3b7f0f6b9c02"
CLIENT_ID = "0a7c6f52-41f5-4d0c-8a5c-7d6e5b4c3a21"
CLIENT_SECRET = f"{CANARY}~client.secret"
FEDERATED_TOKEN = f"{CANARY}.federated.token"
IDENTITY_HEADER = f"{CANARY}-identity-header"

# Only hexadecimal letters, so that tests can ask for the same id in other cases.
PROD = "a1b2c3d4-0000-4000-8000-00000000000a"
TEAM = "b2c3d4e5-0000-4000-8000-00000000000b"
DENIED = "c3d4e5f6-0000-4000-8000-00000000000c"
DISABLED = "d4e5f6a7-0000-4000-8000-00000000000d"
WARNED = "e5f6a7b8-0000-4000-8000-00000000000e"
NAMES = {PROD: "prod-main", TEAM: "prod-team", DENIED: "locked-away", DISABLED: "retired", WARNED: "behind-with-payment"}
STATES = {DISABLED: "Disabled", WARNED: "Warned"}

REGENERATE = "Microsoft.Storage/storageAccounts/regenerateKey/action"
LIST_KEYS = "Microsoft.Storage/storageAccounts/listKeys/action"
EXACTLY_90 = 90.0
ALMOST_90 = 90 - 1 / 24


@dataclasses.dataclass(frozen=True)
class Rotation:
    """One regenerateKey operation: `outcome` is the last status that the log has of it."""

    days: float
    key: str = "key1"
    outcome: str = "Succeeded"
    operation: str = REGENERATE
    caller: str | None = "alice@contoso.example"
    ids: str = "lower"  # the log's spelling of the resource id: lower | same | upper


@dataclasses.dataclass(frozen=True)
class Case:
    """One storage account in one state; ages in days before `now`, None = the API gives null."""

    name: str
    state: str
    key1: float | None
    key2: float | None
    created: float = 700
    rotations: tuple = ()
    list_keys: int = 0
    policy: int | None = None
    shared_key: bool | None = None  # None: the API leaves the member out, which means allowed
    group: str = "rg-app"
    subscription: str = PROD
    ids: str = "same"  # the account list's spelling of its id: same | upper
    region: str = "westeurope"
    kind: str = "StorageV2"
    locked: bool = False


def rotated(*days, key="key1", **more):
    return tuple(Rotation(d, key, **more) for d in days)


CASES = [
    Case("stfresh", "fresh keys", 10, 20, rotations=rotated(10) + rotated(20, key="key2")),
    Case("stonestale", "one stale key", 10, 200, rotations=rotated(10)),
    Case("stbothstale", "both keys stale", 200, 300),
    Case("stnulltimes", "null creation times", None, None, created=2100),
    Case("stonenull", "one null creation time", None, 15, created=2000, rotations=rotated(15, key="key2")),
    Case("styoung", "younger than 90 days without event", 30, 30, created=30),
    Case("stneighbour", "rotated neighbour in same resource group", 400, 400, group="rg-shared"),
    Case("strotated", "the neighbour that was rotated", 5, 400, group="rg-shared", rotations=rotated(5)),
    Case("stfailed", "failed rotation", 250, 250, rotations=rotated(12, outcome="Failed")),
    Case("stfailedthenok", "failed, then succeeded", 19, 250, rotations=rotated(20, outcome="Failed") + rotated(19)),
    Case("stunfinished", "rotation that never ended", 260, 260, rotations=rotated(3, outcome="Started")),
    Case("stnoise", "only listKeys noise", 180, 180, list_keys=40),
    Case("stnosharedkey", "shared key disabled", 500, 500, shared_key=False),
    Case("stsharedkey", "shared key allowed in so many words", 40, 41, shared_key=True, rotations=rotated(40) + rotated(41, key="key2")),
    Case("stpolicy30", "policy 30", 45, 40, policy=30, rotations=rotated(45) + rotated(40, key="key2")),
    Case("stpolicy90", "policy 90", 45, 60, policy=90, rotations=rotated(45) + rotated(60, key="key2")),
    Case("stpolicy365", "policy 365", 200, 210, policy=365),
    Case("stpolicynone", "no policy", 45, 60, rotations=rotated(45) + rotated(60, key="key2")),
    Case("stupper", "upper-case ids", 8, 9, group="RG-Upper", ids="upper", rotations=rotated(8) + rotated(9, key="key2")),
    Case("stexactly90", "exactly 90 days", EXACTLY_90, EXACTLY_90, created=600, rotations=rotated(EXACTLY_90)),
    Case("stalmost90", "an hour less than 90 days", ALMOST_90, ALMOST_90, created=600, rotations=rotated(ALMOST_90)),
    Case("stcasing", "operation and ids in upper case, no caller", 33, 34,
         rotations=(Rotation(33, "key1", operation=REGENERATE.upper(), caller=None, ids="upper"), Rotation(34, "key2", operation=REGENERATE.lower(), ids="same"))),
    Case("stlocked", "locked against listKeys", 70, 71, locked=True, rotations=rotated(70) + rotated(71, key="key2")),
    Case("stfiles", "no queues, tables or blobs", 100, 20, kind="FileStorage", group="rg-data", rotations=rotated(20, key="key2")),
    Case("stteamfresh", "fresh keys", 1, 2, subscription=TEAM, group="rg-team", region="northeurope",
         rotations=rotated(1, ids="upper") + rotated(2, key="key2", ids="upper")),
    Case("stteamstale", "both keys stale", 95, 1200, created=1300, subscription=TEAM, group="rg-team", region="northeurope"),
    Case("stdeniedfresh", "fresh keys", 4, 5, subscription=DENIED, group="rg-secret", rotations=rotated(4)),
    Case("stdeniedstale", "both keys stale", 800, 800, created=900, subscription=DENIED, group="rg-secret"),
    Case("stretired", "both keys stale", 900, 900, created=1000, subscription=DISABLED, group="rg-old"),
    Case("stwarned", "fresh keys", 6, 7, subscription=WARNED, group="rg-late", rotations=rotated(6) + rotated(7, key="key2")),
]

def alone(name, state, key1, key2, **more):
    """A case without neighbours."""
    return Case(name, state, key1, key2, **({"group": f"rg-{name}"} | more))

# The cases of docs/azure-key-rotation.md, each in a resource group of its own but for the neighbours.
RULES = [
    alone("strfresh", "both keys regenerated", 10, 20, rotations=rotated(10) + rotated(20, key="key2")),
    alone("strone", "only key1 regenerated", 10, 200, rotations=rotated(10)),
    alone("strstale", "no key regenerated", 200, 300),
    alone("strstale90", "no key regenerated, policy of 90 days", 200, 300, policy=90),
    alone("strstale365", "no key regenerated, policy of 365 days", 200, 300, policy=365),
    alone("strfresh30", "keys of 10 and 20 days, policy of 30", 10, 20, policy=30, rotations=rotated(10) + rotated(20, key="key2")),
    alone("strlate30", "keys of 45 and 40 days, policy of 30", 45, 40, policy=30, rotations=rotated(45) + rotated(40, key="key2")),
    alone("strnull", "creation times unknown", None, None, created=2100),
    alone("strnull90", "creation times unknown, policy of 90 days", None, None, created=2100, policy=90),
    alone("stryoung", "account of 30 days, nothing regenerated", 30, 30, created=30),
    alone("strneighbour", "no key regenerated, but a neighbour's", 400, 400, group="rg-shared"),
    alone("strrotated", "the neighbour", 5, 400, group="rg-shared", rotations=rotated(5)),
    alone("strfailed", "regeneration that failed", 250, 250, rotations=rotated(12, outcome="Failed")),
    alone("strnoise", "keys listed 40 times", 180, 180, list_keys=40),
    alone("stroff", "shared keys not accepted, old keys", 500, 500, shared_key=False),
    alone("strunlogged", "key1 of 12 days that the log does not know", 12, 400),
    alone("strlogonly", "regeneration in the log, keys as old as before", 400, 400, rotations=rotated(12)),
]
# Its events are in the log, the account is gone.
DELETED = Case("stdeleted", "deleted after its rotation", 50, 400, rotations=rotated(50))

# The subscriptions of the named estates.
ESTATES = {"states": (PROD, TEAM, DENIED), "readable": (PROD, TEAM), "all": (PROD, TEAM, DENIED, DISABLED, WARNED)}


def moment(now, days):
    return None if days is None else now - dt.timedelta(days=days)


def iso(at, digit=0):
    """The API's time: seven fractional digits."""
    return at and at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{digit}Z"


def identity(*parts):
    """A GUID that is a function of what it stands for."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


def account_id(case):
    path = f"/subscriptions/{case.subscription}/resourceGroups/{case.group}/providers/Microsoft.Storage/storageAccounts/{case.name}"
    return spell(path, case.ids)


def spell(path, how):
    if how == "upper":
        return path.upper()
    return path.lower() if how == "lower" else path


def account(case, now):
    """The storage account as `GET` gives it."""
    services = ("file",) if case.kind == "FileStorage" else ("dfs", "web", "blob", "queue", "table", "file")
    properties = {
        "keyCreationTime": {"key1": iso(moment(now, case.key1)), "key2": iso(moment(now, case.key2))},
        "privateEndpointConnections": [], "minimumTlsVersion": "TLS1_2", "allowBlobPublicAccess": False,
        "networkAcls": {"bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"},
        "supportsHttpsTrafficOnly": True,
        "encryption": {"services": {s: {"keyType": "Account", "enabled": True, "lastEnabledTime": iso(moment(now, case.created))} for s in ("file", "blob")},
                       "keySource": "Microsoft.Storage"},
        "provisioningState": "Succeeded", "creationTime": iso(moment(now, case.created)),
        "primaryEndpoints": {s: f"@BASE@/{case.name}/{s}/" for s in services},
        "primaryLocation": case.region, "statusOfPrimary": "available",
    }
    if case.kind == "StorageV2":
        properties["accessTier"] = "Hot"
    if case.policy is not None:
        properties["keyPolicy"] = {"keyExpirationPeriodInDays": case.policy}
        properties["sasPolicy"] = {"sasExpirationPeriod": "1.00:00:00", "expirationAction": "Log"}
    elif case.name == "stpolicynone":
        properties["keyPolicy"] = None  # the service has been seen to write nulls where the specification has none
    if case.shared_key is not None:
        properties["allowSharedKeyAccess"] = case.shared_key
    sku = ("Premium_LRS", "Premium") if case.kind == "FileStorage" else ("Standard_LRS", "Standard")
    return {"sku": {"name": sku[0], "tier": sku[1]}, "kind": case.kind, "id": account_id(case), "name": case.name, "type": "Microsoft.Storage/storageAccounts",
            "location": case.region, "tags": {"state": case.state}, "properties": properties,
            "_locked": case.locked}


def event(resource_id, at, status, operation=REGENERATE, correlation=None, caller="alice@contoso.example", sequence=0):
    """One entry of the Activity Log. A long operation is several of them with one correlation id."""
    def both(value, localized=None):
        return {"value": value, "localizedValue": localized if localized is not None else value}

    parts = resource_id.strip("/").split("/")
    provider, kind = parts[5], f"{parts[5]}/{parts[6]}"
    correlation = correlation or identity(resource_id.lower(), at.isoformat(), operation.lower())
    data_id = identity(correlation, status, sequence)
    code = {"Succeeded": ("OK", "OK (HTTP Status Code: 200)"), "Failed": ("Conflict", "Conflict (HTTP Status Code: 409)")}.get(status, ("", ""))
    name = "BeginRequest" if status == "Started" else "EndRequest"
    claims = {"aud": "https://management.core.windows.net/", "iss": f"https://sts.windows.net/{TENANT}/", "appid": CLIENT_ID, "ver": "1.0"}
    if caller:
        claims["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"] = caller
    return {
        "authorization": {"action": operation, "scope": resource_id}, "caller": caller, "channels": "Operation", "claims": claims, "correlationId": correlation,
        "description": "", "eventDataId": data_id, "eventName": both(name, "Begin request" if status == "Started" else "End request"),
        "category": both("Administrative"), "eventTimestamp": iso(at, 3), "id": f"{resource_id}/events/{data_id}/ticks/{ticks(at)}",
        "level": "Error" if status == "Failed" else "Informational", "operationId": correlation,
        "operationName": both(operation, "List Storage Account Keys" if "listkeys" in operation.lower() else "Regenerate Storage Account Keys"),
        "resourceGroupName": parts[3], "resourceProviderName": both(provider), "resourceType": both(kind), "resourceId": resource_id, "status": both(status),
        "subStatus": both(*code), "submissionTimestamp": iso(at + dt.timedelta(seconds=95)), "subscriptionId": parts[1], "tenantId": TENANT,
        "properties": {"eventCategory": "Administrative", "entity": resource_id, "message": operation, "hierarchy": f"{TENANT}/{parts[1]}"} | ({"statusCode": code[0]} if code[0] else {}),
        "relatedEvents": [],
    } | ({"httpRequest": {"clientRequestId": identity("client", data_id), "clientIpAddress": "203.0.113.7", "method": "POST"}} if status == "Started" else {})


def ticks(at):
    """100 ns since the year 1, as event ids carry them."""
    return (at - dt.datetime(1, 1, 1, tzinfo=UTC)) // dt.timedelta(microseconds=1) * 10


def operation_events(case, rotation, now):
    """The operation ends at its age; it began two seconds earlier."""
    at, rid = moment(now, rotation.days), spell(account_id(case), rotation.ids)
    correlation = correlation_of(case, rotation)
    more = {"operation": rotation.operation, "correlation": correlation, "caller": rotation.caller}
    out = [event(rid, at - dt.timedelta(seconds=2), "Started", **more)]
    if rotation.outcome != "Started":
        out.append(event(rid, at, rotation.outcome, sequence=1, **more))
    return out


def correlation_of(case, rotation):
    return identity("rotation", case.name, rotation.days, rotation.key)


def events(case, now):
    out = [e for r in case.rotations for e in operation_events(case, r, now)]
    for n in range(case.list_keys):
        at, rid = now - dt.timedelta(days=1 + n * 2, minutes=n), account_id(case).lower()
        correlation = identity("list", case.name, n)
        out += [event(rid, at, s, LIST_KEYS, correlation, "backup@contoso.example", i) for i, s in enumerate(("Started", "Succeeded"))]
    return out


def subscription(sub, name, state="Enabled"):
    return {"id": f"/subscriptions/{sub}", "authorizationSource": "RoleBased", "managedByTenants": [], "subscriptionId": sub, "tenantId": TENANT, "displayName": name,
            "state": state, "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"}}


def tenants():
    home = {"id": f"/tenants/{TENANT}", "tenantId": TENANT, "countryCode": "NL", "country": "Netherlands", "displayName": "Contoso", "domains": ["contoso.example", "contoso.onmicrosoft.example"],
            "tenantCategory": "Home", "defaultDomain": "contoso.example", "tenantType": "AAD"}
    guest = {"id": f"/tenants/{GUEST_TENANT}", "tenantId": GUEST_TENANT, "countryCode": "DE", "displayName": "Fabrikam", "domains": ["fabrikam.example"],
             "tenantCategory": "ManagedBy", "defaultDomain": "fabrikam.example", "tenantType": "AAD"}
    return [home, guest]


def bulk_cases(spec):
    """`many:10000` is one subscription with that many accounts, `many:3x500` three with 500 each. Every third account is stale."""
    subs, count = re.fullmatch(r"many:(?:(\d+)x)?(\d+)", spec).groups()
    out = []
    for s in range(int(subs or 1)):
        sub = f"{s + 1:08x}-0000-4000-8000-0000000000ff"
        for n in range(int(count)):
            age = 91 + n % 700 if n % 3 == 0 else 1 + n % 88
            rotations = () if n % 3 == 0 else rotated(age)
            out.append(Case(f"st{s:03d}{n:06d}", "stale" if n % 3 == 0 else "rotated", age, age + 1, created=900, rotations=rotations, group=f"rg-{n % 50:02d}", subscription=sub))
    return out


def cases(name):
    if name.startswith("many:"):
        return bulk_cases(name)
    if name == "rules":
        return RULES
    return [c for c in CASES if c.subscription in ESTATES[name]]


def build(name, now):
    """The estate `name` as it is at `now` (aware datetime)."""
    of = cases(name)
    subs = list(dict.fromkeys(c.subscription for c in of))
    resources = [account(c, now) for c in of]
    log = [e for c in of + ([DELETED] if PROD in subs else []) for e in events(c, now)]
    groups = dict.fromkeys((c.subscription, c.group, c.region) for c in of)
    resources += [azure_resources.group(*g) for g in groups]
    if PROD in subs:
        resources += azure_resources.everything_else(PROD, TENANT, now)
    return {
        "now": iso(now), "tenants": tenants(), "subscriptions": [subscription(s, NAMES.get(s, f"bulk-{s[:8]}"), STATES.get(s, "Enabled")) for s in subs],
        "denied": [s for s in subs if s == DENIED], "resources": resources, "events": log, "data_plane": azure_resources.data_plane(),
        "graph": azure_resources.graph(TENANT),
        "applications": [{"tenant": TENANT, "client_id": CLIENT_ID, "secret": CLIENT_SECRET, "federated": [FEDERATED_TOKEN]}],
        "identity_header": IDENTITY_HEADER,
    }


def truth(name, now):
    """What is true of each account, whoever asks and however: one dict per account, in the order of the estate."""
    def stated(at):
        return at and at.astimezone(UTC).isoformat().replace("+00:00", "Z")

    out = []
    for c in cases(name):
        rotations = [{"at": stated(moment(now, r.days)), "began": stated(moment(now, r.days) - dt.timedelta(seconds=2)), "status": r.outcome, "key": r.key, "caller": r.caller,
                      "correlation_id": correlation_of(c, r), "age_days": r.days} for r in c.rotations]
        done = [r.days for r in c.rotations if r.outcome == "Succeeded"]
        out.append({
            "name": c.name, "state": c.state, "id": account_id(c), "subscription_id": c.subscription, "resource_group": c.group.lower(), "region": c.region,
            "readable": c.subscription not in (DENIED, DISABLED), "created": stated(moment(now, c.created)), "created_days": c.created,
            "keys": {"key1": {"created": stated(moment(now, c.key1)), "age_days": c.key1}, "key2": {"created": stated(moment(now, c.key2)), "age_days": c.key2}},
            "policy_days": c.policy, "shared_key_access": c.shared_key, "rotations": rotations,
            "last_success_days": min(done) if done else None, "locked": c.locked,
        })
    return out


def parse_now(text):
    at = dt.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else dt.datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", help="states, readable, all, rules, many:N or many:SxN")
    p.add_argument("--now", help="RFC 3339; default: the present")
    p.add_argument("--truth", action="store_true")
    a = p.parse_args()
    print(json.dumps((truth if a.truth else build)(a.name, parse_now(a.now)), indent=1))
