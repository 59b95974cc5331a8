//! The guards of access keys: pure functions of live facts, one per line of the table in docs/rotation.md. They are asked before a
//! person confirms, and again before every write.

use crate::aws::{LiveKey, LiveUser};
use crate::run::Exclusions;
use crate::{AccessKeyItem, Act, Guard, KeyStatus, LastUse, Plan, Refusal, RotationError};
use assay_cloud::CloudError;
use chrono::{DateTime, Utc};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeMap;

/// The tag that keeps assay away.
const NEVER: (&str, &str) = ("assay:rotate", "never");
/// What the console calls the users it makes for SMTP.
const SES_USER: &str = "ses-smtp-user.";
/// The inline policy and the group that the console gives them.
const SES_NAMES: [&str; 2] = ["AmazonSesSendingAccess", "AWSSESSendingGroupDoNotRename"];

/// [`Exclusions`], ready to be asked.
#[derive(Debug)]
pub(crate) struct Excluded {
    names: GlobSet,
    paths: GlobSet,
    tags: Vec<(String, Option<String>)>,
}

impl Excluded {
    /// # Errors
    /// `Content` with the pattern that is none.
    pub(crate) fn new(exclusions: &Exclusions) -> Result<Excluded, RotationError> {
        let globs = |what: &str, patterns: &[String]| {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let wrong = |e| RotationError::Content { message: format!("{what} {pattern:?} is no pattern: {e}") };
                set.add(GlobBuilder::new(pattern).case_insensitive(true).build().map_err(wrong)?);
            }
            set.build().map_err(|e| RotationError::Content { message: format!("{what}: {e}") })
        };
        let tag = |text: &String| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        Ok(Excluded {
            names: globs("--exclude", &exclusions.names)?,
            paths: globs("--exclude-path", &exclusions.paths)?,
            tags: exclusions.tags.iter().map(tag).collect(),
        })
    }

    /// By what can be known without a call.
    pub(crate) fn named(&self, name: &str, path: Option<&str>) -> Result<(), Refusal> {
        if self.names.is_match(name) {
            return Err(Refusal::new(Guard::Excluded, format!("{name} is excluded by name")));
        }
        match path.filter(|path| self.paths.is_match(path)) {
            Some(path) => Err(Refusal::new(Guard::Excluded, format!("the path {path} is excluded"))),
            None => Ok(()),
        }
    }

    /// By tags.
    pub(crate) fn tagged(&self, tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
        if tags.get(NEVER.0).is_some_and(|v| v.eq_ignore_ascii_case(NEVER.1)) {
            return Err(Refusal::new(Guard::Excluded, format!("the tag {}={} says so", NEVER.0, NEVER.1)));
        }
        let hit = self.tags.iter().find(|(key, value)| tags.get(key).is_some_and(|v| value.as_ref().is_none_or(|w| w == v)));
        match hit {
            Some((key, _)) => Err(Refusal::new(Guard::Excluded, format!("the tag {key} is excluded"))),
            None => Ok(()),
        }
    }
}

/// When a key was used last, as far as is known.
#[derive(Debug, Clone)]
pub(crate) enum Use {
    /// Nothing depends on it here.
    NotAsked,
    /// It could not be read.
    Unreadable(CloudError),
    /// The answer; `None`: never.
    Known(Option<LastUse>),
}

/// What is known of a key right before an act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) item: &'a AccessKeyItem,
    pub(crate) excluded: &'a Excluded,
    pub(crate) user: &'a LiveUser,
    pub(crate) keys: &'a [LiveKey],
    /// Keys that sign these calls.
    pub(crate) own: &'a [String],
    /// Inline policies and groups of the user.
    pub(crate) names: &'a [String],
    pub(crate) last_use: &'a Use,
    /// The new key, once it is published.
    pub(crate) replacement: Option<&'a str>,
    /// When a step made the key inactive.
    pub(crate) deactivated_at: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
}

/// A refusal, and when it would be none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) refusal: Refusal,
    pub(crate) until: Option<DateTime<Utc>>,
}

impl From<Refusal> for Objection {
    fn from(refusal: Refusal) -> Objection {
        Objection { refusal, until: None }
    }
}

/// All guards that hold before `act`: create, deactivate or delete.
pub(crate) fn before(act: Act, facts: &Facts<'_>) -> Result<(), Objection> {
    let item = facts.item;
    root(&item.user, &facts.user.arn)?;
    own_key(&item.key, facts.own)?;
    facts.excluded.named(&item.user, Some(&facts.user.path))?;
    facts.excluded.tagged(&facts.user.tags)?;
    ses_by_name(&item.user)?;
    ses_by_policies(facts.names)?;
    ses_by_use(item.last_used.as_ref())?;
    changed(act, facts)?;
    if act == Act::Create {
        return Ok(());
    }
    only_working_key(facts)?;
    if act == Act::Delete {
        not_inactive(facts)?;
    }
    used_since(facts)
}

/// The root user, as the credential report and ARNs name it. No name of an ordinary user is either.
pub(crate) fn root(user: &str, arn: &str) -> Result<(), Refusal> {
    if user == "<root_account>" || arn.ends_with(":root") {
        return Err(Refusal::new(Guard::Root, "keys of the root user are deleted by hand, not rotated: sign in as root and delete them"));
    }
    Ok(())
}

/// Keys that sign these very calls.
pub(crate) fn own_key(key: &str, own: &[String]) -> Result<(), Refusal> {
    if own.iter().any(|own| own == key) {
        let reason = "assay runs with this key: rotate it with the credentials of another user or role";
        return Err(Refusal::new(Guard::OwnKey, reason));
    }
    Ok(())
}

/// Users that the SES console made.
pub(crate) fn ses_by_name(user: &str) -> Result<(), Refusal> {
    if user.to_ascii_lowercase().starts_with(SES_USER) {
        return Err(ses("its name is that of an SMTP user of SES"));
    }
    Ok(())
}

/// Keys that were used to send mail.
pub(crate) fn ses_by_use(used: Option<&LastUse>) -> Result<(), Refusal> {
    match used.and_then(|u| u.service.as_deref()) {
        Some(service) if service.eq_ignore_ascii_case("ses") => Err(ses("it was used with SES last")),
        _ => Ok(()),
    }
}

/// Users with what the SES console gives.
pub(crate) fn ses_by_policies(names: &[String]) -> Result<(), Refusal> {
    match names.iter().find(|n| SES_NAMES.iter().any(|s| s.eq_ignore_ascii_case(n))) {
        Some(name) => Err(ses(&format!("the user has {name}"))),
        None => Ok(()),
    }
}

fn ses(why: &str) -> Refusal {
    Refusal::new(
        Guard::SesSmtp,
        format!("{why}: an SMTP password derives from the secret and would stop to work; make new SMTP credentials"),
    )
}

/// Whatever is there must be what was planned.
fn changed(act: Act, facts: &Facts<'_>) -> Result<(), Refusal> {
    let refuse = |reason: String| Err(Refusal::new(Guard::Changed, format!("{reason}: make a new plan")));
    let Facts { item, user, keys, .. } = facts;
    if user.id != item.user_id {
        return refuse(format!("user {} is another one now, with id {} instead of {}", item.user, user.id, item.user_id));
    }
    let Some(key) = keys.iter().find(|k| k.id == item.key) else { return refuse("the key does not exist any more".into()) };
    if key.created != item.created {
        return refuse(format!("the key was created at {:?}, not at {:?}", key.created, item.created));
    }
    if act != Act::Delete && key.status != KeyStatus::Active {
        return refuse("the key is Inactive, and not through this run".into());
    }
    let expected = facts.other();
    if let Some(stranger) = keys.iter().find(|k| k.id != item.key && Some(k.id.as_str()) != expected) {
        return refuse(format!("another key has appeared: {} of {:?}", stranger.id, stranger.created));
    }
    Ok(())
}

/// Somebody must be able to work on.
fn only_working_key(facts: &Facts<'_>) -> Result<(), Refusal> {
    let Facts { item, keys, .. } = facts;
    let refuse = |reason: String| Err(Refusal::new(Guard::OnlyWorkingKey, reason));
    match facts.other() {
        Some(other) => match keys.iter().find(|k| k.id == other) {
            Some(key) if key.status == KeyStatus::Active => Ok(()),
            Some(_) => refuse(format!("{other}, which is to be used in its place, is Inactive")),
            None => refuse(format!("{other}, which is to be used in its place, does not exist any more")),
        },
        // It did not work before assay came, and there is no other that did.
        None if item.status == KeyStatus::Inactive && facts.deactivated_at.is_none() => Ok(()),
        None => refuse("no other key takes its place: create comes first".into()),
    }
}

fn not_inactive(facts: &Facts<'_>) -> Result<(), Refusal> {
    match facts.keys.iter().find(|k| k.id == facts.item.key) {
        Some(key) if key.status == KeyStatus::Inactive => Ok(()),
        _ => Err(Refusal::new(Guard::NotInactive, "the key is Active: deactivate comes first")),
    }
}

/// Who still works with the key would be cut off.
fn used_since(facts: &Facts<'_>) -> Result<(), Objection> {
    let Facts { plan, item, now, .. } = *facts;
    let used = match facts.last_use {
        Use::Known(used) => used,
        Use::NotAsked => return Err(Refusal::new(Guard::UnknownUse, "when it was last used was not asked").into()),
        Use::Unreadable(error) => {
            return Err(Refusal::new(Guard::UnknownUse, format!("when it was last used cannot be read: {error}")).into());
        }
    };
    ses_by_use(used.as_ref())?;
    let Some(used) = used else { return Ok(()) };
    let how = match (&used.service, &used.region) {
        (Some(service), Some(region)) => format!("used at {:?} for {service} in {region}", used.at),
        (Some(service), None) => format!("used at {:?} for {service}", used.at),
        _ => format!("used at {:?}", used.at),
    };
    // With nothing that consumers were given in its place, whoever used it since the plan has nothing else.
    if used.at > plan.made_at && (facts.replacement.is_none() || plan.grace.delta().is_zero()) {
        return Err(
            Refusal::new(Guard::UsedSince, format!("{how}, after the plan was made: find who uses it, then make a new plan")).into()
        );
    }
    // An inactive key of unknown history has rested at least since its last use.
    let rest = if item.status == KeyStatus::Inactive { plan.grace.max(plan.settle) } else { plan.grace };
    let free = used.at + rest.delta();
    if free > now {
        let refusal = Refusal::new(Guard::UsedSince, format!("{how}, less than {rest} ago: move whoever uses it to the new key"));
        return Err(Objection { refusal, until: Some(free) });
    }
    Ok(())
}

/// May a new key that nobody is to have be deleted? `used` is `NotAsked` where its secret was given to nobody; `proved` is when we used
/// it ourselves.
pub(crate) fn before_discard(
    new: &str,
    item: &AccessKeyItem,
    keys: &[LiveKey],
    used: &Use,
    proved: Option<DateTime<Utc>>,
) -> Result<(), Refusal> {
    if new == item.key {
        return Err(Refusal::new(Guard::Changed, "the new key has the id of the old one: nothing is deleted"));
    }
    let old = keys.iter().find(|k| k.id == item.key && k.created == item.created);
    if old.is_none_or(|k| k.status != KeyStatus::Active) {
        let reason = format!("the new key {new} stays: without it the user would have no active key, because {} is not active", item.key);
        return Err(Refusal::new(Guard::OnlyWorkingKey, reason));
    }
    match used {
        Use::NotAsked | Use::Known(None) => Ok(()),
        Use::Known(Some(used)) if own_proof(used, proved) => Ok(()),
        Use::Known(Some(used)) => {
            Err(Refusal::new(Guard::UsedSince, format!("the new key {new} stays: it was used at {:?}, so somebody has it", used.at)))
        }
        Use::Unreadable(error) => {
            Err(Refusal::new(Guard::UnknownUse, format!("the new key {new} stays: when it was last used cannot be read: {error}")))
        }
    }
}

/// Is that use the call that proved the key to work? `proved`: when that was.
fn own_proof(used: &LastUse, proved: Option<DateTime<Utc>>) -> bool {
    let near = chrono::TimeDelta::minutes(2);
    used.service.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("sts")) && proved.is_some_and(|at| (used.at - at).abs() <= near)
}

impl Facts<'_> {
    /// The key that works in place of this one.
    fn other(&self) -> Option<&str> {
        self.replacement.or(self.item.stays.as_deref())
    }
}

#[cfg(test)]
#[path = "guards_tests.rs"]
mod tests;
