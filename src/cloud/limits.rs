//! The `limits` part of the configuration: connection → service → rate and places. Refuses what it does not understand.

use crate::limiter::{DEFAULT_IN_FLIGHT, Limit, Rate};
use crate::{CloudError, ErrorKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Limits of one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    in_flight: Option<usize>,
    services: BTreeMap<String, Partial>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Partial {
    in_flight: Option<usize>,
    rate: Option<Rate>,
}

impl Limits {
    /// Reads what stands under `limits.<connection>`.
    pub(crate) fn read(connection: &str, value: &Value) -> Result<Limits, CloudError> {
        let at = format!("limits.{connection}");
        let mut limits = Limits::default();
        for (name, value) in object(&at, value)? {
            let at = format!("{at}.{name}");
            if name == "max_in_flight" {
                limits.in_flight = Some(count(&at, value)?);
            } else {
                limits.services.insert(name.clone(), Partial::read(&at, value)?);
            }
        }
        Ok(limits)
    }

    /// The limit for a service; for one of Azure's providers in whatever case.
    pub(crate) fn of(&self, service: &str) -> Limit {
        let other_case = || self.services.iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, own)| own);
        let own = self.services.get(service).or_else(other_case);
        let in_flight = own.and_then(|s| s.in_flight).or(self.in_flight).unwrap_or(DEFAULT_IN_FLIGHT);
        Limit { in_flight, rate: own.and_then(|s| s.rate), ..Limit::default() }
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
            Limits::read("prod", &json!({"iam": {"rate": 20, "burst": 40}, "s3": {"max_in_flight": 4}, "max_in_flight": 16})).unwrap();
        assert_eq!(limits.of("iam"), Limit { in_flight: 16, rate: Some(Rate { per_second: 20.0, burst: 40.0 }), learns: true });
        assert_eq!(limits.of("s3"), Limit { in_flight: 4, ..Limit::default() });
        assert_eq!(limits.of("ec2"), Limit { in_flight: 16, ..Limit::default() });
        assert_eq!(Limits::default().of("ec2").in_flight, 32);
        let half = Limits::read("p", &json!({"iam": {"rate": 0.5}})).unwrap().of("iam").rate.unwrap();
        assert_eq!(half, Rate { per_second: 0.5, burst: 1.0 });
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
            let e = Limits::read("prod", &value).unwrap_err();
            assert!(e.kind == ErrorKind::Invalid && e.message.starts_with(place), "{value}: {e}");
        }
    }
}
