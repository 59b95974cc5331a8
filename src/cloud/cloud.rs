//! The door of the room: a read operation, a scope and an input go in, JSON comes out. Cache, then single flight, then
//! limiter, then HTTP with credentials and retries; or a recording.

mod known;

pub use known::{Pace, is_paged};

use crate::azure::principal::{Http, Principal};
use crate::azure::subscriptions::{Tenant, tenant_login};
use crate::bundle::RecordedAccount;
use crate::caller::{Caller, OnBehalf, Target};
use crate::clock::Clock;
use crate::connection::AZURE;
use crate::credentials::{Login, Source, configured_region};
use crate::flight::Once;
use crate::limits::invalid;
use crate::organization::member_accounts;
use crate::recorder::Recorder;
use crate::registry::{Globs, Registry, unknown};
use crate::transport::{Clouds, Replay, Transport};
use crate::{
    Account, Bundle, CloudError, Config, Connection, ConnectionConfig, ErrorKind, ReadOp, Scope, Tally, azure, cache, listing, pages,
};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where answers come from.
#[derive(Debug, Clone)]
pub enum Mode {
    /// The clouds.
    Live,
    /// The clouds; every answer is also written into a bundle by [`Cloud::finish_recording`]. The clock stands at the start.
    Record(PathBuf),
    /// A bundle; nothing is called, the clock stands at the recording's time. Configured connections and limits are not looked at.
    Replay(Arc<Bundle>),
}

/// Settings of a [`Cloud`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections and limits.
    pub config: Config,
    /// Live, record or replay.
    pub mode: Mode,
    /// How long answers are reused; zero turns the cache off (single flight stays).
    pub cache_ttl: Duration,
    /// Ceiling for calls in flight, all services together.
    pub max_in_flight: usize,
}

/// All clouds of this process. Cheap to clone.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>, Sharing);

/// Whether the calls of a handle may have their answers from somewhere else than a call of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// From the cache, or from the same call already under way.
    Shared,
    /// Every call is made, after it was asked for.
    Own,
    /// From the cache; nothing is called.
    Known,
    /// As shared; calls that are made for rows are those of [`Cloud::for_rows`].
    Lists,
    /// From a recording, without any account of it: neither kept nor counted as calls.
    Rehearsed,
}

struct Inner {
    caller: Arc<Caller>,
    connections: Vec<Connection>,
    default: Vec<Arc<str>>,
    /// What stands behind each connection that is no aggregate.
    behind: HashMap<Arc<str>, Behind>,
    /// The clock of a recording or a replay.
    stopped_at: Option<DateTime<Utc>>,
    replayed: bool,
}

/// Profile, role and external id: connections that agree in them share a login.
type SameCredentials = (Option<String>, Option<String>, Option<String>);

/// How the accounts of a connection are found.
enum Behind {
    /// One account, one login.
    One(Arc<Account>),
    /// An organization, listed on first use.
    Organization { own: Arc<Account>, listed: Once<Vec<Arc<Account>>> },
    /// An Azure connection: its tenant, and its subscriptions, listed on first use.
    Azure(Tenant),
    /// As recorded; the tenant is that of an Azure connection.
    Recorded { accounts: Result<Vec<Arc<Account>>, CloudError>, tenant: Option<Arc<Account>> },
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("connections", &self.0.connections.len()).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Reads configuration and shared files; makes no call.
    ///
    /// # Errors
    /// `Invalid` for a configuration that contradicts itself.
    pub async fn open(options: Options) -> Result<Cloud, CloudError> {
        let recorder = match &options.mode {
            Mode::Replay(bundle) => return Cloud::replay(bundle.clone(), &options),
            Mode::Live => None,
            Mode::Record(path) => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
                if let Some(folder) = folder.filter(|f| !f.is_dir()) {
                    return Err(invalid(format!("cannot record into {}: there is no folder {}", path.display(), folder.display())));
                }
                Some(Recorder::new(path.clone(), Utc::now()))
            }
        };
        Cloud::live(&options, Clock::real(), Arc::new(Clouds::default()), recorder).await
    }

    pub(crate) async fn live(
        options: &Options,
        clock: Clock,
        transport: Arc<dyn Transport>,
        recorder: Option<Recorder>,
    ) -> Result<Cloud, CloudError> {
        let http = Http::default();
        let principal = |c: &Connection| Principal::new(c.name.clone(), c.config.clone(), http.clone());
        Cloud::live_as(options, clock, transport, recorder, &principal).await
    }

    /// `principal` makes that of an Azure connection.
    pub(crate) async fn live_as(
        options: &Options,
        clock: Clock,
        transport: Arc<dyn Transport>,
        recorder: Option<Recorder>,
        principal: &(dyn Fn(&Connection) -> Principal + Sync),
    ) -> Result<Cloud, CloudError> {
        let registry = Registry::read(&options.config)?;
        let http = crate::http::client()?;
        let mut logins: HashMap<SameCredentials, Arc<Login>> = HashMap::new();
        let mut by_connection: Vec<(Connection, Arc<Login>)> = Vec::new();
        for connection in registry.connections.iter().filter(|c| c.config.aggregate.is_empty()) {
            if connection.cloud() == AZURE {
                let login = tenant_login(&connection.name, Arc::new(principal(connection)));
                by_connection.push((connection.clone(), Arc::new(login)));
                continue;
            }
            let ConnectionConfig { profile, role_arn, external_id, .. } = &connection.config;
            let same = (profile.clone(), role_arn.clone(), external_id.clone());
            let login = match logins.get(&same) {
                Some(login) => login.clone(),
                None => {
                    let region = configured_region(profile.as_deref()).await;
                    let source = match profile {
                        Some(name) => Source::Profile { name: name.clone(), http: http.clone() },
                        None => Source::Ambient { http: http.clone() },
                    };
                    let own = Login::new(connection.name.clone(), region, source);
                    Arc::new(match role_arn {
                        Some(arn) => Login::role(connection.name.clone(), &Arc::new(own), arn.clone(), external_id.clone()),
                        None => own,
                    })
                }
            };
            logins.insert(same, login.clone());
            by_connection.push((connection.clone(), login));
        }
        let mut limits = HashMap::new();
        for (connection, login) in &by_connection {
            if let Some(own) = registry.limits.get(&connection.name) {
                limits.entry(login.key.clone()).or_insert_with(|| own.clone());
            }
        }
        let stopped_at = recorder.as_ref().map(Recorder::recorded_at);
        // A recording holds what the clouds say now.
        let settings = options.config.disk.as_ref().filter(|_| recorder.is_none());
        let off = by_connection.iter().filter(|(c, _)| c.config.cache == Some(false)).map(|(c, _)| c.name.clone());
        let disk = cache::disk(settings, &clock, off);
        let caller = Arc::new(Caller::new(clock, transport, options.cache_ttl, options.max_in_flight, limits, recorder, disk));
        let mut behind = HashMap::new();
        for (connection, login) in by_connection {
            let own = Arc::new(Account {
                connection: connection.name.clone(),
                key: connection.name.clone(),
                wanted: wanted(&connection.config.regions)?,
                login,
                caller: caller.clone(),
            });
            let found = match connection.config.organization {
                _ if connection.cloud() == AZURE => Behind::Azure(Tenant::new(own, &connection.config.subscriptions)?),
                Some(_) => Behind::Organization { own, listed: Once::new() },
                None => Behind::One(own),
            };
            behind.insert(connection.name, found);
        }
        let inner = Inner { caller, connections: registry.connections, default: registry.default, behind, stopped_at, replayed: false };
        Ok(Cloud(Arc::new(inner), Sharing::Shared))
    }

    fn replay(bundle: Arc<Bundle>, options: &Options) -> Result<Cloud, CloudError> {
        let header = &bundle.header;
        let caller = Arc::new(Caller::new(
            Clock::real(),
            Arc::new(Replay(bundle.clone())),
            options.cache_ttl,
            options.max_in_flight,
            HashMap::new(),
            None,
            None,
        ));
        let missing = |what: &str| CloudError::new(ErrorKind::NotRecorded, "NotRecorded", format!("the bundle does not say {what}"));
        let mut logins = HashMap::new();
        for recorded in &header.logins {
            let mut login = Login::new(&*recorded.key, &*recorded.region, Source::Recorded);
            login.refused.clone_from(&recorded.refused);
            match recorded.identity.clone().unwrap_or_else(|| Err(missing("which account this is"))) {
                Ok(identity) => login.identity.set(identity),
                Err(e) => login.identity.refuse(e),
            }
            match recorded.regions.clone().unwrap_or_else(|| Err(missing("which regions the account has"))) {
                Ok(names) => login.enabled_regions.set(names.into_iter().map(Arc::from).collect()),
                Err(e) => login.enabled_regions.refuse(e),
            }
            logins.insert(&*recorded.key, Arc::new(login));
        }
        let mut connections = Vec::new();
        let mut behind = HashMap::new();
        for recorded in &header.connections {
            let name: Arc<str> = recorded.name.as_str().into();
            if recorded.members.is_empty() {
                let wanted = wanted(&recorded.regions)?;
                let of_connection = |recorded: &RecordedAccount| {
                    (recorded.connection == *name).then(|| {
                        Some(Arc::new(Account {
                            connection: name.clone(),
                            key: recorded.key.as_str().into(),
                            login: logins.get(&*recorded.login)?.clone(),
                            wanted: wanted.clone(),
                            caller: caller.clone(),
                        }))
                    })?
                };
                let accounts: Vec<_> = header.accounts.iter().filter_map(of_connection).collect();
                let tenant = header.tenants.iter().find_map(of_connection);
                let found = match header.failed.get(&recorded.name) {
                    Some(e) => Err(e.clone()),
                    None if accounts.is_empty() => Err(missing(&format!("which accounts are behind connection {name}"))),
                    None => Ok(accounts),
                };
                behind.insert(name.clone(), Behind::Recorded { accounts: found, tenant });
            }
            let members = recorded.members.iter().map(|m| m.as_str().into()).collect();
            let (cloud, regions) = (recorded.cloud.clone(), recorded.regions.clone());
            let config = ConnectionConfig { cloud, regions, ..ConnectionConfig::default() };
            connections.push(Connection { name, members, config });
        }
        connections.sort_by(|a, b| a.name.cmp(&b.name));
        let default = header.default.iter().map(|d| d.as_str().into()).collect();
        let inner = Inner { caller, connections, default, behind, stopped_at: Some(bundle.recorded_at), replayed: true };
        Ok(Cloud(Arc::new(inner), Sharing::Shared))
    }

    /// Every configured connection, aggregates included, by name.
    pub fn connections(&self) -> &[Connection] {
        &self.0.connections
    }

    /// The connections that unqualified names mean.
    pub fn default_connections(&self) -> &[Arc<str>] {
        &self.0.default
    }

    /// Accounts behind a connection in stable order: members of an aggregate in its order, of an organization or an Azure connection by
    /// id. Organizations cost ListAccounts, once; Azure connections the list of subscriptions, once. An aggregate has each account once, which takes their identities; if two of its members reach the same
    /// account, the first one's credentials are used for the regions of both.
    ///
    /// # Errors
    /// The failed call, or `Invalid` for an unknown connection.
    pub async fn accounts(&self, connection: &str) -> Result<Vec<Arc<Account>>, CloudError> {
        let mut names = Vec::new();
        self.flatten(connection, &mut names)?;
        let found = join_all(names.iter().map(|name| self.accounts_of(name))).await;
        let mut accounts: Vec<Arc<Account>> = Vec::new();
        for account in found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        if names.len() > 1 && !self.is_offline() { each_once(accounts).await } else { Ok(accounts) }
    }

    /// The tenants behind a connection, for tables that are asked once per tenant: one per Azure connection behind it. An aggregate has
    /// each tenant once, which takes their identities.
    ///
    /// # Errors
    /// `Invalid` for an unknown connection.
    pub async fn tenants(&self, connection: &str) -> Result<Vec<Arc<Account>>, CloudError> {
        let mut names = Vec::new();
        self.flatten(connection, &mut names)?;
        let mut tenants = Vec::new();
        for name in &names {
            let tenant = match self.0.behind.get(name) {
                Some(Behind::Azure(tenant)) => Some(tenant.own.clone()),
                Some(Behind::Recorded { tenant, .. }) => tenant.clone(),
                _ => None,
            };
            if let (Some(recorder), Some(tenant)) = (&self.0.caller.recorder, &tenant) {
                recorder.tenant(tenant);
            }
            tenants.extend(tenant);
        }
        if names.len() > 1 && !self.is_offline() { each_once(tenants).await } else { Ok(tenants) }
    }

    /// The real connections that a name stands for, in order.
    fn flatten(&self, connection: &str, into: &mut Vec<Arc<str>>) -> Result<(), CloudError> {
        let Some(found) = self.0.connections.iter().find(|c| &*c.name == connection) else {
            let known = self.0.connections.iter().map(|c| &*c.name).collect();
            return Err(invalid(unknown(connection, &known)));
        };
        if found.members.is_empty() && !into.contains(&found.name) {
            into.push(found.name.clone());
        }
        found.members.iter().try_for_each(|member| self.flatten(member, into))
    }

    async fn accounts_of(&self, connection: &Arc<str>) -> Result<Vec<Arc<Account>>, CloudError> {
        if self.is_offline() {
            return self.known_accounts(connection);
        }
        let accounts = match self.0.behind.get(connection) {
            Some(Behind::One(account)) => Ok(vec![account.clone()]),
            Some(Behind::Azure(tenant)) => {
                if let Some(recorder) = &self.0.caller.recorder {
                    recorder.tenant(&tenant.own);
                }
                tenant.subscriptions().await
            }
            Some(Behind::Recorded { accounts, .. }) => accounts.clone(),
            Some(Behind::Organization { own, listed }) => {
                let config = self.0.connections.iter().find(|c| c.name == *connection).and_then(|c| c.config.organization.clone());
                listed.find(|| member_accounts(own.clone(), config.unwrap_or_default())).await
            }
            None => Err(invalid(format!("connection {connection} has no accounts"))),
        };
        if let Some(recorder) = &self.0.caller.recorder {
            recorder.accounts(connection, &accounts);
        }
        accounts
    }

    #[cfg(test)]
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.0.caller
    }

    /// One call, one answer. Refusals (denied, not found, other service errors) are answers too: they are cached like them, so that a
    /// denied call is made once; throttles, faults and missing credentials are not. `tally` should descend from [`Cloud::tally`], which
    /// is then counted up with it; nothing else counts into that one.
    ///
    /// # Errors
    /// The failed call, after the official retries.
    pub async fn call(&self, scope: &Scope, op: &ReadOp, input: Value, tally: &Tally) -> Result<Arc<Value>, CloudError> {
        let who = OnBehalf { login: &scope.account.login, connection: &scope.account.connection };
        match self.1 {
            Sharing::Shared | Sharing::Lists => self.0.caller.call(who, &scope.region, op.service(), op.operation(), input, tally).await,
            Sharing::Own => self.0.caller.call_alone(who, &scope.region, op.service(), op.operation(), input, tally).await,
            Sharing::Rehearsed => self.0.caller.rehearse(who, &scope.region, op.service(), op.operation(), input, tally).await,
            Sharing::Known => self.0.caller.known(who, &scope.region, op.service(), op.operation(), &input, tally),
        }
    }

    /// A handle whose calls are all made, after they were asked for: neither from the cache, whatever its time to live, nor shared with
    /// the same call that somebody else has under way. For whoever must see what a write has just changed. Nothing it is answered is kept.
    #[must_use]
    pub fn fresh(&self) -> Cloud {
        Cloud(self.0.clone(), Sharing::Own)
    }

    /// All pages of a call, in order, asked one by one as the stream is polled. Operations without a paginator give one page.
    /// Stops with an error when a token repeats. `page_size` sets the paginator's limit member where there is one; `None`: its largest useful value.
    pub fn pages(
        &self,
        scope: &Scope,
        op: &ReadOp,
        input: Value,
        page_size: Option<u32>,
        tally: &Tally,
    ) -> BoxStream<'static, Result<Arc<Value>, CloudError>> {
        let (cloud, scope, op, tally) = (self.clone(), scope.clone(), op.clone(), tally.clone());
        let paging = pages::of(op.service(), op.operation());
        let input = pages::first_input(paging.as_ref(), op.service(), op.operation(), input, page_size);
        let context = (op.clone(), scope.clone());
        let stream = match self.1 {
            Sharing::Shared | Sharing::Lists => {
                let who = OnBehalf { login: &scope.account.login, connection: &scope.account.connection };
                let target = Target { who, region: &scope.region, service: op.service(), operation: op.operation() };
                listing::pages(&self.0.caller, target, input, &tally)
            }
            Sharing::Own | Sharing::Known | Sharing::Rehearsed => pages::follow(paging, input, move |input| {
                let (cloud, scope, op, tally) = (cloud.clone(), scope.clone(), op.clone(), tally.clone());
                async move { cloud.call(&scope, &op, input, &tally).await }
            })
            .boxed(),
        };
        stream.map(move |page| page.map_err(|e| labelled(e, &context))).boxed()
    }

    /// Do answers come from a bundle?
    pub fn is_replay(&self) -> bool {
        self.0.replayed
    }

    /// Is every answer also written into a bundle?
    pub fn is_recording(&self) -> bool {
        self.0.caller.recorder.is_some()
    }

    /// Now; in a replay, the recording's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.stopped_at.unwrap_or_else(Utc::now)
    }

    /// Calls of this process so far: those that this room makes by itself, and those counted by descendants of this tally.
    pub fn tally(&self) -> &Tally {
        &self.0.caller.tally
    }

    /// Forgets every cached answer, in memory and on disk, and that credentials could not be had.
    pub fn clear_cache(&self) {
        self.0.caller.clear_cache();
        for behind in self.0.behind.values() {
            match behind {
                Behind::One(own) | Behind::Organization { own, .. } => own.login.forget_failure(),
                Behind::Azure(tenant) => tenant.forget_failure(),
                Behind::Recorded { .. } => {}
            }
            if let Behind::Organization { listed, .. } = behind {
                listed.get().iter().flatten().for_each(|account| account.login.forget_failure());
            }
        }
    }

    /// Changes how long answers are reused.
    pub fn set_cache_ttl(&self, ttl: Duration) {
        self.0.caller.set_cache_ttl(ttl);
    }

    /// Are answers kept for the next process? Then, as in a recording, every secret member has to be named before the first call.
    pub fn keeps_on_disk(&self) -> bool {
        self.0.caller.cache.on_disk()
    }

    /// Keeps a member of an operation's answers out of the recording: names joined by dots, lists entered by themselves; and answers of
    /// that operation off the disk. To be called before the run. Members whose name says that they are secret are always left out.
    pub fn redact(&self, service: &str, operation: &str, path: &str) {
        self.0.caller.cache.redact(service, operation, path);
        if let Some(recorder) = &self.0.caller.recorder {
            recorder.redactions.add(service, operation, path);
        }
    }

    /// Writes what the disk is still to keep, and waits for it; gives what people should know about the disk.
    pub fn finish_cache(&self) -> Vec<String> {
        self.0.caller.cache.finish()
    }

    /// Writes the bundle of a recording (temporary file, mode 0600, renamed); does nothing in the other modes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish_recording(&self) -> Result<(), crate::BundleError> {
        self.0.caller.recorder.as_ref().map_or(Ok(()), |r| r.finish(&self.0.connections, &self.0.default))
    }
}

fn wanted(regions: &[String]) -> Result<Arc<Globs>, CloudError> {
    Globs::read("regions", regions).map(Arc::new)
}

/// A paging error names its call, as the call's own errors do.
fn labelled(e: CloudError, (op, scope): &(ReadOp, Scope)) -> CloudError {
    if !e.operation.is_empty() {
        return e;
    }
    let account = scope.account.known_identity().map_or_else(|| scope.account.connection.to_string(), |i| i.account_id.to_string());
    let region = if azure::is_api(op.service()) { String::new() } else { scope.region.to_string() };
    CloudError { service: op.service().to_owned(), operation: op.operation().to_owned(), account, region, ..e }
}

/// Accounts that turn out to be the same become one, with the regions of all. One whose identity cannot be found out stays: what is
/// wrong with it shows when it is read.
async fn each_once(accounts: Vec<Arc<Account>>) -> Result<Vec<Arc<Account>>, CloudError> {
    if accounts.len() < 2 {
        return Ok(accounts);
    }
    let identities = join_all(accounts.iter().map(|a| a.identity())).await;
    let mut kept: Vec<Arc<Account>> = Vec::new();
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for (account, identity) in accounts.into_iter().zip(identities) {
        let Ok(identity) = identity else {
            kept.push(account);
            continue;
        };
        match places.get(&identity.account_id) {
            None => {
                places.insert(identity.account_id, kept.len());
                kept.push(account);
            }
            Some(place) => {
                let first = &kept[*place];
                if first.wanted.text() != account.wanted.text() {
                    kept[*place] = Arc::new(Account {
                        connection: first.connection.clone(),
                        key: first.key.clone(),
                        login: first.login.clone(),
                        wanted: Arc::new(first.wanted.or(&account.wanted)?),
                        caller: first.caller.clone(),
                    });
                }
            }
        }
    }
    Ok(kept)
}
