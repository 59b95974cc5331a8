//! The gates of a call to AWS: the published bucket of its operation, and the service in that account and region. A rate of the
//! configuration takes the place of the published ones.

use crate::limiter::Limit;
use crate::limits::Limits;
use crate::published;
use serde_json::Value;

/// The gates of a call, the narrowest first. `lane`: credentials, region and service. `configured`: the connection's `limits`.
pub(crate) fn of(lane: &str, service: &str, operation: &str, input: &Value, configured: Option<&Limits>) -> Vec<(String, Limit)> {
    let limit = configured.map(|l| l.of(service)).unwrap_or_default();
    if limit.rate.is_some() || !published::has(service) {
        return vec![(lane.to_owned(), limit)];
    }
    let (bucket, rate) = published::find(service, operation, input).map_or(("", None), |(bucket, p)| (bucket, Some(p.rate)));
    vec![([lane, bucket].join("\t"), Limit { rate, ..limit }), (lane.to_owned(), Limit { learns: false, ..limit })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::Rate;
    use serde_json::json;

    #[test]
    fn operations_have_their_buckets_and_services_their_places() {
        let limits = Limits::read("prod", &json!({"ec2": {"rate": 5}, "kms": {"max_in_flight": 3}})).unwrap();
        let rate = |per_second, burst| Some(Rate { per_second, burst });
        let (learning, counting) = (Limit::default(), Limit { learns: false, ..Limit::default() });
        for (service, operation, configured, expected) in [
            ("iam", "ListUsers", None, vec![("lane", learning)]),
            ("ec2", "DescribeVpcs", None, vec![("lane\tDescribeVpcs", Limit { rate: rate(20.0, 100.0), ..learning }), ("lane", counting)]),
            ("logs", "GetLogEvents", None, vec![("lane\t", learning), ("lane", counting)]),
            ("ec2", "DescribeVpcs", Some(&limits), vec![("lane", Limit { rate: rate(5.0, 5.0), ..learning })]),
            (
                "kms",
                "ListKeys",
                Some(&limits),
                vec![
                    ("lane\tListKeys", Limit { rate: rate(500.0, 50.0), in_flight: 3, ..learning }),
                    ("lane", Limit { in_flight: 3, ..counting }),
                ],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
            assert_eq!(of("lane", service, operation, &json!({}), configured), expected, "{service} {operation}");
        }
    }
}
