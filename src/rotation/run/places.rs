//! Where the secrets of a run would go. Refuses a plan in which two keys have the same place: one would overwrite the other.

use crate::RotationError;
use crate::sink::{Label, Sink};
use std::collections::BTreeMap;

/// # Errors
/// `Refused` with both owners. A place that cannot be told is for the sink's own check.
pub(super) fn one_each<'s>(deliveries: impl Iterator<Item = (&'s dyn Sink, Label)>) -> Result<(), RotationError> {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (sink, label) in deliveries {
        let Ok(Some(place)) = sink.place(&label) else { continue };
        let owner = format!("{} of {}", label.owner, label.account_id);
        if let Some(other) = taken.insert(place.clone(), owner.clone()) {
            let message =
                format!("the keys of {other} and of {owner} would have the same place, {place}: name a sink that tells them apart");
            return Err(RotationError::Refused { message });
        }
    }
    Ok(())
}
