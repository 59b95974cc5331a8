"""What a test can change while the fake runs: `POST /_control` with any of these members, `/_reset` takes everything back.

  page_size      {"*": 100, "storageAccounts": 2, "events": 4}     by the last word of the list's path; "events" is the Activity Log
  empty_pages    n: every list begins with n empty pages that have a nextLink
  denied         [subscription ids]: 403 AuthorizationFailed there
  hidden_kinds   [kinds]: the principal's role does not have them: 403 where they are listed, left out of the Resource Graph
  only_groups    {subscription id: [names of groups]}: the principal has its role on these alone
  role           "contributor" | "reader" (a reader may not list or regenerate keys)
  failing_keys   [account names]: regenerateKey ends as Failed, keys stay
  locks          [{"scope": resource id, "name", "level": "ReadOnly" | "CanNotDelete"}]; a ReadOnly lock also forbids what it says it does
  transactions   {account: {"AccountKey" | "SAS" | "OAuth" | …: [[hours ago, count], …]}}: what its metrics say
  vault_permissions  of "get", "list", "set", "delete": what the principal may do with secrets
  strict_filter  true: the Activity Log takes only what its specification names
  bucket         {"capacity": 250, "refill": 25} per subscription and principal: over it, 429; null: no limit
  storage_buckets  {"list": {…}, "read": {…}}: the storage provider's own, beside the first: lists of accounts, every other read
  remaining      n: what the headers of remaining reads say, whatever is true
  token_lifetime seconds
  schema_only    true: no member or null that the specification does not have
  strict_storage_audience / gzip   true | false
  client_certificate / applications / federated    see entra.py
  faults         a list of rules, tried in order; each answer takes the first whose `when` fits and that is not used up:
    {"when": {"path": regex, "method": "GET", "service": "arm|graph|storage|vault|login", "page": n},  every member optional; page 1 is a list's first
     "skip": n, "times": n (without: for ever), "do": …}
    do: throttle (retry_after, code) | error (status, code, message, shape) | html (status) | expire (the token used, now and later) | latency (ms; after: as many once it took effect) | drop
        loop (nextLink to this page) | back (nextLink to the first page) | foreign (nextLink to host) | truncate | garbage | empty_body | retype (value is no list) | other (some other JSON)
"""
import collections
import copy
import re
import time

PAGING = {"loop", "back", "foreign", "truncate", "garbage", "empty_body", "retype", "other"}
DOES = PAGING | {"throttle", "error", "html", "expire", "latency", "drop"}
DEFAULTS = {
    "page_size": {"*": 1000}, "empty_pages": 0, "denied": None, "only_groups": {}, "hidden_kinds": [], "role": "contributor", "failing_keys": [], "locks": [], "transactions": {},
    "vault_permissions": ["get", "list", "set", "delete"], "strict_filter": False, "bucket": None, "storage_buckets": {}, "remaining": None,
    "token_lifetime": 3599, "schema_only": False, "gzip": False, "client_certificate": None, "applications": None, "federated": None, "faults": [],
}


class Switches:
    def __init__(self, denied):
        self.first_denied = denied
        self.reset()

    def reset(self):
        self.values = copy.deepcopy(DEFAULTS) | {"denied": list(self.first_denied)}
        self.used = collections.Counter()
        self.buckets = {}

    def set(self, given):
        unknown = sorted(set(given) - set(DEFAULTS))
        if unknown:
            raise ValueError(f"no switch is named {', '.join(unknown)}")
        for rule in given.get("faults", []):
            if rule.get("do") not in DOES or set(rule.get("when", {})) - {"path", "method", "service", "page"}:
                raise ValueError(f"not a fault: {rule}")
        if "page_size" in given:
            given["page_size"] = {"*": 1000} | given["page_size"]
        if "faults" in given:
            self.used.clear()
        self.buckets = {}
        self.values |= given

    def __getattr__(self, name):
        if name in DEFAULTS:
            return self.values[name]
        raise AttributeError(name)

    def is_denied(self, sub):
        return sub in {d.lower() for d in self.denied}

    def groups_only(self, sub):
        """Names of the groups, in lower case; None: the whole subscription."""
        found = next((groups for id, groups in self.only_groups.items() if id.lower() == sub), None)
        return None if found is None else {name.lower() for name in found}

    def is_hidden(self, kind):
        return kind.lower() in {k.lower() for k in self.hidden_kinds}

    def size(self, kind, asked=None):
        sizes = {k.lower(): v for k, v in self.page_size.items()}
        most = sizes.get(kind.lower(), sizes["*"])
        return max(1, min(most, asked)) if asked else most

    def fault(self, call, service, page, paging):
        """The rule for this call, of those that bend answers (`paging`) or of those that come before."""
        for n, rule in enumerate(self.faults):
            if (rule["do"] in PAGING) != paging or not fits(rule.get("when", {}), call, service, page):
                continue
            self.used[n] += 1
            turn = self.used[n] - rule.get("skip", 0)
            if turn >= 1 and turn <= rule.get("times", 10**9):
                return rule
        return None

    def take(self, sub, subject, path):
        """One read out of its buckets: (may it be, reads left in the subscription's)."""
        wanted = [((sub, subject), self.bucket, 249)]
        if provider_of(path) == "microsoft.storage":
            kind = "list" if path.endswith("/storageaccounts") else "read"
            wanted.append(((sub, subject, kind), self.storage_buckets.get(kind), 0))
        levels = [(key, rule, self.level(key, rule)) for key, rule, _ in wanted if rule is not None]
        ok = all(level >= 1 for *_, level in levels)
        now = time.monotonic()
        for key, _, level in levels:
            self.buckets[key] = (level - ok, now)
        left = int(self.buckets[(sub, subject)][0]) if self.bucket else 249
        return ok, self.remaining if self.remaining is not None else left

    def level(self, key, rule):
        level, at = self.buckets.get(key, (float(rule["capacity"]), time.monotonic()))
        return min(rule["capacity"], level + (time.monotonic() - at) * rule["refill"])


def provider_of(path):
    return path.rpartition("/providers/")[2].split("/")[0]


def fits(when, call, service, page):
    if "method" in when and when["method"] != call.method or "service" in when and when["service"] != service:
        return False
    if "page" in when and when["page"] != page:
        return False
    return "path" not in when or re.search(when["path"], call.path, re.I) is not None
