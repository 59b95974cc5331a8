//! What is looked at before an act, live: the account, its locks, the use of its keys. Asks; changes nothing, journals nothing.

use crate::azure::guards::{self, Facts, Use};
use crate::azure::{LiveAccount, Storage};
use crate::guards::Excluded;
use crate::{Clock, Period, Plan, Refusal, StorageAction, StorageItem};
use assay_cloud::CloudError;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What is expected of an account after a write is looked for after these pauses, in seconds.
const LOOKS: [u64; 4] = [1, 2, 4, 8];
/// The use of keys is asked for at least so far back: metrics come late, and jobs run once a day.
const LEAST: Period = Period::days(1);

/// The eyes of one item.
#[derive(Clone, Copy)]
pub(crate) struct Eyes<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) item: &'a StorageItem,
    pub(crate) storage: &'a dyn Storage,
    pub(crate) excluded: &'a Excluded,
    pub(crate) clock: &'a Clock,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) account: LiveAccount,
    locks: Vec<String>,
    used: Use,
}

impl Eyes<'_> {
    /// How far back the use of keys is asked for.
    fn span(&self) -> Period {
        self.plan.grace.max(LEAST)
    }

    /// Reads all that the guards judge by.
    pub(crate) async fn look(&self) -> Result<Seen, CloudError> {
        let id = &self.item.id;
        let used = async {
            if self.item.action != StorageAction::DisableSharedKey {
                return Use::NotAsked;
            }
            let since = self.clock.0.now() - self.span().delta();
            self.storage.shared_key_requests(id, since).await.map_or_else(Use::Unreadable, Use::Requests)
        };
        let (account, locks, used) = futures::join!(self.storage.account(id), self.storage.read_only_locks(id), used);
        Ok(Seen { account: account?, locks: locks?, used })
    }

    /// Asks the guards. `expected`: the creation times of key1 and key2.
    pub(crate) fn judge(&self, seen: &Seen, expected: [Option<DateTime<Utc>>; 2]) -> Result<(), Refusal> {
        let Seen { account, locks, used } = seen;
        let (item, excluded, span) = (self.item, self.excluded, self.span());
        guards::before(&Facts { item, excluded, live: account, locks, used, span, expected })
    }

    /// Looks at the account until it is as expected, or for a while: the last look counts.
    pub(crate) async fn account_until(&self, expected: impl Fn(&LiveAccount) -> bool + Send) -> Result<LiveAccount, CloudError> {
        let mut account = self.storage.account(&self.item.id).await?;
        for pause in LOOKS {
            if expected(&account) {
                break;
            }
            self.clock.0.sleep(Duration::from_secs(pause)).await;
            account = self.storage.account(&self.item.id).await?;
        }
        Ok(account)
    }
}
