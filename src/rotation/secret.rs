//! A secret as a type: overwritten when dropped, shown to nobody by accident.

use serde_json::Value;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A secret text. It has no `Display` and is not serialisable; `Debug` shows that there is one.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The text itself: for a sink, or for signing the one call that proves that it works.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Overwrites every text in an answer that held a secret.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Secret::new("canary".into())), "Secret(…)");
    }

    #[test]
    fn an_answer_is_wiped_to_its_leaves() {
        let mut value = serde_json::json!({"keys": [{"value": "canary", "n": 1}], "deep": {"a": ["canary"]}});
        wipe(&mut value);
        assert_eq!(value.to_string(), r#"{"keys":[{"value":"","n":1}],"deep":{"a":[""]}}"#);
    }
}
