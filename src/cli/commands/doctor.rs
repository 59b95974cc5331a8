//! `assay doctor`: versions, the configuration in use, and for each connection where its credentials come from, who they are and which
//! regions they reach. Names credential sources; never shows a credential.

use crate::args::Global;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::Session;
use assay_cloud::{Account, CloudError, ErrorKind};
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
        print(&format!("\n{}\n", connection.name))?;
        let accounts = tokio::select! {
            accounts = session.cloud.accounts(&connection.name) => accounts,
            () = crate::statement::interrupt() => return Err(Failed::new(Exit::Interrupted, "interrupted")),
        };
        match accounts {
            Ok(accounts) => {
                for account in accounts {
                    let checked = tokio::select! {
                        checked = check(&account, live) => checked,
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

async fn check(account: &Arc<Account>, live: bool) -> Result<String, CloudError> {
    let source = if live { account.credential_source().await? } else { "recording".to_owned() };
    let identity = account.identity().await?;
    let mut text =
        format!("  credentials: {source}\n  account: {} ({})\n  identity: {}\n", identity.account_id, identity.partition, identity.arn);
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
    // The usual hint for credentials is this command.
    let hint = error.hint().filter(|_| error.kind != ErrorKind::Credentials).map(|h| format!("\n  hint: {h}")).unwrap_or_default();
    format!("  error: {error}{hint}\n")
}

fn print(text: &str) -> Result<(), Failed> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))
}
