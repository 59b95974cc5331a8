//! Secrets leave an answer before it is written anywhere: members that a table calls secret, and members whose name says so.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Names of members that hold a secret wherever they appear, in lower case. Whole names: `PasswordLastUsed` is none.
const SECRET_NAMES: &[&str] = &[
    "accesstoken",
    "accountkey",
    "adminpassword",
    "administratorloginpassword",
    "authenticationtoken",
    "authorizationtoken",
    "authtoken",
    "base32stringseed",
    "bindpassword",
    "clientsecret",
    "connectionpassword",
    "connectionstring",
    "idtoken",
    "keymaterial",
    "masteruserpassword",
    "kubeconfig",
    "password",
    "passworddata",
    "plaintext",
    "presharedkey",
    "primaryconnectionstring",
    "privatekey",
    "qrcodepng",
    "refreshtoken",
    "sastoken",
    "secondaryconnectionstring",
    "secretaccesskey",
    "secretbinary",
    "secretkey",
    "secretstring",
    "securitytoken",
    "sessiontoken",
    "sharedkey",
    "sharedsecret",
    "storageaccountaccesskey",
    "storageaccountkey",
    "userpassword",
];

/// Pre-signed links: whoever has one can fetch what it points to, without credentials.
const SECRET_LINKS: &[(&str, &str, &[&str])] =
    &[("lambda", "GetFunction", &["Code", "Location"]), ("lambda", "GetLayerVersion", &["Content", "Location"])];

/// Service and operation.
type Answered = (String, String);

/// Names of members, from the answer inwards.
type Path = Vec<String>;

/// What to take out of the answers of which operations.
#[derive(Debug, Default)]
pub(crate) struct Redactions(Mutex<HashMap<Answered, Vec<Path>>>);

impl Redactions {
    /// Adds a member of an operation's answer: names joined by dots, lists entered by themselves (`[]` and `[*]` may be written).
    pub(crate) fn add(&self, service: &str, operation: &str, path: &str) {
        let steps =
            path.split('.').map(|s| s.trim_end_matches("[]").trim_end_matches("[*]").to_owned()).filter(|s| !s.is_empty()).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let paths = all.entry((service.to_owned(), operation.to_owned())).or_default();
        if !paths.contains(&steps) {
            paths.push(steps);
        }
    }

    /// May answers of this operation hold what is to be taken out?
    pub(crate) fn touches(&self, service: &str, operation: &str) -> bool {
        SECRET_LINKS.iter().any(|(s, o, _)| (*s, *o) == (service, operation))
            || self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(service.to_owned(), operation.to_owned()))
    }

    /// A copy of an answer that may be written to a file.
    pub(crate) fn clean(&self, service: &str, operation: &str, answer: &Value) -> Value {
        let mut clean = answer.clone();
        by_name(&mut clean);
        for (_, _, path) in SECRET_LINKS.iter().filter(|(s, o, _)| (*s, *o) == (service, operation)) {
            by_path(&mut clean, &path.iter().map(|step| (*step).to_owned()).collect::<Path>());
        }
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in all.get(&(service.to_owned(), operation.to_owned())).into_iter().flatten() {
            by_path(&mut clean, path);
        }
        clean
    }
}

fn by_name(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(by_name),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let secret = matches!(value, Value::String(_)) && SECRET_NAMES.contains(&name.to_ascii_lowercase().as_str());
                if secret { *value = Value::Null } else { by_name(value) }
            }
        }
        _ => {}
    }
}

/// Does an answer have a member whose name says that it is secret?
pub(crate) fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(members) => members.iter().any(|(name, value)| match value {
            Value::String(text) => !text.is_empty() && SECRET_NAMES.contains(&name.to_ascii_lowercase().as_str()),
            other => holds_secret(other),
        }),
        _ => false,
    }
}

fn by_path(value: &mut Value, path: &[String]) {
    match (value, path) {
        (value, []) => *value = Value::Null,
        (Value::Array(items), path) => items.iter_mut().for_each(|item| by_path(item, path)),
        (Value::Object(members), [name, rest @ ..]) => {
            if let Some(value) = members.get_mut(name) {
                by_path(value, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pre_signed_links_go() {
        let answer = json!({"Code": {"Location": "https://example.com/?X-Amz-Signature=s", "RepositoryType": "S3"}});
        let clean = json!({"Code": {"Location": null, "RepositoryType": "S3"}});
        assert_eq!(Redactions::default().clean("lambda", "GetFunction", &answer), clean);
        assert_eq!(Redactions::default().clean("lambda", "ListFunctions", &answer), answer);
    }

    #[test]
    fn secrets_are_seen_before_they_are_kept() {
        let redactions = Redactions::default();
        redactions.add("lambda", "ListFunctions", "Functions[].Environment.Variables");
        assert!(redactions.touches("lambda", "ListFunctions") && redactions.touches("lambda", "GetFunction"));
        assert!(!redactions.touches("lambda", "ListAliases") && !redactions.touches("iam", "ListFunctions"));
        assert!(holds_secret(&json!({"a": [{"MasterUserPassword": "s"}]})));
        assert!(!holds_secret(
            &json!({"a": [{"MasterUserPassword": ""}, {"Password": {"Length": 3}}, "password"], "PasswordLastUsed": "x"})
        ));
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let redactions = Redactions::default();
        redactions.add("lambda", "ListFunctions", "Functions[].Environment.Variables");
        redactions.add("lambda", "ListFunctions", "Owner");
        for (answer, clean) in [
            (
                json!({"Credentials": {"SecretAccessKey": "s", "AccessKeyId": "a"}}),
                json!({"Credentials": {"SecretAccessKey": null, "AccessKeyId": "a"}}),
            ),
            (
                json!({"Users": [{"PasswordLastUsed": "2024", "password": "s"}]}),
                json!({"Users": [{"PasswordLastUsed": "2024", "password": null}]}),
            ),
            (json!({"Password": {"Length": 3}, "Password2": "x"}), json!({"Password": {"Length": 3}, "Password2": "x"})),
            (
                json!({"Functions": [{"Environment": {"Variables": {"K": "s"}}, "Name": "f"}, {"Name": "g"}], "Owner": "s"}),
                json!({"Functions": [{"Environment": {"Variables": null}, "Name": "f"}, {"Name": "g"}], "Owner": null}),
            ),
        ] {
            assert_eq!(redactions.clean("lambda", "ListFunctions", &answer), clean);
        }
        let other = json!({"Owner": "visible"});
        assert_eq!(redactions.clean("lambda", "GetFunction", &other), other);
    }
}
