//! Error codes that services answer with although their models do not declare them.

/// Codes of any service.
const COMMON: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "InvalidAction",
    "OptInRequired",
    "SubscriptionRequiredException",
    "UnknownOperationException",
    "UnsupportedOperation",
    "ValidationError",
    "ValidationException",
];

/// S3 declares next to nothing: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
const S3: [&str; 19] = [
    "301",
    "403",
    "404",
    "IllegalLocationConstraintException",
    "InvalidRequest",
    "MethodNotAllowed",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "OwnershipControlsNotFoundError",
    "PermanentRedirect",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
];

/// Other services: service, code.
const OTHERS: [(&str, &str); 3] =
    [("ecs", "ClientException"), ("dynamodb", "UnsupportedOperationException"), ("lambda", "ResourceNotFoundException")];

/// Azure declares none. What is not there has a code of its own for every kind of thing, which ends in one of [`AZURE_GONE`]; the rest is
/// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and what specs had to know.
const AZURE: [&str; 16] = [
    "AuthorizationFailed",
    "AuthorizationPermissionMismatch",
    "BadRequest",
    "DisallowedProvider",
    "FeatureNotSupportedForAccount",
    "Forbidden",
    "LinkedAuthorizationFailed",
    "MethodNotAllowed",
    "MissingSubscriptionRegistration",
    "NoRegisteredProviderFound",
    "OperationNotAllowed",
    "ResourceTypeNotSupported",
    "ScopeLocked",
    "ServerNotInSubscriptionResourceGroup",
    "SubscriptionNotRegistered",
    "UnsupportedOperation",
];
const AZURE_GONE: [&str; 2] = ["NotFound", "DoesNotExist"];

/// Is it a code the service is known to answer with?
pub(super) fn undeclared(service: &str, code: &str) -> bool {
    let ec2 = |code: &str| {
        code.strip_prefix("Invalid").is_some_and(|c| [".NotFound", ".Malformed", "NotFound"].iter().any(|end| c.ends_with(end)))
            || code == "InvalidParameterValue"
    };
    if crate::provider::APIS.contains(&service) {
        // A number is the status of an answer that names no code.
        let status = code.len() == 3 && code.starts_with(['4', '5']) && code.bytes().all(|b| b.is_ascii_digit());
        return status || AZURE.contains(&code) || AZURE_GONE.iter().any(|end| code.ends_with(end));
    }
    COMMON.contains(&code)
        || (matches!(service, "s3" | "s3control") && S3.contains(&code))
        || (service == "ec2" && ec2(code))
        || OTHERS.contains(&(service, code))
}
