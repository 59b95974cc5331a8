//! The request limits that vendors publish, from `models/limits.txt`: which bucket a call draws on, how fast that fills.

use crate::limiter::Rate;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

const FILE: &str = include_str!("models/limits.txt");

/// Of a rate without a published burst, this part of a second's calls may come at once.
const SMOOTH: f64 = 0.1;

/// A published limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Published {
    operations: Vec<&'static str>,
    without: Vec<&'static str>,
    bucket: &'static str,
    pub(crate) rate: Rate,
    /// The vendor's page.
    pub(crate) source: &'static str,
}

/// By service. A file that cannot be read is a bug, which a test finds; its broken lines are left out.
static ALL: LazyLock<HashMap<&'static str, Vec<Published>>> = LazyLock::new(|| read(FILE).0);

/// Are there published limits of this service?
pub(crate) fn has(service: &str) -> bool {
    ALL.contains_key(service)
}

/// The limit of an operation, and the name of the bucket that it draws on.
pub(crate) fn find<'a>(service: &str, operation: &'a str, input: &Value) -> Option<(&'a str, &'static Published)> {
    let given = |member: &&str| input.get(*member).is_some_and(|v| !v.is_null());
    let found = ALL.get(service)?.iter().find(|p| p.fits(operation) && !p.without.iter().any(given))?;
    Some((if found.bucket == "each" { operation } else { found.bucket }, found))
}

/// The limit of a provider's paths (lower case), and its bucket.
pub(crate) fn of_path(provider: &str, path: &str) -> Option<(&'static str, Rate)> {
    let found = ALL.get(provider)?.iter().find(|p| p.operations.iter().any(|end| *end == "*" || path.ends_with(end)))?;
    Some((found.bucket, found.rate))
}

impl Published {
    fn fits(&self, operation: &str) -> bool {
        self.operations.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => operation.starts_with(start),
            None => *name == operation,
        })
    }
}

fn read(text: &'static str) -> (HashMap<&'static str, Vec<Published>>, Vec<String>) {
    let (mut all, mut broken, mut source) = (HashMap::<_, Vec<_>>::new(), Vec::new(), "");
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
        } else if line.starts_with("https://") {
            source = line;
        } else if let Some((service, limit)) = entry(line, source) {
            all.entry(service).or_default().push(limit);
        } else {
            broken.push(format!("line {}: {line}", number + 1));
        }
    }
    (all, broken)
}

fn entry(line: &'static str, source: &'static str) -> Option<(&'static str, Published)> {
    let mut columns = line.split('\t');
    let (service, operations, without) = (columns.next()?, columns.next()?, columns.next()?);
    let (bucket, burst, rate) = (columns.next()?, columns.next()?, columns.next()?);
    let per_second = match rate.split_once('/') {
        Some((requests, seconds)) => requests.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?,
        None => rate.parse::<f64>().ok()?,
    };
    let burst = if burst == "-" { (per_second * SMOOTH).max(1.0) } else { burst.parse().ok()? };
    let list = |text: &'static str| text.split(',').filter(|name| *name != "-").collect();
    let sound = columns.next().is_none() && per_second > 0.0 && burst >= 1.0 && !source.is_empty();
    let rate = Rate { per_second, burst };
    sound.then(|| (service, Published { operations: list(operations), without: list(without), bucket, rate, source }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_file_is_sound_and_every_line_says_where_it_is_from() {
        let (all, broken) = read(FILE);
        assert_eq!(broken, Vec::<String>::new());
        assert!(
            all.values()
                .flatten()
                .all(|p| p.source.starts_with("https://docs.aws.amazon.com/") || p.source.starts_with("https://learn.microsoft.com/"))
        );
        for line in
            ["ec2\tA\t-\teach\t1", "ec2\tA\t-\teach\t1\t0", "ec2\tA\t-\teach\t0\t1", "ec2\tA\t-\teach\t1\t1\t1", "ec2\tA\t-\teach\tx\t1"]
        {
            assert_eq!(entry(line, "https://x"), None, "{line}");
        }
        assert_eq!(entry("ec2\tA\t-\teach\t1\t1", ""), None, "without a source");
    }

    #[test]
    fn every_operation_of_aws_exists() {
        let services = ALL.iter().filter(|(_, limits)| limits[0].source.contains("aws.amazon.com"));
        for (service, limits) in services {
            let model = crate::aws::Service::find(service).unwrap();
            for name in limits.iter().flat_map(|l| &l.operations).filter(|name| !name.ends_with('*')) {
                assert!(model.operation(name).is_ok(), "{service} has no operation {name}");
            }
        }
    }

    #[test]
    fn calls_find_their_bucket() {
        for (service, operation, input, expected) in [
            ("ec2", "DescribeVpcs", json!({}), Some(("DescribeVpcs", 20.0, 100.0))),
            ("ec2", "DescribeInstances", json!({}), Some(("unpaged", 10.0, 50.0))),
            ("ec2", "DescribeInstances", json!({"MaxResults": 1000}), Some(("DescribeInstances", 20.0, 100.0))),
            ("ec2", "DescribeInstances", json!({"Filters": []}), Some(("DescribeInstances", 20.0, 100.0))),
            ("ec2", "DescribeMovingAddresses", json!({}), Some(("DescribeMovingAddresses", 1.0, 1.0))),
            ("lambda", "GetFunction", json!({}), Some(("GetFunction", 100.0, 10.0))),
            ("lambda", "ListFunctions", json!({}), Some(("others", 15.0, 1.5))),
            ("cloudtrail", "LookupEvents", json!({}), Some(("LookupEvents", 2.0, 1.0))),
            ("cloudtrail", "GetTrailStatus", json!({}), Some(("GetTrailStatus", 10.0, 1.0))),
            ("kms", "DescribeKey", json!({}), Some(("DescribeKey", 2000.0, 200.0))),
            ("logs", "GetLogEvents", json!({}), None),
            ("iam", "ListUsers", json!({}), None),
        ] {
            let found = find(service, operation, &input).map(|(bucket, p)| (bucket, p.rate.per_second, p.rate.burst));
            assert_eq!(found, expected, "{service} {operation} {input}");
        }
        assert_eq!(of_path("microsoft.storage", "/x/providers/microsoft.storage/storageaccounts").unwrap().0, "list");
        assert_eq!(of_path("microsoft.insights", "/x"), None);
    }
}
