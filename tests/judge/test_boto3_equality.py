"""The client against boto3: the same calls to the same moto must give the same answers, deep down, and the same errors.

    cargo build -p assay-cloud --example call
    pip install 'moto[server]==5.2.*' boto3 pytest
    pytest tests/judge/test_boto3_equality.py

`ASSAY_CALL_EXAMPLE` names the example's binary when it is not in target/debug. Differences that are meant are in `DIFFERENCES`, each
with its reason; one that no longer occurs fails, too.
"""
import base64
import datetime as dt
import io
import json
import os
import socket
import subprocess
import zipfile
from pathlib import Path

import boto3
import botocore.exceptions
import pytest
import urllib.request
from botocore import xform_name
from botocore.config import Config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

EXAMPLE = os.environ.get("ASSAY_CALL_EXAMPLE", str(Path(__file__).parents[2] / "target/debug/examples/call"))
REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/judge"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
ALLOW = lambda action: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})

# (service, operation) -> {path of the member: why it may differ}
DIFFERENCES = {
    ("iam", "GetRole"): {".Role.AssumeRolePolicyDocument": "boto3 decodes policy documents; here tables do it"},
    ("iam", "GetRolePolicy"): {".PolicyDocument": "boto3 decodes policy documents; here tables do it"},
    ("iam", "GetPolicyVersion"): {".PolicyVersion.Document": "boto3 decodes policy documents; here tables do it"},
    ("iam", "ListRoles"): {".Roles[].AssumeRolePolicyDocument": "boto3 decodes policy documents; here tables do it"},
    ("cloudformation", "GetTemplate"): {".TemplateBody": "boto3 parses templates"},
    ("athena", "ListWorkGroups"): {".WorkGroups[].CreationTime": "moto answers with the time of the call"},
    ("efs", "DescribeFileSystems"): {".FileSystems[].SizeInBytes.Timestamp": "moto answers with the time of the call"},
    ("rds", "DescribeDBInstances"): {".DBInstances[].LatestRestorableTime": "moto answers with the time of the call"},
    ("s3", "GetBucketLocation"): {".LocationConstraint": "boto3 makes null of the empty text that means us-east-1"},
    ("s3", "ListObjectsV2"): {".EncodingType": "boto3 asks for url encoding by itself and decodes it again"},
}


def call(lines, endpoint, **environment):
    """Runs the example; one answer for each line."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    env = {
        **keep,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **environment,
    }
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([EXAMPLE], input=text, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines), done.stderr
    return answers


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(moto):
    made = {}

    def get(service):
        if service not in made:
            made[service] = boto3.client(
                service,
                endpoint_url=moto,
                region_name=REGION,
                aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, response_checksum_validation="when_required"),
            )
        return made[service]

    return get


@pytest.fixture(scope="module")
def estate(client):
    """A little of everything; gives the names that later calls need."""
    n = {}
    iam = client("iam")
    for user in ("ann", "bob", "cyn"):
        iam.create_user(UserName=user, Tags=[{"Key": "team", "Value": "é & <x>"}])
        iam.create_access_key(UserName=user)
    iam.create_group(GroupName="ops")
    iam.add_user_to_group(GroupName="ops", UserName="ann")
    iam.create_role(RoleName="judge", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="judge", PolicyName="inline", PolicyDocument=ALLOW("s3:*"))
    n["policy"] = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW("ec2:Describe*"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="judge", PolicyArn=n["policy"])
    iam.create_instance_profile(InstanceProfileName="profile")
    iam.update_account_password_policy(MinimumPasswordLength=14, RequireSymbols=True)
    iam.generate_credential_report()
    s3 = client("s3")
    s3.create_bucket(Bucket="judge-bucket")
    s3.put_object(Bucket="judge-bucket", Key="a b/ü+.txt", Body=b"\x00\xffdata")
    s3.put_bucket_encryption(Bucket="judge-bucket", ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]})
    s3.put_public_access_block(Bucket="judge-bucket", PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": True})
    s3.put_bucket_policy(Bucket="judge-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::judge-bucket/*"}]}))
    s3.put_bucket_tagging(Bucket="judge-bucket", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.put_bucket_versioning(Bucket="judge-bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_lifecycle_configuration(Bucket="judge-bucket", LifecycleConfiguration={"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 7}}]})
    ec2 = client("ec2")
    n["vpc"] = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    n["subnet"] = ec2.create_subnet(VpcId=n["vpc"], CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    n["subnet2"] = ec2.create_subnet(VpcId=n["vpc"], CidrBlock="10.0.2.0/24", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=n["vpc"])["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}])
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2, SubnetId=n["subnet"], TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}])
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)
    n["key"] = client("kms").create_key(Description="k")["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/judge", TargetKeyId=n["key"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as z:
        z.writestr("app.py", "def handler(e, c): pass")
    client("lambda").create_function(FunctionName="f", Runtime="python3.13", Role=ROLE, Handler="app.handler", Code={"ZipFile": packed.getvalue()}, Environment={"Variables": {"A": "b"}})
    client("dynamodb").create_table(TableName="t", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    n["topic"] = client("sns").create_topic(Name="topic")["TopicArn"]
    client("sns").subscribe(TopicArn=n["topic"], Protocol="email", Endpoint="a@example.com")
    n["queue"] = client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    client("logs").create_log_group(logGroupName="/judge")
    client("logs").put_metric_filter(logGroupName="/judge", filterName="f", filterPattern="{ $.x = 1 }", metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}])
    client("cloudwatch").put_metric_alarm(AlarmName="alarm", MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=1.5, ComparisonOperator="GreaterThanThreshold", Statistic="Sum", AlarmActions=[n["topic"]])
    client("cloudtrail").create_trail(Name="trail", S3BucketName="judge-bucket", IsMultiRegionTrail=True)
    client("efs").create_file_system(CreationToken="efs", Encrypted=True)
    client("rds").create_db_instance(DBInstanceIdentifier="db", DBInstanceClass="db.t3.micro", Engine="mysql", MasterUsername="u", MasterUserPassword="passw0rd1", AllocatedStorage=10)
    client("ecs").create_cluster(clusterName="c")
    client("ecs").register_task_definition(family="task", containerDefinitions=[{"name": "n", "image": "i", "memory": 128, "environment": [{"name": "A", "value": "b"}]}])
    client("ecr").create_repository(repositoryName="repo")
    client("eks").create_cluster(name="eks", roleArn=ROLE, resourcesVpcConfig={"subnetIds": [n["subnet"], n["subnet2"]]})
    client("elbv2").create_load_balancer(Name="lb", Subnets=[n["subnet"], n["subnet2"]])
    n["zone"] = client("route53").create_hosted_zone(Name="example.com.", CallerReference="x")["HostedZone"]["Id"].rsplit("/", 1)[1]
    client("secretsmanager").create_secret(Name="s", SecretString="not read")
    client("ssm").put_parameter(Name="/p", Value="v", Type="String")
    client("stepfunctions").create_state_machine(name="m", definition=json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}), roleArn=ROLE)
    client("cloudformation").create_stack(StackName="stack", TemplateBody=json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "cfn"}}}}))
    client("acm").request_certificate(DomainName="example.com")
    n["api"] = client("apigateway").create_rest_api(name="api", tags={"a": "b"})["id"]
    client("apigatewayv2").create_api(Name="api2", ProtocolType="HTTP")
    origin = {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "judge-bucket.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}]}
    behaviour = {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}}, "MinTTL": 0}
    n["distribution"] = client("cloudfront").create_distribution(DistributionConfig={"CallerReference": "x", "Comment": "c", "Enabled": True, "Origins": origin, "DefaultCacheBehavior": behaviour})["Distribution"]["Id"]
    client("autoscaling").create_launch_configuration(LaunchConfigurationName="lc", ImageId=image, InstanceType="t3.micro")
    client("kinesis").create_stream(StreamName="stream", ShardCount=1)
    client("firehose").create_delivery_stream(DeliveryStreamName="fh", ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::judge-bucket"})
    client("glue").create_database(DatabaseInput={"Name": "g"})
    client("events").put_rule(Name="rule", ScheduleExpression="rate(1 day)")
    client("backup").create_backup_vault(BackupVaultName="vault")
    client("organizations").create_organization(FeatureSet="ALL")
    client("config").put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": ROLE, "recordingGroup": {"allSupported": True}})
    n["detector"] = client("guardduty").create_detector(Enable=True)["DetectorId"]
    client("wafv2").create_web_acl(Name="acl", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig={"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": False, "MetricName": "m"})
    client("redshift").create_cluster(ClusterIdentifier="rs", NodeType="ra3.xlplus", MasterUsername="u", MasterUserPassword="Passw0rd1")
    client("elasticache").create_cache_cluster(CacheClusterId="cache", Engine="redis", NumCacheNodes=1, CacheNodeType="cache.t3.micro")
    client("opensearch").create_domain(DomainName="search")
    client("cognito-idp").create_user_pool(PoolName="pool")
    client("securityhub").enable_security_hub()
    client("sagemaker").create_notebook_instance(NotebookInstanceName="nb", InstanceType="ml.t3.medium", RoleArn=ROLE)
    client("account").put_alternate_contact(AlternateContactType="SECURITY", EmailAddress="a@example.com", Name="n", PhoneNumber="1", Title="t")
    client("batch").create_compute_environment(computeEnvironmentName="judge", type="UNMANAGED", state="ENABLED", serviceRole=ROLE)
    client("ses").verify_email_identity(EmailAddress="a@example.com")
    client("servicediscovery").create_http_namespace(Name="ns")
    return n


def calls(n):
    """(service, operation, input) of everything that is compared; with `...` as fourth, all pages."""
    return [
        ("iam", "ListUsers", {}),
        ("iam", "ListUsers", {}, ...),
        ("iam", "ListRoles", {"MaxItems": 1}, ...),
        ("iam", "ListAccessKeys", {"UserName": "ann"}),
        ("iam", "ListGroupsForUser", {"UserName": "ann"}),
        ("iam", "GetRole", {"RoleName": "judge"}),
        ("iam", "GetRolePolicy", {"RoleName": "judge", "PolicyName": "inline"}),
        ("iam", "GetPolicyVersion", {"PolicyArn": n["policy"], "VersionId": "v1"}),
        ("iam", "ListRoles", {}),
        ("iam", "ListPolicies", {"Scope": "Local"}),
        ("iam", "GetAccountSummary", {}),
        ("iam", "GetAccountPasswordPolicy", {}),
        ("iam", "GetCredentialReport", {}),
        ("iam", "ListUserTags", {"UserName": "bob"}),
        ("iam", "ListVirtualMFADevices", {}),
        ("sts", "GetCallerIdentity", {}),
        ("account", "GetAlternateContact", {"AlternateContactType": "SECURITY"}),
        ("organizations", "DescribeOrganization", {}),
        ("organizations", "ListAccounts", {}, ...),
        ("ec2", "DescribeRegions", {}),
        ("ec2", "DescribeInstances", {}),
        ("ec2", "DescribeInstances", {"Filters": [{"Name": "tag:Name", "Values": ["web", "x y"]}]}, ...),
        ("ec2", "DescribeSecurityGroups", {}),
        ("ec2", "DescribeSecurityGroupRules", {}),
        ("ec2", "DescribeVolumes", {}),
        ("ec2", "DescribeVpcs", {"VpcIds": [n["vpc"]]}),
        ("ec2", "DescribeSubnets", {}),
        ("ec2", "DescribeRouteTables", {}),
        ("ec2", "DescribeNetworkAcls", {}),
        ("ec2", "GetEbsEncryptionByDefault", {}),
        ("s3", "ListBuckets", {}),
        ("s3", "GetBucketLocation", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketEncryption", {"Bucket": "judge-bucket"}),
        ("s3", "GetPublicAccessBlock", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketPolicy", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketPolicyStatus", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketTagging", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketVersioning", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketLifecycleConfiguration", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketAcl", {"Bucket": "judge-bucket"}),
        ("s3", "HeadObject", {"Bucket": "judge-bucket", "Key": "a b/ü+.txt"}),
        ("s3", "ListObjectsV2", {"Bucket": "judge-bucket", "Prefix": "a b/"}),
        ("kms", "ListKeys", {}),
        ("kms", "ListAliases", {}),
        ("kms", "DescribeKey", {"KeyId": n["key"]}),
        ("kms", "GetKeyPolicy", {"KeyId": n["key"], "PolicyName": "default"}),
        ("kms", "GetKeyRotationStatus", {"KeyId": n["key"]}),
        ("lambda", "ListFunctions", {}),
        ("lambda", "GetFunctionConfiguration", {"FunctionName": "f"}),
        ("dynamodb", "ListTables", {}),
        ("dynamodb", "DescribeTable", {"TableName": "t"}),
        ("dynamodb", "DescribeContinuousBackups", {"TableName": "t"}),
        ("sns", "ListTopics", {}),
        ("sns", "GetTopicAttributes", {"TopicArn": n["topic"]}),
        ("sns", "ListSubscriptionsByTopic", {"TopicArn": n["topic"]}),
        ("sqs", "ListQueues", {}),
        ("sqs", "GetQueueAttributes", {"QueueUrl": n["queue"], "AttributeNames": ["All"]}),
        ("logs", "DescribeLogGroups", {}),
        ("logs", "DescribeMetricFilters", {}, ...),
        ("cloudwatch", "DescribeAlarms", {}),
        ("cloudtrail", "DescribeTrails", {}),
        ("cloudtrail", "GetTrailStatus", {"Name": "trail"}),
        ("cloudtrail", "GetEventSelectors", {"TrailName": "trail"}),
        ("efs", "DescribeFileSystems", {}),
        ("rds", "DescribeDBInstances", {}),
        ("rds", "DescribeDBParameterGroups", {}),
        ("ecs", "ListClusters", {}),
        ("ecs", "ListTaskDefinitions", {}),
        ("ecs", "DescribeTaskDefinition", {"taskDefinition": "task:1"}),
        ("ecr", "DescribeRepositories", {}),
        ("eks", "ListClusters", {}),
        ("eks", "DescribeCluster", {"name": "eks"}),
        ("elbv2", "DescribeLoadBalancers", {}),
        ("elb", "DescribeLoadBalancers", {}),
        ("route53", "ListHostedZones", {}),
        ("route53", "ListResourceRecordSets", {"HostedZoneId": n["zone"]}, ...),
        ("secretsmanager", "ListSecrets", {}),
        ("secretsmanager", "DescribeSecret", {"SecretId": "s"}),
        ("ssm", "DescribeParameters", {}),
        ("ssm", "GetParameter", {"Name": "/p"}),
        ("stepfunctions", "ListStateMachines", {}),
        ("cloudformation", "DescribeStacks", {}),
        ("cloudformation", "GetTemplate", {"StackName": "stack"}),
        ("acm", "ListCertificates", {}),
        ("apigateway", "GetRestApis", {}),
        ("apigateway", "GetResources", {"restApiId": n["api"]}),
        ("apigatewayv2", "GetApis", {}),
        ("cloudfront", "ListDistributions", {}),
        ("cloudfront", "GetDistributionConfig", {"Id": n["distribution"]}),
        ("autoscaling", "DescribeLaunchConfigurations", {}),
        ("kinesis", "ListStreams", {}),
        ("kinesis", "DescribeStream", {"StreamName": "stream"}),
        ("firehose", "DescribeDeliveryStream", {"DeliveryStreamName": "fh"}),
        ("glue", "GetDatabases", {}),
        ("events", "ListRules", {}),
        ("events", "ListEventBuses", {}),
        ("backup", "ListBackupVaults", {}),
        ("config", "DescribeConfigurationRecorders", {}),
        ("guardduty", "ListDetectors", {}),
        ("guardduty", "GetDetector", {"DetectorId": n["detector"]}),
        ("wafv2", "ListWebACLs", {"Scope": "REGIONAL"}),
        ("athena", "ListWorkGroups", {}),
        ("redshift", "DescribeClusters", {}),
        ("elasticache", "DescribeCacheClusters", {}),
        ("opensearch", "DescribeDomain", {"DomainName": "search"}),
        ("es", "ListDomainNames", {}),
        ("codebuild", "ListProjects", {}),
        ("cognito-idp", "ListUserPools", {"MaxResults": 10}),
        ("securityhub", "DescribeHub", {}),
        ("sagemaker", "DescribeNotebookInstance", {"NotebookInstanceName": "nb"}),
        ("batch", "DescribeComputeEnvironments", {}),
        ("ses", "ListIdentities", {}),
        ("sesv2", "ListEmailIdentities", {}),
        ("servicediscovery", "ListNamespaces", {}),
        ("resourcegroupstaggingapi", "GetResources", {}),
        ("macie2", "GetMacieSession", {}),
        ("inspector2", "BatchGetAccountStatus", {}),
        ("transfer", "ListServers", {}),
        ("dms", "DescribeReplicationInstances", {}),
        ("emr", "ListClusters", {}),
        ("network-firewall", "ListFirewalls", {}),
        ("mq", "ListBrokers", {}),
        ("kafka", "ListClustersV2", {}),
        ("sso-admin", "ListInstances", {}),
        # errors
        ("iam", "GetUser", {"UserName": "nobody"}),
        ("iam", "GetLoginProfile", {"UserName": "ann"}),
        ("ec2", "DescribeVolumes", {"VolumeIds": ["vol-12345678"]}),
        ("s3", "GetBucketPolicy", {"Bucket": "no-such-bucket-here"}),
        ("s3", "GetBucketReplication", {"Bucket": "judge-bucket"}),
        ("s3", "GetBucketWebsite", {"Bucket": "judge-bucket"}),
        ("kms", "DescribeKey", {"KeyId": "11111111-2222-3333-4444-555555555555"}),
        ("lambda", "GetFunction", {"FunctionName": "none"}),
        ("dynamodb", "DescribeTable", {"TableName": "none"}),
        ("efs", "DescribeFileSystems", {"FileSystemId": "fs-11111111"}),
        ("rds", "DescribeDBInstances", {"DBInstanceIdentifier": "none"}),
        ("sqs", "GetQueueUrl", {"QueueName": "none"}),
        ("secretsmanager", "DescribeSecret", {"SecretId": "none"}),
        ("eks", "DescribeCluster", {"name": "none"}),
        ("route53", "GetHostedZone", {"Id": "ZNONE"}),
        ("cloudformation", "DescribeStacks", {"StackName": "none"}),
        ("cloudwatch", "GetDashboard", {"DashboardName": "none"}),
        ("organizations", "DescribeAccount", {"AccountId": "111111111111"}),
        ("guardduty", "GetDetector", {"DetectorId": "x" * 32}),
    ]


def plain(v):
    """boto3's values as JSON; times become numbers of seconds."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items() if k != "ResponseMetadata"}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, dt.datetime):
        return v
    if isinstance(v, (bytes, bytearray)):
        return base64.b64encode(v).decode()
    return base64.b64encode(v.read()).decode() if hasattr(v, "read") else v


def differences(theirs, ours, at=""):
    if isinstance(theirs, dt.datetime) and isinstance(ours, str):
        same = abs((dt.datetime.fromisoformat(ours) - theirs.astimezone(dt.timezone.utc)).total_seconds()) < 0.002
        return [] if same else [(at, f"{theirs} and {ours}")]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        out = [(f"{at}.{k}", "only in boto3") for k in theirs.keys() - ours.keys()]
        out += [(f"{at}.{k}", "only in assay") for k in ours.keys() - theirs.keys()]
        return out + [d for k in theirs.keys() & ours.keys() for d in differences(theirs[k], ours[k], f"{at}.{k}")]
    if isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            return [(at, f"{len(theirs)} and {len(ours)} items")]
        return [d for a, b in zip(theirs, ours) for d in differences(a, b, f"{at}[]")]
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (theirs, ours))
    return [] if theirs == ours and (numbers or type(theirs) is type(ours)) else [(at, f"{theirs!r} and {ours!r}")]


def of_boto3(client, service, operation, given, all_pages):
    c = client(service)
    try:
        if all_pages:
            return {"ok": [plain(p) for p in c.get_paginator(xform_name(operation)).paginate(**given)]}
        return {"ok": plain(getattr(c, xform_name(operation))(**given))}
    except botocore.exceptions.ClientError as e:
        error, meta = e.response["Error"], e.response["ResponseMetadata"]
        return {"error": {"code": error["Code"], "message": error.get("Message", ""), "status": meta["HTTPStatusCode"]}}


def test_same_answers_as_boto3(moto, client, estate):
    todo = calls(estate)
    lines = [{"service": c[0], "operation": c[1], "input": c[2], "paginate": len(c) > 3} for c in todo]
    ours = call(lines, moto)
    faults, seen, errors = [], set(), 0
    for (service, operation, given, *rest), mine in zip(todo, ours):
        theirs = of_boto3(client, service, operation, given, bool(rest))
        name = f"{service} {operation} {given}"
        if "error" in theirs:
            got = {k: v for k, v in mine.get("error", {}).items() if k in theirs["error"]}
            errors += 1
            if got != theirs["error"]:
                faults.append(f"{name}: {theirs['error']} and {mine}")
            continue
        if "error" in mine:
            faults.append(f"{name}: only assay fails: {mine['error']}")
            continue
        meant = DIFFERENCES.get((service, operation), {})
        for path, what in differences(theirs["ok"], mine["ok"]):
            if path.removeprefix("[]") in meant:
                seen.add((service, operation, path.removeprefix("[]")))
            else:
                faults.append(f"{name}: {path}: {what}")
    assert not faults, "\n".join(faults)
    assert len({c[0] for c in todo}) >= 40 and errors >= 15
    assert seen == {(*key, path) for key, paths in DIFFERENCES.items() for path in paths}, "a difference that does not occur any more"


def test_account_endpoints_work_at_an_override(moto, estate):
    """boto3 puts the account before the host, which no loopback address has; so there is nothing to compare with."""
    (answer,) = call([{"service": "s3control", "operation": "GetPublicAccessBlock", "input": {"AccountId": ACCOUNT}}], moto)
    assert answer["error"]["code"] == "NoSuchPublicAccessBlockConfiguration" and answer["error"]["kind"] == "NotFound"


def test_kinds_of_failure(moto, estate):
    for service, operation, given, kind in [
        ("iam", "GetUser", {"UserName": "nobody"}, "NotFound"),
        ("s3", "HeadBucket", {"Bucket": "no-such-bucket-here"}, "NotFound"),
        ("macie2", "ListClassificationJobs", {}, "BadAnswer"),  # moto has no such path: a 404 in HTML is not "no rows"
        ("iam", "CreateUser", {"UserName": "x"}, "Invalid"),
        ("secretsmanager", "GetSecretValue", {"SecretId": "s"}, "Invalid"),
        ("iam", "ListUser", {}, "Invalid"),
    ]:
        (answer,) = call([{"service": service, "operation": operation, "input": given}], moto)
        assert answer.get("error", {}).get("kind") == kind, (service, operation, answer)


def test_endpoint_of_one_service(moto, estate):
    with socket.create_server(("127.0.0.1", 0)) as s:
        closed = f"http://127.0.0.1:{s.getsockname()[1]}"
    lines = [{"service": "iam", "operation": "ListUsers"}, {"service": "kms", "operation": "ListKeys"}]
    iam, kms = call(lines, closed, AWS_ENDPOINT_URL_IAM=moto)
    assert "ok" in iam and kms["error"]["kind"] == "Unreachable"


def enforce(moto, after):
    """moto checks signatures and IAM policies after this many requests."""
    request = urllib.request.Request(f"{moto}/moto-api/reset-auth", data=str(after).encode(), headers={"Content-Type": "text/plain"})
    with urllib.request.urlopen(request) as r:
        assert r.status == 200


def test_signatures_are_checked(moto, client, estate):
    iam = client("iam")
    keys = {}
    for user, action in (("reader", "*"), ("stranger", "sqs:ListQueues")):
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=ALLOW(action))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    wrong = {**keys["reader"], "AWS_SECRET_ACCESS_KEY": "wrong"}
    unknown = {**keys["reader"], "AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN77"}
    # REST-JSON is missing: with its checks on, moto refuses such calls of boto3, too
    lines = [
        {"service": "iam", "operation": "ListUsers"},
        # no blank: moto signs a form again with `+` for it, whatever was sent
        {"service": "ec2", "operation": "DescribeVpcs", "input": {"Filters": [{"Name": "tag:x", "Values": ["a&b", "*+/é"]}]}},
        {"service": "kms", "operation": "ListKeys", "input": {}},
        {"service": "dynamodb", "operation": "ListTables", "input": {"Limit": 5}},
        {"service": "s3", "operation": "ListObjectsV2", "input": {"Bucket": "judge-bucket", "Prefix": "a b/ü+"}},
    ]
    enforce(moto, 0)
    try:
        good = call(lines, moto, **keys["reader"])
        denied = call(lines[:2], moto, **keys["stranger"])
        forged = call(lines[:2], moto, **wrong)
        nobody = call(lines[:2], moto, **unknown)
    finally:
        enforce(moto, 10**9)
    assert [a.get("error") for a in good] == [None] * len(lines)
    assert [a["error"]["kind"] for a in denied] == ["Denied", "Denied"], denied
    assert [a["error"]["kind"] for a in forged] == ["Credentials", "Credentials"], forged
    assert [a["error"]["kind"] for a in nobody] == ["Credentials", "Credentials"], nobody
    assert all(a["attempts"] == 1 for a in denied + forged + nobody)
