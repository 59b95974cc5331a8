//! Where the secrets of a run would go. Refuses a plan in which two of them have the same place: one would overwrite the other.

use crate::RotationError;
use crate::sink::{Label, Sink};
use std::collections::BTreeMap;

/// A secret that would be delivered, and what in the text of a sink tells it from others.
pub(super) type Parcel<'s> = (&'s dyn Sink, Label, &'static str);

/// # Errors
/// `Refused` with both owners. A place that cannot be told is for the sink's own check.
pub(super) fn one_each<'s>(parcels: impl Iterator<Item = Parcel<'s>>) -> Result<(), RotationError> {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (sink, label, apart) in parcels {
        let Ok(Some(place)) = sink.place(&label) else { continue };
        let owner = label.owner;
        if let Some(other) = taken.insert(place.clone(), owner.clone()) {
            let message = format!("the secrets of {other} and {owner} would both go to {place}: put {apart} into the sink");
            return Err(RotationError::Refused { message });
        }
    }
    Ok(())
}
