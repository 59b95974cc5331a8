//! `ReadOp`: the only thing this room executes. Built from a tested allow-list, so a spec that a user drops in cannot write.
//!
//! An operation reads when its name starts with a read verb and it is not a named exception, or when it is a named exception the
//! other way. Operations whose purpose is to hand out secrets are refused though they read. What an answer contains besides (a client
//! secret among the settings of a client) is for table specs to mark. The test below holds every operation of every service to it.

use crate::aws::{Service, model};
use crate::azure;
use crate::{CloudError, ErrorKind};
use serde_json::Value;
use std::sync::Arc;

/// A read operation of a service, by name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadOp {
    service: Arc<str>,
    operation: Arc<str>,
}

/// First words of operations that only read.
const READ_VERBS: &[&str] = &["Get", "List", "Describe", "Search", "Lookup", "Head", "View", "BatchGet", "BatchDescribe", "BatchList"];

/// Operations that only read although their verb does not say so. The reports they make are seen by nobody but who asks for them.
const ALSO_READ: &[(&str, &[&str])] = &[
    ("accessanalyzer", &["CheckAccessNotGranted", "CheckNoNewAccess", "CheckNoPublicAccess", "ValidatePolicy"]),
    ("config", &["SelectAggregateResourceConfig", "SelectResourceConfig"]),
    (
        "iam",
        &[
            "GenerateCredentialReport",
            "GenerateOrganizationsAccessReport",
            "GenerateServiceLastAccessedDetails",
            "SimulateCustomPolicy",
            "SimulatePrincipalPolicy",
        ],
    ),
    ("logs", &["FilterLogEvents"]),
    ("route53", &["TestDNSAnswer"]),
    ("servicecatalog", &["ScanProvisionedProducts"]),
    ("servicediscovery", &["DiscoverInstances"]),
    ("sns", &["CheckIfPhoneNumberIsOptedOut"]),
    ("sts", &["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "DecodeAuthorizationMessage"]),
    ("swf", &["CountClosedWorkflowExecutions", "CountOpenWorkflowExecutions", "CountPendingActivityTasks", "CountPendingDecisionTasks"]),
];

/// Operations with a read verb that do something.
const NOT_READ: &[(&str, &[&str])] = &[
    ("bedrock-agentcore", &["GetAgentCard"]),               // runs the agent
    ("cognito-identity", &["GetId"]),                       // makes an identity
    ("cognito-idp", &["GetUserAttributeVerificationCode"]), // sends a message
    ("iot", &["GetRegistrationCode"]),                      // makes a code
];

/// Words in the names of `Get` operations that hand out secrets, or links that are as good as one.
const SECRET_WORDS: &[&str] = &[
    "AccessDetails",
    "AccessKeys",
    "ApiKey",
    "AuthenticationUrl",
    "Credentials",
    "EmbedUrl",
    "Federation",
    "LoginUrl",
    "Password",
    "PresignedURL",
    "SecretValue",
    "SessionEndpoint",
    "SessionURL",
    "Signed",
    "StreamKey",
    "Token",
    "UploadURL",
    "UploadUrl",
];

/// Operations that hand out secrets although their names do not have one of the words.
const ALSO_SECRET: &[(&str, &[&str])] = &[
    ("amplifybackend", &["GetBackendAuth"]),
    ("appsync", &["ListApiKeys"]), // the id is the key
    ("codepipeline", &["GetJobDetails", "GetThirdPartyJobDetails"]),
    ("cognito-idp", &["ListUserPoolClientSecrets"]),
    ("ec2", &["GetVpnConnectionDeviceSampleConfiguration"]),
    ("gamelift", &["GetComputeAccess", "GetInstanceAccess"]),
    ("invoicing", &["GetProcurementPortalPreference"]),
    ("ivs-realtime", &["GetIngestConfiguration"]),
    ("kinesis-video-signaling", &["GetIceServerConfig"]),
    ("location", &["DescribeKey"]),
    ("s3", &["GetObject", "GetObjectTorrent"]),
    ("s3control", &["GetDataAccess"]),
    ("snowball", &["GetJobManifest", "GetJobUnlockCode"]),
    ("storagegateway", &["DescribeChapCredentials"]),
    ("wafv2", &["GetDecryptedAPIKey", "ListAPIKeys"]),
    ("wickr", &["GetOidcInfo", "GetOpentdfConfig"]),
];

/// Operations with one of the words that hand out none.
const NOT_SECRET: &[(&str, &[&str])] = &[
    ("apigateway", &["GetApiKey", "GetApiKeys"]), // without the value, see `refuse_input`
    ("bedrock-agentcore-control", &["GetApiKeyCredentialProvider", "GetTokenVault"]),
    ("iam", &["GetAccountPasswordPolicy", "GetOutboundWebIdentityFederationInfo"]),
    ("managedblockchain-query", &["BatchGetTokenBalance", "GetTokenBalance"]),
    ("waf", &["GetChangeToken", "GetChangeTokenStatus"]),
    ("waf-regional", &["GetChangeToken", "GetChangeTokenStatus"]),
    ("workmail", &["GetPersonalAccessTokenMetadata"]),
];

/// Operations that are allowed, but whose answer is a secret as a whole.
const SECRET_ANSWERS: &[(&str, &[&str])] = &[("sts", &["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"])];

fn listed(list: &[(&str, &[&str])], service: &str, operation: &str) -> bool {
    list.iter().any(|(s, names)| *s == service && names.contains(&operation))
}

fn starts_with_word(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// What an operation is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    Read,
    HandsOutSecrets,
    Writes,
}

fn class(service: &str, operation: &str) -> Class {
    let reads = READ_VERBS.iter().any(|v| starts_with_word(operation, v)) && !listed(NOT_READ, service, operation);
    if !reads && !listed(ALSO_READ, service, operation) {
        return Class::Writes;
    }
    let gets = starts_with_word(operation, "Get") || starts_with_word(operation, "BatchGet");
    let has_word = gets && SECRET_WORDS.iter().any(|w| operation.contains(w)) && !listed(NOT_SECRET, service, operation);
    if has_word || listed(ALSO_SECRET, service, operation) { Class::HandsOutSecrets } else { Class::Read }
}

fn invalid(code: &str, service: &str, operation: &str, message: String) -> CloudError {
    let mut e = CloudError::new(ErrorKind::Invalid, code, message);
    e.service = service.to_owned();
    e.operation = operation.to_owned();
    e
}

/// `; did you mean `x`?` where something is near enough.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |k: &str| strsim::damerau_levenshtein(&k.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let near = known.into_iter().map(|k| (distance(k), k)).min();
    near.filter(|(d, k)| *d <= 2.max(k.len() / 4)).map(|(_, k)| format!("; did you mean `{k}`?")).unwrap_or_default()
}

impl ReadOp {
    /// `service` as botocore spells it (`iam`, `s3control`, `accessanalyzer`), `operation` as the API does (`ListUsers`).
    ///
    /// # Errors
    /// `Invalid` for an unknown service or operation (with a suggestion), one that does not only read, one that hands out secrets, or
    /// one that assay cannot call.
    pub fn aws(service: &str, operation: &str) -> Result<ReadOp, CloudError> {
        if model::operations(service).is_empty() {
            let hint = suggestion(service, model::services());
            return Err(invalid("UnknownService", service, operation, format!("there is no AWS service `{service}`{hint}")));
        }
        if model::operation_shapes(service, operation).is_none() {
            let hint = suggestion(operation, model::operations(service));
            return Err(invalid("UnknownOperation", service, operation, format!("{service} has no operation `{operation}`{hint}")));
        }
        match class(service, operation) {
            Class::Read => {}
            Class::HandsOutSecrets => {
                return Err(invalid(
                    "RefusedSecret",
                    service,
                    operation,
                    "this operation hands out secrets: assay never asks for them".into(),
                ));
            }
            Class::Writes => {
                let message = "this operation does not only read: assay runs only operations on its read allow-list";
                return Err(invalid("RefusedWrite", service, operation, message.into()));
            }
        }
        Service::find(service)?.operation(operation)?;
        Ok(ReadOp { service: service.into(), operation: operation.into() })
    }

    /// An operation by the first words of a spec's `call:`, of either cloud.
    ///
    /// # Errors
    /// As [`ReadOp::aws`] and [`ReadOp::azure`].
    pub fn named(service: &str, operation: &str) -> Result<ReadOp, CloudError> {
        if azure::is_api(service) { ReadOp::azure(service, operation) } else { ReadOp::aws(service, operation) }
    }

    /// `api` is `arm`, `graph`, `blob`, `queue` or `table`; `operation` the method and the path with `{}` for what varies:
    /// `GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts`.
    ///
    /// # Errors
    /// `Invalid` for anything but a GET that hands out no secret, or one of the named POST operations that only read.
    pub fn azure(api: &str, operation: &str) -> Result<ReadOp, CloudError> {
        use azure::allow::Class;
        let refusal = match azure::allow::class(api, operation) {
            Class::Read | Class::SecretAnswer => return Ok(ReadOp { service: api.into(), operation: operation.into() }),
            _ if !azure::is_api(api) => {
                let hint = suggestion(api, azure::APIS);
                ("UnknownService", format!("there is no Azure API `{api}`{hint}; there are {}", azure::APIS.join(", ")))
            }
            Class::Malformed => {
                let example = if azure::is_storage(api) { "`GET {}?comp=properties`" } else { "`GET /subscriptions/{}/resourcegroups`" };
                ("UnknownOperation", format!("`{operation}` is no operation: it is a method and a path, as in {example}"))
            }
            Class::HandsOutSecrets => ("RefusedSecret", "this operation hands out secrets: assay never asks for them".to_owned()),
            Class::Writes => {
                ("RefusedWrite", "this operation does not only read: assay runs only operations on its read allow-list".to_owned())
            }
        };
        Err(invalid(refusal.0, api, operation, refusal.1))
    }

    /// botocore's name of the service; of Azure, the API.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The operation's name.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Whether the whole answer is a secret (AssumeRole and its like, keys of a storage account): it is never shown, cached or recorded.
    pub fn is_secret(&self) -> bool {
        is_secret_answer(&self.service, &self.operation)
    }
}

/// Whether the whole answer of an operation is a secret.
pub(crate) fn is_secret_answer(service: &str, operation: &str) -> bool {
    listed(SECRET_ANSWERS, service, operation) || azure::allow::class(service, operation) == azure::allow::Class::SecretAnswer
}

/// Operations whose answers hold texts or data in which people put secrets: templates, environments, user data, parameters, logs.
const LOOSE: &[(&str, &[&str])] = &[
    ("amplify", &["GetApp", "GetBranch", "ListApps", "ListBranches"]),
    ("apprunner", &["DescribeService"]),
    ("athena", &["GetQueryResults"]),
    ("batch", &["DescribeJobDefinitions", "DescribeJobs"]),
    ("cloudformation", &["GetTemplate"]),
    ("codebuild", &["BatchGetBuilds", "BatchGetProjects"]),
    ("dynamodb", &["BatchGetItem", "GetItem"]),
    (
        "ec2",
        &[
            "DescribeInstanceAttribute",
            "DescribeLaunchTemplateVersions",
            "GetConsoleOutput",
            "GetConsoleScreenshot",
            "GetLaunchTemplateData",
        ],
    ),
    ("ecs", &["DescribeTaskDefinition"]),
    ("elasticbeanstalk", &["DescribeConfigurationSettings"]),
    ("glue", &["GetConnection", "GetConnections"]),
    ("kinesis", &["GetRecords"]),
    ("lambda", &["GetFunction", "GetFunctionConfiguration", "ListFunctions", "ListVersionsByFunction"]),
    ("logs", &["GetLogEvents", "GetLogRecord", "GetQueryResults"]),
    ("redshift-data", &["GetStatementResult", "GetStatementResultV2"]),
    ("ssm", &["GetParameter", "GetParameterHistory", "GetParameters", "GetParametersByPath"]),
];

/// May answers be kept on disk, as far as the operation tells? Only what a read verb begins, hands out no secret and is not loose.
pub(crate) fn may_be_kept(service: &str, operation: &str) -> bool {
    if azure::is_api(service) {
        return azure::allow::class(service, operation) == azure::allow::Class::Read;
    }
    class(service, operation) == Class::Read
        && READ_VERBS.iter().any(|v| starts_with_word(operation, v))
        && !is_secret_answer(service, operation)
        && !listed(LOOSE, service, operation)
}

/// Refuses input that makes a read operation hand out secrets or do something.
///
/// # Errors
/// `Invalid`, with the member at fault.
pub(crate) fn refuse_input(service: &str, operation: &str, input: &Value) -> Result<(), CloudError> {
    let on = |member: &str| input.get(member) == Some(&Value::Bool(true));
    let fault = match (service, operation) {
        ("ssm", "GetParameter" | "GetParameters" | "GetParametersByPath" | "GetParameterHistory") if on("WithDecryption") => {
            "WithDecryption must not be true"
        }
        ("apigateway", "GetApiKey") if on("includeValue") => "includeValue must not be true",
        ("apigateway", "GetApiKeys") if on("includeValues") => "includeValues must not be true",
        ("datazone", "GetConnection") if on("withSecret") => "withSecret must not be true",
        ("glue", "GetConnection" | "GetConnections") if !on("HidePassword") => "HidePassword must be true",
        ("ec2", "GetConsoleScreenshot") if on("WakeUp") => "WakeUp must not be true",
        _ => return Ok(()),
    };
    Err(invalid("RefusedInput", service, operation, format!("{fault}: assay never asks for secrets and changes nothing")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn allowed() {
        for (service, operation) in [
            ("iam", "ListUsers"),
            ("iam", "GenerateCredentialReport"),
            ("iam", "GetAccountPasswordPolicy"),
            ("ec2", "DescribeInstances"),
            ("s3", "HeadBucket"),
            ("s3", "GetBucketPolicy"),
            ("codebuild", "BatchGetProjects"),
            ("cloudtrail", "LookupEvents"),
            ("sts", "GetCallerIdentity"),
            ("secretsmanager", "DescribeSecret"),
            ("ssm", "GetParameter"),
            ("config", "SelectResourceConfig"),
        ] {
            let op = ReadOp::aws(service, operation).unwrap();
            assert_eq!((op.service(), op.operation(), op.is_secret()), (service, operation, false));
        }
        assert!(ReadOp::aws("sts", "AssumeRole").unwrap().is_secret());
        let keys = "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys";
        for (api, operation, secret) in [
            ("arm", "GET /subscriptions/{}/resourcegroups", false),
            ("arm", "POST /providers/Microsoft.ResourceGraph/resources", false),
            ("arm", keys, true),
            ("graph", "GET /v1.0/users", false),
            ("queue", "GET {}?restype=service&comp=properties", false),
        ] {
            let op = ReadOp::named(api, operation).unwrap();
            assert_eq!((op.service(), op.operation(), op.is_secret()), (api, operation, secret));
        }
    }

    #[test]
    fn azure_operations_are_refused_by_what_they_do() {
        for (api, operation, code, text) in [
            ("arm", "PUT /subscriptions/{}/x", "RefusedWrite", "does not only read"),
            ("arm", "POST /{}/regenerateKey", "RefusedWrite", ""),
            ("arm", "GET /{}/providers/Microsoft.Network/connections/{}/sharedkey", "RefusedSecret", "hands out secrets"),
            ("queue", "GET {}/{}/messages?comp=peek", "RefusedSecret", ""),
            ("arm", "ListThings", "UnknownOperation", "as in `GET /subscriptions"),
            ("blob", "GET /x", "UnknownOperation", "as in `GET {}?comp=properties`"),
            ("rm", "GET /x", "UnknownService", "did you mean `arm`?"),
        ] {
            let e = ReadOp::azure(api, operation).unwrap_err();
            assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Invalid, code), "{api} {operation}");
            assert!(e.message.contains(text), "{}", e.message);
        }
    }

    #[test]
    fn what_may_be_kept_on_disk() {
        for (service, operation, kept) in [
            ("iam", "ListUsers", true),
            ("sts", "GetCallerIdentity", true),
            ("iam", "GenerateCredentialReport", false),
            ("sts", "AssumeRole", false),
            ("sts", "GetSessionToken", false),
            ("secretsmanager", "GetSecretValue", false),
            ("ssm", "GetParameter", false),
            ("iam", "CreateUser", false),
            ("arm", "GET /subscriptions/{}/resourcegroups", true),
            ("arm", "POST /providers/Microsoft.ResourceGraph/resources", true),
            ("arm", "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys", false),
            ("arm", "PUT /subscriptions/{}/x", false),
        ] {
            assert_eq!(may_be_kept(service, operation), kept, "{service} {operation}");
        }
        for (service, operations) in LOOSE {
            for operation in *operations {
                assert!(model::operation_shapes(service, operation).is_some(), "{service} has no {operation}");
            }
        }
    }

    #[test]
    fn refused() {
        for (service, operation, code, text) in [
            ("iam", "CreateUser", "RefusedWrite", "does not only read"),
            ("iam", "UpdateAccessKey", "RefusedWrite", ""),
            ("ec2", "GetPasswordData", "RefusedSecret", "hands out secrets"),
            ("secretsmanager", "GetSecretValue", "RefusedSecret", ""),
            ("secretsmanager", "BatchGetSecretValue", "RefusedSecret", ""),
            ("kms", "Decrypt", "RefusedWrite", ""),
            ("s3", "GetObject", "RefusedSecret", ""),
            ("ecr", "GetAuthorizationToken", "RefusedSecret", ""),
            ("sts", "GetSessionToken", "RefusedSecret", ""),
            ("sts", "GetFederationToken", "RefusedSecret", ""),
            ("sts", "AssumeRoot", "RefusedWrite", ""),
            ("sqs", "ReceiveMessage", "RefusedWrite", ""),
            ("cognito-identity", "GetId", "RefusedWrite", ""),
            ("iam", "ListUser", "UnknownOperation", "did you mean `ListUsers`?"),
            ("iam", "listusers", "UnknownOperation", "did you mean `ListUsers`?"),
            ("iam", "Frobnicate", "UnknownOperation", "has no operation `Frobnicate`"),
            ("lamda", "ListFunctions", "UnknownService", "did you mean `lambda`?"),
            ("access-analyzer", "ListAnalyzers", "UnknownService", "did you mean `accessanalyzer`?"),
            ("", "", "UnknownService", ""),
            ("sdb", "ListDomains", "NotSupported", "Signature Version 2"),
            ("bedrock-runtime", "ConverseStream", "RefusedWrite", ""),
        ] {
            let e = ReadOp::aws(service, operation).unwrap_err();
            assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Invalid, code), "{service} {operation}");
            assert!(e.message.contains(text), "{}", e.message);
        }
    }

    #[test]
    fn input_that_asks_for_secrets_is_refused() {
        for (service, operation, input, fine) in [
            ("ssm", "GetParameter", json!({"Name": "x"}), true),
            ("ssm", "GetParameter", json!({"Name": "x", "WithDecryption": true}), false),
            ("ssm", "GetParametersByPath", json!({"Path": "/", "WithDecryption": true}), false),
            ("apigateway", "GetApiKeys", json!({"includeValues": true}), false),
            ("glue", "GetConnections", json!({}), false),
            ("glue", "GetConnections", json!({"HidePassword": true}), true),
            ("ec2", "GetConsoleScreenshot", json!({"InstanceId": "i", "WakeUp": true}), false),
            ("iam", "ListUsers", Value::Null, true),
        ] {
            assert_eq!(refuse_input(service, operation, &input).is_ok(), fine, "{service} {operation} {input}");
        }
    }

    /// Words that an operation on the list must not have as its verb, however the lists above are changed.
    const WRITE_WORDS: &[&str] = &[
        "Accept",
        "Activate",
        "Add",
        "Allocate",
        "Apply",
        "Approve",
        "Associate",
        "Attach",
        "Authorize",
        "Cancel",
        "Change",
        "Close",
        "Complete",
        "Confirm",
        "Connect",
        "Copy",
        "Create",
        "Deactivate",
        "Delete",
        "Deploy",
        "Deregister",
        "Detach",
        "Disable",
        "Disassociate",
        "Enable",
        "Encrypt",
        "Decrypt",
        "Execute",
        "Export",
        "Grant",
        "Import",
        "Initiate",
        "Invoke",
        "Modify",
        "Move",
        "Pause",
        "Post",
        "Publish",
        "Purchase",
        "Purge",
        "Put",
        "Reboot",
        "Receive",
        "Register",
        "Reject",
        "Release",
        "Remove",
        "Replace",
        "Request",
        "Reset",
        "Resize",
        "Restart",
        "Restore",
        "Resume",
        "Retire",
        "Revoke",
        "Rotate",
        "Run",
        "Schedule",
        "Send",
        "Set",
        "Sign",
        "Start",
        "Stop",
        "Submit",
        "Suspend",
        "Tag",
        "Terminate",
        "Transfer",
        "Unsubscribe",
        "Untag",
        "Update",
        "Upgrade",
        "Upload",
        "Write",
    ];

    #[test]
    fn every_operation_of_every_service_is_classed() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for service in model::services() {
            for operation in model::operations(service) {
                let class = class(service, operation);
                *counts
                    .entry(match class {
                        Class::Read => "read",
                        Class::HandsOutSecrets => "secret",
                        Class::Writes => "write",
                    })
                    .or_default() += 1;
                if class == Class::Read {
                    let verb = operation.strip_prefix("Batch").unwrap_or(operation);
                    let writes = WRITE_WORDS.iter().find(|w| starts_with_word(verb, w));
                    assert_eq!(writes, None, "{service}.{operation}");
                    // nothing is both fetched and changed by one name
                    for both in ["AndDelete", "OrCreate", "AndUpdate", "AndCreate"] {
                        assert!(!operation.contains(both), "{service}.{operation}");
                    }
                    let secret = ["SecretValue", "SessionToken", "AuthorizationToken", "FederationToken", "PasswordData", "PrivateKey"];
                    assert!(!secret.iter().any(|w| operation.contains(w)), "{service}.{operation}");
                }
            }
        }
        // A change here is a new botocore or a changed list: look at what came in before you change the numbers.
        let counts: Vec<_> = counts.into_iter().collect();
        assert_eq!(counts, [("read", 8_356), ("secret", 90), ("write", 11_350)]);
    }

    #[test]
    fn named_exceptions_exist() {
        for list in [ALSO_READ, NOT_READ, ALSO_SECRET, NOT_SECRET, SECRET_ANSWERS] {
            for (service, names) in list {
                for name in *names {
                    assert!(model::operation_shapes(service, name).is_some(), "{service}.{name}");
                }
            }
        }
    }
}
