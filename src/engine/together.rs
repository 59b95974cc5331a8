//! Scopes that one call of a summary is about: those that a scan asks on a connection, in groups of a bounded size.
//!
//! Owns: which scopes share a call, so that all of them make the same one, and that a call which failed is not made again for each of them.
//! Refuses: scopes that cannot be read; those are asked by themselves, and say why.

use assay_cloud::Scope;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Scopes of a group, so that no answer grows without bound.
const MOST: usize = 100;

/// Scopes that are asked about with the same call.
#[derive(Debug)]
pub(crate) struct Group {
    /// Ids of their accounts, sorted.
    ids: Vec<Arc<str>>,
    /// Why the call could not be made; `None` where that is nobody's concern.
    given_up: OnceLock<Option<String>>,
}

impl Group {
    /// What the call is about.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(AsRef::as_ref)
    }

    /// Why the others of the group found that it cannot be asked, if they have.
    pub(crate) fn given_up(&self) -> Option<&Option<String>> {
        self.given_up.get()
    }

    /// Tells the others of the group. What the first one says counts.
    pub(crate) fn give_up(&self, why: Option<String>) {
        self.given_up.get_or_init(|| why);
    }
}

/// The groups of a scan, by connection.
#[derive(Debug, Default)]
pub(crate) struct Together(BTreeMap<Arc<str>, Vec<Arc<Group>>>);

impl Together {
    /// Of the scopes of a scan.
    pub(crate) fn of(scopes: &[Scope]) -> Together {
        let mut ids: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for scope in scopes.iter().filter(|scope| !scope.account.is_refused()) {
            if let Some(identity) = scope.account.known_identity() {
                ids.entry(Arc::clone(&scope.account.connection)).or_default().push(identity.account_id);
            }
        }
        let groups = |mut ids: Vec<Arc<str>>| {
            ids.sort_unstable();
            ids.dedup();
            // As even as can be: the last one is no smaller than it has to be.
            let size = ids.len().div_ceil(ids.len().div_ceil(MOST));
            ids.chunks(size).map(|ids| Arc::new(Group { ids: ids.to_vec(), given_up: OnceLock::new() })).collect()
        };
        Together(ids.into_iter().map(|(connection, ids)| (connection, groups(ids))).collect())
    }

    /// The group of a scope, if it is fewer calls to ask with the others of its connection than to list each; `calls` of a group.
    pub(crate) fn group(&self, scope: &Scope, calls: usize) -> Option<&Arc<Group>> {
        let groups = self.0.get(&scope.account.connection).filter(|groups| saves(groups, calls))?;
        let id = scope.account.known_identity().filter(|_| !scope.account.is_refused())?.account_id;
        groups.iter().find(|group| group.ids.binary_search(&id).is_ok())
    }

    /// How many groups ask together.
    pub(crate) fn groups(&self, calls: usize) -> usize {
        self.0.values().filter(|groups| saves(groups, calls)).map(Vec::len).sum()
    }
}

fn saves(groups: &[Arc<Group>], calls: usize) -> bool {
    groups.iter().map(|group| group.ids.len()).sum::<usize>() > groups.len() * calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_cloud::{Bundle, Cloud, Config, Mode, Options};
    use std::time::Duration;

    async fn scopes(counts: &[usize]) -> Vec<Scope> {
        let mut bundle = Bundle::new("2026-04-01T12:00:00Z".parse().unwrap());
        for (connection, count) in counts.iter().enumerate() {
            for n in (0..*count).rev() {
                bundle.subscription(&format!("c{connection}"), &format!("{n:08x}-0000-4000-8000-{connection:012x}"), "t");
            }
        }
        let mode = Mode::Replay(Arc::new(bundle));
        let options = Options { config: Config::default(), mode, cache_ttl: Duration::from_secs(300), max_in_flight: 100 };
        let cloud = Cloud::open(options).await.unwrap();
        let mut scopes = Vec::new();
        for connection in 0..counts.len() {
            let accounts = cloud.accounts(&format!("c{connection}")).await.unwrap();
            scopes.extend(accounts.into_iter().map(|account| Scope { region: account.home_region(), account }));
        }
        scopes
    }

    #[tokio::test]
    async fn groups_are_even_and_only_where_they_save_calls() {
        for (counts, groups, sizes) in [
            (&[2][..], 0, &[][..]),
            (&[3], 1, &[3]),
            (&[3, 2], 1, &[3]),
            (&[100], 1, &[100]),
            (&[101], 2, &[50, 51]),
            (&[5, 201], 4, &[5, 67, 67, 67]),
        ] {
            let scopes = scopes(counts).await;
            let together = Together::of(&scopes);
            let mut seen: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
            for scope in &scopes {
                if let Some(group) = together.group(scope, 2) {
                    assert!(group.ids().any(|id| id == &*scope.account.known_identity().unwrap().account_id));
                    *seen.entry(group.ids().collect()).or_default() += 1;
                }
            }
            let mut found: Vec<usize> = seen
                .iter()
                .map(|(ids, scopes)| {
                    assert_eq!(ids.len(), *scopes);
                    *scopes
                })
                .collect();
            found.sort_unstable();
            assert_eq!((together.groups(2), found.as_slice()), (groups, sizes), "{counts:?}");
            assert!(seen.keys().all(|ids| ids.is_sorted()));
        }
    }

    #[tokio::test]
    async fn what_one_scope_finds_the_others_need_not() {
        let scopes = scopes(&[4]).await;
        let together = Together::of(&scopes);
        let group = |n: usize| together.group(&scopes[n], 2).unwrap();
        assert_eq!(group(0).given_up(), None);
        group(0).give_up(Some("denied".to_owned()));
        group(1).give_up(None);
        assert_eq!(group(3).given_up(), Some(&Some("denied".to_owned())));
    }
}
