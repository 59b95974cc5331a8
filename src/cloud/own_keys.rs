//! Which long-lived access keys stand behind a login: the one that signs, those that temporary credentials come from, and where that cannot
//! be told, all keys of the user. Refuses to guess: what cannot be found out is an error. Shows ids, never a secret.

use crate::connection::Account;
use crate::credentials::{Login, Source};
use crate::{CloudError, ErrorKind, caller::OnBehalf};
use aws_config::profile::{ProfileSet, load};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longer chains of profiles than this go in circles.
const LONGEST_CHAIN: usize = 32;

impl Account {
    /// See [`crate::writer::Writer::own_keys`].
    pub(crate) async fn own_keys(&self, env: &Env, fs: &Fs) -> Result<Vec<String>, CloudError> {
        let mut found = BTreeSet::new();
        let mut next = Some(&self.login);
        while let Some(login) = next {
            if matches!(login.source(), Source::Azure(_)) {
                break;
            }
            let credentials = login.credentials().await?;
            found.insert(credentials.access_key_id().to_owned());
            let temporary = credentials.session_token().is_some();
            next = None;
            match login.source() {
                Source::Role { base, .. } => next = Some(base),
                Source::Profile { name, .. } if temporary => from_profiles(&profiles(Some(name), env, fs).await?, env, &mut found),
                Source::Ambient { .. } if temporary => from_profiles(&profiles(None, env, fs).await?, env, &mut found),
                _ => {}
            }
            if temporary && next.is_none() {
                found.extend(self.keys_of_session(login).await?);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Credentials with a session token may be a user's: then any key of this user may have made them. Users of other accounts have no key
    /// in this one.
    async fn keys_of_session(&self, login: &Arc<Login>) -> Result<Vec<String>, CloudError> {
        let mut account = self.duplicate();
        account.login = login.clone();
        let who = account.identity().await?;
        let Some(user) = who.arn.split_once(":user/").and_then(|(_, path)| path.rsplit('/').next()) else { return Ok(Vec::new()) };
        if who.account_id != self.identity().await?.account_id {
            return Ok(Vec::new());
        }
        let on_behalf = OnBehalf { login, connection: &self.connection };
        // No user has more keys than fit on one page.
        let (input, region) = (json!({"UserName": user}), self.home_region());
        let answer = self.caller.call_alone(on_behalf, &region, "iam", "ListAccessKeys", input, &self.caller.tally).await?;
        let keys = answer.get("AccessKeyMetadata").and_then(Value::as_array);
        Ok(keys.into_iter().flatten().filter_map(|k| k["AccessKeyId"].as_str()).map(str::to_owned).collect())
    }
}

async fn profiles(name: Option<&str>, env: &Env, fs: &Fs) -> Result<ProfileSet, CloudError> {
    let name = name.map(|n| n.to_owned().into());
    load(fs, env, &EnvConfigFiles::default(), name).await.map_err(|e| {
        let message = format!("the shared configuration files cannot be read, so nobody knows which key signs: {e}");
        CloudError::new(ErrorKind::Credentials, "NoProfiles", message.replace('\n', " "))
    })
}

/// The keys of the selected profile and of those that it takes its credentials from, and of the environment where they come from there.
fn from_profiles(profiles: &ProfileSet, env: &Env, found: &mut BTreeSet<String>) {
    let mut name = profiles.selected_profile();
    for _ in 0..LONGEST_CHAIN {
        let Some(profile) = profiles.get_profile(name) else { return };
        found.extend(profile.get("aws_access_key_id").map(str::to_owned));
        if profile.get("credential_source").is_some_and(|source| source.eq_ignore_ascii_case("Environment")) {
            found.extend(env.get("AWS_ACCESS_KEY_ID").ok().filter(|id| !id.is_empty()));
        }
        match profile.get("source_profile") {
            Some(next) if next != name => name = next,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, credentials: &str, profile: Option<&str>, env: &[(&str, &str)]) -> Vec<String> {
        let env = Env::from_slice(&[&[("HOME", "/home/me")], env].concat());
        let fs = Fs::from_slice(&[("/home/me/.aws/config", config), ("/home/me/.aws/credentials", credentials)]);
        let mut keys = BTreeSet::new();
        from_profiles(&profiles(profile, &env, &fs).await.unwrap(), &env, &mut keys);
        keys.into_iter().collect()
    }

    #[tokio::test]
    async fn keys_are_found_along_the_chain_of_profiles() {
        let config = "[profile role]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = middle\n\
                      [profile middle]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = base\n\
                      [profile self]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = self\naws_access_key_id = AKIASELF\naws_secret_access_key = x\n\
                      [profile env]\nrole_arn = arn:aws:iam::1:role/b\ncredential_source = Environment\n\
                      [profile circle]\nsource_profile = elcric\n[profile elcric]\nsource_profile = circle\n\
                      [profile lost]\nsource_profile = nowhere\n\
                      [profile sso]\nsso_start_url = https://x\n";
        let credentials = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = canary\n[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = canary\n";
        for (profile, env, keys) in [
            (Some("role"), &[][..], &["AKIABASE"][..]),
            (Some("self"), &[], &["AKIASELF"]),
            (Some("env"), &[("AWS_ACCESS_KEY_ID", "AKIAENV")], &["AKIAENV"]),
            (Some("env"), &[], &[]),
            (Some("circle"), &[], &[]),
            (Some("lost"), &[], &[]),
            (Some("sso"), &[], &[]),
            (None, &[], &["AKIADEFAULT"]),
            (None, &[("AWS_PROFILE", "role")], &["AKIABASE"]),
            (Some("base"), &[("AWS_PROFILE", "role")], &["AKIABASE"]),
        ] {
            assert_eq!(found(config, credentials, profile, env).await, keys, "{profile:?} {env:?}");
        }
        assert!(found("", "", None, &[]).await.is_empty());
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_an_error() {
        let env = Env::from_slice(&[("HOME", "/home/me")]);
        let fs = Fs::from_slice(&[("/home/me/.aws/config", "[profile a\n")]);
        assert_eq!(profiles(None, &env, &fs).await.unwrap_err().code, "NoProfiles");
    }
}
