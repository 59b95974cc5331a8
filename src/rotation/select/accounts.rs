//! Storage accounts: no call is needed, all that counts is in the listing.

use super::{StorageCandidate, StorageWish, Wish, unfinished};
use crate::guards::Excluded;
use crate::{Guard, LeftAlone, Refusal, RotationError, StorageAction, StorageItem};
use chrono::{DateTime, Utc};

/// Items and what is left alone, both by subscription and name.
pub(super) fn choose(
    mut accounts: Vec<StorageCandidate>,
    wish: &Wish,
    excluded: &Excluded,
    limit: DateTime<Utc>,
) -> Result<(Vec<StorageItem>, Vec<LeftAlone>), RotationError> {
    let action = match wish.storage {
        StorageWish::Rotate => StorageAction::RotateKeys,
        StorageWish::Disable => StorageAction::DisableSharedKey,
        StorageWish::ExpirationPolicy(period) if period.in_days() < 1 => {
            let message = format!("--expiration-policy {period}: an expiration period is whole days, at least one");
            return Err(RotationError::Content { message });
        }
        StorageWish::ExpirationPolicy(period) => StorageAction::ExpirationPolicy { days: period.in_days() },
    };
    accounts.sort_by_key(|a| (a.subscription_id.to_lowercase(), a.name.to_lowercase(), a.id.to_lowercase()));
    accounts.dedup_by_key(|a| a.id.to_lowercase());
    let (mut items, mut left_alone) = (Vec::new(), Vec::new());
    for account in accounts.into_iter().filter(|a| a.chosen && is_candidate(a, &action, limit)) {
        match admit(&account, &action, wish, excluded) {
            Ok(()) => items.push(StorageItem {
                connection: account.connection,
                subscription_id: account.subscription_id,
                id: account.id,
                name: account.name,
                key1_created: account.key1_created,
                key2_created: account.key2_created,
                action: action.clone(),
            }),
            Err(because) => left_alone.push(LeftAlone {
                account_id: account.subscription_id,
                owner: account.name,
                key: None,
                because,
                instead: Vec::new(),
            }),
        }
    }
    Ok((items, left_alone))
}

/// A key of unknown age counts as old, as the controls have it.
fn is_candidate(account: &StorageCandidate, action: &StorageAction, limit: DateTime<Utc>) -> bool {
    match action {
        StorageAction::RotateKeys => [account.key1_created, account.key2_created].iter().any(|at| at.is_none_or(|at| at <= limit)),
        _ => true,
    }
}

fn admit(account: &StorageCandidate, action: &StorageAction, wish: &Wish, excluded: &Excluded) -> Result<(), Refusal> {
    excluded.named(&account.name, None)?;
    excluded.tagged(&account.tags)?;
    unfinished(&account.id, wish)?;
    if !account.allow_shared_key && !matches!(action, StorageAction::ExpirationPolicy { .. }) {
        return Err(Refusal::new(Guard::SharedKeyOff, "shared-key access is disabled: no key of it works, so there is nothing to do"));
    }
    let unknown = account.key1_created.is_none() || account.key2_created.is_none();
    if unknown && matches!(action, StorageAction::ExpirationPolicy { .. }) {
        let reason = "a key has no creation time, and Azure takes an expiration period only where both have one: rotate the keys first";
        return Err(Refusal::new(Guard::UnknownAge, reason));
    }
    Ok(())
}
