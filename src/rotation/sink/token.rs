//! A name for one value of one key: the same whenever it is asked for, another for every other value. Nothing secret goes into it.

use super::Label;
use sha2::{Digest, Sha256};

/// In the form of a UUID, as services like their idempotency tokens.
pub(crate) fn token(label: &Label) -> String {
    let mut hash = Sha256::new();
    for part in ["assay rotation", &label.account_id, &label.owner_id, &label.key, &label.generation] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::label;
    use super::*;

    #[test]
    fn every_value_of_a_key_has_its_own() {
        let first = token(&label("alice"));
        assert_eq!(first.len(), 36);
        assert_eq!(first, token(&label("alice")));
        let others = [
            Label { account_id: "x".into(), ..label("alice") },
            Label { owner_id: "x".into(), ..label("alice") },
            Label { key: "x".into(), ..label("alice") },
            Label { generation: "2026-01-01T00:00:00Z".into(), ..label("alice") },
            // Parts must not run into each other.
            Label { key: "AKIANEWA".into(), generation: "KIANEW".into(), ..label("alice") },
        ];
        for other in others {
            assert_ne!(first, token(&other), "{other:?}");
        }
    }
}
