#!/usr/bin/env python3
"""Seeds a moto server with an organisation whose facts are known: the ground of tests and of the demo recording.

  python estate.py --accounts 3 --users 25 --truth truth.json     # serves until SIGTERM, prints one JSON line when ready

Everything is a function of --seed and --now, so two runs give the same estate. Ages are set on moto's objects, since the API
always stamps the present.
"""
import argparse
import datetime as dt
import json
import random
import signal
import threading
import time
import types

import moto_server  # first: it sets moto's environment

import boto3
from botocore.config import Config
from moto.backends import get_backend
from moto.iam.models import AccessKeyLastUsed

UTC = dt.timezone.utc
MANAGEMENT = "123456789012"
AGES = [5, 12, 29, 30, 44, 45, 46, 60, 75, 89, 90, 91, 92, 120, 150, 180, 200, 240, 300, 365, 366, 500, 640, 777, 900]
NAMES = ("ana ben chidi dana elif femi grete hana ivan jun kofi lena mara nils omar pia quinn rosa sven tara uma vera wim xenia yara zoe "
         "amir beth carl dora eli fay gus hal ida jan kai liv max noa").split()
CERT = "-----BEGIN CERTIFICATE-----\nMIIBexample\n-----END CERTIFICATE-----"
ORG_ROLE = "OrganizationAccountAccessRole"


def allow(action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


class Account:
    """One account's content. `grade` says how well it is kept: 0 well, 1 mixed, 2 badly."""

    def __init__(self, url, account, users, now, grade, seed, regions, human_names=False):
        self.url, self.id, self.n, self.now, self.grade, self.regions, self.human = url, account, users, now, grade, regions, human_names
        self.random = random.Random(f"{seed}/{account}")
        self.truth = {"account": account, "access_keys": []}
        if account == MANAGEMENT:
            self.session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region_name="us-east-1")
        else:  # moto maps the keys of an assumed role to the role's account
            sts = boto3.client("sts", endpoint_url=url, region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
            role = f"arn:aws:iam::{account}:role/{ORG_ROLE}"
            keys = sts.assume_role(RoleArn=role, RoleSessionName="seed")["Credentials"]
            self.session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1")

    def client(self, service, region="us-east-1"):
        config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, inject_host_prefix=False)
        return self.session.client(service, region_name=region, endpoint_url=self.url, config=config)

    def ago(self, days, hours=0):
        return (self.now - dt.timedelta(days=days, hours=hours)).replace(tzinfo=None)

    def name(self, i):
        return NAMES[i] if self.human and i < len(NAMES) else f"user{i:05d}"

    def users(self):
        backend = get_backend("iam")[self.id]["aws"]
        for i in range(self.n):
            name, age = self.name(i), AGES[i % len(AGES)]
            user = backend.create_user("us-east-1", name, f"/team{i % 3}/")
            user.create_date = self.ago(age + 30)
            keys = 0 if i % 11 == 10 else (2 if i % 7 == 0 else 1)
            for j in range(keys):
                key = backend.create_access_key(name, prefix="AKIA")
                days = age if j == 0 else max(1, age // 2)
                if self.grade == 0:
                    days = days % 85 + 1
                key.create_date = self.ago(days)
                if i % 13 == 5 and j == 0:  # made together with the user
                    key.create_date = user.create_date
                key.status = "Inactive" if (i + j) % 5 == 4 or (self.grade == 0 and j == 1) else "Active"
                used = None
                if (i + j) % 4 != 3:
                    used = max(0, days - 1) if i % 6 else max(0, days // 3)
                    key.last_used = AccessKeyLastUsed(self.ago(used), "s3", self.regions[0])
                self.truth["access_keys"].append({"user": name, "id": key.access_key_id, "status": key.status,
                                                  "created": key.create_date.isoformat(), "last_used_days": used})
            console = i % 3 == 0
            if console:
                user.password = f"Example-{i}!"
                user.password_last_changed = self.ago(age)
                if i % 2 == 0:
                    user.password_last_used = self.ago(age // 2)
            if i % 4 == 0 or (self.grade == 0 and console):
                device = backend.create_virtual_mfa_device(name, "/")
                backend.enable_mfa_device(name, device.serial_number, "123456", "654321")
                device.enable_date = self.ago(age)

    def iam(self):
        iam = self.client("iam")
        policy = [dict(MinimumPasswordLength=14, PasswordReusePrevention=24, RequireSymbols=True, RequireNumbers=True,
                       RequireUppercaseCharacters=True, RequireLowercaseCharacters=True, MaxPasswordAge=90),
                  dict(MinimumPasswordLength=12, RequireSymbols=True, RequireNumbers=True, PasswordReusePrevention=5), None][self.grade]
        if policy:
            iam.update_account_password_policy(**policy)
        iam.create_account_alias(AccountAlias=f"example-{self.id[-4:]}")
        for group in ("admins", "developers", "nobody"):
            iam.create_group(GroupName=group)
        arn = {}
        for name, action in (("break-glass", "*"), ("deploy", ["s3:Get*", "s3:PutObject"]), ("retired-admin", "*:*")):
            document = allow(action if name != "retired-admin" else "*")
            arn[name] = iam.create_policy(PolicyName=name, PolicyDocument=document, Tags=[{"Key": "owner", "Value": "platform"}])["Policy"]["Arn"]
        iam.attach_group_policy(GroupName="developers", PolicyArn=arn["deploy"])
        if self.grade:
            iam.attach_group_policy(GroupName="admins", PolicyArn=arn["break-glass"])
        iam.attach_group_policy(GroupName="admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        iam.put_group_policy(GroupName="developers", PolicyName="logs", PolicyDocument=allow(["logs:Get*", "logs:Filter*"]))
        for i in range(min(self.n, 25)):
            name = self.name(i)
            iam.add_user_to_group(GroupName="admins" if i == 0 else "developers", UserName=name)
            if self.grade and i % 8 == 0:
                iam.attach_user_policy(UserName=name, PolicyArn=arn["deploy" if i // 8 % 2 else "break-glass"])
            if self.grade and i % 9 == 1:
                iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=allow("ec2:Describe*"))
        roles = {"AuditRole": {"AWS": f"arn:aws:iam::{self.id}:root"}, "AppServer": {"Service": "ec2.amazonaws.com"}, "Partner": {"AWS": "*"}}
        for role, principal in roles.items():
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(principal), Tags=[{"Key": "env", "Value": "example"}])
        iam.put_role_policy(RoleName="AppServer", PolicyName="queue", PolicyDocument=allow("sqs:*"))
        if self.grade < 2:
            iam.attach_role_policy(RoleName="AuditRole", PolicyArn="arn:aws:iam::aws:policy/AWSSupportAccess")
        else:
            iam.attach_role_policy(RoleName="AppServer", PolicyArn="arn:aws:iam::aws:policy/AWSCloudShellFullAccess")
        iam.create_instance_profile(InstanceProfileName="app-server")
        iam.add_role_to_instance_profile(InstanceProfileName="app-server", RoleName="AppServer")
        backend = get_backend("iam")[self.id]["aws"]
        for name, days in (("shop-2023", -200), ("shop-2027", 300))[self.grade == 0:]:
            iam.upload_server_certificate(ServerCertificateName=name, CertificateBody=CERT, PrivateKey="example")
            backend.get_server_certificate(name).expiration = (self.now + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            backend.get_server_certificate(name).uploaded = (self.now + dt.timedelta(days=days - 365)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.grade < 2:
            self.client("account").put_alternate_contact(AlternateContactType="SECURITY", EmailAddress="security@example.com", Name="Security",
                                                         PhoneNumber="+1-555-0101", Title="Security desk")
        day = lambda n: self.now - dt.timedelta(days=n)
        moto_server.ROOTS[self.id] = [
            moto_server.Root(mfa=True, password_last_used=day(400), hardware=True),
            moto_server.Root(mfa=True, password_last_used=day(12)),
            moto_server.Root(mfa=False, keys=[(True, day(800), day(30)), (False, day(1200), None)], password_last_used=day(2)),
        ][self.grade]
        if moto_server.ROOTS[self.id].mfa and not moto_server.ROOTS[self.id].hardware:
            device = backend.create_virtual_mfa_device("root-account-mfa-device", "/")
            device.enable_date = self.ago(500)
            device.user = types.SimpleNamespace(path="/", user_name="root", user_id=self.id, arn=f"arn:aws:iam::{self.id}:root", create_date=self.ago(2000))
        iam.generate_credential_report()

    def storage(self):
        s3 = self.client("s3")
        for i in range(6):
            bucket, region = f"example-{self.id[-4:]}-{i}", self.regions[i % len(self.regions)]
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            self.client("s3", region).create_bucket(Bucket=bucket, **place)
            if i % 2:
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            if i % 3 == 0:
                rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
                s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
            if i % 2 == 0 or self.grade == 0:
                block = dict(BlockPublicAcls=True, IgnorePublicAcls=True, BlockPublicPolicy=True, RestrictPublicBuckets=i == 0 or self.grade == 0)
                s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
            if i < 2 or self.grade == 0:
                statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                             "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
                s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
            if i == 3:
                s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "data"}]})
        logs = f"example-{self.id[-4:]}-logs"
        s3.create_bucket(Bucket=logs)
        s3.put_bucket_acl(Bucket=logs, ACL="log-delivery-write")
        s3.put_bucket_logging(Bucket=f"example-{self.id[-4:]}-0", BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "s3/"}})

    def network(self):
        for region in self.regions:
            ec2 = self.client("ec2", region)
            vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
            for name, port, cidr in (("bastion", 22, "0.0.0.0/0"), ("desktops", 3389, "0.0.0.0/0"), ("web", 443, "10.0.0.0/8"))[self.grade == 0 and 2:]:
                group = ec2.create_security_group(GroupName=name, Description=f"{name} servers", VpcId=vpc)["GroupId"]
                ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
                    {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr, "Description": "example"}]}])
            if self.grade == 2:
                ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
                    {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
            tokens = "optional" if self.grade == 2 else "required"
            profile = {"Name": "app-server"} if region == self.regions[0] else {}
            ec2.run_instances(ImageId="ami-12345678", MinCount=2, MaxCount=2, SubnetId=subnet, MetadataOptions={"HttpTokens": tokens},
                              TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": f"app-{region}"}]}],
                              **({"IamInstanceProfile": profile} if profile else {}))

    def platform(self):
        kms, trail = self.client("kms"), self.client("cloudtrail")
        keys = [kms.create_key(Description=f"example key {i}", Tags=[{"TagKey": "use", "TagValue": "data"}])["KeyMetadata"]["KeyId"] for i in range(3)]
        for i, key in enumerate(keys):
            if i == 0 or self.grade == 0:
                kms.enable_key_rotation(KeyId=key)
        kms.create_alias(AliasName="alias/trail", TargetKeyId=keys[0])
        logs = self.client("logs")
        logs.create_log_group(logGroupName="trail")
        if self.grade < 2:
            trail.create_trail(Name="organization", S3BucketName=f"example-{self.id[-4:]}-1", IsMultiRegionTrail=True,
                               EnableLogFileValidation=self.grade == 0, **({"KmsKeyId": keys[0]} if self.grade == 0 else {}),
                               CloudWatchLogsLogGroupArn=f"arn:aws:logs:us-east-1:{self.id}:log-group:trail:*",
                               CloudWatchLogsRoleArn=f"arn:aws:iam::{self.id}:role/AuditRole")
            trail.start_logging(Name="organization")
            trail.put_event_selectors(TrailName="organization", EventSelectors=[
                {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}])
        else:
            trail.create_trail(Name="local", S3BucketName=f"example-{self.id[-4:]}-1")
        for region in self.regions[:1 if self.grade else len(self.regions)]:
            if self.grade < 2:
                moto_server.analyzer(self.id, region)
        self.client("dynamodb").create_table(TableName="orders", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                                             AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
        ecs = self.client("ecs")
        ecs.register_task_definition(family="web", containerDefinitions=[{"name": "web", "image": "example/web:1", "memory": 128, "cpu": 10}])
        role = f"arn:aws:iam::{self.id}:role/AppServer"
        self.client("lambda").create_function(FunctionName="resize", Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": EMPTY_ZIP},
                                              Environment={"Variables": {"STAGE": "example"}}, Tags={"team": "media"})
        origin = {"Id": "site", "DomainName": f"example-{self.id[-4:]}-0.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        behaviour = {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https", "TrustedSigners": {"Enabled": False, "Quantity": 0},
                     "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}}, "MinTTL": 0}
        self.client("cloudfront").create_distribution(DistributionConfig={
            "CallerReference": "site", "Comment": "example site", "Enabled": True, "DefaultCacheBehavior": behaviour,
            "Origins": {"Quantity": 1, "Items": [origin]}})

    def seed(self, iam_only=False):
        self.users()
        self.iam()
        if not iam_only:
            self.storage()
            self.network()
            self.platform()
        return self.truth


def empty_zip():
    import io
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py", (2024, 1, 1, 0, 0, 0)), "def handler(event, context): return None\n")
    return out.getvalue()


EMPTY_ZIP = empty_zip()


def organisation(url, count):
    ids = [MANAGEMENT]
    if count > 1:
        org = boto3.client("organizations", endpoint_url=url, region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
        org.create_organization(FeatureSet="ALL")
        for i in range(count - 1):
            made = org.create_account(AccountName=("production", "sandbox", "staging")[i % 3], Email=f"account{i}@example.com")
            ids.append(made["CreateAccountStatus"]["AccountId"])
    return ids


def seed(url, accounts=1, users=25, now=None, seed=42, regions=("us-east-1", "eu-west-1"), iam_only=False, human_names=False, grades=(1, 0, 2)):
    """Seeds a running server; gives the truth, one entry an account."""
    from moto.moto_api._internal import mock_random
    mock_random.seed(seed)
    now = now or dt.datetime.now(UTC).replace(microsecond=0)
    ids = organisation(url, accounts)
    return [Account(url, account, users, now, grades[i % len(grades)], seed, list(regions), human_names).seed(iam_only) for i, account in enumerate(ids)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--users", type=int, default=25)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--now", help="ISO time that ages are relative to")
    parser.add_argument("--page", type=int, default=100)
    parser.add_argument("--regions", default="us-east-1,eu-west-1")
    parser.add_argument("--iam-only", action="store_true")
    parser.add_argument("--human-names", action="store_true")
    parser.add_argument("--truth", help="write the truth to this file")
    args = parser.parse_args()
    began = time.time()
    server, url = moto_server.start(args.page, args.port)
    now = dt.datetime.fromisoformat(args.now) if args.now else None
    truth = seed(url, args.accounts, args.users, now, args.seed, args.regions.split(","), args.iam_only, args.human_names)
    if args.truth:
        with open(args.truth, "w") as out:
            json.dump(truth, out, indent=1)
    print(json.dumps({"ready": url, "accounts": [t["account"] for t in truth], "seconds": round(time.time() - began, 1)}), flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
