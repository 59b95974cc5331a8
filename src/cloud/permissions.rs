//! What a call needs beside credentials: the permission that allows it, and its price. Facts are data, `permissions.txt` and `prices.txt`;
//! the rules for everything that is not in them stand here. Refuses: to say who should have the permission.

use crate::aws::Service;
use crate::azure;
use std::sync::OnceLock;

const PERMISSIONS: &str = include_str!("permissions.txt");
const PRICES: &str = include_str!("prices.txt");

/// A permission that a call takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// An action of AWS IAM: `iam:ListUsers`.
    Iam(String),
    /// An action of Azure RBAC: `Microsoft.Storage/storageAccounts/read`.
    Azure(String),
    /// An application permission of Microsoft Graph: `User.Read.All`.
    Graph(String),
}

impl Permission {
    /// As it is written.
    pub fn name(&self) -> &str {
        match self {
            Permission::Iam(name) | Permission::Azure(name) | Permission::Graph(name) => name,
        }
    }
}

/// The price of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// US dollars.
    pub dollars: f64,
    /// Where it is published.
    pub source: &'static str,
}

/// One line of the facts.
enum Fact {
    Prefix { service: &'static str, prefix: &'static str },
    Aws { service: &'static str, operation: &'static str, actions: Vec<&'static str> },
    Azure { api: &'static str, operation: &'static str, action: &'static str },
}

fn facts() -> &'static [Fact] {
    static FACTS: OnceLock<Vec<Fact>> = OnceLock::new();
    FACTS.get_or_init(|| lines(PERMISSIONS).filter_map(fact).collect())
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn fact(line: &'static str) -> Option<Fact> {
    let (cloud, rest) = line.split_once(' ')?;
    let (service, rest) = rest.trim_start().split_once(' ')?;
    match cloud {
        "azure" => rest.split_once(" => ").map(|(operation, action)| Fact::Azure { api: service, operation, action }),
        _ => {
            let (operation, actions) = rest.split_once(' ')?;
            Some(match operation {
                "prefix" => Fact::Prefix { service, prefix: actions },
                _ => Fact::Aws { service, operation, actions: actions.split(' ').filter(|a| *a != "-").collect() },
            })
        }
    }
}

/// The permissions that a call takes; none where everybody with credentials may make it.
pub fn permissions(service: &str, operation: &str) -> Vec<Permission> {
    if azure::is_api(service) { of_azure(service, operation) } else { of_aws(service, operation) }
}

fn of_aws(service: &str, operation: &str) -> Vec<Permission> {
    let named = facts().iter().find_map(|fact| match fact {
        Fact::Aws { service: s, operation: o, actions } if *s == service && (*o == operation || *o == "*") => Some(actions),
        _ => None,
    });
    if let Some(actions) = named {
        return actions.iter().map(|action| Permission::Iam((*action).to_owned())).collect();
    }
    let own = facts().iter().find_map(|fact| match fact {
        Fact::Prefix { service: s, prefix } if *s == service => Some(*prefix),
        _ => None,
    });
    let prefix = own.or_else(|| Service::find(service).ok().map(Service::signing_name)).unwrap_or(service);
    vec![Permission::Iam(format!("{prefix}:{operation}"))]
}

fn of_azure(api: &str, operation: &str) -> Vec<Permission> {
    let same = |fact: &str| {
        let (fact, own) = (fact.trim_end_matches('/'), operation.trim_end_matches('/'));
        // The data plane has one address per account, and says in the query what it is about.
        if azure::is_storage(api) { own.starts_with(fact) } else { own.eq_ignore_ascii_case(fact) }
    };
    let named = facts().iter().find_map(|fact| match fact {
        Fact::Azure { api: a, operation: o, action } if *a == api && same(o) => Some(*action),
        _ => None,
    });
    if let Some(action) = named {
        return vec![Permission::Azure(action.to_owned())];
    }
    let (method, path) = operation.split_once(' ').unwrap_or(("GET", operation));
    match api {
        "graph" => graph(path),
        _ => vec![Permission::Azure(action(method, path))],
    }
}

/// `Provider/type/subtype/read`, or of a POST `…/listKeys/action`: https://learn.microsoft.com/azure/role-based-access-control/role-definitions
fn action(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let lower = path.to_ascii_lowercase();
    // Of extension resources the last provider counts.
    let own = match lower.rfind("/providers/") {
        Some(at) => &path[at + "/providers/".len()..],
        None => path.trim_start_matches('/'),
    };
    let mut words = own.split('/').filter(|w| !w.is_empty());
    let provider = words.next().unwrap_or("*");
    let rest: Vec<&str> = words.collect();
    // Types and names take turns.
    let mut types: Vec<&str> = rest.iter().step_by(2).copied().collect();
    let verb = match method {
        "POST" => match rest.len() % 2 {
            // The action stands where a type would.
            1 => format!("{}/action", types.pop().unwrap_or_default()),
            _ => "action".to_owned(),
        },
        _ => "read".to_owned(),
    };
    let mut out = vec![provider];
    out.extend(types);
    out.push(&verb);
    out.join("/")
}

/// Source: "Microsoft Graph permissions reference": the collection a path begins with decides.
fn graph(path: &str) -> Vec<Permission> {
    let first = path.trim_start_matches('/').split('/').nth(1).unwrap_or_default();
    let name = match first.to_ascii_lowercase().as_str() {
        "users" => "User.Read.All",
        "groups" => "Group.Read.All",
        "applications" | "serviceprincipals" => "Application.Read.All",
        "policies" => "Policy.Read.All",
        "auditlogs" => "AuditLog.Read.All",
        "reports" => "Reports.Read.All",
        "rolemanagement" => "RoleManagement.Read.Directory",
        _ => "Directory.Read.All",
    };
    vec![Permission::Graph(name.to_owned())]
}

/// What a request costs, where it costs anything.
pub fn price(service: &str, operation: &str) -> Option<Price> {
    lines(PRICES).find_map(|line| {
        let mut words = line.split_whitespace();
        let (of, pattern, dollars, source) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let fits = match pattern.strip_suffix('*') {
            Some(begins) => operation.starts_with(begins),
            None => operation == pattern,
        };
        (of == service && fits).then_some(Price { dollars: dollars.parse().ok()?, source })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadOp;

    fn names(service: &str, operation: &str) -> Vec<String> {
        permissions(service, operation).iter().map(|p| p.name().to_owned()).collect()
    }

    #[test]
    fn aws_operations_take_the_actions_of_the_reference() {
        for (service, operation, action) in [
            ("iam", "ListUsers", "iam:ListUsers"),
            ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
            ("s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
            ("s3", "GetBucketAcl", "s3:GetBucketAcl"),
            ("s3control", "GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
            ("accessanalyzer", "ListAnalyzers", "access-analyzer:ListAnalyzers"),
            ("stepfunctions", "ListStateMachines", "states:ListStateMachines"),
            ("cloudwatch", "DescribeAlarms", "cloudwatch:DescribeAlarms"),
            ("elbv2", "DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"),
            ("apigateway", "GetRestApis", "apigateway:GET"),
        ] {
            assert_eq!(names(service, operation), [action]);
        }
        assert!(names("sts", "GetCallerIdentity").is_empty(), "it works even where it is denied");
    }

    #[test]
    fn paths_of_azure_are_actions() {
        for (api, operation, action) in [
            ("arm", "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts", "Microsoft.Storage/storageAccounts/read"),
            (
                "arm",
                "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{}/keys/{}",
                "Microsoft.KeyVault/vaults/keys/read",
            ),
            ("arm", "GET /{}/providers/Microsoft.Insights/diagnosticSettings", "Microsoft.Insights/diagnosticSettings/read"),
            (
                "arm",
                "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys",
                "Microsoft.Storage/storageAccounts/listKeys/action",
            ),
            ("arm", "GET /subscriptions/{}/resourceGroups", "Microsoft.Resources/subscriptions/resourceGroups/read"),
            ("arm", "GET /subscriptions", "Microsoft.Resources/subscriptions/read"),
            ("blob", "GET {}/?restype=service&comp=properties", "Microsoft.Storage/storageAccounts/blobServices/read"),
            ("graph", "GET /v1.0/users/{}", "User.Read.All"),
        ] {
            assert_eq!(names(api, operation), [action], "{operation}");
        }
    }

    #[test]
    fn facts_are_about_operations_that_there_are() {
        let all = lines(PERMISSIONS).count();
        assert_eq!(facts().len(), all, "every line is understood");
        for fact in facts() {
            if let Fact::Aws { service, operation, .. } = fact
                && *operation != "*"
            {
                let named = crate::aws::model::operation_shapes(service, operation);
                assert!(named.is_some() || ReadOp::aws(service, operation).is_ok(), "{service}.{operation}");
            }
        }
        for line in lines(PRICES) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(words.len() == 4 && words[2].parse::<f64>().is_ok() && words[3].starts_with("https://"), "{line}");
        }
    }

    #[test]
    fn prices_by_operation_and_by_service() {
        assert_eq!(price("s3", "ListBuckets").map(|p| p.dollars), Some(0.000_005));
        assert_eq!(price("s3", "GetBucketAcl").map(|p| p.dollars), Some(0.000_000_4));
        assert_eq!(price("ce", "GetCostAndUsage").map(|p| p.dollars), Some(0.01));
        assert!(price("iam", "ListUsers").is_none());
    }
}
