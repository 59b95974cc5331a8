//! The `limits` part of the configuration: connection → service, or class of its operations → rate and places. Refuses what it does not
//! understand, and what does not exist.

use crate::aws::model;
use crate::limiter::{DEFAULT_IN_FLIGHT, Limit, Rate};
use crate::read_op::suggestion;
use crate::{CloudError, ErrorKind, azure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Limits of one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    in_flight: Option<usize>,
    services: BTreeMap<String, Partial>,
    /// By service; the most specific first.
    classes: BTreeMap<String, Vec<Class>>,
}

/// Operations that share a bucket.
#[derive(Debug, Clone, PartialEq)]
struct Class {
    /// A name, or the beginning of names with `*` after it.
    pattern: String,
    limit: Partial,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Partial {
    in_flight: Option<usize>,
    rate: Option<Rate>,
}

impl Limits {
    /// Reads what stands under `limits.<connection>`; `on_azure`: it is one of Azure.
    pub(crate) fn read(connection: &str, on_azure: bool, value: &Value) -> Result<Limits, CloudError> {
        let at = format!("limits.{connection}");
        let mut limits = Limits::default();
        for (name, value) in object(&at, value)? {
            let at = format!("{at}.{name}");
            if name == "max_in_flight" {
                limits.in_flight = Some(count(&at, value)?);
            } else if on_azure {
                known_of_azure(&at, name)?;
                limits.services.insert(name.clone(), Partial::read(&at, value)?);
            } else if let Some((service, pattern)) = name.split_once(':') {
                known_service(&at, service)?;
                known_operations(&at, service, pattern)?;
                let limit = Partial::read(&at, value)?;
                if limit.rate.is_none() {
                    return Err(invalid(format!("`{at}`: a class of operations needs a `rate` (calls per second)")));
                }
                limits.classes.entry(service.to_owned()).or_default().push(Class { pattern: pattern.to_owned(), limit });
            } else {
                known_service(&at, name)?;
                limits.services.insert(name.clone(), Partial::read(&at, value)?);
            }
        }
        for classes in limits.classes.values_mut() {
            // What names an operation, then what fixes most of its name.
            classes.sort_by_key(|class| (class.pattern.ends_with('*'), std::cmp::Reverse(class.pattern.len())));
        }
        Ok(limits)
    }

    /// Has the service classes of operations with a limit of their own?
    pub(crate) fn has_classes(&self, service: &str) -> bool {
        self.classes.contains_key(service)
    }

    /// The most specific class that an operation is of, and its limit.
    pub(crate) fn class(&self, service: &str, operation: &str) -> Option<(&str, Limit)> {
        let class = self.classes.get(service)?.iter().find(|class| class.has(operation))?;
        let service = self.of(service);
        Some((&class.pattern, Limit { in_flight: class.limit.in_flight.unwrap_or(service.in_flight), rate: class.limit.rate, ..service }))
    }

    /// The limit for a service; for one of Azure's providers in whatever case.
    pub(crate) fn of(&self, service: &str) -> Limit {
        let other_case = || self.services.iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, own)| own);
        let own = self.services.get(service).or_else(other_case);
        let in_flight = own.and_then(|s| s.in_flight).or(self.in_flight).unwrap_or(DEFAULT_IN_FLIGHT);
        Limit { in_flight, rate: own.and_then(|s| s.rate), ..Limit::default() }
    }
}

impl Class {
    fn has(&self, operation: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(beginning) => operation.starts_with(beginning),
            None => self.pattern == operation,
        }
    }
}

/// Is it an API, or may it be a resource provider? Of those there is no list.
fn known_of_azure(at: &str, name: &str) -> Result<(), CloudError> {
    if azure::is_api(name) || (name.contains('.') && !name.contains([':', '/'])) {
        return Ok(());
    }
    let apis = azure::APIS.join(", ");
    Err(invalid(format!("`{at}`: limits of Azure are those of an API ({apis}) or of a resource provider, as `Microsoft.Storage`")))
}

fn known_service(at: &str, service: &str) -> Result<(), CloudError> {
    let services = model::services();
    if services.contains(&service) {
        return Ok(());
    }
    Err(invalid(format!("`{at}`: there is no AWS service `{service}`{}", suggestion(service, services))))
}

fn known_operations(at: &str, service: &str, pattern: &str) -> Result<(), CloudError> {
    let names = model::operations(service);
    let beginning = pattern.strip_suffix('*');
    if beginning.unwrap_or(pattern).contains('*') {
        return Err(invalid(format!("`{at}`: `*` stands at the end only, as in `ec2:Describe*`")));
    }
    match beginning {
        Some(beginning) if names.iter().any(|name| name.starts_with(beginning)) => Ok(()),
        Some(beginning) => Err(invalid(format!("`{at}`: no operation of {service} begins with `{beginning}`"))),
        None if names.contains(&pattern) => Ok(()),
        None => Err(invalid(format!("`{at}`: {service} has no operation `{pattern}`{}", suggestion(pattern, names)))),
    }
}

impl Partial {
    fn read(at: &str, value: &Value) -> Result<Partial, CloudError> {
        let (mut in_flight, mut per_second, mut burst) = (None, None, None);
        for (name, value) in object(at, value)? {
            let at = format!("{at}.{name}");
            match name.as_str() {
                "max_in_flight" => in_flight = Some(count(&at, value)?),
                "rate" => per_second = Some(positive(&at, value)?),
                "burst" => burst = Some(positive(&at, value)?.max(1.0)),
                _ => return Err(invalid(format!("`{at}`: unknown setting; there are `rate`, `burst` and `max_in_flight`"))),
            }
        }
        if per_second.is_none() && burst.is_some() {
            return Err(invalid(format!("`{at}`: `burst` needs a `rate` (calls per second)")));
        }
        let rate = per_second.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second.max(1.0)) });
        Ok(Partial { in_flight, rate })
    }
}

fn object<'a>(at: &str, value: &'a Value) -> Result<&'a Map<String, Value>, CloudError> {
    value.as_object().ok_or_else(|| invalid(format!("`{at}` must be a mapping, as in `limits: {{ prod: {{ iam: {{ rate: 20 }} }} }}`")))
}

fn count(at: &str, value: &Value) -> Result<usize, CloudError> {
    let n = value
        .as_u64()
        .filter(|n| (1..=10_000).contains(n))
        .ok_or_else(|| invalid(format!("`{at}` must be a whole number from 1 to 10000")))?;
    usize::try_from(n).map_err(|_| invalid(format!("`{at}` is too large")))
}

fn positive(at: &str, value: &Value) -> Result<f64, CloudError> {
    value.as_f64().filter(|n| *n > 0.0 && *n <= 1e6).ok_or_else(|| invalid(format!("`{at}` must be a number above 0, at most 1000000")))
}

/// A mistake in the configuration.
pub(crate) fn invalid(message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Invalid, "InvalidConfiguration", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_are_read_per_service_with_a_default() {
        let limits =
            Limits::read("prod", false, &json!({"iam": {"rate": 20, "burst": 40}, "s3": {"max_in_flight": 4}, "max_in_flight": 16}))
                .unwrap();
        assert_eq!(limits.of("iam"), Limit { in_flight: 16, rate: Some(Rate { per_second: 20.0, burst: 40.0 }), learns: true });
        assert_eq!(limits.of("s3"), Limit { in_flight: 4, ..Limit::default() });
        assert_eq!(limits.of("ec2"), Limit { in_flight: 16, ..Limit::default() });
        assert_eq!(Limits::default().of("ec2").in_flight, 32);
        let half = Limits::read("p", false, &json!({"iam": {"rate": 0.5}})).unwrap().of("iam").rate.unwrap();
        assert_eq!(half, Rate { per_second: 0.5, burst: 1.0 });
    }

    #[test]
    fn the_most_specific_class_wins() {
        let written = json!({"ec2:*": {"rate": 1}, "ec2:DescribeInstance*": {"rate": 3, "max_in_flight": 2}, "ec2:Describe*": {"rate": 2},
                             "ec2:DescribeInstances": {"rate": 4, "burst": 9}, "ec2": {"rate": 50, "max_in_flight": 7}});
        let limits = Limits::read("prod", false, &written).unwrap();
        let found = |operation| limits.class("ec2", operation).map(|(name, limit)| (name, limit.rate.unwrap().per_second, limit.in_flight));
        for (operation, expected) in [
            ("DescribeInstances", ("DescribeInstances", 4.0, 7)),
            ("DescribeInstanceStatus", ("DescribeInstance*", 3.0, 2)),
            ("DescribeVpcs", ("Describe*", 2.0, 7)),
            ("GetConsoleOutput", ("*", 1.0, 7)),
        ] {
            assert_eq!(found(operation), Some(expected), "{operation}");
        }
        assert!(limits.has_classes("ec2") && !limits.has_classes("iam"));
        assert_eq!(limits.class("iam", "ListUsers"), None);
    }

    #[test]
    fn mistakes_name_their_place() {
        for (value, place) in [
            (json!(3), "`limits.prod`"),
            (json!({"iam": 3}), "`limits.prod.iam`"),
            (json!({"iam": {"rates": 3}}), "`limits.prod.iam.rates`"),
            (json!({"iam": {"rate": 0}}), "`limits.prod.iam.rate`"),
            (json!({"iam": {"rate": "fast"}}), "`limits.prod.iam.rate`"),
            (json!({"iam": {"burst": 3}}), "`limits.prod.iam`"),
            (json!({"max_in_flight": 0}), "`limits.prod.max_in_flight`"),
            (json!({"max_in_flight": 1.5}), "`limits.prod.max_in_flight`"),
        ] {
            let e = Limits::read("prod", false, &value).unwrap_err();
            assert!(e.kind == ErrorKind::Invalid && e.message.starts_with(place), "{value}: {e}");
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let azure =
            "limits of Azure are those of an API (arm, graph, blob, queue, table) or of a resource provider, as `Microsoft.Storage`";
        for (on_azure, name, limit, message) in [
            (false, "ian", json!({"rate": 1}), "there is no AWS service `ian`; did you mean `iam`?"),
            (false, "ian:ListUsers", json!({"rate": 1}), "there is no AWS service `ian`; did you mean `iam`?"),
            (false, "iam:ListUser", json!({"rate": 1}), "iam has no operation `ListUser`; did you mean `ListUsers`?"),
            (false, "iam:", json!({"rate": 1}), "iam has no operation ``"),
            (false, "iam:Describe*", json!({"rate": 1}), "no operation of iam begins with `Describe`"),
            (false, "iam:*Users", json!({"rate": 1}), "`*` stands at the end only, as in `ec2:Describe*`"),
            (false, "iam:ListUsers", json!({"max_in_flight": 1}), "a class of operations needs a `rate` (calls per second)"),
            (true, "arm:reads", json!({"rate": 1}), azure),
            (true, "Microsoft.Storage/storageAccounts", json!({"rate": 1}), azure),
            (true, "iam", json!({"rate": 1}), azure),
        ] {
            let e = Limits::read("prod", on_azure, &json!({name: limit})).unwrap_err();
            assert_eq!((e.kind, e.message), (ErrorKind::Invalid, format!("`limits.prod.{name}`: {message}")));
        }
    }
}
