"""What the fake answers with: bodies, errors in the shapes Azure has for them, and names of the paths that were called."""
import dataclasses
import re
import urllib.parse

GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


@dataclasses.dataclass
class Answer:
    """`body` is written as JSON, unless it is text or bytes. `pages` says that it is a page of a list, which faults may bend."""

    body: object = None
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    kind: str = "application/json; charset=utf-8"


class Refused(Exception):
    """An error answer. `shape`: arm = {"error": {code, message}}, flat = {code, message}, xml = the storage data plane's, or a ready body."""

    def __init__(self, status, code, message, shape="arm", headers=None, body=None):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.shape, self.headers, self.body = status, code, message, shape, headers or {}, body

    def answer(self):
        if self.body is not None:
            return Answer(self.body, self.status, dict(self.headers))
        if self.shape == "flat":
            return Answer({"code": self.code, "message": self.message}, self.status, dict(self.headers))
        if self.shape == "xml":
            text = f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code><Message>{self.message}\nRequestId:00000000-0000-4000-8000-000000000000</Message></Error>'
            return Answer(text, self.status, {"x-ms-error-code": self.code} | self.headers, "application/xml")
        return Answer({"error": {"code": self.code, "message": self.message}}, self.status, dict(self.headers))


@dataclasses.dataclass
class Call:
    """One request, taken apart: `segments` are decoded, `raw_query` is as it came."""

    method: str
    base: str
    path: str
    raw_query: str
    headers: dict
    body: bytes
    host: str = ""
    token: object = None

    def __post_init__(self):
        self.segments = [urllib.parse.unquote(s) for s in self.path.strip("/").split("/")] if self.path.strip("/") else []
        self.lower = [s.lower() for s in self.segments]
        pairs = urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True)
        self.query = {k.lower(): v for k, v in pairs}  # Azure reads the names of parameters without regard to case
        self.pairs = pairs

    @property
    def subscription(self):
        return self.lower[1] if len(self.lower) > 1 and self.lower[0] == "subscriptions" else None

    def operation(self):
        """`GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts`: names replaced, kinds as they were sent."""
        out, after, n = [], None, 0
        for s in self.segments:
            if s.lower() == "providers":
                after, n = "providers", 0
                out.append(s)
            elif after == "providers":
                out.append(s if n % 2 == 0 or n == 1 else "{}")
                n += 1
                if n == 1:
                    after, n = "kinds", 0
            elif after == "kinds":
                out.append(s if n % 2 == 0 or s.lower() in ("default", "management", "current") else "{}")
                n += 1
            elif out and out[-1].lower() in ("subscriptions", "resourcegroups", "tenants", "users"):
                out.append("{}")
            else:
                out.append("{}" if re.fullmatch(GUID, s) else s)
        return f"{self.method} /" + "/".join(out)


def next_link(call, token, name="$skiptoken"):
    """The absolute address of the next page: the request's own query, with the token. Whoever re-encodes or re-orders it does wrong."""
    drop = {name.lower()}
    pairs = [(k, v) for k, v in call.pairs if k.lower() not in drop] + [(name, token)]
    query = "&".join(f"{urllib.parse.quote(k, safe='$@')}={urllib.parse.quote(v, safe='')}" for k, v in pairs)
    return f"{call.base}{call.path}?{query}"
