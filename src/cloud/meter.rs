//! Which distinct calls were asked for, whoever answered them: the ground of estimates. A call that the cache answered counts, for the next
//! process has to make it; asking the same again does not.
//!
//! Owns: numbers by account, region and operation. Refuses: to keep what a call was about, names or answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Distinct calls that are told apart; of more, only that there were more is known.
const MOST_CALLS: usize = 1 << 20;

/// Where a call goes and what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The key of the login: the connection, plus the account's id for members of an organization and subscriptions.
    pub login: Arc<str>,
    /// The region.
    pub region: Arc<str>,
    /// The service, or the API of Azure.
    pub service: Arc<str>,
    /// The operation.
    pub operation: Arc<str>,
}

/// Distinct calls of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The table that asks for them, of several the first by name; empty where no table does: scopes, credentials.
    pub table: Arc<str>,
    /// Where.
    pub place: Place,
    /// How many.
    pub calls: u64,
    /// Equal where the calls are the same ones; says nothing of what they are about.
    pub mark: u32,
}

/// Counts distinct calls. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Hash of the call → its place, and who asked first by name.
    calls: HashMap<u64, (usize, usize)>,
    places: Interned<Place>,
    tables: Interned<Arc<str>>,
    overflowed: bool,
}

/// Values by number.
#[derive(Debug)]
struct Interned<T> {
    numbers: HashMap<T, usize>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Interned<T> {
        Interned { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: &T) -> usize {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), self.values.len() - 1);
        self.values.len() - 1
    }
}

impl State {
    fn add(&mut self, hash: u64, place: &Place, table: &Arc<str>) {
        let number = self.tables.number(table);
        if let Some((_, first)) = self.calls.get_mut(&hash) {
            if self.tables.values[*first] > *table {
                *first = number;
            }
        } else if self.calls.len() >= MOST_CALLS {
            self.overflowed = true;
        } else {
            let place = self.places.number(place);
            self.calls.insert(hash, (place, number));
        }
    }
}

impl Meter {
    /// A call was asked for; `key` is what tells it from others.
    pub(crate) fn asked(&self, key: &str, place: &Place, table: &Arc<str>) {
        self.lock().add(hash(key), place, table);
    }

    /// Adds what another one counted.
    pub fn merge(&self, other: &Meter) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let other = other.lock();
        let mut state = self.lock();
        state.overflowed |= other.overflowed;
        for (hash, (place, table)) in &other.calls {
            state.add(*hash, &other.places.values[*place], &other.tables.values[*table]);
        }
    }

    /// What was counted, by table and place; `None` where there were too many calls to tell them apart.
    pub fn read(&self) -> Option<Vec<Metered>> {
        let state = self.lock();
        if state.overflowed {
            return None;
        }
        let mut cells: BTreeMap<(&Arc<str>, &Place), (u64, u64)> = BTreeMap::new();
        for (hash, (place, table)) in &state.calls {
            let cell = cells.entry((&state.tables.values[*table], &state.places.values[*place])).or_default();
            cell.0 += 1;
            cell.1 ^= hash;
        }
        let metered = |((table, place), (calls, mark)): ((&Arc<str>, &Place), (u64, u64))| Metered {
            table: Arc::clone(table),
            place: place.clone(),
            calls,
            // Half of it: enough to tell sets apart, too little to find out what a lone call was about.
            mark: u32::try_from(mark >> 32).unwrap_or_default(),
        };
        Some(cells.into_iter().map(metered).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, the same in every process. Source: https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
fn hash(text: &str) -> u64 {
    let mixed = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(operation: &str) -> Place {
        Place { login: "aws".into(), region: "us-east-1".into(), service: "iam".into(), operation: operation.into() }
    }

    fn read(meter: &Meter) -> Vec<(String, String, u64)> {
        meter.read().unwrap().into_iter().map(|m| (m.table.to_string(), m.place.operation.to_string(), m.calls)).collect()
    }

    #[test]
    fn a_call_counts_once_for_the_first_table_by_name() {
        let meter = Meter::default();
        for (key, operation, table) in [
            ("a", "ListUsers", "user"),
            ("a", "ListUsers", "key"),
            ("b", "ListAccessKeys", "key"),
            ("c", "ListAccessKeys", "key"),
            ("b", "ListAccessKeys", "key"),
        ] {
            meter.asked(key, &place(operation), &Arc::from(table));
        }
        assert_eq!(read(&meter), [("key".into(), "ListAccessKeys".into(), 2), ("key".into(), "ListUsers".into(), 1)]);
    }

    #[test]
    fn the_same_calls_have_the_same_mark_in_any_order() {
        let marks = |keys: &[&str]| {
            let meter = Meter::default();
            keys.iter().for_each(|key| meter.asked(key, &place("GetUser"), &Arc::from("t")));
            meter.read().unwrap()[0].mark
        };
        assert_eq!(marks(&["x", "y", "z"]), marks(&["z", "x", "y", "x"]));
        assert_ne!(marks(&["x", "y", "z"]), marks(&["x", "y"]));
    }
}
