"""moto as AWS in one process: a server on a free loopback port, with what moto 5.2 lacks added.

Added: paging of IAM lists and of the account's authorization details, with what moto leaves out of its policies, the `<root_account>` row of the credential report, root facts per account, and the few read
operations that moto does not implement (see `fakes`). Key ages cannot be set through the API, so seeding edits moto's objects in
this process (estate.py).
"""
import datetime as dt
import json
import os
import re

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.core.responses import ActionResult
from moto.iam import models as iam_models
from moto.iam import responses as iam_responses
from moto.moto_server import threaded_moto_server
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
PAGED = {
    "list_users": "Users",
    "list_access_keys": "AccessKeyMetadata",
    "list_groups": "Groups",
    "list_mfa_devices": "MFADevices",
    "list_groups_for_user": "Groups",
    "list_server_certificates": "ServerCertificateMetadataList",
}


class Root:
    """What an account's root user looks like in the account summary and in the credential report."""

    def __init__(self, mfa=True, keys=(), password_last_used=None, hardware=False):
        # keys: (active, last_rotated, last_used) for at most two keys
        self.mfa, self.keys, self.password_last_used, self.hardware = mfa, list(keys), password_last_used, hardware


ROOTS = {}
ANALYZERS = {}  # (account, region) -> [analyzer]


def root_of(account):
    return ROOTS.setdefault(account, Root())


def stamp(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S+00:00") if when else "N/A"


def patch_paging(page, most):
    for name, key in PAGED.items():
        original = getattr(iam_responses.IamResponse, name)

        def paged(self, original=original, key=key):
            result = original(self)
            body = result._result if hasattr(result, "_result") else result.result
            items = list(body[key])
            marker = self._get_param("Marker") or "0"
            start = int(marker) if str(marker).isdigit() else 0
            size = min(int(self._get_param("MaxItems") or page), most)
            out = dict(body)
            out[key] = items[start:start + size]
            out["IsTruncated"] = start + size < len(items)
            out.pop("Marker", None)
            if out["IsTruncated"]:
                out["Marker"] = str(start + size)
            return ActionResult(out)

        setattr(iam_responses.IamResponse, name, paged)


def patch_root():
    original = iam_models.IAMBackend.get_credential_report

    def report(self):
        head, _, rest = original(self).partition("\n")
        root = root_of(self.account_id)
        cells = ["<root_account>", f"arn:aws:iam::{self.account_id}:root", "2021-01-04T10:11:12+00:00", "not_supported",
                 stamp(root.password_last_used) if root.password_last_used else "no_information", "not_supported", "not_supported",
                 str(root.mfa).lower()]
        for slot in range(2):
            if slot < len(root.keys):
                active, rotated, used = root.keys[slot]
                cells += [str(active).lower(), stamp(rotated), stamp(used)] + (["us-east-1", "s3"] if used else ["N/A", "N/A"])
            else:
                cells += ["false", "N/A", "N/A", "N/A", "N/A"]
        return "\n".join([head, ",".join(cells + ["false", "N/A", "false", "N/A"]), rest])

    iam_models.IAMBackend.get_credential_report = report
    # the summary is made with its backend, before the estate decides; so it looks the root up when it is asked
    iam_models.AccountSummary._account_mfa_enabled = property(lambda self: int(root_of(self._iam_backend.account_id).mfa), lambda self, _: None)
    iam_models.AccountSummary._account_access_keys_present = property(
        lambda self: int(any(active for active, _, _ in root_of(self._iam_backend.account_id).keys)), lambda self, _: None)


def patch_details(page, most):
    """moto gives all pages at once, policies without name and id, and those of AWS whether they are attached or not."""
    original = iam_responses.IamResponse.get_account_authorization_details
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")

    def details(self):
        result = original(self)
        body = dict(result._result if hasattr(result, "_result") else result.result)
        policy = lambda p: {
            "PolicyName": p.name, "PolicyId": p.id, "Arn": p.arn, "Path": p.path, "DefaultVersionId": p.default_version_id,
            "AttachmentCount": p.attachment_count, "IsAttachable": p.is_attachable, "CreateDate": p.create_date, "UpdateDate": p.update_date,
            "PolicyVersionList": p.policy_version_list}
        body["Policies"] = [policy(p) for p in body["Policies"] if p.attachment_count or not p.arn.startswith("arn:aws:iam::aws:")]
        items = [(name, item) for name in lists for item in body[name]]
        start = int(self._get_param("Marker") or "0")
        size = min(int(self._get_param("MaxItems") or page), most)
        out = {name: [item for of, item in items[start:start + size] if of == name] for name in lists}
        out["IsTruncated"] = start + size < len(items)
        if out["IsTruncated"]:
            out["Marker"] = str(start + size)
        return ActionResult(out)

    iam_responses.IamResponse.get_account_authorization_details = details


def patch_certificates():
    """moto gives every server certificate the same past dates; ours come from the object where the estate sets them."""
    original = iam_responses.IamResponse.list_server_certificates

    def listed(self):
        result = original(self)
        body = result._result if hasattr(result, "_result") else result.result
        for row in body["ServerCertificateMetadataList"]:
            cert = self.backend.get_server_certificate(row["ServerCertificateName"])
            row["Expiration"] = getattr(cert, "expiration", row["Expiration"])
            row["UploadDate"] = getattr(cert, "uploaded", row["UploadDate"])
        return ActionResult(body)

    iam_responses.IamResponse.list_server_certificates = listed


def patch_tags_of_devices():
    """moto has no ListMFADeviceTags; devices here have no tags."""
    iam_responses.IamResponse.list_mfa_device_tags = lambda self: ActionResult({"Tags": [], "IsTruncated": False})


# of AWS's 1,300 managed policies, those that controls name or the estate attaches, and a few more
MANAGED = {"AdministratorAccess", "AWSSupportAccess", "AWSCloudShellFullAccess", "PowerUserAccess", "ReadOnlyAccess", "SecurityAudit", "ViewOnlyAccess",
           "IAMFullAccess", "IAMReadOnlyAccess", "IAMUserChangePassword", "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "AmazonEC2ReadOnlyAccess"}


def patch_managed_policies():
    data = json.loads(iam_models.aws_managed_policies_data)
    iam_models.aws_managed_policies_data = json.dumps({name: policy for name, policy in data.items() if name in MANAGED})


def answer_json(start_response, status, body, code=None):
    headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", "00000000-0000-4000-8000-000000000000")]
    if code:
        headers.append(("x-amzn-ErrorType", code))
    start_response(status, headers)
    return [json.dumps(body).encode()]


def fakes(app):
    """Answers the read operations that moto lacks: Access Analyzer's list, the account's contact information, DynamoDB's streams to Kinesis."""

    def wrapped(environ, start_response):
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if found:
            key, region, service = found.groups()
            path = environ.get("PATH_INFO", "")
            if service == "access-analyzer" and path == "/analyzer":
                return answer_json(start_response, "200 OK", {"analyzers": ANALYZERS.get((iam_models.get_account_id_from(key), region), [])})
            if environ.get("HTTP_X_AMZ_TARGET", "").endswith(".DescribeKinesisStreamingDestination"):
                return answer_json(start_response, "200 OK", {"KinesisDataStreamDestinations": []})
            if service == "cloudfront" and path.rstrip("/").endswith("/monitoring-subscription"):
                start_response("404 Not Found", [("Content-Type", "text/xml")])
                return [b"<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchMonitoringSubscription</Code>"
                        b"<Message>A monitoring subscription does not exist for the distribution.</Message></Error></ErrorResponse>"]
            if service == "account" and path == "/getContactInformation":
                contact = {"FullName": "Example Corp", "AddressLine1": "1 Example Street", "City": "Example", "PostalCode": "00000",
                           "CountryCode": "US", "PhoneNumber": "+1-555-0100"}
                return answer_json(start_response, "200 OK", {"ContactInformation": contact})
        return app(environ, start_response)

    return wrapped


def analyzer(account, region, name="organization", status="ACTIVE"):
    arn = f"arn:aws:access-analyzer:{region}:{account}:analyzer/{name}"
    created = dt.datetime(2024, 1, 9, tzinfo=dt.timezone.utc).isoformat().replace("+00:00", "Z")
    ANALYZERS.setdefault((account, region), []).append(
        {"arn": arn, "name": name, "type": "ACCOUNT", "status": status, "createdAt": created, "tags": {}})


def start(page=100, port=0, most=1000):
    """Starts the server; gives (server, url). Stop it with `server.stop()`."""
    import logging
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    patch_managed_policies()
    patch_tags_of_devices()
    patch_certificates()
    patch_paging(page, most)
    patch_details(page, most)
    patch_root()
    original = threaded_moto_server.make_server
    threaded_moto_server.make_server = lambda host, port, app, threaded, **k: original(host, port, fakes(app), threaded, **k)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return server, f"http://{host}:{port}"
