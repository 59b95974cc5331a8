"""Pages of lists: tokens that must come back as they were given, empty pages, sizes asked for."""
import base64
import re

from answers import Answer, Refused, next_link

# Lists whose providers write the end as null instead of leaving the member out.
ENDS_WITH_NULL = {"resourcegroups", "containers", "encryptionscopes", "diagnosticsettings", "keys", "events"}


class Pager:
    def __init__(self, switches):
        self.switches = switches

    def page(self, call, items, kind, token_name="$skiptoken", asked=None):
        """(this page's items, token of the next or None). The token is opaque; with `+`, `/` and `=` in it, as real ones have."""
        start, given = 0, call.query.get(token_name.lower())
        if given is not None:
            start = read(given)
        empty = self.switches.empty_pages
        size = self.switches.size(kind, asked)
        if start < 0 or (given is None and empty):
            left = -start if given is not None else empty
            return [], token(-(left - 1)) if left > 1 else token(0)
        end = start + size
        return items[start:end], token(end) if end < len(items) else None

    def answer(self, call, items, more, kind, name="nextLink", token_name="$skiptoken"):
        body = {"value": items}
        if more is not None:
            body[name] = next_link(call, more, token_name)
        elif self.switches.schema_only:
            if kind in ("subscriptions", "tenants"):
                body[name] = ""  # their specification requires the member
        elif kind in ENDS_WITH_NULL:
            body[name] = None
        return Answer(body)

    def number(self, call):
        """Which page of its list a call asks for, as far as can be told: 1, or 2 for every later one."""
        return 2 if any("skiptoken" in k for k in call.query) else 1


def token(start):
    return base64.b64encode(f"~>?~{start:+d}>>".encode()).decode()


def read(text):
    try:
        return int(re.fullmatch(r"~>\?~([+-]\d+)>>", base64.b64decode(text, validate=True).decode())[1])
    except (ValueError, TypeError):
        raise Refused(400, "InvalidSkipToken", f"The skip token '{text}' is not valid.") from None
