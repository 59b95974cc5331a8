"""The resources of an estate, by id and by the list they stand in, and the clock they are seen at."""
import datetime as dt
import time

UTC = dt.timezone.utc


class Clock:
    """The time of the estate: begins at `now` and runs, or stands still."""

    def __init__(self, now, frozen=False):
        self.start, self.began, self.frozen = now, time.monotonic(), frozen

    def now(self):
        return self.start if self.frozen else self.start + dt.timedelta(seconds=time.monotonic() - self.began)


class Store:
    """Resources under lower-case ids: every comparison in the Resource Manager is without regard to case."""

    def __init__(self, estate):
        self.estate = estate
        self.subscriptions = {s["subscriptionId"].lower(): s for s in estate["subscriptions"]}
        self.resources, self.lists = {}, {}
        for resource in estate["resources"]:
            self.add(resource)
        self.accounts = {r["name"].lower(): r for r in estate["resources"] if (r["type"] or "").lower() == "microsoft.storage/storageaccounts"}
        self.log = sorted(estate["events"], key=lambda e: e["eventTimestamp"], reverse=True)
        self.generation = 0

    def add(self, resource):
        under = resource.get("_under")
        rid = f"{under}/providers/microsoft.insights/diagnosticSettings/{resource['name']}" if under else resource["id"]
        rid = rid.lower()
        self.resources[rid] = resource
        self.lists.setdefault(resource["_in"].lower() if "_in" in resource else rid.rsplit("/", 1)[0], []).append(resource)
        parts = rid.strip("/").split("/")
        if len(parts) == 8 and parts[2] == "resourcegroups" and "_in" not in resource:  # also in the subscription's list of its kind
            self.lists.setdefault(f"/subscriptions/{parts[1]}/providers/{parts[5]}/{parts[6]}", []).append(resource)

    def under(self, sub):
        """Resources of a subscription that have a group, for the Resource Graph and `/resources`: top-level kinds only."""
        prefix = f"/subscriptions/{sub.lower()}/resourcegroups/"
        return [r for i, r in self.resources.items() if i.startswith(prefix) and i.count("/") == 8]

    def write(self, *events):
        self.log = sorted([*events, *self.log], key=lambda e: e["eventTimestamp"], reverse=True)
        self.generation += 1


def public(resource):
    """A resource without what is only for the fake."""
    return {k: v for k, v in resource.items() if not k.startswith("_")}
