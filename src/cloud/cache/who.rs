//! Whose answers they are, in a form that is the same in the next process and for nobody else: a long-lived key with its secret, a role with
//! those who assume it, the principal of a session or a token. Refuses to guess: who cannot be told, has nothing on disk.

use crate::CloudError;
use crate::aws::client::endpoint_override;
use crate::azure::tokens::{Audience, bearer};
use crate::caller::Caller;
use crate::connection::{Identity, ask_identity};
use crate::credentials::{Login, Source};
use aws_lc_rs::digest::{Context, SHA256};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;

/// Stands for somebody. A hash: nothing of a secret can be read from it.
pub(crate) type Subject = [u8; 32];

/// By login, the generation of its credentials and who they are.
type Known = HashMap<Arc<str>, (u64, Option<Subject>)>;

/// Who stands behind logins, found out once for each generation of credentials.
#[derive(Debug, Default)]
pub(crate) struct Subjects(tokio::sync::Mutex<Known>);

/// Sessions that the SDKs name after the time, for want of a name: they are all the same role.
const NAMELESS: &[&str] = &["assume-role-from-profile-", "assume-role-provider-", "web-identity-token-", "botocore-session-", "aws-sdk-"];

fn subject(kind: &str, parts: &[&str]) -> Subject {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&kind).chain(parts) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let mut out = Subject::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Two hashes as text for a third.
fn hex(subject: &Subject) -> String {
    subject.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Without a name of its own, a session is its role.
fn without_name(arn: &str) -> String {
    match arn.rsplit_once('/') {
        Some((role, session))
            if NAMELESS.iter().any(|n| session.strip_prefix(n).is_some_and(|t| t.bytes().all(|b| b.is_ascii_digit()))) =>
        {
            format!("{role}/*")
        }
        _ => arn.to_owned(),
    }
}

/// What can be told without asking the cloud who it is.
enum Told {
    Who(Subject),
    /// Credentials of a session: only the cloud knows whose.
    Session,
    Nothing,
}

async fn told(caller: &Arc<Caller>, login: &Arc<Login>) -> Told {
    match login.source() {
        Source::Recorded => Told::Nothing,
        Source::Role { base, arn, external_id } => match found_of(caller, base).await {
            Some(base) => Told::Who(subject("role", &[&hex(&base), arn, external_id.as_deref().unwrap_or_default()])),
            None => Told::Nothing,
        },
        Source::Azure(principal) => {
            let Ok(parts) = principal.parts() else { return Told::Nothing };
            let Ok(token) = parts.tokens.token(Audience::ResourceManager).await else { return Told::Nothing };
            let Some((tenant, bearer)) = bearer(&token) else { return Told::Nothing };
            let e = &parts.environment;
            let places = [e.authority.as_str(), e.resource_manager.as_str(), e.graph.as_str(), &e.storage_suffix];
            Told::Who(subject("azure", &[&places[..], &[&tenant, &bearer]].concat()))
        }
        Source::Ambient { .. } | Source::Profile { .. } => match login.credentials().await {
            Ok(c) if c.session_token().is_some() => Told::Session,
            Ok(c) => Told::Who(subject("key", &[c.access_key_id(), c.secret_access_key()])),
            Err(_) => Told::Nothing,
        },
    }
}

/// Roles are assumed by roles, and asking who it is, is a call like others: the types would have no end.
fn found_of<'a>(caller: &'a Arc<Caller>, login: &'a Arc<Login>) -> BoxFuture<'a, Option<Subject>> {
    Box::pin(found(caller, login))
}

fn identity_of(caller: Arc<Caller>, login: Arc<Login>) -> BoxFuture<'static, Result<Identity, CloudError>> {
    Box::pin(async move { ask_identity(&login, &caller, &login.key).await })
}

async fn found(caller: &Arc<Caller>, login: &Arc<Login>) -> Option<Subject> {
    match told(caller, login).await {
        Told::Who(who) => Some(who),
        Told::Nothing => None,
        Told::Session => {
            let (asked, caller) = (login.clone(), caller.clone());
            let identity = login.identity.find(|| identity_of(caller, asked)).await.ok()?;
            Some(subject("principal", &[&identity.partition, &identity.account_id, &without_name(&identity.arn)]))
        }
    }
}

impl Subjects {
    /// Who asks through this login, and where: other endpoints are another cloud. `None` if it cannot be told.
    pub(crate) async fn of(&self, caller: &Arc<Caller>, login: &Arc<Login>, service: &str, operation: &str) -> Option<(Subject, String)> {
        let generation = login.generation();
        let who = if (service, operation) == ("sts", "GetCallerIdentity") {
            // This is how it is found out for sessions.
            match told(caller, login).await {
                Told::Who(who) => who,
                Told::Session | Told::Nothing => return None,
            }
        } else {
            let mut known = self.0.lock().await;
            match known.get(&login.key) {
                Some((of, who)) if *of == generation => (*who)?,
                _ => {
                    let who = found(caller, login).await;
                    known.insert(login.key.clone(), (login.generation(), who));
                    who?
                }
            }
        };
        let place = match login.principal() {
            Some(_) => String::new(),
            None => endpoint_override(service, &login.sdk_config().await.ok()?.1).unwrap_or_default(),
        };
        Some((who, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_without_a_name_are_their_role() {
        for (arn, who) in [
            ("arn:aws:sts::1:assumed-role/Audit/assume-role-from-profile-1758000000000", "arn:aws:sts::1:assumed-role/Audit/*"),
            ("arn:aws:sts::1:assumed-role/Audit/botocore-session-1758000000", "arn:aws:sts::1:assumed-role/Audit/*"),
            ("arn:aws:sts::1:assumed-role/Audit/ana@example.com", "arn:aws:sts::1:assumed-role/Audit/ana@example.com"),
            ("arn:aws:sts::1:assumed-role/Audit/aws-sdk-me", "arn:aws:sts::1:assumed-role/Audit/aws-sdk-me"),
            ("arn:aws:iam::1:user/ops/ana", "arn:aws:iam::1:user/ops/ana"),
        ] {
            assert_eq!(without_name(arn), who);
        }
    }

    #[test]
    fn subjects_differ_with_every_part() {
        let all =
            [subject("key", &["a", "bc"]), subject("key", &["ab", "c"]), subject("role", &["a", "bc"]), subject("key", &["a", "bc", ""])];
        assert!(all.iter().enumerate().all(|(i, a)| all[i + 1..].iter().all(|b| a != b)));
        assert_eq!(hex(&all[0]).len(), 64);
    }
}
