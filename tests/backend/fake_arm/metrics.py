"""Metrics of storage accounts, split by how requests were authorized; and locks, which are about what may be changed at all."""
import datetime as dt
import re

from answers import Answer, Refused
from activity_log import moment

GRAINS = {"PT1M": 60, "PT5M": 300, "PT15M": 900, "PT30M": 1800, "PT1H": 3600, "PT6H": 21600, "PT12H": 43200, "P1D": 86400}
KEPT = dt.timedelta(days=93)
LOCKS = "/providers/microsoft.authorization/locks"


def bad(message):
    return Refused(400, "BadRequest", message, shape="flat")


class Metrics:
    """`switches.transactions`: {account: {authentication: [[hours ago, count], …]}}"""

    def __init__(self, store, clock, switches):
        self.store, self.clock, self.switches = store, clock, switches

    def answer(self, call):
        rid = "/" + "/".join(call.lower).split("/providers/microsoft.insights/metrics")[0]
        account = self.store.resources.get(rid)
        if account is None or account.get("type") != "Microsoft.Storage/storageAccounts":
            raise Refused(404, "ResourceNotFound", f"The Resource '{call.path}' was not found.")
        q = call.query
        if q.get("metricnames") != "Transactions" or q.get("aggregation", "Total").lower() != "total":
            raise bad(f"Failed to find metric configuration for provider: Microsoft.Storage, resource Type: storageAccounts, metric: {q.get('metricnames')}")
        grain = GRAINS.get(q.get("interval", "PT1M"))
        if grain is None:
            raise bad(f"Detected invalid time grain input: {q.get('interval')}")
        start, _, end = q.get("timespan", "").partition("/")
        start, end = moment(start), moment(end)
        if end <= start or start < self.clock.now() - KEPT - dt.timedelta(hours=1):
            raise bad("The timespan is not one that metrics are kept for.")
        split = self.wanted(q.get("$filter"))
        series = []
        for kind, counts in sorted(self.switches.transactions.get(account["name"], {}).items()):
            points = [(self.clock.now() - dt.timedelta(hours=ago), n) for ago, n in counts]
            points = [(at, n) for at, n in points if start <= at <= end]
            if points and (split is None or split(kind)):
                series.append((kind, points))
        if split is None and series:
            series = [(None, sum((points for _, points in series), []))]
        top = int(q.get("top", 10)) if split else len(series)
        return Answer({"cost": 0, "timespan": f"{q['timespan']}", "interval": q.get("interval", "PT1M"), "namespace": "Microsoft.Storage/storageAccounts", "resourceregion": account["location"],
                       "value": [{"id": f"{account['id']}/providers/Microsoft.Insights/metrics/Transactions", "type": "Microsoft.Insights/metrics", "name": {"value": "Transactions", "localizedValue": "Transactions"},
                                  "displayDescription": "The number of requests made to a storage service or the specified API operation.", "unit": "Count", "errorCode": "Success",
                                  "timeseries": [self.one(kind, points, start, end, grain) for kind, points in series[:top]]}]})

    def wanted(self, text):
        """Which values of the dimension a filter takes; None: it does not split."""
        if not text:
            return None
        m = re.fullmatch(r"\s*Authentication\s+eq\s+'([^']*)'((\s+or\s+Authentication\s+eq\s+'[^']*')*)\s*", text, re.I)
        if not m:
            raise bad(f"The filter '{text}' is not supported.")
        values = {v.lower() for v in re.findall(r"'([^']*)'", text)}
        return lambda kind: "*" in values or kind.lower() in values

    def one(self, kind, points, start, end, grain):
        data, at = [], start
        while at < end and len(data) < 2000:
            until = at + dt.timedelta(seconds=grain)
            data.append({"timeStamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "total": float(sum(n for when, n in points if at <= when < until or (when == end and until >= end)))})
            at = until
        names = [] if kind is None else [{"name": {"value": "authentication", "localizedValue": "authentication"}, "value": kind}]
        return {"metadatavalues": names, "data": data}


class Locks:
    """`switches.locks`: [{"scope": id, "name", "level": "ReadOnly" | "CanNotDelete"}]"""

    def __init__(self, switches):
        self.switches = switches

    def all(self):
        return [{"properties": {"level": lock["level"]}, "id": f"{lock['scope']}/providers/Microsoft.Authorization/locks/{lock['name']}", "type": "Microsoft.Authorization/locks", "name": lock["name"]}
                for lock in self.switches.locks]

    def answer(self, call):
        scope = "/" + "/".join(call.lower[:-3])
        at_scope = call.query.get("$filter", "").lower() == "atscope()"
        found = []
        for lock in self.all():
            on = lock["id"].lower().rpartition("/providers/microsoft.authorization/locks/")[0]
            if on == scope or not at_scope and on.startswith(scope + "/"):  # those of an outer scope stand in its own list only
                found.append(lock)
        return Answer({"value": found})

    def forbid(self, rid):
        """The refusal of a change under a ReadOnly lock, or None."""
        rid = rid.lower()
        for lock in self.switches.locks:
            on = lock["scope"].lower()
            if lock["level"] == "ReadOnly" and (rid == on or rid.startswith(on + "/")):
                return Refused(409, "ScopeLocked", f"The scope '{rid}' cannot perform write operation because following scope(s) are locked: '{lock['scope']}'. Please remove the lock and try again.")
        return None
