//! `later(a, b)`: is one point in time behind another? What is no time is neither, so that a doubt never counts as a yes.

use super::{Function, Gives};
use chrono::{DateTime, FixedOffset};
use serde_json::Value;

pub(super) const LATER: Function = Function { name: "later", usage: "later(a, b)", args: 2..=2, gives: Gives::Json, call: later };

fn later(args: &[&Value]) -> Result<Value, String> {
    let both = time(args[0]).zip(time(args[1]));
    Ok(Value::Bool(both.is_some_and(|(a, b)| a > b)))
}

fn time(value: &Value) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(value.as_str()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn only_what_is_known_to_be_later_is() {
        for (a, b, want) in [
            (json!("2026-01-01T00:00:01Z"), json!("2026-01-01T00:00:00Z"), true),
            (json!("2026-01-01T00:00:00+00:00"), json!("2026-01-01T00:00:00Z"), false),
            (json!("2026-01-01T01:00:00+01:00"), json!("2026-01-01T00:00:00.000001Z"), false),
            (json!("2026-01-01T00:00:00-01:00"), json!("2026-01-01T00:00:00Z"), true),
            (json!("N/A"), json!("2026-01-01T00:00:00Z"), false),
            (json!("2026-01-01T00:00:00Z"), json!("no_information"), false),
            (json!(null), json!(null), false),
            (json!(7), json!(3), false),
        ] {
            assert_eq!(call("later", &[a.clone(), b.clone()]), Ok(json!(want)), "{a} {b}");
        }
    }
}
