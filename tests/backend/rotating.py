#!/usr/bin/env python3
"""moto as an account whose keys are rotated: seeded and aged over HTTP, strict about keys, scriptable to the single call.

  python rotating.py      # serves until SIGTERM, prints one JSON line when ready

Stricter than moto: a request signed with an unknown, inactive or deleted key is refused, and a new key is refused for as many calls as
`propagation` says. POST /__seed, /__touch, /__script, /__release, /__reset; GET /__truth, /__calls, /__held. A fault of a script is
{action, user, nth, when, kind}: the nth call of that action (glob, `*` counts all; with `user` only calls about that user) fails before or after it
took effect; kinds are an error code with a status (`AccessDenied/403`), `reset` (the connection breaks), `garbage` (half an answer) and `hold` (no answer
until /__release). With the folder of journals as `journal` each call is noted with the lines that the newest of them had.
"""
import datetime as dt
import fnmatch
import io
import json
import pathlib
import re
import signal
import socket
import threading
import urllib.parse as up

import moto_server  # first: it sets moto's environment

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.iam.models import AccessKeyLastUsed

UTC = dt.timezone.utc
OPERATOR = "AKIAIOSFODNN7EXAMPLE"
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")


def iam():
    return get_backend("iam")[ACCOUNT]["aws"]


def now():
    return dt.datetime.now(UTC).replace(tzinfo=None)


class Script:
    """Counts calls, checks keys, fails where it is told to."""

    def __init__(self):
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.reset()

    def reset(self, faults=(), propagation=0, journal=None):
        self.calls, self.faults, self.propagation, self.held, self.refusals = [], list(faults), propagation, None, {}
        self.seen, self.journal = [0] * len(self.faults), journal
        self.released.set()

    def wrap(self, app):
        def wrapped(environ, start_response):
            path = environ.get("PATH_INFO", "")
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            if path.startswith("/__"):
                return self.control(path, body, start_response)
            environ["wsgi.input"] = io.BytesIO(body)
            return self.call(app, environ, body, start_response)
        return wrapped

    def call(self, app, environ, body, start_response):
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        key, _, service = found.groups() if found else ("", "", "unsigned")
        target = environ.get("HTTP_X_AMZ_TARGET")
        form = json.loads(body or b"{}") if target else dict(up.parse_qsl(body.decode("utf-8", "replace")))
        action = target.split(".")[-1] if target else form.get("Action", "?")
        about = {k: form[k] for k in ("UserName", "AccessKeyId", "Status", "Name", "SecretId") if k in form}
        with self.lock:
            self.calls.append({"service": service, "action": action, "key": key, **about, **({"lines": lines(self.journal)} if self.journal else {})})
            fault = self.fault(action, about, key)
            refusal = self.refused(key)
        if refusal:
            return self.error(bool(target), f"{refusal}/403", start_response)
        if fault and fault.get("when", "before") == "before":
            return self.fail(fault, bool(target), environ, None, start_response, lambda: app(environ, start_response))
        if not fault:
            return app(environ, start_response)
        answer = {}
        chunks = b"".join(app(environ, lambda status, headers, *_: answer.update(status=status, headers=headers)))

        def late():
            start_response(answer["status"], answer["headers"])
            return [chunks]
        return self.fail(fault, bool(target), environ, chunks, start_response, late)

    def fault(self, action, about, key):
        """The fault that this call is answered with; every fault counts the calls it could be of."""
        found = None
        for n, fault in enumerate(self.faults):
            if fnmatch.fnmatchcase(action, fault["action"]) and ("user" not in fault or fault["user"] in users_of(about, key)):
                self.seen[n] += 1
                if found is None and self.seen[n] == fault["nth"]:
                    found = fault
        return found

    def refused(self, key):
        """The code with which AWS refuses this key, if it does."""
        if key == OPERATOR and not any(key == k.access_key_id for u in iam().users.values() for k in u.access_keys):
            return None
        for user in iam().users.values():
            for known in user.access_keys:
                if known.access_key_id == key:
                    if known.status != "Active":
                        return "InvalidClientTokenId"
                    self.refusals.setdefault(key, self.propagation if getattr(known, "fresh", True) else 0)
                    if self.refusals[key] > 0:
                        self.refusals[key] -= 1
                        return "InvalidClientTokenId"
                    return None
        return "InvalidClientTokenId"

    def fail(self, fault, is_json, environ, chunks, start_response, proceed):
        kind = fault["kind"]
        if kind == "hold":
            with self.lock:
                self.released.clear()
                self.held = {"action": self.calls[-1]["action"], "when": fault.get("when", "before")}
            self.released.wait(60)
            if not fault.get("proceed"):
                return self.broken(environ)
            return proceed()
        if kind == "reset":
            return self.broken(environ)
        if kind == "garbage":
            start_response("200 OK", [("Content-Type", "text/xml")])
            return [(chunks or b"<CreateAccessKeyResponse><Create")[: max(20, len(chunks or b"") // 3)]]
        return self.error(is_json, kind, start_response)

    def broken(self, environ):
        sock = environ.get("werkzeug.socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        raise ConnectionAbortedError("as scripted")

    def error(self, is_json, kind, start_response):
        code, _, status = kind.partition("/")
        text = f"refused by the script: {code}"
        headers = [("x-amzn-RequestId", "00000000-0000-4000-8000-000000000000")]
        if is_json:
            start_response(f"{status} X", [*headers, ("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)])
            return [json.dumps({"__type": code, "message": text}).encode()]
        start_response(f"{status} X", [*headers, ("Content-Type", "text/xml")])
        inner = f"<Type>Sender</Type><Code>{code}</Code><Message>{text}</Message>"
        return [f"<ErrorResponse><Error>{inner}</Error><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>".encode()]

    def control(self, path, body, start_response):
        given = json.loads(body) if body else {}
        name = path[3:]
        if name == "seed":
            answer = seed(given)
        elif name == "touch":
            answer = touch(given)
        elif name == "script":
            with self.lock:
                self.reset(**given)
            answer = {}
        elif name == "reset":
            with self.lock:
                self.reset()
                for service in ("iam", "secretsmanager"):
                    get_backend(service).reset()
            answer = {}
        elif name == "release":
            self.held = None
            self.released.set()
            answer = {}
        else:
            answer = {"truth": truth, "calls": lambda: self.calls, "held": lambda: self.held}[name]()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def lines(folder):
    """How many lines the newest journal has."""
    journals = sorted(pathlib.Path(folder).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return journals[-1].read_bytes().count(b"\n") if journals else 0


def users_of(about, key):
    """The users that a call is about, or is signed by, or whose secret it is."""
    owners = {k.access_key_id: u.name for u in iam().users.values() for k in u.access_keys}
    secret = about.get("SecretId") or about.get("Name") or ""
    return {about.get("UserName"), owners.get(about.get("AccessKeyId")), owners.get(key), secret.rpartition("/")[2]} - {None, ""}


def seed(users):
    """[{name, path, tags: {}, groups: [], secret, keys: [{id, age_days, status, used_days, used_service}]}]; gives the key ids by user. `secret`: the
    value that the secret assay/NAME has, which is the user's."""
    made = {}
    for given in users:
        name = given["name"]
        tags = [{"Key": k, "Value": v} for k, v in given.get("tags", {}).items()]
        user = iam().users.get(name) or iam().create_user("us-east-1", name, given.get("path", "/"), tags=tags)
        if "secret" in given:
            tags = [{"Key": "assay:owner", "Value": user.id}]
            get_backend("secretsmanager")[ACCOUNT]["us-east-1"].create_secret(
                f"assay/{name}", given["secret"], None, None, tags, None, None, [], False)
        for group in given.get("groups", []):
            if group not in iam().groups:
                iam().create_group(group)
            iam().add_user_to_group(group, name)
        for policy in given.get("inline_policies", []):
            user.put_policy(policy, json.dumps({"Version": "2012-10-17", "Statement": []}))
        for wanted in given.get("keys", []):
            key = iam().create_access_key(name, prefix="AKIA")
            if "id" in wanted:
                iam().access_keys.pop(key.access_key_id, None)
                key.access_key_id = wanted["id"]
                iam().access_keys[key.access_key_id] = key
            key.fresh = False
            key.create_date = now() - dt.timedelta(days=wanted.get("age_days", 120))
            key.status = wanted.get("status", "Active")
            if wanted.get("used_days") is not None:
                used(key, wanted["used_days"], wanted.get("used_service", "s3"))
            made.setdefault(name, []).append(key.access_key_id)
    return made


def used(key, days, service="s3"):
    key.last_used = AccessKeyLastUsed(now() - dt.timedelta(days=days), service=service, region="us-east-1")


def find(key):
    return next(k for u in iam().users.values() for k in u.access_keys if k.access_key_id == key)


def touch(given):
    """{key, used_days?, age_days?, status?} or {delete_user}, {recreate_user}, {delete_key}: what others do behind the back of a run."""
    if "recreate_user" in given:
        name = given["recreate_user"]
        keys = iam().users[name].access_keys
        del iam().users[name]
        iam().create_user("us-east-1", name, "/", tags=[])
        iam().users[name].access_keys = keys
        return {}
    if "delete_user" in given:
        del iam().users[given["delete_user"]]
        return {}
    if "delete_key" in given:
        iam().delete_access_key(given["delete_key"], next(u.name for u in iam().users.values() for k in u.access_keys if k.access_key_id == given["delete_key"]))
        return {}
    key = find(given["key"])
    if "used_days" in given:
        used(key, given["used_days"], given.get("used_service", "s3"))
    if "age_days" in given:
        key.create_date = now() - dt.timedelta(days=given["age_days"])
    if "status" in given:
        key.status = given["status"]
    return {}


def truth():
    """Users with their keys as they are, and what Secrets Manager holds for whom."""
    users = {u.name: {"id": u.id, "keys": {k.access_key_id: {"status": k.status, "secret": k.secret_access_key} for k in u.access_keys}}
             for u in iam().users.values()}
    secrets = {}
    for region in ("us-east-1", "eu-west-1"):
        for secret in get_backend("secretsmanager")[ACCOUNT][region].secrets.values():
            versions = {v["version_id"]: {"stages": sorted(v["version_stages"]), "value": v.get("secret_string")} for v in secret.versions.values()}
            secrets[secret.name] = versions
    return {"users": users, "secrets": secrets}


def main():
    script = Script()
    before = moto_server.fakes
    moto_server.fakes = lambda app: script.wrap(before(app))
    server, url = moto_server.start(most=100)
    print(json.dumps({"ready": url}), flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    script.released.set()
    server.stop()


main()
