//! Access keys: a user's keys are judged together, because none may be rotated that leaves no room, and none retired that is needed.

use super::{Candidate, Wish, unfinished};
use crate::aws::Iam;
use crate::guards::{Excluded, own_key, root, ses_by_name, ses_by_use};
use crate::run::Hands;
use crate::{AccessKeyItem, Guard, KeyStatus, LastUse, LeftAlone, Refusal, Step};
use assay_cloud::CloudError;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Users asked about at once; the connection's own limits hold beneath.
const AT_ONCE: usize = 16;

/// What keys are chosen by.
pub(super) struct Choice<'a> {
    pub(super) wish: &'a Wish,
    pub(super) excluded: &'a Excluded,
    pub(super) hands: &'a dyn Hands,
    pub(super) now: DateTime<Utc>,
    pub(super) limit: DateTime<Utc>,
}

/// All keys of a user, of which some may be candidates.
struct User {
    /// The first key, for what all have in common.
    keys: Vec<Candidate>,
}

/// What becomes of one key.
type Verdict = Result<AccessKeyItem, LeftAlone>;

type Accounts = BTreeMap<(String, String), Result<(Arc<dyn Iam>, Vec<String>), CloudError>>;

impl Choice<'_> {
    /// Items and what is left alone, both by account, user and key.
    pub(super) async fn keys(&self, keys: Vec<Candidate>) -> (Vec<AccessKeyItem>, Vec<LeftAlone>) {
        let mut users: BTreeMap<(String, String), User> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for key in keys {
            // A key that two connections list is one key.
            if seen.insert((key.account_id.clone(), key.key.clone())) {
                let user = users.entry((key.account_id.clone(), key.user.clone())).or_insert(User { keys: Vec::new() });
                user.keys.push(key);
            }
        }
        let (mut verdicts, mut open) = (Vec::new(), Vec::new());
        for mut user in users.into_values() {
            user.keys.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
            for key in self.candidates(&user) {
                match self.before_asking(key, &user) {
                    Ok(()) => open.push((key.clone(), user.keys.clone())),
                    Err(left) => verdicts.push(Err(left)),
                }
            }
        }
        let accounts = self.accounts(&open).await;
        let accounts = &accounts;
        let ask = |(key, keys): (Candidate, Vec<Candidate>)| async move { self.ask(&key, &keys, accounts).await };
        verdicts.extend(stream::iter(open).map(ask).buffered(AT_ONCE).collect::<Vec<_>>().await);
        sorted(verdicts)
    }

    /// The keys of a user that something is to be said about.
    fn candidates<'u>(&self, user: &'u User) -> Vec<&'u Candidate> {
        let chosen = user.keys.iter().filter(|k| k.chosen);
        if !self.wish.retire {
            return chosen.filter(|k| k.created <= self.limit).collect();
        }
        let inactive = |k: &&Candidate| k.status == KeyStatus::Inactive;
        match &user.keys[..] {
            [_] => chosen.filter(inactive).collect(),
            // Of two keys the verdict is one: the inactive one goes, or whichever of two active ones turns out to be unused.
            _ if user.keys.iter().any(|k| k.status == KeyStatus::Inactive) => chosen.filter(inactive).collect(),
            _ => chosen.take(1).collect(),
        }
    }

    /// All that needs no call.
    fn before_asking(&self, key: &Candidate, user: &User) -> Result<(), LeftAlone> {
        let leave = |because: Refusal| left(key, because, Vec::new());
        root(&key.user, &key.user_arn).map_err(leave)?;
        self.excluded.named(&key.user, Some(&key.path)).map_err(leave)?;
        ses_by_name(&key.user).map_err(leave)?;
        unfinished(&key.key, self.wish).map_err(leave)?;
        if self.wish.retire {
            return both_inactive(key, user).map_or(Ok(()), Err);
        }
        if key.status == KeyStatus::Inactive {
            let reason = "the key is inactive, so nobody works with it: it can be deleted, there is nothing to replace";
            return Err(left(key, Refusal::new(Guard::Inactive, reason), vec![self.retire_command(key)]));
        }
        let Some(other) = user.keys.iter().find(|k| k.key != key.key) else { return Ok(()) };
        let reason = format!("the user has two keys, the other is {} ({:?}), and AWS allows no third", other.key, other.status);
        Err(left(key, Refusal::new(Guard::TwoKeys, reason), vec![self.retire_command(key)]))
    }

    fn retire_command(&self, key: &Candidate) -> String {
        let user = shlex::try_quote(&key.user).map_or_else(|_| key.user.clone(), |q| q.into_owned());
        format!("assay rotate plan --retire --older-than {} --account {} --user {user}", self.wish.older_than, key.account_id)
    }

    /// The calls of each account that has open candidates, and the keys that sign them.
    async fn accounts(&self, open: &[(Candidate, Vec<Candidate>)]) -> Accounts {
        let places: BTreeSet<(String, String)> = open.iter().map(|(k, _)| (k.connection.clone(), k.account_id.clone())).collect();
        let ready = |place: (String, String)| async move {
            let calls = async {
                let iam = self.hands.iam(&place.0, &place.1).await?;
                let own = iam.own_keys().await?;
                Ok((iam, own))
            };
            let calls = calls.await;
            (place, calls)
        };
        stream::iter(places).map(ready).buffered(AT_ONCE).collect().await
    }

    /// Last use and tags, and what follows from them.
    async fn ask(&self, key: &Candidate, keys: &[Candidate], accounts: &Accounts) -> Verdict {
        let unreadable =
            |error: &CloudError| left(key, Refusal::new(Guard::Unreadable, format!("{error}: it is not planned blind")), Vec::new());
        let (iam, own) = match accounts.get(&(key.connection.clone(), key.account_id.clone())) {
            Some(Ok((iam, own))) => (iam, own),
            Some(Err(error)) => return Err(unreadable(error)),
            None => return Err(unreadable(&CloudError::new(assay_cloud::ErrorKind::Invalid, "NoCalls", "the account has no calls"))),
        };
        let other = keys.iter().find(|k| k.key != key.key);
        let other_use = async {
            match other.filter(|o| self.wish.retire && o.status == KeyStatus::Active && key.status == KeyStatus::Active) {
                Some(other) => iam.last_use(&other.key).await,
                None => Ok(None),
            }
        };
        let asked = futures::try_join!(iam.last_use(&key.key), other_use, iam.tags(&key.user));
        let (used, other_used, tags) = asked.map_err(|e| unreadable(&e))?;
        let leave = |because: Refusal| left(key, because, Vec::new());
        self.excluded.tagged(&tags).map_err(leave)?;
        if !self.wish.retire {
            own_key(&key.key, own).map_err(leave)?;
            ses_by_use(used.as_ref()).map_err(leave)?;
            return Ok(self.item(key, used, &[Step::Create, Step::Deliver, Step::Verify, Step::Deactivate, Step::Delete], None));
        }
        let (goes, used, stays) = match other.filter(|_| key.status == KeyStatus::Active) {
            None => (key, used, other),
            Some(other) => self.unused(key, used, other, other_used).map_err(leave)?,
        };
        let leave = |because: Refusal| left(goes, because, Vec::new());
        own_key(&goes.key, own).map_err(leave)?;
        ses_by_use(used.as_ref()).map_err(leave)?;
        unfinished(&goes.key, self.wish).map_err(leave)?;
        let steps: &[Step] = if goes.status == KeyStatus::Inactive { &[Step::Delete] } else { &[Step::Deactivate, Step::Delete] };
        Ok(self.item(goes, used, steps, stays.map(|k| k.key.clone())))
    }

    /// Of two active keys the one that was not used for so long while the other one was.
    fn unused<'k>(
        &self,
        a: &'k Candidate,
        a_used: Option<LastUse>,
        b: &'k Candidate,
        b_used: Option<LastUse>,
    ) -> Result<(&'k Candidate, Option<LastUse>, Option<&'k Candidate>), Refusal> {
        // A key that was never used is unused only since it exists.
        let idle = |key: &Candidate, used: &Option<LastUse>| used.as_ref().map_or(key.created, |u| u.at) <= self.limit;
        let at = |used: &Option<LastUse>| used.as_ref().map_or("never used".to_owned(), |u| format!("used at {:?}", u.at));
        match (idle(a, &a_used), idle(b, &b_used)) {
            (true, false) if b_used.is_some() => Ok((a, a_used, Some(b))),
            (false, true) if a_used.is_some() => Ok((b, b_used, Some(a))),
            _ => {
                let (a, b, a_at, b_at) = (&a.key, &b.key, at(&a_used), at(&b_used));
                let reason = format!("{a} ({a_at}) and {b} ({b_at}): it is not plain which is in use, so none is retired");
                Err(Refusal::new(Guard::TwoKeys, reason))
            }
        }
    }

    fn item(&self, key: &Candidate, last_used: Option<LastUse>, steps: &[Step], stays: Option<String>) -> AccessKeyItem {
        AccessKeyItem {
            connection: key.connection.clone(),
            account_id: key.account_id.clone(),
            user: key.user.clone(),
            user_id: key.user_id.clone(),
            path: key.path.clone(),
            key: key.key.clone(),
            created: key.created,
            age_days: (self.now - key.created).num_days(),
            status: key.status,
            last_used,
            steps: steps.to_vec(),
            replaced_by: None,
            stays,
            deactivated_at: None,
        }
    }
}

/// Two inactive keys: a person has to say which is the better one to keep.
fn both_inactive(key: &Candidate, user: &User) -> Option<LeftAlone> {
    let other = user.keys.iter().find(|k| k.key != key.key && k.status == KeyStatus::Inactive && key.status == KeyStatus::Inactive)?;
    let reason = format!("both keys of the user are inactive, the other is {}: delete one by hand", other.key);
    let quoted = shlex::try_quote(&key.user).map_or_else(|_| key.user.clone(), |q| q.into_owned());
    let command = |id: &str| format!("aws iam delete-access-key --user-name {quoted} --access-key-id {id}");
    Some(left(key, Refusal::new(Guard::TwoKeys, reason), vec![command(&key.key)]))
}

fn left(key: &Candidate, because: Refusal, instead: Vec<String>) -> LeftAlone {
    LeftAlone { account_id: key.account_id.clone(), owner: key.user.clone(), key: Some(key.key.clone()), because, instead }
}

fn sorted(verdicts: Vec<Verdict>) -> (Vec<AccessKeyItem>, Vec<LeftAlone>) {
    let (mut items, mut left_alone) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        match verdict {
            Ok(item) => items.push(item),
            Err(left) => left_alone.push(left),
        }
    }
    items.sort_by(|a, b| (&a.account_id, &a.user, &a.key).cmp(&(&b.account_id, &b.user, &b.key)));
    left_alone.sort_by(|a, b| (&a.account_id, &a.owner, &a.key).cmp(&(&b.account_id, &b.owner, &b.key)));
    (items, left_alone)
}
