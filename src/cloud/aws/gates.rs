//! The gates of a call to AWS: the bucket of its operation, and the service in that account and region. The bucket is that of the most
//! specific class of the configuration; else the service's rate of the configuration; else the published one.

use crate::limiter::Limit;
use crate::limits::Limits;
use crate::published;
use serde_json::Value;

/// The gates of a call, the narrowest first. `lane`: credentials, region and service. `configured`: the connection's `limits`.
pub(crate) fn of(lane: &str, service: &str, operation: &str, input: &Value, configured: Option<&Limits>) -> Vec<(String, Limit)> {
    let limit = configured.map(|l| l.of(service)).unwrap_or_default();
    let is_split = configured.is_some_and(|l| l.has_classes(service));
    if !is_split && (limit.rate.is_some() || !published::has(service)) {
        return vec![(lane.to_owned(), limit)];
    }
    let (bucket, own) = if let Some(class) = configured.and_then(|l| l.class(service, operation)) {
        class
    } else if limit.rate.is_some() {
        ("", limit)
    } else {
        published::find(service, operation, input).map_or(("", limit), |(bucket, p)| (bucket, Limit { rate: Some(p.rate), ..limit }))
    };
    vec![([lane, bucket].join("\t"), own), (lane.to_owned(), Limit { rate: None, learns: false, ..limit })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::Rate;
    use serde_json::json;

    #[test]
    fn operations_have_their_buckets_and_services_their_places() {
        let limits = Limits::read(
            "prod",
            false,
            &json!({"ec2": {"rate": 5}, "kms": {"max_in_flight": 3},
            "iam:ListAccessKeys": {"rate": 20, "burst": 5}, "kms:List*": {"rate": 2}, "sns": {"rate": 9}, "sns:Get*": {"rate": 1}}),
        )
        .unwrap();
        let rate = |per_second, burst| Some(Rate { per_second, burst });
        let (learning, counting) = (Limit::default(), Limit { learns: false, ..Limit::default() });
        for (service, operation, configured, expected) in [
            ("iam", "ListUsers", None, vec![("lane", learning)]),
            ("ec2", "DescribeVpcs", None, vec![("lane\tDescribeVpcs", Limit { rate: rate(20.0, 100.0), ..learning }), ("lane", counting)]),
            ("logs", "GetLogEvents", None, vec![("lane\t", learning), ("lane", counting)]),
            ("ec2", "DescribeVpcs", Some(&limits), vec![("lane", Limit { rate: rate(5.0, 5.0), ..learning })]),
            (
                "kms",
                "DescribeKey",
                Some(&limits),
                vec![
                    ("lane\tDescribeKey", Limit { rate: rate(2000.0, 200.0), in_flight: 3, ..learning }),
                    ("lane", Limit { in_flight: 3, ..counting }),
                ],
            ),
            (
                "kms",
                "ListKeys",
                Some(&limits),
                vec![
                    ("lane\tList*", Limit { rate: rate(2.0, 2.0), in_flight: 3, ..learning }),
                    ("lane", Limit { in_flight: 3, ..counting }),
                ],
            ),
            (
                "iam",
                "ListAccessKeys",
                Some(&limits),
                vec![("lane\tListAccessKeys", Limit { rate: rate(20.0, 5.0), ..learning }), ("lane", counting)],
            ),
            ("iam", "ListUsers", Some(&limits), vec![("lane\t", learning), ("lane", counting)]),
            ("sns", "ListTopics", Some(&limits), vec![("lane\t", Limit { rate: rate(9.0, 9.0), ..learning }), ("lane", counting)]),
            (
                "sns",
                "GetTopicAttributes",
                Some(&limits),
                vec![("lane\tGet*", Limit { rate: rate(1.0, 1.0), ..learning }), ("lane", counting)],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
            assert_eq!(of("lane", service, operation, &json!({}), configured), expected, "{service} {operation}");
        }
    }
}
