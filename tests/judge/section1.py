"""CIS AWS v2.0.0 section 1, judged again in Python from what boto3 reads: {control: {(resource, status)}} for one account.

Written from the rules, not from our SQL, and sharing nothing with it.
"""
import csv
import datetime as dt
import io
import json
import urllib.parse

UTC = dt.timezone.utc


class Account:
    def __init__(self, session, url, regions, now):
        self.session, self.url, self.regions = session, url, regions
        self.now = now
        self.midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.id = self.client("sts").get_caller_identity()["Account"]
        self.iam = self.client("iam")
        self.resource = f"arn:aws:::{self.id}"
        self.users = self.all("list_users", "Users")
        rows = csv.DictReader(io.StringIO(self.iam.get_credential_report()["Content"].decode()))
        self.report = list(rows)
        self.root = next(r for r in self.report if r["user"] == "<root_account>")

    def client(self, service, region="us-east-1"):
        return self.session.client(service, region_name=region, endpoint_url=self.url)

    def all(self, operation, key, **parameters):
        return [x for page in self.iam.get_paginator(operation).paginate(**parameters) for x in page[key]]

    def before(self, days):
        return self.midnight - dt.timedelta(days=days)

    def one(self, bad):
        return {(self.resource, "alarm" if bad else "ok")}

    def summary(self, name):
        return self.iam.get_account_summary()["SummaryMap"].get(name, 0)

    def password_policy(self):
        try:
            return self.iam.get_account_password_policy()["PasswordPolicy"]
        except self.iam.exceptions.NoSuchEntityException:
            return {}

    def keys(self):
        return [k for u in self.users for k in self.all("list_access_keys", "AccessKeyMetadata", UserName=u["UserName"])]


def when(text):
    try:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def cis_1_2(a):
    account = a.client("account")
    try:
        account.get_alternate_contact(AlternateContactType="SECURITY")
        return a.one(False)
    except account.exceptions.ResourceNotFoundException:
        return a.one(True)


def cis_1_4(a):
    return a.one(a.summary("AccountAccessKeysPresent") > 0)


def cis_1_5(a):
    return a.one(not a.summary("AccountMFAEnabled"))


def cis_1_6(a):
    devices = a.iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    virtual = any(d["SerialNumber"] == f"arn:aws:iam::{a.id}:mfa/root-account-mfa-device" for d in devices)
    return a.one(not a.summary("AccountMFAEnabled") or virtual)


def cis_1_7(a):
    uses = [when(a.root[c]) for c in ("password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date")]
    return {(a.root["arn"], "alarm" if any(u and u > a.before(90) for u in uses) else "ok")}


def cis_1_8(a):
    return a.one(a.password_policy().get("MinimumPasswordLength", 0) < 14)


def cis_1_9(a):
    return a.one(a.password_policy().get("PasswordReusePrevention", 0) < 24)


def cis_1_10(a):
    out = set()
    for r in a.report:
        mfa, password = r["mfa_active"] == "true", r["password_enabled"] == "true"
        if r is a.root:
            out.add((r["arn"], "ok" if mfa else "info"))
        else:
            out.add((r["arn"], "alarm" if password and not mfa else "ok"))
    return out


def cis_1_11(a):
    out = set()
    for r in a.report:
        limit = when(r["user_creation_time"]) + dt.timedelta(seconds=10)
        early = any(t and t < limit for t in (when(r["access_key_1_last_rotated"]), when(r["access_key_2_last_rotated"])))
        out.add((r["arn"], "skip" if r is a.root else "alarm" if r["password_enabled"] == "true" and early else "ok"))
    return out


def cis_1_12(a):
    out = set()
    for r in a.report:
        if r is a.root:
            out.add((r["arn"], "info"))
            continue
        made, uses = when(r["user_creation_time"]), []
        if r["password_enabled"] == "true":
            uses.append(when(r["password_last_used"]) or when(r["password_last_changed"]) or made)
        for n in (1, 2):
            if r[f"access_key_{n}_active"] == "true":
                uses.append(when(r[f"access_key_{n}_last_used_date"]) or when(r[f"access_key_{n}_last_rotated"]) or made)
        out.add((r["arn"], "alarm" if any(u <= a.before(45) for u in uses) else "ok"))
    return out


def cis_1_13(a):
    active = [k["UserName"] for k in a.keys() if k["Status"] == "Active"]
    return {(u["Arn"], "alarm" if active.count(u["UserName"]) > 1 else "ok") for u in a.users}


def cis_1_14(a):
    out = set()
    for k in a.keys():
        status = "skip" if k["Status"] != "Active" else "alarm" if k["CreateDate"] <= a.before(90) else "ok"
        out.add((f"arn:aws:iam::{a.id}:user/{k['UserName']}/accesskey/{k['AccessKeyId']}", status))
    return out


def cis_1_15(a):
    def own(u):
        return a.all("list_user_policies", "PolicyNames", UserName=u["UserName"]) + a.all("list_attached_user_policies", "AttachedPolicies", UserName=u["UserName"])
    return {(u["Arn"], "alarm" if own(u) else "ok") for u in a.users}


def listed(value):
    return value if isinstance(value, list) else [value]


def cis_1_16(a):
    out = set()
    for p in a.all("list_policies", "Policies", OnlyAttached=True):
        document = a.iam.get_policy_version(PolicyArn=p["Arn"], VersionId=p["DefaultVersionId"])["PolicyVersion"]["Document"]
        document = json.loads(urllib.parse.unquote(document)) if isinstance(document, str) else document
        full = any(s["Effect"] == "Allow" and {"*", "*:*"} & set(listed(s.get("Action", []))) and "*" in listed(s.get("Resource", []))
                   for s in listed(document["Statement"]))
        out.add((p["Arn"], "alarm" if full else "ok"))
    return out


def cis_1_17(a):
    arn = "arn:aws:iam::aws:policy/AWSSupportAccess"
    return a.one(not a.all("list_entities_for_policy", "PolicyRoles", PolicyArn=arn))


def cis_1_18(a):
    out = set()
    for region in a.regions:
        for reservation in a.client("ec2", region).describe_instances()["Reservations"]:
            for i in reservation["Instances"]:
                bad = "skip" if i["State"]["Name"] in ("terminated", "shutting-down") else "ok" if "IamInstanceProfile" in i else "alarm"
                out.add((f"arn:aws:ec2:{region}:{a.id}:instance/{i['InstanceId']}", bad))
    return out


def cis_1_19(a):
    return {(c["Arn"], "alarm" if c["Expiration"] <= a.now else "ok") for c in a.all("list_server_certificates", "ServerCertificateMetadataList")}


def cis_1_20(a):
    out = set()
    for r in a.client("ec2").describe_regions(AllRegions=True)["Regions"]:
        region, opted = r["RegionName"], r["OptInStatus"] != "not-opted-in"
        status = "skip"
        if opted and region in a.regions:
            found = a.client("accessanalyzer", region).list_analyzers()["analyzers"]
            status = "ok" if any(x["status"] == "ACTIVE" for x in found) else "alarm"
        out.add((f"arn:aws::{region}:{a.id}", status))
    return out


def cis_1_22(a):
    arn = "arn:aws:iam::aws:policy/AWSCloudShellFullAccess"
    held = {(kind, e[f"{kind}Name"]) for kind in ("User", "Group", "Role") for e in a.all("list_entities_for_policy", f"Policy{kind}s", PolicyArn=arn)}
    out = set()
    for kind, operation in (("User", "list_users"), ("Group", "list_groups"), ("Role", "list_roles")):
        for x in a.all(operation, f"{kind}s"):
            out.add((x["Arn"], "alarm" if (kind, x[f"{kind}Name"]) in held else "ok"))
    return out


def manual(a):
    return {(a.resource, "info")}


JUDGES = {f"cis_v200_{name[4:]}": judge for name, judge in list(globals().items()) if name.startswith("cis_")} | {
    "cis_v200_1_1": manual, "cis_v200_1_3": manual, "cis_v200_1_21": manual}
