//! What can be wrong with a plan that a person has edited, found before anything is asked or changed.

use super::{AccessKeyItem, KeyStatus, Plan, Replacement, Step, StorageAction, StorageItem, VERSION};
use crate::RotationError;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// How far the clocks of two machines may be apart: a request signed with more is refused by AWS.
const SKEW: TimeDelta = TimeDelta::minutes(5);

impl Plan {
    /// All that needs neither a call nor the time.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.assay_rotation_plan != VERSION {
            return Err(format!("this is a plan of version {}; this assay reads version {VERSION}", self.assay_rotation_plan));
        }
        if self.sink.as_deref().is_some_and(|s| s.trim().is_empty()) {
            return Err("`sink` is empty: leave it out, or name one of docs/rotation.md".into());
        }
        let mut seen = BTreeSet::new();
        for (i, item) in self.access_keys.iter().enumerate() {
            item.check(self.made_at).map_err(|e| format!("access_keys[{i}] ({}): {e}", item.key))?;
            if !seen.insert(item.key.as_str()) {
                return Err(format!("access_keys[{i}] ({}): this key is in the plan twice", item.key));
            }
        }
        let mut seen = BTreeSet::new();
        for (i, item) in self.storage_accounts.iter().enumerate() {
            item.check(self.made_at).map_err(|e| format!("storage_accounts[{i}] ({}): {e}", item.name))?;
            if !seen.insert(item.id.to_lowercase()) {
                return Err(format!("storage_accounts[{i}] ({}): this account is in the plan twice", item.name));
            }
        }
        Ok(())
    }

    /// Again, and that nothing in it lies in the future.
    ///
    /// # Errors
    /// `Content`.
    pub(crate) fn check_at(&self, now: DateTime<Utc>) -> Result<(), RotationError> {
        let late = |what: &str, at: DateTime<Utc>| {
            if at > now + SKEW { Err(format!("{what} ({at:?}) is in the future: check the clock of this machine")) } else { Ok(()) }
        };
        let all = || {
            self.check()?;
            late("made_at", self.made_at)?;
            for item in &self.access_keys {
                let since = item.replaced_by.as_ref().map(|r| r.since);
                for (what, at) in [("replaced_by.since", since), ("deactivated_at", item.deactivated_at)] {
                    at.map_or(Ok(()), |at| late(what, at)).map_err(|e| format!("{}: {e}", item.key))?;
                }
            }
            Ok(())
        };
        all().map_err(|e: String| RotationError::Content { message: format!("the plan cannot be used: {e}") })
    }
}

/// Access key ids as IAM has them.
fn is_key_id(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn key_id(what: &str, text: &str) -> Result<(), String> {
    if is_key_id(text) { Ok(()) } else { Err(format!("{what} {text:?} is no access key id: 16 or more capital letters and digits")) }
}

fn not_empty(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("`{what}` is empty")) } else { Ok(()) }
}

fn not_after(what: &str, at: DateTime<Utc>, made: DateTime<Utc>) -> Result<(), String> {
    if at > made + SKEW {
        Err(format!("{what} ({at:?}) is later than `made_at` ({made:?}): a plan knows nothing of later times"))
    } else {
        Ok(())
    }
}

impl AccessKeyItem {
    fn check(&self, made: DateTime<Utc>) -> Result<(), String> {
        key_id("`key`", &self.key)?;
        for (what, text) in [("connection", &self.connection), ("user", &self.user), ("user_id", &self.user_id)] {
            not_empty(what, text)?;
        }
        if self.account_id.len() != 12 || !self.account_id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("`account_id` {:?} is no AWS account: twelve digits", self.account_id));
        }
        if !self.path.starts_with('/') || !self.path.ends_with('/') {
            return Err(format!("`path` {:?} is no path of a user: it begins and ends with /", self.path));
        }
        not_after("`created`", self.created, made)?;
        let age = (made - self.created).num_days();
        if self.age_days != age {
            return Err(format!(
                "`age_days` is {}, but the key was {age} days old at `made_at`: one of the three was changed",
                self.age_days
            ));
        }
        if let Some(used) = &self.last_used {
            not_after("`last_used.at`", used.at, made)?;
        }
        self.check_steps()?;
        self.check_others()
    }

    fn check_steps(&self) -> Result<(), String> {
        if self.steps.is_empty() {
            return Err("`steps` is empty: take the key out of the plan if nothing is to be done".into());
        }
        if !self.steps.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("`steps` are not in order: create, deliver, verify, deactivate, delete, each once".into());
        }
        if Step::whole(&self.steps) != self.steps {
            return Err("create, deliver and verify are one step: `steps` has all three of them or none".into());
        }
        let replaces = self.steps.iter().any(|s| s.replaces());
        if self.status == KeyStatus::Inactive && self.steps != [Step::Delete] {
            return Err("the key is inactive: the only step for it is delete".into());
        }
        if replaces && self.replaced_by.is_some() {
            return Err("`replaced_by` names a new key already: `steps` cannot have create".into());
        }
        if replaces && self.stays.is_some() {
            return Err("`stays` names the key that stays: `steps` cannot have create, which would be a third".into());
        }
        Ok(())
    }

    fn check_others(&self) -> Result<(), String> {
        if self.replaced_by.is_some() && self.stays.is_some() {
            return Err("`replaced_by` and `stays` exclude each other: a user has two keys at most".into());
        }
        if let Some(Replacement { key, run, since }) = &self.replaced_by {
            key_id("`replaced_by.key`", key)?;
            not_empty("replaced_by.run", run)?;
            if *since < self.created {
                return Err("`replaced_by.since` is earlier than `created`".into());
            }
        }
        if let Some(stays) = &self.stays {
            key_id("`stays`", stays)?;
        }
        let others = [self.stays.as_ref(), self.replaced_by.as_ref().map(|r| &r.key)];
        if others.into_iter().flatten().any(|other| *other == self.key) {
            return Err("the key cannot take its own place".into());
        }
        if self.deactivated_at.is_some_and(|at| at < self.created) {
            return Err("`deactivated_at` is earlier than `created`".into());
        }
        if self.deactivated_at.is_some() && self.steps != [Step::Delete] {
            return Err("`deactivated_at` says that the key is inactive: the only step for it is delete".into());
        }
        Ok(())
    }
}

impl StorageItem {
    fn check(&self, made: DateTime<Utc>) -> Result<(), String> {
        for (what, text) in [("connection", &self.connection), ("subscription_id", &self.subscription_id), ("name", &self.name)] {
            not_empty(what, text)?;
        }
        let parts: Vec<String> = self.id.split('/').map(str::to_lowercase).collect();
        let right = match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["", "subscriptions", subscription, "resourcegroups", group, "providers", "microsoft.storage", "storageaccounts", name] => {
                subscription == self.subscription_id.to_lowercase() && !group.is_empty() && name == self.name.to_lowercase()
            }
            _ => false,
        };
        if !right {
            return Err(format!(
                "`id` {:?} is not the resource id of account {:?} in subscription {:?}",
                self.id, self.name, self.subscription_id
            ));
        }
        for (what, at) in [("`key1_created`", self.key1_created), ("`key2_created`", self.key2_created)] {
            at.map_or(Ok(()), |at| not_after(what, at, made))?;
        }
        match self.action {
            StorageAction::ExpirationPolicy { days } if days < 1 => {
                Err(format!("`days` is {days}: an expiration period is at least one day"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
assay_rotation_plan: 1
made_at: 2026-06-01T00:00:00Z
older_than: 90d
grace: 7d
settle: 7d
sink: file:/k/{user}
access_keys:
- connection: aws
  account_id: '123456789012'
  user: ada
  user_id: AIDAEXAMPLE000000001
  path: /
  key: AKIAEXAMPLE000000001
  created: 2026-01-01T00:00:00Z
  age_days: 151
  status: Active
  steps: [create, deliver, verify, deactivate, delete]
storage_accounts:
- connection: azure
  subscription_id: 0000-1
  id: /subscriptions/0000-1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/acct
  name: acct
  key1_created: 2026-01-01T00:00:00Z
  action: {do: rotate_keys}
";

    #[test]
    fn a_plan_that_was_written_is_read_again() {
        let plan = Plan::read("p.yaml", GOOD).unwrap();
        let text = plan.to_yaml().unwrap();
        assert!(text.starts_with("# What `assay rotate apply` would do."));
        assert_eq!(Plan::read("p.yaml", &text).unwrap(), plan);
        plan.check_at("2026-06-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(plan.items().count(), 2);
    }

    #[test]
    fn an_empty_plan_is_one() {
        let text = "assay_rotation_plan: 1\nmade_at: 2026-06-01T00:00:00Z\nolder_than: 90d\ngrace: 7d\nsettle: 7d\naccess_keys: []\n";
        assert!(Plan::read("p.yaml", text).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let handed = "steps: [delete]\n  replaced_by: {key: AKIAEXAMPLE000000002, since: 2026-05-01T00:00:00Z, run: r}";
        let steps = "steps: [create, deliver, verify, deactivate, delete]";
        let cases: &[(&str, &str, &str)] = &[
            ("assay_rotation_plan: 1", "assay_rotation_plan: 2", "version 2"),
            ("settle: 7d", "settle: 7 days", "no span of time"),
            ("settle: 7d", "settle: 7d\nmax: 9", "unknown field `max`"),
            ("  user: ada", "  user: ada\n  usr: ada", "unknown field `usr`"),
            ("{do: rotate_keys}", "{do: rotate_keys, both: true}", "unknown field"),
            ("{do: rotate_keys}", "{do: rotate_both}", "unknown variant"),
            ("{do: rotate_keys}", "{do: rotate_keys, days: 9}", "belongs to"),
            ("{do: rotate_keys}", "{do: expiration_policy}", "needs `days`"),
            ("{do: rotate_keys}", "{do: expiration_policy, days: 0}", "at least one day"),
            ("sink: file:/k/{user}", "sink: ' '", "`sink` is empty"),
            ("  user: ada", "  user: ''", "`user` is empty"),
            ("'123456789012'", "'12345678901'", "twelve digits"),
            ("path: /", "path: x", "begins and ends"),
            ("key: AKIAEXAMPLE000000001", "key: AKIA1", "no access key id"),
            ("key: AKIAEXAMPLE000000001", "key: akiaexample000000001", "no access key id"),
            ("age_days: 151", "age_days: -3", "one of the three was changed"),
            ("age_days: 151", "age_days: 12", "one of the three was changed"),
            ("  created: 2026-01-01T00:00:00Z", "  created: 2026-07-01T00:00:00Z", "later than `made_at`"),
            ("key1_created: 2026-01-01", "key1_created: 2026-08-01", "later than `made_at`"),
            ("status: Active", "status: active", "unknown variant"),
            ("status: Active", "status: Inactive", "only step for it is delete"),
            (steps, "steps: []", "`steps` is empty"),
            (steps, "steps: [deactivate, create]", "not in order"),
            (steps, "steps: [delete, delete]", "not in order"),
            (steps, "steps: [create]", "are one step"),
            (steps, "steps: [create, verify, delete]", "are one step"),
            (steps, "steps: [rotate]", "unknown variant"),
            (steps, &format!("{handed}\n  stays: AKIAEXAMPLE000000003"), "exclude each other"),
            (steps, &handed.replace("[delete]", "[create, deliver, verify]"), "names a new key already"),
            (steps, &handed.replace("000000002", "000000001"), "its own place"),
            (steps, &handed.replace("AKIAEXAMPLE000000002", "new"), "no access key id"),
            (steps, &handed.replace("2026-05", "2025-05"), "earlier than `created`"),
            (steps, "steps: [create, deliver, verify]\n  stays: AKIAEXAMPLE000000003", "would be a third"),
            (steps, "steps: [deactivate, delete]\n  deactivated_at: 2026-05-01T00:00:00Z", "only step for it is delete"),
            (steps, "steps: [delete]\n  deactivated_at: 2025-05-01T00:00:00Z", "earlier than `created`"),
            ("subscriptions/0000-1/", "subscriptions/0000-2/", "not the resource id"),
            ("storageAccounts/acct", "storageAccounts/acct/x", "not the resource id"),
        ];
        for (from, to, says) in cases {
            assert!(GOOD.contains(from), "{from}");
            let error = Plan::read("p.yaml", &GOOD.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(says) && error.starts_with("p.yaml"), "{to}: {error}");
        }
    }

    #[test]
    fn nothing_is_there_twice() {
        let (start, end) = (GOOD.find("- connection: aws").unwrap(), GOOD.find("storage_accounts").unwrap());
        let twice = GOOD.replacen("access_keys:\n", &format!("access_keys:\n{}", &GOOD[start..end]), 1);
        assert!(Plan::read("p.yaml", &twice).unwrap_err().to_string().contains("twice"));
        let other_case = format!("{GOOD}{}", GOOD[GOOD.find("- connection: azure").unwrap()..].replace("resourceGroups", "RESOURCEGROUPS"));
        assert!(Plan::read("p.yaml", &other_case).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn the_future_is_not_known() {
        let now = "2026-05-31T23:00:00Z".parse().unwrap();
        let error = Plan::read("p.yaml", GOOD).unwrap().check_at(now).unwrap_err().to_string();
        assert!(error.contains("made_at") && error.contains("future"), "{error}");
        let steps = "steps: [create, deliver, verify, deactivate, delete]";
        for late in [
            "steps: [delete]\n  deactivated_at: 2026-06-03T00:00:00Z",
            "steps: [deactivate]\n  replaced_by: {key: AKIAEXAMPLE000000002, since: 2026-06-03T00:00:00Z, run: r}",
        ] {
            let plan = Plan::read("p.yaml", &GOOD.replace(steps, late)).unwrap();
            assert!(plan.check_at("2026-06-02T00:00:00Z".parse().unwrap()).unwrap_err().to_string().contains("future"), "{late}");
            plan.check_at("2026-06-03T00:00:00Z".parse().unwrap()).unwrap();
        }
    }
}
