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

/// Azure declares none: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors, and what
/// providers answer to a read. A number is the status of an answer that names no code.
const AZURE: [&str; 48] = [
    "400",
    "403",
    "404",
    "405",
    "409",
    "AuthenticationFailed",
    "AuthorizationFailed",
    "AuthorizationPermissionMismatch",
    "BadRequest",
    "ContainerNotFound",
    "DisallowedProvider",
    "FeatureNotSupportedForAccount",
    "FilePropertiesNotSupported",
    "Forbidden",
    "InsufficientAccountPermissions",
    "InvalidAuthenticationInfo",
    "InvalidParameter",
    "InvalidResourceType",
    "KeyNotFound",
    "LinkedAuthorizationFailed",
    "ManagementPolicyNotFound",
    "MethodNotAllowed",
    "MissingSubscriptionRegistration",
    "NoRegisteredProviderFound",
    "NotFound",
    "OperationNotAllowed",
    "OperationNotAllowedOnKind",
    "ParentResourceNotFound",
    "QueueNotFound",
    "Request_ResourceNotFound",
    "ResourceGroupNotFound",
    "ResourceNotFound",
    "ResourceNotOnboarded",
    "ResourceTypeNotSupport",
    "ResourceTypeNotSupported",
    "RoleAssignmentNotFound",
    "RoleDefinitionDoesNotExist",
    "ScopeLocked",
    "SecretNotFound",
    "ServerNotInSubscriptionResourceGroup",
    "ShareNotFound",
    "StorageAccountIsNotProvisioned",
    "SubscriptionNotFound",
    "SubscriptionNotRegistered",
    "TableNotFound",
    "UnsupportedOperation",
    "UnsupportedResourceOperation",
    "VaultNotFound",
];

/// What is not there has a code of its own for every kind of thing, which ends in one of these.
const AZURE_GONE: [&str; 2] = ["NotFound", "DoesNotExist"];

/// Codes to suggest for a wrong one.
pub(super) fn of_provider(service: &str) -> &'static [&'static str] {
    if crate::provider::APIS.contains(&service) { &AZURE } else { &COMMON }
}

/// Is it a code the service is known to answer with?
pub(super) fn undeclared(service: &str, code: &str) -> bool {
    let ec2 = |code: &str| {
        code.strip_prefix("Invalid").is_some_and(|c| [".NotFound", ".Malformed", "NotFound"].iter().any(|end| c.ends_with(end)))
            || code == "InvalidParameterValue"
    };
    if crate::provider::APIS.contains(&service) {
        return AZURE.contains(&code) || AZURE_GONE.iter().any(|end| code.ends_with(end));
    }
    COMMON.contains(&code)
        || (matches!(service, "s3" | "s3control") && S3.contains(&code))
        || (service == "ec2" && ec2(code))
        || OTHERS.contains(&(service, code))
}
