"""A key vault's secrets: versions, tags, what is enabled, what was deleted. Without a version, the newest one is meant, and if it is disabled nobody gets it."""
import json
import re
import uuid

from answers import Answer, Refused, next_link

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
VERSION = re.compile(r"[0-9a-f]{32}")
PAGE = 25


def forbidden(message, inner="ForbiddenByPolicy"):
    return Refused(403, "Forbidden", message, body={"error": {"code": "Forbidden", "message": message, "innererror": {"code": inner}}})


class Vault:
    def __init__(self, clock, switches):
        self.clock, self.switches = clock, switches
        self.secrets, self.deleted = {}, {}

    def is_for(self, call):
        return call.lower[:1] in (["secrets"], ["deletedsecrets"])

    def answer(self, call):
        if not call.query.get("api-version"):
            raise Refused(400, "BadParameter", "The 'api-version' query parameter is required.")
        kind, name, version = call.lower[0], call.segments[1] if len(call.segments) > 1 else "", call.segments[2] if len(call.segments) > 2 else None
        if len(call.segments) > 3 or not NAME.fullmatch(name):
            raise Refused(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        if kind == "deletedsecrets":
            return self.deleted_secret(call, name)
        if call.method == "PUT" and version is None:
            return self.set(call, name)
        if call.method == "DELETE" and version is None:
            return self.delete(call, name)
        if call.method == "PATCH" and version:
            return self.update(call, name, version)
        if call.method == "GET":
            return self.versions(call, name) if version == "versions" else self.get(call, name, version)
        raise Refused(405, "MethodNotAllowed", f"Method {call.method} is not allowed here.")

    def allow(self, call, permission):
        if permission not in self.switches.vault_permissions:
            raise forbidden(f"The user, group or application 'appid={call.token.subject}' does not have secrets {permission} permission on key vault 'fake'.")

    def body(self, call):
        try:
            body = json.loads(call.body)
        except ValueError:
            raise Refused(400, "BadParameter", "The request body is no JSON.") from None
        if len(body.get("tags") or {}) > 15:
            raise Refused(400, "BadParameter", "A secret has at most 15 tags.")
        return body

    def found(self, name, version=None):
        versions = self.secrets.get(name.lower())
        if not versions:
            raise Refused(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.")
        if version is None:
            return versions[-1]
        for v in versions:
            if v["version"] == version:
                return v
        raise Refused(404, "SecretNotFound", f"A secret with (name/id) {name}/{version} was not found in this key vault.")

    def shown(self, call, v, value=False):
        out = {"value": v["value"]} if value else {}
        if v["contentType"] is not None:
            out["contentType"] = v["contentType"]
        return out | {"id": f"{call.base}/secrets/{v['name']}/{v['version']}", "attributes": v["attributes"] | {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}, "tags": v["tags"]}

    def now(self):
        return int(self.clock.now().timestamp())

    # -- requests -------------------------------------------------------------------------------------------------------

    def set(self, call, name):
        self.allow(call, "set")
        body = self.body(call)
        if name.lower() in self.deleted:
            message = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged."
            raise Refused(409, "Conflict", message, body={"error": {"code": "Conflict", "message": message, "innererror": {"code": "ObjectIsDeletedButRecoverable"}}})
        if not isinstance(body.get("value"), str):
            raise Refused(400, "BadParameter", "Property 'value' is required.")
        now = self.now()
        v = {"name": name, "version": uuid.uuid4().hex, "value": body["value"], "contentType": body.get("contentType"), "tags": body.get("tags") or {},
             "attributes": {"enabled": True} | (body.get("attributes") or {}) | {"created": now, "updated": now}}
        self.secrets.setdefault(name.lower(), []).append(v)
        return Answer(self.shown(call, v, value=True))

    def update(self, call, name, version):
        self.allow(call, "set")
        body, v = self.body(call), self.found(name, version)
        v["attributes"] |= {k: x for k, x in (body.get("attributes") or {}).items() if k in ("enabled", "nbf", "exp")} | {"updated": self.now()}
        if "tags" in body:
            v["tags"] = body["tags"] or {}
        if "contentType" in body:
            v["contentType"] = body["contentType"]
        return Answer(self.shown(call, v))

    def get(self, call, name, version):
        self.allow(call, "get")
        v = self.found(name, version)
        if not v["attributes"]["enabled"]:
            raise forbidden("Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return Answer(self.shown(call, v, value=True))

    def versions(self, call, name):
        """In the order of their ids, not of their time."""
        self.allow(call, "list")
        self.found(name)
        every = sorted(self.secrets[name.lower()], key=lambda v: v["version"])
        start, size = int(call.query.get("$skiptoken", 0)), self.switches.size("versions", int(call.query.get("maxresults", PAGE)))
        page = [self.shown(call, v) for v in every[start:start + size]]
        more = start + size < len(every)
        return Answer({"value": page, "nextLink": next_link(call, str(start + size)) if more else None})

    def delete(self, call, name):
        self.allow(call, "delete")
        v = self.found(name)
        self.deleted[name.lower()] = self.secrets.pop(name.lower())
        return Answer(self.shown(call, v) | {"recoveryId": f"{call.base}/deletedsecrets/{name}", "deletedDate": self.now()})

    def deleted_secret(self, call, name):
        self.allow(call, "get")
        if call.method != "GET":
            raise Refused(405, "MethodNotAllowed", f"Method {call.method} is not allowed here.")
        if name.lower() not in self.deleted:
            raise Refused(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return Answer(self.shown(call, self.deleted[name.lower()][-1]) | {"recoveryId": f"{call.base}/deletedsecrets/{name}", "deletedDate": self.now()})
