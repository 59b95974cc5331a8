"""One port of the fake: takes requests apart, checks tokens, lets faults happen, counts every call, writes answers."""
import asyncio
import collections
import json
import time
import traceback
import uuid

from aiohttp import web

from activity_log import ActivityLog
from answers import Answer, Call, Refused
from arm import ResourceManager, microsoft_graph
from entra import Entra
from pages import Pager
from resource_graph import ResourceGraph
from storage import Storage
from store import Store
from switches import Switches
from vault import Vault


class Fake:
    """The whole fake: every port serves the same one."""

    def __init__(self, make_estate, clock, client_certificate=None):
        self.make_estate, self.clock, self.client_certificate = make_estate, clock, client_certificate
        self.bases = set()
        self.switches = Switches([])
        self.build()

    def build(self):
        """From the beginning: estate, switches, tokens, counts."""
        estate = self.make_estate()
        self.switches.first_denied = estate["denied"]
        self.switches.reset()
        self.switches.values["client_certificate"] = self.client_certificate
        self.store, self.pager = Store(estate), Pager(self.switches)
        self.storage = Storage(self.store, self.clock, self.switches)
        self.vault = Vault(self.clock, self.switches)
        self.entra = Entra(estate, self.switches, self.bases)
        self.manager = ResourceManager(self.store, self.clock, self.switches, self.pager, self.storage, ActivityLog(self.store, self.clock, self.switches, self.pager),
                                       ResourceGraph(self.store, self.switches))
        self.forget()

    def forget(self):
        self.calls, self.in_flight, self.peak = [], collections.Counter(), collections.Counter()

    # -- a request ------------------------------------------------------------------------------------------------------

    async def handle(self, request):
        raw = request.rel_url
        if raw.path in ("/_control", "/_calls", "/_reset", "/_stats") or raw.path.startswith(("/_account/", "/_vault/")):
            return await self.control(request)
        call = Call(request.method, f"{request.scheme}://{request.host}", raw.raw_path, raw.raw_query_string, request.headers, await request.read(), request.host.lower())
        service = self.service(call)
        record = {"n": len(self.calls) + 1, "at": round(time.time(), 6), "method": call.method, "path": call.path, "query": dict(call.pairs), "raw_query": call.raw_query, "service": service,
                  "operation": call.operation(), "subscription": call.subscription, "user_agent": call.headers.get("User-Agent", ""), "status": None, "fault": None}
        if call.path.lower().endswith(("/regeneratekey", "/microsoft.resourcegraph/resources")):
            record["body"] = call.body.decode("utf-8", "replace")
        self.calls.append(record)
        key = call.subscription or service
        self.in_flight[key] += 1
        self.peak[key] = max(self.peak[key], self.in_flight[key])
        try:
            answer = await self.answered(call, service, record)
        finally:
            self.in_flight[key] -= 1
            if call.token:
                record |= {"audience": call.token.audience, "credential": call.token.source, "token": call.token.text[-24:]}
            if hasattr(call, "documented"):
                record["documented_filter"] = call.documented
        if answer is None:
            record["status"] = "dropped"
            request.transport.abort()
            return web.Response(status=500)
        record["status"] = answer.status
        return self.response(request, call, service, answer)

    def service(self, call):
        if self.storage.target(call):
            return "storage"
        if call.lower[:1] == ["v1.0"] or call.lower[:1] == ["beta"]:
            return "graph"
        if call.lower in (["msi", "token"], ["metadata", "endpoints"], ["metadata", "identity", "oauth2", "token"], ["common", "discovery", "instance"]) or call.lower[-1:] == ["openid-configuration"] \
                or call.lower[-2:] == ["v2.0", "token"]:
            return "login"
        return "vault" if self.vault.is_for(call) else "arm"

    async def answered(self, call, service, record):
        """The answer after all faults; None drops the connection."""
        page = self.pager.number(call)
        rule = self.switches.fault(call, service, page, paging=False)
        if rule:
            record["fault"] = rule["do"]
        try:
            if rule and rule["do"] == "drop":
                return None
            if rule and rule["do"] == "latency":
                await asyncio.sleep(rule.get("ms", 0) / 1000)
            if service in ("arm", "graph", "storage", "vault"):
                if rule and rule["do"] == "expire":
                    text = call.headers.get("Authorization", "")[7:]
                    if text in self.entra.issued:
                        self.entra.issued[text].expired = True
                self.entra.check(call, service)
            self.throw(rule, service)
            answer = self.dispatch(call, service)
            if rule and rule["do"] == "latency" and rule.get("after"):
                await asyncio.sleep(rule["after"] / 1000)
        except Refused as refused:
            answer = refused.answer()
        except Exception:  # a mistake of the fake must not look like an answer of Azure
            traceback.print_exc()
            answer = Answer({"fake": "broken", "trace": traceback.format_exc()}, 599)
        bend = self.switches.fault(call, service, page, paging=True) if answer.status == 200 else None
        if bend:
            record["fault"] = bend["do"]
            self.bend(call, answer, bend)
        return answer

    def throw(self, rule, service):
        """Faults that take the place of an answer."""
        kind = rule and rule["do"]
        if kind == "throttle":
            wait = str(rule.get("retry_after", 1))
            code = rule.get("code", {"graph": "TooManyRequests", "storage": "ServerBusy"}.get(service, "SubscriptionRequestsThrottled"))
            raise Refused(429, code, f"Number of 'read' requests for subscription exceeded the limit. Please try again after '{wait}' seconds.", "xml" if service == "storage" else "arm",
                          {"Retry-After": wait, "x-ms-ratelimit-remaining-subscription-reads": "0"})
        if kind == "error":
            raise Refused(rule.get("status", 500), rule.get("code", "InternalServerError"), rule.get("message", "The server encountered an error."),
                          rule.get("shape", "xml" if service == "storage" else "arm"), rule.get("headers", {}))
        if kind == "html":
            status = rule.get("status", 404)
            raise Html(status)

    def dispatch(self, call, service):
        if service == "login":
            return self.endpoints(call) if call.lower == ["metadata", "endpoints"] else self.entra.answer(call)
        if service == "storage":
            return self.storage.properties(call, *self.storage.target(call))
        if service == "vault":
            return self.vault.answer(call)
        if service == "graph":
            return microsoft_graph(call, self.store, self.pager)
        if call.subscription or call.method == "POST":
            ok, left = self.switches.take(call.subscription, call.token.subject, "/" + "/".join(call.lower))
            call.left = left
            if not ok:
                raise Refused(429, "SubscriptionRequestsThrottled", "Number of 'read' requests for subscription exceeded the limit. Please try again after '1' seconds.", "arm", {"Retry-After": "1"})
        return self.manager.answer(call)

    def endpoints(self, call):
        version, base = call.query.get("api-version", ""), call.base
        out = {"portal": base, "authentication": {"loginEndpoint": base, "audiences": [f"{base}/", "https://management.core.windows.net/"], "tenant": "common", "identityProvider": "AAD"}, "media": base,
               "graphAudience": f"{base}/", "graph": f"{base}/", "name": "FakeCloud", "suffixes": {"storage": base.split("//")[1], "keyVaultDns": "vault.localhost", "sqlServerHostname": "database.localhost",
                                                                                                   "acrLoginServer": "azurecr.localhost"},
               "batch": f"{base}/", "resourceManager": f"{base}/", "vmImageAliasDoc": f"{base}/aliases", "activeDirectoryDataLake": f"{base}/", "sqlManagement": f"{base}/", "gallery": f"{base}/",
               "microsoftGraphResourceId": f"{base}/", "appInsightsResourceId": base, "logAnalyticsResourceId": base}
        return Answer(out if version >= "2022-09-01" else [out])

    def bend(self, call, answer, rule):
        """Faults of an answer that is otherwise right."""
        kind, body = rule["do"], answer.body
        name = "@odata.nextLink" if isinstance(body, dict) and "@odata.context" in body else "nextLink"
        this = f"{call.base}{call.path}" + (f"?{call.raw_query}" if call.raw_query else "")
        if kind == "loop":
            answer.body = body | {name: this}
        elif kind == "back":
            first = "&".join(p for p in call.raw_query.split("&") if "skiptoken" not in p.lower())
            answer.body = body | {name: f"{call.base}{call.path}?{first}"}
        elif kind == "foreign":
            answer.body = body | {name: f"{rule.get('host', 'https://attacker.example')}{call.path}?{call.raw_query}&$skiptoken=stolen"}
        elif kind == "truncate":
            text = body if isinstance(body, str) else json.dumps(body)
            answer.body = text[:max(1, len(text) // 2)]
        elif kind == "garbage":
            answer.body = b"\x1f\x8b\x00\xff not JSON"
        elif kind == "empty_body":
            answer.body = b""
        elif kind == "retype":
            answer.body = body | {"value": "this is no list"}
        elif kind == "other":
            answer.body = {"message": "Welcome. Please sign in to the guest network."}

    def response(self, request, call, service, answer):
        body = answer.body
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.replace("@BASE@", call.base).encode()
        rid = str(uuid.uuid4())
        headers = {"x-ms-request-id": rid, "Content-Type": answer.kind, "Cache-Control": "no-cache", "Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
        if service == "arm":
            headers |= {"x-ms-correlation-request-id": rid, "x-ms-routing-request-id": f"WESTEUROPE:20260101T000000Z:{rid}", "x-content-type-options": "nosniff"}
            if hasattr(call, "left"):
                headers |= {"x-ms-ratelimit-remaining-subscription-reads": str(call.left), "x-ms-ratelimit-remaining-subscription-global-reads": str(15 * 250 - 1)}
        elif service == "graph":
            headers |= {"request-id": rid, "client-request-id": rid}
        response = web.Response(body=body or b"", status=answer.status, headers=headers | answer.headers)
        if self.switches.gzip:
            response.enable_compression()
        return response

    # -- for the tests --------------------------------------------------------------------------------------------------

    async def control(self, request):
        path = request.rel_url.path
        if path == "/_reset":
            self.build()
            return web.json_response({"reset": True})
        if path == "/_calls":
            if request.method == "DELETE":
                self.forget()
            return web.json_response(self.calls)
        if path == "/_stats":
            counted = [c for c in self.calls if c["service"] != "login"]
            return web.json_response({"calls": collections.Counter(c["operation"] for c in counted), "total": len(counted), "throttled": sum(c["status"] == 429 for c in counted),
                                      "tokens": sum(c["service"] == "login" and c["operation"].endswith("/token") and c["status"] == 200 for c in self.calls), "peak": self.peak})
        if path.startswith("/_account/"):
            account = self.store.accounts[path.rpartition("/")[2]]
            if request.method == "POST":
                account["properties"] |= await request.json()
            return web.json_response({"properties": account["properties"], "keys": {k["keyName"]: k["value"] for k in self.storage.keys(account)["keys"]}})
        if path.startswith("/_vault/"):
            return web.json_response(self.vault.secrets[path.rpartition("/")[2]][-1])
        if request.method == "POST":
            try:
                self.switches.set(await request.json())
            except ValueError as e:
                return web.json_response({"error": str(e)}, status=400)
        return web.json_response(self.switches.values)


class Html(Refused):
    """What a proxy or a gateway says, not the API."""

    def __init__(self, status):
        super().__init__(status, "", "")

    def answer(self):
        text = f"<!DOCTYPE html><html><head><title>{self.status}</title></head><body><h2>{self.status} - The resource you are looking for is not here.</h2></body></html>"
        return Answer(text, self.status, {}, "text/html; charset=utf-8")
