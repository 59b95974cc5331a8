//! The part of the cache that outlives the process: a store per connection, opened when it is first needed. Owns what may be kept there.
//! Refuses secrets, and whatever cannot be told to be none; whatever goes wrong with it is a miss and a notice, never an error.

use super::Clock;
use super::key::{self, Master};
use super::saver::{Job, Notices, Saver, say, unpack};
use super::seal::{Id, StoreKey};
use super::settings::DiskCache;
use super::store::{Found, Store};
use crate::read_op::may_be_kept;
use crate::redact::Redactions;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Answers on disk.
#[derive(Debug)]
pub(crate) struct Disk {
    settings: DiskCache,
    clock: Clock,
    /// Connections whose answers are not kept.
    off: HashSet<Arc<str>>,
    /// Members that tables call secret.
    pub(super) redactions: Redactions,
    master: OnceLock<Option<Master>>,
    stores: Mutex<HashMap<Arc<str>, Option<Arc<Store>>>>,
    saver: Saver,
    notices: Notices,
}

/// Where the answer to a request stands, or would.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    store: Arc<Store>,
    id: Id,
}

impl Disk {
    pub(super) fn new(settings: DiskCache, clock: Clock, off: HashSet<Arc<str>>, redactions: Redactions) -> Disk {
        let notices = Notices::default();
        let saver = Saver::new(clock.clone(), settings.max_bytes, notices.clone());
        Disk { settings, clock, off, redactions, master: OnceLock::new(), stores: Mutex::default(), saver, notices }
    }

    /// May answers of this operation be kept? Not where it hands out secrets, where a table calls a member of its answers secret, or where
    /// answers hold texts in which people put secrets.
    pub(super) fn may_keep(&self, connection: &str, service: &str, operation: &str) -> bool {
        !self.off.contains(connection) && may_be_kept(service, operation) && !self.redactions.touches(service, operation)
    }

    /// The place of a request, by the parts that make it what it is; `None` if the disk cannot be used.
    pub(crate) fn place(&self, connection: &Arc<str>, parts: &[&[u8]]) -> Option<Place> {
        let store = self.store(connection)?;
        let id = store.key().id(parts);
        Some(Place { store, id })
    }

    fn stores(&self) -> MutexGuard<'_, HashMap<Arc<str>, Option<Arc<Store>>>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, connection: &Arc<str>) -> Option<Arc<Store>> {
        let mut stores = self.stores();
        if let Some(known) = stores.get(connection) {
            return known.clone();
        }
        let opened = self.open(connection);
        stores.insert(connection.clone(), opened.clone());
        opened
    }

    fn open(&self, connection: &str) -> Option<Arc<Store>> {
        let unused = |why: &str| say(&self.notices, format!("the cache on disk is not used: {why}"));
        let master = self.master.get_or_init(|| key::master(&self.settings).map_err(|why| unused(&why)).ok());
        let key = StoreKey::new(master.as_ref()?, connection)?;
        let folder = self.settings.store_of(connection);
        match Store::open(folder.clone(), key, self.clock.wall().timestamp_micros()) {
            Ok((store, foreign)) => {
                if foreign > 0 {
                    self.damaged(connection);
                }
                Some(Arc::new(store))
            }
            Err(e) => {
                unused(&format!("cannot open {}: {e}", folder.display()));
                None
            }
        }
    }

    /// Said once, however much of it there is.
    fn damaged(&self, connection: &str) {
        let text = format!("the cache on disk of {connection} was changed, cut off or made with another key: that part is asked again");
        say(&self.notices, text);
    }

    /// All pages of an answer that is younger than `ttl`, and when it was asked for.
    pub(super) fn get(&self, place: &Place, ttl: Duration) -> Option<(Vec<Value>, DateTime<Utc>)> {
        let damaged = || {
            let stores = self.stores();
            let name = stores.iter().find(|(_, store)| store.as_ref().is_some_and(|s| Arc::ptr_eq(s, &place.store)));
            if let Some((connection, _)) = name {
                self.damaged(connection);
            }
        };
        match place.store.get(&place.id, self.clock.wall().timestamp_micros(), ttl) {
            Found::Answer(bytes, asked) => match (unpack(&bytes), DateTime::from_timestamp_micros(asked)) {
                (Some(pages), Some(asked)) => Some((pages, asked)),
                _ => {
                    damaged();
                    None
                }
            },
            Found::Nothing => None,
            Found::Damaged => {
                damaged();
                None
            }
        }
    }

    /// Keeps all pages of an answer; they are of use for `ttl`.
    pub(super) fn put(&self, place: Place, pages: Vec<Arc<Value>>, asked: DateTime<Utc>, ttl: Duration) {
        let until = chrono::TimeDelta::from_std(ttl).ok().and_then(|ttl| asked.checked_add_signed(ttl));
        let until = until.map_or(i64::MAX, |until| until.timestamp_micros());
        self.saver.write(Job { store: place.store, id: place.id, asked: asked.timestamp_micros(), until, pages });
    }

    /// Removes what is kept, of the connections that were not used as well.
    pub(super) fn clear(&self) {
        self.saver.finish();
        let failed = |e: std::io::Error| say(&self.notices, format!("the cache on disk cannot be cleared: {e}"));
        for store in self.stores().values().flatten() {
            if let Err(e) = store.clear() {
                failed(e);
            }
        }
        if let Err(e) = self.settings.clear(&[]) {
            failed(e);
        }
    }

    /// Waits until everything is written; gives what people should know, once.
    pub(super) fn finish(&self) -> Vec<String> {
        self.saver.finish();
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}
