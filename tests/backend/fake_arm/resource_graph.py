"""The Resource Graph: `resources | where type =~ '…' | project … | order by … | limit n`, with `$top`, `$skip` and `$skipToken`.

As the service does it: subscriptions that cannot be read are left out without a word; rows have the columns of the documented tables and no others, types
and groups in lower case, '' or null where a resource lacks them; what is personal is hidden.
"""
import copy
import json
import re

from answers import Answer, Refused
from pages import read, token
from store import public

TABLES = ("resources", "resourcecontainers")
# Columns of both tables beside `id`, and what they are where a resource has none.
COLUMNS = {"name": "", "kind": "", "managedBy": "", "sku": None, "plan": None, "properties": {}, "tags": None, "identity": None, "zones": None, "extendedLocation": None}
PERSONAL = {"microsoft.compute/virtualmachines": ("osProfile.adminUsername", "osProfile.linuxConfiguration.ssh"), "microsoft.sql/servers": ("administratorLogin",)}
TEST = re.compile(r"""^\s*([\w.]+)\s*(==|=~|!=|!~|contains|startswith|in~|in)\s*(.+?)\s*$""", re.I)


def refuse(message):
    return Refused(400, "BadRequest", "", body={"error": {"code": "BadRequest", "message": "Please provide below info when asking for support", "details": [
        {"code": "InvalidQuery", "message": "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying."}, {"code": "ParserFailure", "message": message}]}})


class ResourceGraph:
    def __init__(self, store, switches):
        self.store, self.switches = store, switches

    def answer(self, call):
        try:
            body = json.loads(call.body)
            text, options = body["query"], body.get("options") or {}
        except (ValueError, KeyError, TypeError):
            raise Refused(400, "InvalidPayload", "The request body must have a member 'query'.") from None
        asked = [s.lower() for s in body.get("subscriptions") or self.store.subscriptions]
        readable = [s for s in asked if s in self.store.subscriptions and not self.switches.is_denied(s)]
        if not readable:  # those that cannot be read are left out; only if none is left does the service refuse
            raise Refused(403, "AuthorizationFailed", "Access denied to all of the subscriptions given.")
        rows = self.run(text, readable)
        top = options.get("$top", 100)
        if not 1 <= top <= 1000:
            raise Refused(400, "BadRequest", "$top must be between 1 and 1000.")
        size = self.switches.size("resources", top)
        start = read(options["$skipToken"]) if options.get("$skipToken") else options.get("$skip", 0)
        page, more = rows[start:start + size], start + size < len(rows)
        out = {"totalRecords": len(rows), "count": len(page), "data": page, "facets": [], "resultTruncated": "false"}
        if more:
            out["$skipToken"] = token(start + size)
        if options.get("resultFormat", "objectArray").lower() == "table":
            names = list(dict.fromkeys(k for r in page for k in r))
            out["data"] = {"columns": [{"name": n, "type": "object" if isinstance(next((r[n] for r in page if r.get(n) is not None), ""), (dict, list)) else "string"} for n in names],
                           "rows": [[r.get(n) for n in names] for r in page]}
        return Answer(out, headers={"x-ms-user-quota-remaining": "14", "x-ms-user-quota-resets-after": "00:00:05"})

    def run(self, text, subs):
        steps = [s.strip() for s in re.split(r"\|(?=(?:[^']*'[^']*')*[^']*$)", text)]
        if steps[0].lower() not in TABLES:
            raise refuse(f"table '{steps[0]}' is not known")
        rows = [self.row(s, r) for s in subs for r in self.of(steps[0].lower(), s)]
        for step in steps[1:]:
            rows = apply(rows, step)
        return rows

    def of(self, table, sub):
        groups, only = self.store.lists.get(f"/subscriptions/{sub}/resourcegroups", []), self.switches.groups_only(sub)
        if only is not None:  # a role on some groups shows these and what is in them, not the subscription
            groups = [g for g in groups if g["name"].lower() in only]
        if table == "resources":
            return [r for r in self.store.under(sub) if not self.switches.is_hidden(r["type"]) and (only is None or r["id"].lower().split("/")[4] in only)]
        s = self.store.subscriptions[sub]
        return [*([] if only is not None else [{"id": s["id"], "name": s["displayName"], "type": "Microsoft.Resources/subscriptions", "properties": {"state": s["state"]}}]),
                *({**g, "type": "Microsoft.Resources/subscriptions/resourceGroups"} for g in groups)]

    def row(self, sub, resource):
        parts = resource["id"].lower().strip("/").split("/")
        tenant = self.store.subscriptions[sub]["tenantId"]
        own = public(resource)
        if own["type"].lower() in PERSONAL:
            own = copy.deepcopy(own)
            for path in PERSONAL[own["type"].lower()]:
                *above, last = path.split(".")
                holder = own["properties"]
                for name in above:
                    holder = holder.get(name, {})
                holder.pop(last, None)
        return {"id": own["id"], "type": own["type"].lower(), "tenantId": tenant, "location": own.get("location", "").lower().replace(" ", ""),
                "resourceGroup": parts[3] if len(parts) > 3 else "", "subscriptionId": sub, **{name: own.get(name, without) for name, without in COLUMNS.items()}}


def field(row, path):
    for name in path.split("."):
        row = next((v for k, v in row.items() if k.lower() == name.lower()), None) if isinstance(row, dict) else None
    return row


def literal(text):
    if m := re.fullmatch(r"'((?:[^']|'')*)'|\"([^\"]*)\"", text):
        return (m[1] if m[1] is not None else m[2]).replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    raise refuse(f"'{text}' is no literal")


def holds(row, test):
    m = TEST.match(test)
    if not m:
        raise refuse(f"'{test}' is not understood")
    value, op, right = field(row, m[1]), m[2].lower(), m[3]
    if op in ("in", "in~"):
        items = [literal(i.strip()) for i in right.strip("()").split(",")]
        return str(value).lower() in {str(i).lower() for i in items} if op == "in~" else value in items
    right = literal(right)
    fold = str(value if value is not None else "").lower()
    return {"==": value == right, "!=": value != right, "=~": fold == str(right).lower(), "!~": fold != str(right).lower(), "contains": str(right).lower() in fold,
            "startswith": fold.startswith(str(right).lower())}[op]


def apply(rows, step):
    word, _, rest = step.partition(" ")
    word = word.lower()
    if word == "where":
        tests = re.split(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", rest, flags=re.I)
        return [r for r in rows if all(holds(r, t) for t in tests)]
    if word == "project":
        pairs = [(a.strip(), (b or a).strip()) for a, _, b in (p.partition("=") for p in rest.split(","))]
        return [{n: field(r, p) for n, p in pairs} for r in rows]
    if word in ("limit", "take") and rest.strip().isdigit():
        return rows[:int(rest)]
    if word in ("order", "sort") and (m := re.fullmatch(r"by\s+([\w.]+)(?:\s+(asc|desc))?", rest.strip(), re.I)):
        return sorted(rows, key=lambda r: str(field(r, m[1]) or ""), reverse=(m[2] or "desc").lower() == "desc")
    if word == "count":
        return [{"Count": len(rows)}]
    raise refuse(f"the operator '{word}' is not understood")
