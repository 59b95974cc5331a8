"""The Activity Log: its filter grammar, its window of 90 days, `$select`, pages newest first."""
import datetime as dt
import re

from answers import Answer, Refused

UTC = dt.timezone.utc
KEPT = dt.timedelta(days=90)
SLACK = dt.timedelta(minutes=5)
CLAUSE = re.compile(r"^\s*(\w+)\s+(ge|le|eq)\s+('((?:[^']|'')*)'|[^'\s]+)\s*$", re.I)
# What the specification allows: a start, an end, and at most one of these.
NARROWING = {"resourcegroupname": lambda e: e["resourceGroupName"], "resourceuri": lambda e: e["resourceId"], "correlationid": lambda e: e["correlationId"],
             "resourceprovider": lambda e: e["resourceProviderName"]["value"]}
# What the service has been seen to accept beside it.
UNDOCUMENTED = {"resourceid": lambda e: e["resourceId"], "status": lambda e: e["status"]["value"], "caller": lambda e: e["caller"], "eventchannels": lambda e: e["channels"],
                "resourcetype": lambda e: e["resourceType"]["value"], "levels": lambda e: e["level"]}
SELECTABLE = {n.lower(): n for n in (
    "authorization", "claims", "correlationId", "description", "eventDataId", "eventName", "eventTimestamp", "httpRequest", "level", "operationId", "operationName", "properties",
    "resourceGroupName", "resourceProviderName", "resourceId", "status", "submissionTimestamp", "subStatus", "subscriptionId", "caller")}


def refuse(message):
    return Refused(400, "BadRequest", message, shape="flat")


def moment(text):
    """Quoted or not, `T` or a space, with or without a zone, up to seven digits."""
    try:
        at = dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()).replace("Z", "+00:00"))
    except ValueError:
        raise refuse(f"The date '{text}' in the filter is not a valid date.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Filter:
    """A parsed `$filter`. `documented`: nothing in it is beyond the specification."""

    def __init__(self, text):
        self.start = self.end = None
        self.equal, self.documented = {}, True
        for clause in split(text):
            m = CLAUSE.match(clause)
            if not m:
                raise refuse(f"The filter clause '{clause.strip()}' is not supported.")
            field, op, value = m[1].lower(), m[2].lower(), m[3]
            quoted = value.startswith("'")
            value = m[4].replace("''", "'") if quoted else value
            if field == "eventtimestamp":
                self.time(op, value, quoted)
            elif op == "eq" and field in NARROWING | UNDOCUMENTED:
                self.documented &= quoted and field in NARROWING and not self.equal
                self.equal[field] = value.lower()
            else:
                raise refuse(f"The field '{m[1]}' with '{op}' is not supported in the filter.")
        if self.start is None:
            raise refuse("The filter must have a start time: eventTimestamp ge '<time>'.")
        if self.end and self.end < self.start:
            raise refuse("The start time of the filter is after its end.")

    def time(self, op, value, quoted):
        if op == "eq" or (self.start if op == "ge" else self.end) is not None:
            raise refuse("eventTimestamp takes one 'ge' and one 'le'.")
        self.documented &= quoted and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", value))
        if op == "ge":
            self.start = moment(value)
        else:
            self.end = moment(value)

    def takes(self, event, at):
        if at < self.start or (self.end and at > self.end):
            return False
        fields = NARROWING | UNDOCUMENTED
        return all((fields[f](event) or "").lower() == v for f, v in self.equal.items())


def split(text):
    """Clauses between ` and `, which may also stand inside quotes."""
    parts, depth, start = [], False, 0
    for m in re.finditer(r"'|\s+and\s+", text, re.I):
        if m[0] == "'":
            depth = not depth
        elif not depth:
            parts.append(text[start:m.start()])
            start = m.end()
    return parts + [text[start:]]


class ActivityLog:
    def __init__(self, store, clock, switches, pager):
        self.store, self.clock, self.switches, self.pager = store, clock, switches, pager
        self.kept = {}

    def answer(self, call):
        text = call.query.get("$filter")
        if call.subscription is None:  # the tenant's own log has nothing of its subscriptions
            return Answer({"value": []})
        if not text:
            raise refuse("The $filter query parameter is required.")
        wanted = Filter(text)
        call.documented = wanted.documented
        if self.switches.strict_filter and not wanted.documented:
            raise refuse("The filter is not one of the documented patterns.")
        if wanted.start < self.clock.now() - KEPT - SLACK:
            raise refuse("The start time cannot be more than 90 days in the past.")
        names = self.selected(call)
        found = self.find(call.subscription, text, wanted)
        page, more = self.pager.page(call, found, "events")
        if names:
            page = [{k: v for k, v in e.items() if k in names or k == "id"} for e in page]
        if self.switches.schema_only:
            page = [{k: v for k, v in e.items() if v is not None} for e in page]
        return self.pager.answer(call, page, more, "events")

    def selected(self, call):
        text = call.query.get("$select")
        if not text:
            return None
        unknown = [n for n in (s.strip() for s in text.split(",")) if n.lower() not in SELECTABLE]
        if unknown:
            raise refuse(f"The property '{unknown[0]}' cannot be selected.")
        return {SELECTABLE[s.strip().lower()] for s in text.split(",")}

    def find(self, sub, text, wanted):
        """Kept per filter, so that the pages of one list cost one pass."""
        key = (sub, text, self.store.generation)
        if key not in self.kept:
            oldest = self.clock.now() - KEPT
            events = ((e, moment(e["eventTimestamp"])) for e in self.store.log if e["subscriptionId"].lower() == sub)
            if len(self.kept) > 64:
                self.kept.clear()
            self.kept[key] = [e for e, at in events if at >= oldest and wanted.takes(e, at)]
        return self.kept[key]
