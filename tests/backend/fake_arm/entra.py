"""Entra ID and the managed-identity endpoints: who gets which token, and whose token may be used where.

Applications are known by tenant and client id, and prove themselves by a secret, by an assertion signed with the key of a registered
certificate (checked), or by a federated token: one of the literal ones, or any JWT whose issuer and subject are registered.
"""
import base64
import binascii
import dataclasses
import hashlib
import itertools
import json
import re
import time
import urllib.parse
import uuid

from answers import Answer, Refused

RESOURCE_MANAGERS = ("https://management.azure.com", "https://management.core.windows.net", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net",
                     "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn")
GRAPHS = ("https://graph.microsoft.com", "https://graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn")
STORAGE = "https://storage.azure.com"
VAULTS = ("https://vault.azure.net", "https://vault.azure.cn", "https://vault.usgovcloudapi.net")
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclasses.dataclass
class Token:
    text: str
    audience: str
    subject: str
    source: str
    ends: float
    expired: bool = False

    def live(self):
        return not self.expired and time.time() < self.ends


def wrong(number, message, status=401, error="invalid_client", **more):
    stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    body = {"error": error, "error_description": f"AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}", "error_codes": [number],
            "timestamp": stamp, "trace_id": trace, "correlation_id": correlation, "error_uri": f"https://login.microsoftonline.com/error?code={number}"} | more
    return Refused(status, error, message, body=body)


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Entra:
    def __init__(self, estate, switches, bases):
        self.estate, self.switches, self.bases = estate, switches, bases
        self.issued, self.seen_assertions, self.count = {}, set(), itertools.count(1)

    # -- tokens -------------------------------------------------------------------------------------------------------

    def issue(self, resource, subject, source):
        """A token that looks like a JWT, is none, and is known by its text."""
        now, n = int(time.time()), next(self.count)
        claims = {"aud": resource, "iss": f"https://sts.windows.net/{self.tenant()}/", "iat": now, "nbf": now, "exp": now + int(self.switches.token_lifetime), "tid": self.tenant(), "appid": subject, "uti": n}
        parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in ({"alg": "RS256", "typ": "JWT"}, claims)]
        text = ".".join([*parts, f"CANARYtokenSignature{n}"])
        self.issued[text] = Token(text, resource.rstrip("/"), subject, source, now + self.switches.token_lifetime)
        return text

    def check(self, call, service):
        """The token of a call, or the refusal that the service has for it."""
        header = call.headers.get("Authorization", "")
        shape = "xml" if service == "storage" else "arm"
        challenge = {"WWW-Authenticate": f'Bearer authorization_uri="{call.base}/{self.tenant()}", error="invalid_token", error_description="The access token is invalid."'}
        if service == "storage":
            challenge = {"WWW-Authenticate": f"Bearer authorization_uri={call.base}/{self.tenant()}/oauth2/authorize resource_id={STORAGE}"}
        if service == "vault":
            challenge = {"WWW-Authenticate": f'Bearer authorization="{call.base}/{self.tenant()}", resource="{VAULTS[0]}"'}
        if not header.startswith("Bearer "):
            code = {"arm": "AuthenticationFailed", "graph": "InvalidAuthenticationToken", "storage": "NoAuthenticationInformation", "vault": "Unauthorized"}[service]
            raise Refused(401, code, "Authentication failed. The 'Authorization' header is missing.", shape, challenge)
        token = self.issued.get(header[7:])
        if token is None:
            code = {"storage": "InvalidAuthenticationInfo", "vault": "Unauthorized"}.get(service, "InvalidAuthenticationToken")
            raise Refused(401, code, "The access token is invalid.", shape, challenge)
        call.token = token
        if not token.live():
            code = {"arm": "ExpiredAuthenticationToken", "graph": "InvalidAuthenticationToken", "storage": "InvalidAuthenticationInfo", "vault": "Unauthorized"}[service]
            raise Refused(401, code, "The access token expiry UTC time is earlier than current UTC time.", shape, challenge)
        if token.audience not in self.audiences(service):
            code = {"arm": "InvalidAuthenticationTokenAudience", "graph": "InvalidAuthenticationToken", "storage": "InvalidAuthenticationInfo", "vault": "Unauthorized"}[service]
            raise Refused(401, code, f"The access token has been obtained for wrong audience or resource '{token.audience}'. It should exactly match with one of the allowed audiences.", shape, challenge)
        return token

    def audiences(self, service):
        if service == "storage":
            return {STORAGE}
        if service == "vault":
            return set(VAULTS)
        return {*self.bases, *(GRAPHS if service == "graph" else RESOURCE_MANAGERS)}

    def tenant(self):
        return self.estate["tenants"][0]["tenantId"]

    # -- endpoints ----------------------------------------------------------------------------------------------------

    def answer(self, call):
        """The answer of a sign-in endpoint, or None if the path is none."""
        if call.lower == ["msi", "token"]:
            return self.app_service(call)
        if call.lower == ["metadata", "identity", "oauth2", "token"]:
            return self.instance_metadata(call)
        if call.lower == ["common", "discovery", "instance"]:
            host = call.base.split("//")[1]
            return Answer({"tenant_discovery_endpoint": f"{call.base}/{self.tenant()}/v2.0/.well-known/openid-configuration", "api-version": "1.1",
                           "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]})
        if call.lower[1:] in (["v2.0", ".well-known", "openid-configuration"], [".well-known", "openid-configuration"]):
            root = f"{call.base}/{call.segments[0]}"
            return Answer({"token_endpoint": f"{root}/oauth2/v2.0/token", "authorization_endpoint": f"{root}/oauth2/v2.0/authorize", "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                           "issuer": f"{root}/v2.0", "jwks_uri": f"{root}/discovery/v2.0/keys", "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                           "response_types_supported": ["code"], "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"]})
        if call.lower[1:] == ["oauth2", "v2.0", "token"]:
            if call.method != "POST":
                raise wrong(900561, "The endpoint only accepts POST requests.", 405, "invalid_request")
            return self.token(call)
        return None

    def token(self, call):
        form = dict(urllib.parse.parse_qsl(call.body.decode()))
        tenant, client = call.segments[0], form.get("client_id", "")
        apps = self.switches.applications if self.switches.applications is not None else self.estate["applications"]
        if tenant.lower() not in {t["tenantId"].lower() for t in self.estate["tenants"]}:
            raise wrong(90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", 400, "invalid_request")
        app = next((a for a in apps if a["client_id"].lower() == client.lower() and a["tenant"].lower() == tenant.lower()), None)
        if form.get("grant_type") != "client_credentials":
            raise wrong(70003, "The app requested an unsupported grant type.", 400, "unsupported_grant_type")
        if app is None:
            raise wrong(700016, f"Application with identifier '{client}' was not found in the directory 'Contoso'.", 400, "unauthorized_client")
        resource = self.resource(form.get("scope", ""))
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION:
                raise wrong(7000217, "The request body must contain the parameter 'client_assertion_type'.", 400, "invalid_request")
            source = self.assertion(form["client_assertion"], app, f"{call.base}/{tenant}/oauth2/v2.0/token")
        elif "client_secret" in form:
            if form["client_secret"] != app.get("secret"):
                raise wrong(7000215, f"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.")
            source = "secret"
        else:
            raise wrong(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", error="invalid_client")
        life = int(self.switches.token_lifetime)
        return Answer({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": self.issue(resource, client, source)})

    def resource(self, scope):
        if not scope.endswith("/.default"):
            raise wrong(1002012, f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.", 400, "invalid_scope")
        return self.known(scope[:-len("/.default")])

    def known(self, resource):
        if resource.rstrip("/") not in {*self.bases, *RESOURCE_MANAGERS, *GRAPHS, STORAGE, *VAULTS}:
            raise wrong(500011, f"The resource principal named {resource} was not found in the tenant named Contoso.", 400, "invalid_resource")
        return resource

    def assertion(self, text, app, endpoint):
        """Client assertion (issuer = the application itself) or federated token (somebody else's)."""
        if text in (app.get("federated") or []) or text in (self.switches.federated or []):
            return "federated"
        try:
            head, claims, signature = text.split(".")
            header, body, signature = json.loads(decode(head)), json.loads(decode(claims)), decode(signature)
        except (ValueError, binascii.Error):
            raise wrong(50027, "JWT token is invalid or malformed.") from None
        if body.get("iss") != app["client_id"]:
            if {"iss": body.get("iss"), "sub": body.get("sub")} in (self.switches.federated or []):
                return "federated"
            raise wrong(700213, f"No matching federated identity record found for presented assertion subject '{body.get('sub')}'.")
        self.signed(header, body, f"{head}.{claims}".encode(), signature, app, endpoint)
        return "certificate"

    def signed(self, header, body, message, signature, app, endpoint):
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        pem = self.switches.client_certificate or app.get("certificate")
        thumbs = {}
        if pem:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            der = certificate.public_bytes(serialization.Encoding.DER)
            thumbs = {"x5t": hashlib.sha1(der).digest(), "x5t#S256": hashlib.sha256(der).digest()}
        named = [k for k in thumbs if k in header]
        if not named or any(decode(header[k]) != thumbs[k] for k in named):
            raise wrong(700027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found.]")
        try:
            if header.get("alg") == "RS256":
                certificate.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            elif header.get("alg") == "PS256":
                certificate.public_key().verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size), hashes.SHA256())
            else:
                raise wrong(5002723, f"Invalid JWT token. Unsupported algorithm '{header.get('alg')}'.")
        except InvalidSignature:
            raise wrong(700027, "Client assertion failed signature validation. [Reason - The key used is incorrect.]") from None
        now = time.time()
        if body.get("sub") != app["client_id"] or re.sub("^https?", "", str(body.get("aud"))) != re.sub("^https?", "", endpoint):
            raise wrong(700023, f"Client assertion audience claim does not match Realm issuer. It must be {endpoint}.")
        if not (isinstance(body.get("exp"), (int, float)) and now < body["exp"] <= now + 86400) or body.get("nbf", now) > now + 300:
            raise wrong(700024, "Client assertion is not within its valid time range.")
        if not body.get("jti") or body["jti"] in self.seen_assertions:
            raise wrong(50012, "Client assertion was used before, or has no identifier.")
        self.seen_assertions.add(body["jti"])

    def app_service(self, call):
        """Managed identity of App Service and Functions: `expires_on` is text."""
        if call.headers.get("X-IDENTITY-HEADER") != self.estate["identity_header"]:
            raise Refused(401, "Unauthorized", "", body={"statusCode": 401, "message": "Unauthorized"})
        if call.query.get("api-version") not in ("2019-08-01", "2017-09-01") or not call.query.get("resource"):
            raise Refused(400, "BadRequest", "", body={"statusCode": 400, "message": "Bad Request: api-version and resource are required."})
        resource = self.known(call.query["resource"])
        client = call.query.get("client_id", "00000000-0000-4000-8000-00000000c11e")
        return Answer({"access_token": self.issue(resource, client, "app service"), "expires_on": str(int(time.time() + self.switches.token_lifetime)), "resource": resource, "token_type": "Bearer", "client_id": client})

    def instance_metadata(self, call):
        """Managed identity of virtual machines: every number is text."""
        if call.headers.get("Metadata", "").lower() != "true":
            raise Refused(400, "invalid_request", "", body={"error": "invalid_request", "error_description": "Required metadata header not specified"})
        if not call.query.get("resource") or not call.query.get("api-version"):
            raise Refused(400, "invalid_request", "", body={"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"})
        resource = self.known(call.query["resource"])
        life, now = int(self.switches.token_lifetime), int(time.time())
        client = call.query.get("client_id", "00000000-0000-4000-8000-00000000c11e")
        return Answer({"access_token": self.issue(resource, client, "instance metadata"), "client_id": client, "expires_in": str(life), "expires_on": str(now + life), "ext_expires_in": str(life),
                       "not_before": str(now), "resource": resource, "token_type": "Bearer"})
