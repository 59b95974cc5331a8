//! `days(from, to)`: whole days between two points in time.

use super::{Function, Gives, text_of};
use chrono::{DateTime, FixedOffset};
use serde_json::Value;

pub(super) const DAYS: Function = Function { name: "days", usage: "days(from, to)", args: 2..=2, gives: Gives::Number, call: days };

fn days(args: &[&Value]) -> Result<Value, String> {
    let (Some(from), Some(to)) = (time(args[0])?, time(args[1])?) else { return Ok(Value::Null) };
    Ok(Value::from((to - from).num_days()))
}

fn time(value: &Value) -> Result<Option<DateTime<FixedOffset>>, String> {
    let text = text_of("days", value)?.map(str::trim).filter(|t| !t.is_empty());
    text.map(|t| DateTime::parse_from_rfc3339(t).map_err(|_| format!("days() takes times, not \"{t}\""))).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn whole_days() {
        let now = json!("2026-04-01T12:00:00Z");
        for (from, want) in [
            (json!("2026-01-01T12:00:00Z"), Ok(json!(90))),
            (json!("2026-01-01T12:00:00.0000001Z"), Ok(json!(89))),
            (json!("2026-01-01T13:00:00+01:00"), Ok(json!(90))),
            (json!("2026-04-01T12:00:01Z"), Ok(json!(0))),
            (json!(null), Ok(json!(null))),
            (json!(""), Ok(json!(null))),
            (json!("N/A"), Err("days() takes times, not \"N/A\"".to_owned())),
            (json!(5), Err("days() takes a text".to_owned())),
        ] {
            assert_eq!(call("days", &[from.clone(), now.clone()]), want, "{from}");
        }
    }
}
