//! `assay doctor`: versions, the configuration in use, and for each connection where its credentials come from, who they are and which
//! regions they reach. Names credential sources; never shows a credential.

use crate::args::Global;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::Session;
use assay_cloud::{Account, CloudError, ConnectionConfig};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

/// Looks at everything; fails when no connection works.
pub(crate) async fn exec(global: &Global, console: Console) -> Result<Exit, Failed> {
    let session = Session::open(global, console).await?;
    let mut out = format!("assay {}\n", env!("CARGO_PKG_VERSION"));
    let source = if global.demo {
        "none (demo)".to_owned()
    } else {
        session.config.file.as_ref().map_or_else(|| "none found: ambient credentials".to_owned(), |f| f.display().to_string())
    };
    let _ = writeln!(out, "configuration: {source}");
    let _ = writeln!(out, "tables: {}", session.catalog.names().len());
    if let Some(path) = &global.replay {
        let _ = writeln!(out, "replay: {}, recorded {}", path.display(), session.cloud.now().format("%Y-%m-%d %H:%M:%S UTC"));
    }
    print(&out)?;

    let wanted = |name: &str| global.connection.is_empty() || global.connection.iter().any(|c| c == name);
    let live = !global.demo && global.replay.is_none();
    let mut working = 0;
    let mut failed = 0;
    for connection in session.cloud.connections().iter().filter(|c| wanted(&c.name)) {
        if !connection.members.is_empty() {
            print(&format!("\n{}: aggregate of {}\n", connection.name, connection.members.join(", ")))?;
            continue;
        }
        let config = session.config.cloud.connections.get(connection.name.as_ref());
        let source =
            if live { credentials(config, &|name| std::env::var_os(name).is_some_and(|v| !v.is_empty())) } else { "recording".to_owned() };
        print(&format!("\n{}\n  credentials: {source}\n", connection.name))?;
        let accounts = tokio::select! {
            accounts = session.cloud.accounts(&connection.name) => accounts,
            () = crate::statement::interrupt() => return Err(Failed::new(Exit::Interrupted, "interrupted")),
        };
        match accounts {
            Ok(accounts) => {
                for account in accounts {
                    let checked = tokio::select! {
                        checked = check(&account) => checked,
                        () = crate::statement::interrupt() => return Err(Failed::new(Exit::Interrupted, "interrupted")),
                    };
                    match checked {
                        Ok(text) => {
                            working += 1;
                            print(&text)?;
                        }
                        Err(error) => {
                            failed += 1;
                            print(&problem(&error))?;
                        }
                    }
                }
            }
            Err(error) => {
                failed += 1;
                print(&problem(&error))?;
            }
        }
    }
    session.finish()?;
    match (working, failed) {
        (0, 0) => Err(Failed::new(Exit::Unavailable, "there is no connection to check")
            .hint("set AWS credentials, or describe connections in assay.yaml; `--demo` needs neither")),
        (0, _) => Err(Failed::new(Exit::Unavailable, "no connection works").hint("`--demo` shows assay without an account")),
        (_, 0) => Ok(Exit::Ok),
        (_, n) => {
            console.warning(&format!("{n} of {} accounts cannot be used", n + working));
            Ok(Exit::Incomplete)
        }
    }
}

async fn check(account: &Arc<Account>) -> Result<String, CloudError> {
    let identity = account.identity().await?;
    let mut text = format!("  account: {} ({})\n  identity: {}\n", identity.account_id, identity.partition, identity.arn);
    match account.regions().await {
        Ok(regions) => {
            let _ = writeln!(text, "  regions: {}", regions.len());
        }
        Err(error) => {
            let _ = writeln!(text, "  regions: {error}");
        }
    }
    Ok(text)
}

fn problem(error: &CloudError) -> String {
    let hint = error.hint().map(|h| format!("\n  hint: {h}")).unwrap_or_default();
    format!("  error: {error}{hint}\n")
}

/// Where the credentials of a connection would come from, in the order the AWS SDKs look.
fn credentials(config: Option<&ConnectionConfig>, is_set: &dyn Fn(&str) -> bool) -> String {
    let base = match config.and_then(|c| c.profile.as_deref()) {
        Some(profile) => format!("profile {profile}"),
        None if is_set("AWS_ACCESS_KEY_ID") => "environment (AWS_ACCESS_KEY_ID)".to_owned(),
        None if is_set("AWS_PROFILE") => "profile of AWS_PROFILE".to_owned(),
        None if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") => "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)".to_owned(),
        None if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") => {
            "container credentials".to_owned()
        }
        None => "default profile, then the instance's role".to_owned(),
    };
    match config {
        Some(ConnectionConfig { role_arn: Some(role), .. }) => format!("role {role}, assumed with {base}"),
        Some(ConnectionConfig { organization: Some(_), .. }) => format!("{base}; a role in each account of the organization"),
        _ => base,
    }
}

fn print(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_in_the_order_of_the_sdks() {
        let profile = ConnectionConfig { profile: Some("prod".into()), ..ConnectionConfig::default() };
        let role = ConnectionConfig { role_arn: Some("arn:r".into()), ..ConnectionConfig::default() };
        let all = |_: &str| true;
        let none = |_: &str| false;
        assert_eq!(credentials(Some(&profile), &all), "profile prod");
        assert_eq!(credentials(Some(&role), &all), "role arn:r, assumed with environment (AWS_ACCESS_KEY_ID)");
        assert_eq!(credentials(None, &|n| n == "AWS_PROFILE"), "profile of AWS_PROFILE");
        assert_eq!(credentials(None, &|n| n == "AWS_WEB_IDENTITY_TOKEN_FILE"), "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)");
        assert_eq!(credentials(None, &none), "default profile, then the instance's role");
    }
}
