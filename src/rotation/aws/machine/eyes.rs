//! What is looked at before an act, live: the user, its keys, their last use. Asks; changes nothing, journals nothing.

use crate::aws::{Iam, LiveKey, LiveUser};
use crate::guards::{self, Excluded, Facts, Objection, Use};
use crate::{AccessKeyItem, Act, Clock, KeyStatus, Plan};
use assay_cloud::CloudError;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// IAM answers from copies that lag behind a write: what is expected is looked for after these pauses, in seconds.
const LOOKS: [u64; 5] = [0, 1, 2, 4, 8];

/// The eyes of one item.
#[derive(Clone, Copy)]
pub(crate) struct Eyes<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) item: &'a AccessKeyItem,
    pub(crate) iam: &'a dyn Iam,
    pub(crate) excluded: &'a Excluded,
    pub(crate) clock: &'a Clock,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) user: LiveUser,
    pub(crate) keys: Vec<LiveKey>,
    own: Vec<String>,
    names: Vec<String>,
    last_use: Use,
}

impl Eyes<'_> {
    /// Reads all that the guards of `act` judge by.
    pub(crate) async fn look(&self, act: Act) -> Result<Seen, CloudError> {
        let user = &self.item.user;
        let used = async {
            if act == Act::Create {
                return Use::NotAsked;
            }
            self.iam.last_use(&self.item.key).await.map_or_else(Use::Unreadable, Use::Known)
        };
        let (live, keys, own, names, last_use) =
            futures::join!(self.iam.user(user), self.iam.keys(user), self.iam.own_keys(), self.iam.policies_and_groups(user), used);
        Ok(Seen { user: live?, keys: keys?, own: own?, names: names?, last_use })
    }

    /// Asks the guards.
    pub(crate) fn judge(
        &self,
        act: Act,
        seen: &Seen,
        replacement: Option<&str>,
        deactivated_at: Option<DateTime<Utc>>,
    ) -> Result<(), Objection> {
        let facts = Facts {
            plan: self.plan,
            item: self.item,
            excluded: self.excluded,
            user: &seen.user,
            keys: &seen.keys,
            own: &seen.own,
            names: &seen.names,
            last_use: &seen.last_use,
            replacement,
            deactivated_at,
            now: self.clock.0.now(),
        };
        guards::before(act, &facts)
    }

    /// Looks at the user's keys until they are as expected, or for a while: the last look counts.
    pub(crate) async fn keys_until(&self, expected: impl Fn(&[LiveKey]) -> bool + Send) -> Result<Vec<LiveKey>, CloudError> {
        let mut keys = Vec::new();
        for pause in LOOKS {
            if pause > 0 {
                self.clock.0.sleep(Duration::from_secs(pause)).await;
            }
            keys = self.iam.keys(&self.item.user).await?;
            if expected(&keys) {
                break;
            }
        }
        Ok(keys)
    }

    /// The status of the planned key among these; `None`: it is not there.
    pub(crate) fn status(&self, keys: &[LiveKey]) -> Option<KeyStatus> {
        keys.iter().find(|k| k.id == self.item.key).map(|k| k.status)
    }
}
