//! The environment variables that Azure connections read, taken once. Refuses to show a value in `Debug`: some are secrets.

use std::collections::BTreeMap;
use std::fmt;

/// Every variable that is read; `docs/azure.md` says what each is for.
const NAMES: &[&str] = &[
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_ENVIRONMENT",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_GRAPH_ENDPOINT",
    "AZURE_KEYVAULT_SUFFIX",
    "AZURE_PASSWORD",
    "AZURE_RESOURCE_MANAGER_ENDPOINT",
    "AZURE_STORAGE_SUFFIX",
    "AZURE_TENANT_ID",
    "AZURE_USERNAME",
    "HOME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
];

/// Variables that are set and not empty.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    /// Those of the process.
    pub(crate) fn of_process() -> Variables {
        Variables::of(|name| std::env::var(name).ok())
    }

    fn of(value: impl Fn(&str) -> Option<String>) -> Variables {
        Variables(NAMES.iter().filter_map(|name| Some((*name, value(name).filter(|v| !v.trim().is_empty())?))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(NAMES.contains(&name), "{name} is not among the variables that are read");
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Variables {
    fn from(pairs: [(&str, &str); N]) -> Variables {
        Variables::from(&pairs[..])
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Variables {
    fn from(pairs: &[(&str, &str)]) -> Variables {
        assert!(pairs.iter().all(|(name, _)| NAMES.contains(name)), "{pairs:?}");
        Variables::of(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_not_set_and_no_value_is_shown() {
        let v = Variables::from([("AZURE_CLIENT_SECRET", "s3cr3t"), ("AZURE_TENANT_ID", ""), ("AZURE_CLIENT_ID", " ")]);
        assert_eq!(v.get("AZURE_CLIENT_SECRET"), Some("s3cr3t"));
        assert!(!v.has("AZURE_TENANT_ID") && !v.has("AZURE_CLIENT_ID"));
        assert_eq!(format!("{v:?}"), r#"{"AZURE_CLIENT_SECRET"}"#);
    }
}
