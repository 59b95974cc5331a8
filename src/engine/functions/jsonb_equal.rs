//! Equality of jsonb: texts in a normal form, in which numbers have no zeros at their ends.
//!
//! Canonical texts of equal documents differ only there: `1.0` and `1.00` are one number.

use super::row::{Def, Kind, Ret, Value};
use std::borrow::Cow;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_normal", &[Kind::Jsonb], Ret::Jsonb, |row| Ok(Value::Text(normal(row.text(0))))),
    Def::new("jsonb_nullif", &[Kind::Jsonb, Kind::Jsonb], Ret::Jsonb, |row| {
        let same = !row.null(0) && !row.null(1) && normal(row.text(0)) == normal(row.text(1));
        Ok(if row.null(0) || same { Value::Null } else { row.text(0).into() })
    })
    .sees_nulls(),
];

/// The normal form of canonical text.
pub(crate) fn normal(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'.') {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    // What is copied, and where the scan is.
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'.' => {
                let end = at + 1 + bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let kept = text[at..end].trim_end_matches('0').trim_end_matches('.').len();
                if at + kept < end {
                    out.push_str(&text[copied..at + kept]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// May documents of another text be equal to this one? Not if it has no number.
pub(crate) fn has_numbers(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'0'..=b'9' => return true,
            _ => at += 1,
        }
    }
    false
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_their_last_zeros() {
        for (text, want) in [
            ("1.0", "1"),
            ("-1.50", "-1.5"),
            ("0.00", "0"),
            ("100", "100"),
            ("10.010", "10.01"),
            ("\"1.0\"", "\"1.0\""),
            ("{\"a.0\": 1.0, \"b\": [2.20, \"x\\\"3.0\", 3.0]}", "{\"a.0\": 1, \"b\": [2.2, \"x\\\"3.0\", 3]}"),
            ("\"a.b\"", "\"a.b\""),
        ] {
            assert_eq!(normal(text), want, "{text}");
        }
        assert!(matches!(normal("[1.5, \"2.0\"]"), Cow::Borrowed(_)));
        assert!(has_numbers("[{\"a\": 0}]") && !has_numbers("[\"1\", true, {\"2\": null}]"));
    }
}
