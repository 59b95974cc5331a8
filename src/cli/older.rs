//! Parts of an answer that show the cloud as it was earlier, in lines for people.

use assay_engine::AsOf;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Parts that are named one by one; the others are counted.
const NAMED: usize = 4;

/// `aws_iam_user of account 111122223333 as of 2024-03-05 10:11:12Z, from the cache (2 h 5 min old)`. `nouns` say what the accounts of a
/// table are.
pub(crate) fn lines(parts: &[AsOf], nouns: &BTreeMap<String, &'static str>, now: DateTime<Utc>) -> Vec<String> {
    let line = |part: &AsOf| {
        let whose = match &part.account {
            Some(account) => format!("{} {account}", nouns.get(&part.table).unwrap_or(&"account")),
            None => format!("connection {}", part.connection),
        };
        let at = part.at.format("%Y-%m-%d %H:%M:%SZ");
        let (later, at_most) = if part.or_later { (" or later", "up to ") } else { ("", "") };
        format!("{} of {whose} as of {at}{later}, from the {} ({at_most}{} old)", part.table, part.source, age(now - part.at))
    };
    let mut lines: Vec<String> = parts.iter().take(NAMED).map(line).collect();
    if let Some(more) = parts.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let oldest = parts.iter().map(|part| part.at).min().map(|at| age(now - at)).unwrap_or_default();
        lines.push(format!("and {more} more from the cache or summaries; the oldest of all is {oldest} old"));
    }
    lines
}

/// The same for programs.
pub(crate) fn json(parts: &[AsOf]) -> Value {
    let part = |part: &AsOf| {
        json!({"table": part.table, "source": part.source, "connection": part.connection, "account_id": part.account,
               "at": part.at.to_rfc3339_opts(SecondsFormat::Secs, true), "or_later": part.or_later})
    };
    parts.iter().map(part).collect()
}

/// The two largest units.
fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min {} s", seconds % 60),
        (0, h, m) => format!("{h} h {} min", m % 60),
        (d, h, _) => format!("{d} d {} h", h % 24),
    }
    .replace(" 0 s", "")
    .replace(" 0 min", "")
    .replace(" 0 h", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(table: &str, account: Option<&str>, at: i64) -> AsOf {
        let (source, connection) = ("cache".to_owned(), "prod".to_owned());
        AsOf {
            table: table.to_owned(),
            source,
            connection,
            account: account.map(str::to_owned),
            at: DateTime::from_timestamp(at, 0).unwrap(),
            or_later: false,
        }
    }

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        let now = DateTime::from_timestamp(1_700_007_500, 0).unwrap();
        let nouns = BTreeMap::from([("t".to_owned(), "subscription")]);
        let two = [
            part("aws_iam_user", Some("123456789012"), 1_700_000_000),
            part("t", Some("s"), 1_700_007_440),
            part("t", None, 1_700_007_499),
        ];
        assert_eq!(
            lines(&two, &nouns, now),
            [
                "aws_iam_user of account 123456789012 as of 2023-11-14 22:13:20Z, from the cache (2 h 5 min old)",
                "t of subscription s as of 2023-11-15 00:17:20Z, from the cache (1 min old)",
                "t of connection prod as of 2023-11-15 00:18:19Z, from the cache (1 s old)",
            ]
        );
        let index = AsOf { or_later: true, source: "Resource Graph".to_owned(), ..part("t", None, 1_699_899_500) };
        assert_eq!(
            lines(&[index], &nouns, now),
            ["t of connection prod as of 2023-11-13 18:18:20Z or later, from the Resource Graph (up to 1 d 6 h old)"]
        );
        let many: Vec<AsOf> = (0..7).map(|n| part("t", Some("s"), 1_700_000_000 + n)).collect();
        let told = lines(&many, &nouns, now);
        assert_eq!((told.len(), told[4].as_str()), (5, "and 3 more from the cache or summaries; the oldest of all is 2 h 5 min old"));
        assert!(lines(&[], &nouns, now).is_empty());
    }

    #[test]
    fn ages_have_two_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (36_000, "10 h"),
            (90_000, "1 d 1 h"),
            (864_000, "10 d"),
        ] {
            assert_eq!(age(TimeDelta::seconds(seconds)), text);
        }
    }

    #[test]
    fn programs_get_every_part() {
        let want = json!([{"table": "t", "source": "cache", "connection": "prod", "account_id": null, "at": "1970-01-01T00:00:00Z",
                           "or_later": false}]);
        assert_eq!(json(&[part("t", None, 0)]), want);
    }
}
