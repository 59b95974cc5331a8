"""The four controls over storage account keys, judged again from what the Azure Python SDK reads: {(resource, status)} for one subscription.

Written from the rules, not from our SQL, and sharing nothing with it. Every rule gives a dict resource -> (status, words), where
the words are pieces that the reason has to contain (`!` before a piece: must not).
"""
import datetime as dt

from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.storage import StorageManagementClient

UTC = dt.timezone.utc
REGENERATE = "microsoft.storage/storageaccounts/regeneratekey/action"
DISAGREE = "The log and the creation times disagree"
# A regeneration and the creation time it leaves are the same moment, but two services write them down.
SAME = dt.timedelta(hours=1)


def midnight(now, days):
    """The moment from which on a thing is younger than that many days; everything at it or before is too old."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=days)


def day(at):
    return at.astimezone(UTC).strftime("%d-%b-%Y")


class Subscription:
    """What the SDK reads of one subscription. `options` go to every client (base_url, credential_scopes …), `call` to every operation."""

    def __init__(self, credential, subscription, now, call=None, **options):
        self.id, self.now, call = subscription, now, call or {}
        storage = StorageManagementClient(credential, subscription, **options)
        self.accounts = list(storage.storage_accounts.list(**call))
        monitor = MonitorManagementClient(credential, subscription, **options)
        since = (now - dt.timedelta(days=90) + dt.timedelta(minutes=5)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = f"eventTimestamp ge '{since}' and resourceProvider eq 'Microsoft.Storage'"
        self.events = [e for e in monitor.activity_logs.list(filter=query, **call) if e.operation_name.value.lower() == REGENERATE]

    def times(self, account, status):
        """When regenerations of this very account ended so."""
        return [e.event_timestamp for e in self.events if e.resource_id.lower() == account.id.lower() and e.status.value == status]

    def days(self, at):
        return (self.now - at).days

    def keys(self, account):
        made = account.key_creation_time
        return {"key1": made and made.key1, "key2": made and made.key2}


def refused(account):
    return account.allow_shared_key_access is False


def event_rule(s, limit=90):
    """StorageAccounts-002: one successful regeneration of this account within the limit, as the log has it."""
    out = {}
    for a in s.accounts:
        rotated, failed = max(s.times(a, "Succeeded"), default=None), max(s.times(a, "Failed"), default=None)
        young = a.creation_time is not None and a.creation_time > midnight(s.now, limit)
        words = [a.name]
        if rotated:
            words.append(f"last rotation event {day(rotated)} ({s.days(rotated)} days ago)")
        else:
            words.append("no rotation event")
        words.append(("" if failed and (not rotated or failed > rotated) else "!") + "attempt on")
        for name, made in s.keys(a).items():
            words.append(f"{name} created {day(made)} ({s.days(made)} days)" if made else f"{name} of unknown age")
        words.append(("" if disagree(s, a, rotated) else "!") + DISAGREE)
        if refused(a):
            status = "skip"
            words.append("does not accept shared keys")
        elif rotated and rotated > midnight(s.now, limit):
            status = "ok"
        else:
            status = "skip" if young else "alarm"
        out[a.id] = (status, words)
    return out


def disagree(s, account, rotated):
    """Does the log know of a regeneration that left no key of that age, or a key tell of one that is not in the log?"""
    known = [made for made in s.keys(account).values() if made]
    if not known:
        return False
    if rotated and max(known) < rotated - SAME:
        return True
    explained = rotated or account.creation_time or dt.datetime.min.replace(tzinfo=UTC)
    return max(known) > s.now - dt.timedelta(days=89) and max(known) - explained > SAME


def key_age(s, limit=90):
    """azure_storage_account_key_age: each key by its creation time; unknown is an alarm."""
    out = {}
    for a in s.accounts:
        for name, made in s.keys(a).items():
            if refused(a):
                status = "skip"
            else:
                status = "alarm" if made is None or made <= midnight(s.now, limit) else "ok"
            words = [f"{a.name} {name}", f"created {day(made)} ({s.days(made)} days)" if made else "age is unknown"]
            out[f"{a.id}/keys/{name}"] = (status, words)
    return out


def expiration_policy(s, limit=90):
    """azure_storage_account_key_expiration_policy: a period of 1 day up to the limit."""
    out = {}
    for a in s.accounts:
        days = a.key_policy.key_expiration_period_in_days if a.key_policy else None
        status = "skip" if refused(a) else "ok" if days is not None and 1 <= days <= limit else "alarm"
        out[a.id] = (status, [a.name, "no key expiration policy" if days is None else f"policy of {days} day"])
    return out


def shared_keys(s, limit=90):
    """azure_storage_account_shared_key_access_disabled: nothing set means accepted."""
    out = {}
    for a in s.accounts:
        old = sum(made is None or made <= midnight(s.now, limit) for made in s.keys(a).values())
        words = [a.name, "does not accept" if refused(a) else f"none is {limit} days old" if not old else f"({old} "]
        out[a.id] = ("ok" if refused(a) else "alarm", words)
    return out


JUDGES = {
    "StorageAccounts-002": event_rule,
    "azure_storage_account_key_age": key_age,
    "azure_storage_account_key_expiration_policy": expiration_policy,
    "azure_storage_account_shared_key_access_disabled": shared_keys,
}


# How others decide "rotated", as their published rules have it: docs/azure-key-rotation.md compares them, and test_azure_verdicts.py the table there.

def azure_policy(s, a):
    """"Storage account keys should not be expired": a known creation time plus a set period lies in the past."""
    period = a.key_policy.key_expiration_period_in_days if a.key_policy else None
    return not any(made and period is not None and made + dt.timedelta(days=period) < s.now for made in s.keys(a).values())


def prowler(s, a):
    """storage_key_rotation_90_days: a period that is set and at most 90."""
    period = a.key_policy.key_expiration_period_in_days if a.key_policy else None
    return period is not None and period <= 90


def powerpipe(s, a):
    """storage_account_key_rotation_reminder_enabled: a period of exactly 90."""
    return a.key_policy is not None and a.key_policy.key_expiration_period_in_days == 90


def conformity(s, a):
    """StorageAccounts-002 as published: a regeneration that succeeded in the account's resource group in 90 days."""
    def group(resource):
        return resource.lower().split("/providers/")[0]
    return any(group(e.resource_id) == group(a.id) and e.status.value == "Succeeded" for e in s.events)


OTHERS = [azure_policy, prowler, powerpipe, conformity]


def differences(expected, rows):
    """What is wrong with rows [(resource, status, reason)] where `expected` is what a judge gave; empty if nothing is."""
    wrong = []
    found = {resource.lower(): (status, reason) for resource, status, reason in rows}
    if len(found) != len(rows):
        wrong.append("a resource comes twice")
    wanted = {resource.lower(): verdict for resource, verdict in expected.items()}
    wrong += [f"{r}: missing" for r in wanted.keys() - found.keys()] + [f"{r}: not expected" for r in found.keys() - wanted.keys()]
    for resource in wanted.keys() & found.keys():
        (status, words), (got, reason) = wanted[resource], found[resource]
        if got != status:
            wrong.append(f"{resource}: {got}, should be {status} ({reason})")
        for word in words:
            if (word.removeprefix("!") in reason) == word.startswith("!"):
                wrong.append(f"{resource}: {word!r} does not hold for {reason!r}")
    return sorted(wrong)
