//! `assay doctor`: versions, the configuration in use, and for each connection where its credentials come from, who they are and what they
//! reach: regions of accounts, subscriptions of tenants. Names credential sources; never shows a credential.

use crate::args::Global;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::Session;
use assay_cloud::{Account, Cloud, CloudError, Connection, ErrorKind, ReadOp, Scope};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

/// The version of Resource Manager's list of subscriptions: that of discovery and of the table, so that it is asked once.
const SUBSCRIPTIONS: &str = "2022-12-01";

/// What was found.
#[derive(Debug, Default)]
struct Tally {
    working: usize,
    failed: usize,
    /// Connections that nobody configured and that have no credentials: not used, and no failure.
    unused: usize,
}

/// Looks at everything; fails when no connection works.
pub(crate) async fn exec(global: &Global, console: Console) -> Result<Exit, Failed> {
    let session = Session::today(global, console).await?;
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
    let doctor = Doctor {
        cloud: &session.cloud,
        live: !global.demo && global.replay.is_none(),
        // A connection that was asked for, by configuration or by name, has to work.
        ambient: session.config.cloud.connections.is_empty() && global.connection.is_empty(),
    };
    let mut tally = Tally::default();
    for connection in session.cloud.connections().iter().filter(|c| wanted(&c.name)) {
        if !connection.members.is_empty() {
            print(&format!("\n{}: aggregate of {}\n", connection.name, connection.members.join(", ")))?;
            continue;
        }
        print(&format!("\n{} ({})\n", connection.name, connection.cloud()))?;
        tokio::select! {
            checked = doctor.connection(connection, &mut tally) => checked?,
            () = crate::statement::interrupt() => return Err(Failed::new(Exit::Interrupted, "interrupted")),
        }
    }
    session.finish()?;
    match tally {
        Tally { working: 0, failed: 0, unused: 0 } => Err(Failed::new(Exit::Unavailable, "there is no connection to check")
            .hint("set AWS or Azure credentials, or describe connections in assay.yaml; `--demo` needs neither")),
        Tally { working: 0, .. } => {
            Err(Failed::new(Exit::Unavailable, "no connection works").hint("`--demo` shows assay without an account"))
        }
        Tally { failed: 0, .. } => Ok(Exit::Ok),
        Tally { working, failed, .. } => {
            console.warning(&format!("{failed} of {} accounts cannot be used", failed + working));
            Ok(Exit::Incomplete)
        }
    }
}

struct Doctor<'a> {
    cloud: &'a Cloud,
    live: bool,
    /// Nobody configured or named the connections.
    ambient: bool,
}

impl Doctor<'_> {
    async fn connection(&self, connection: &Connection, tally: &mut Tally) -> Result<(), Failed> {
        let tenants = match self.cloud.tenants(&connection.name).await {
            Ok(tenants) => tenants,
            Err(error) => return self.failed(&error, tally),
        };
        if !tenants.is_empty() {
            for tenant in tenants {
                self.tenant(connection, &tenant, tally).await?;
            }
            return Ok(());
        }
        let accounts = match self.cloud.accounts(&connection.name).await {
            Ok(accounts) => accounts,
            Err(error) => return self.failed(&error, tally),
        };
        for account in accounts {
            match self.account(&account).await {
                Ok(text) => {
                    tally.working += 1;
                    print(&text)?;
                }
                Err(error) => self.failed(&error, tally)?,
            }
        }
        Ok(())
    }

    fn failed(&self, error: &CloudError, tally: &mut Tally) -> Result<(), Failed> {
        if self.ambient && error.kind == ErrorKind::Credentials {
            tally.unused += 1;
            return print(&format!("  not used, there are no credentials: {}\n", error.message));
        }
        tally.failed += 1;
        print(&problem(error))
    }

    async fn source(&self, account: &Account) -> Result<String, CloudError> {
        if self.live { account.credential_source().await } else { Ok("recording".to_owned()) }
    }

    async fn account(&self, account: &Account) -> Result<String, CloudError> {
        let source = self.source(account).await?;
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

    /// A tenant, and each of its subscriptions that the connection wants.
    async fn tenant(&self, connection: &Connection, tenant: &Arc<Account>, tally: &mut Tally) -> Result<(), Failed> {
        match self.source(tenant).await {
            Ok(source) => print(&format!("  credentials: {source}\n"))?,
            Err(error) => return self.failed(&error, tally),
        }
        match tenant.identity().await {
            Ok(identity) => print(&format!("  tenant: {} ({})\n", identity.account_id, identity.partition))?,
            // Subscriptions may be readable all the same.
            Err(error) => print(&format!("  tenant: {error}\n"))?,
        }
        let subscriptions = match self.cloud.accounts(&connection.name).await {
            Ok(subscriptions) => subscriptions,
            Err(error) => return self.failed(&error, tally),
        };
        let names = self.names(tenant).await.unwrap_or_default();
        print(&format!("  subscriptions: {}\n", subscriptions.len()))?;
        for subscription in subscriptions {
            let id = subscription.known_identity().map_or_else(|| subscription.key.to_string(), |i| i.account_id.to_string());
            let name = names.get(&id).map(|name| format!(" {name}")).unwrap_or_default();
            match self.reads(&subscription, &id).await {
                Ok(()) => {
                    tally.working += 1;
                    print(&format!("    {id}{name}: {}\n", if self.live { "readable" } else { "recorded" }))?;
                }
                Err(error) => {
                    tally.failed += 1;
                    print(&format!("    {id}{name}: {}: {}\n", error.code, error.message))?;
                }
            }
        }
        Ok(())
    }

    /// Names of the subscriptions by id: from the answer that discovery got.
    async fn names(&self, tenant: &Arc<Account>) -> Result<BTreeMap<String, String>, CloudError> {
        let op = ReadOp::azure("arm", "GET /subscriptions")?;
        let input = json!({"path": "/subscriptions", "query": {"api-version": SUBSCRIPTIONS}});
        let scope = Scope { account: Arc::clone(tenant), region: "global".into() };
        let pages: Vec<Arc<Value>> = self.cloud.pages(&scope, &op, input, None, self.cloud.tally()).try_collect().await?;
        let all = pages.iter().filter_map(|page| page.get("value")?.as_array()).flatten();
        let text = |of: &Value, member: &str| of.get(member).and_then(Value::as_str).map(str::to_owned);
        Ok(all.filter_map(|s| Some((text(s, "subscriptionId")?.to_lowercase(), text(s, "displayName")?))).collect())
    }

    /// Asks a subscription for something that every reader may see. A recording need not have it.
    async fn reads(&self, subscription: &Arc<Account>, id: &str) -> Result<(), CloudError> {
        let op = ReadOp::azure("arm", "GET /subscriptions/{}/locations")?;
        let input = json!({"path": format!("/subscriptions/{id}/locations"), "query": {"api-version": SUBSCRIPTIONS}});
        let scope = Scope { account: Arc::clone(subscription), region: "global".into() };
        match self.cloud.call(&scope, &op, input, self.cloud.tally()).await {
            Err(error) if error.kind == ErrorKind::NotRecorded && !self.live => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
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
