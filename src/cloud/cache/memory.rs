//! Answers of this process, bounded in bytes; the oldest go first.

use super::{Answered, Asked, Listing, Outcome, size};
use crate::clock::Clock;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The part of the cache that ends with the process.
#[derive(Debug)]
pub(super) struct Memory {
    clock: Clock,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ttl: Duration,
    entries: HashMap<Arc<str>, Entry>,
    /// Keys in order of arrival; a key that was replaced stands here more than once, told apart by its number.
    order: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    asked: Asked,
    bytes: usize,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// One answer: perhaps a page of many.
    One(Outcome),
    /// All pages of a listing.
    Whole(Arc<[Arc<Value>]>),
}

impl Memory {
    pub(super) fn new(clock: Clock, ttl: Duration, max_bytes: usize) -> Memory {
        let state = State { ttl, entries: HashMap::new(), order: VecDeque::new(), bytes: 0, next: 0 };
        Memory { clock, max_bytes, state: Mutex::new(state) }
    }

    /// The answer to a call, the first page of a listing; not one that was asked for before `since`.
    pub(super) fn get(&self, key: &str, since: Option<Asked>) -> Option<Answered> {
        self.live(key, |entry| {
            let outcome = match &entry.kept {
                Kept::One(outcome) => outcome.clone(),
                Kept::Whole(pages) => Ok(pages.first()?.clone()),
            };
            since.is_none_or(|since| entry.asked.at >= since.at).then_some(Answered { outcome, asked: entry.asked })
        })
    }

    pub(super) fn listing(&self, key: &str) -> Option<Listing> {
        self.live(key, |entry| match &entry.kept {
            Kept::Whole(pages) => Some(Listing { pages: pages.clone(), asked: entry.asked }),
            Kept::One(_) => None,
        })
    }

    /// Looks at an entry that is not too old.
    fn live<T>(&self, key: &str, look: impl FnOnce(&Entry) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        let ttl = state.ttl;
        let entry = state.entries.get(key)?;
        let age = Duration::from_micros(u64::try_from(self.clock.micros() - entry.asked.at).unwrap_or(0));
        if age < ttl {
            return look(entry);
        }
        state.remove(key);
        None
    }

    pub(super) fn put(&self, key: &Arc<str>, answered: &Answered) {
        let bytes = answered.outcome.as_ref().map_or(256, |v| size(v));
        self.keep(key, bytes, answered.asked, Kept::One(answered.outcome.clone()));
    }

    pub(super) fn put_listing(&self, key: &Arc<str>, listing: &Listing) {
        let bytes = listing.pages.iter().map(|page| size(page)).sum();
        self.keep(key, bytes, listing.asked, Kept::Whole(listing.pages.clone()));
    }

    fn keep(&self, key: &Arc<str>, bytes: usize, asked: Asked, kept: Kept) {
        let bytes = key.len() + bytes;
        let mut state = self.lock();
        if state.ttl.is_zero() || bytes > self.max_bytes {
            return;
        }
        state.remove(key);
        state.next += 1;
        let number = state.next;
        state.bytes += bytes;
        state.order.push_back((number, key.clone()));
        state.entries.insert(key.clone(), Entry { number, asked, bytes, kept });
        while state.bytes > self.max_bytes {
            let Some((number, oldest)) = state.order.pop_front() else { break };
            if state.entries.get(&oldest).is_some_and(|e| e.number == number) {
                state.remove(&oldest);
            }
        }
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.order.clear();
        state.bytes = 0;
    }

    pub(super) fn ttl(&self) -> Duration {
        self.lock().ttl
    }

    pub(super) fn set_ttl(&self, ttl: Duration) {
        self.lock().ttl = ttl;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: &str) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes -= old.bytes;
        }
        // Replaced keys leave a stale place in the order; drop those before they outnumber the entries.
        if self.order.len() > 64 && self.order.len() > 2 * self.entries.len() {
            let entries = &self.entries;
            self.order.retain(|(number, key)| entries.get(key).is_some_and(|e| e.number == *number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    fn text(cache: &Memory, bytes: usize) -> Answered {
        let asked = Asked { at: cache.clock.micros(), wall: cache.clock.wall() };
        Answered { outcome: Ok(Arc::new(Value::String("x".repeat(bytes)))), asked }
    }

    #[test]
    fn answers_live_as_long_as_the_ttl() {
        let clock = Clock::manual();
        let cache = Memory::new(clock.clone(), Duration::from_secs(300), 1 << 20);
        cache.put(&key("a"), &text(&cache, 1));
        clock.advance(Duration::from_secs(299));
        assert!(cache.get("a", None).is_some());
        clock.advance(Duration::from_secs(1));
        assert!(cache.get("a", None).is_none());
        assert_eq!(cache.lock().bytes, 0);
        cache.put(&key("a"), &text(&cache, 1));
        cache.set_ttl(Duration::ZERO);
        assert!(cache.get("a", None).is_none());
        cache.put(&key("a"), &text(&cache, 1));
        assert!(cache.lock().entries.is_empty());
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let cache = Memory::new(Clock::manual(), Duration::from_secs(300), 3000);
        for name in ["a", "b", "c"] {
            cache.put(&key(name), &text(&cache, 1000));
        }
        assert!(cache.get("a", None).is_none() && cache.get("b", None).is_some() && cache.get("c", None).is_some());
        cache.put(&key("b"), &text(&cache, 1000));
        cache.put(&key("d"), &text(&cache, 1000));
        assert!(cache.get("c", None).is_none(), "b was renewed, so c is the oldest");
        assert!(cache.get("b", None).is_some() && cache.get("d", None).is_some());
        cache.put(&key("huge"), &text(&cache, 5000));
        assert!(cache.get("huge", None).is_none() && cache.get("d", None).is_some());
        assert!(cache.lock().bytes <= 3000);
    }

    #[test]
    fn replacing_a_key_for_ever_does_not_grow_the_order() {
        let cache = Memory::new(Clock::manual(), Duration::from_secs(300), 1 << 20);
        for _ in 0..10_000 {
            cache.put(&key("a"), &text(&cache, 1));
        }
        assert!(cache.lock().order.len() < 200);
    }

    #[test]
    fn a_page_is_not_older_than_the_one_before_it() {
        let clock = Clock::manual();
        let cache = Memory::new(clock.clone(), Duration::from_secs(300), 1 << 20);
        cache.put(&key("second"), &text(&cache, 1));
        clock.advance(Duration::from_secs(9));
        let first = text(&cache, 1);
        assert!(cache.get("second", Some(first.asked)).is_none(), "it belongs to an earlier listing");
        cache.put(&key("second"), &text(&cache, 1));
        assert!(cache.get("second", Some(first.asked)).is_some());
    }

    #[test]
    fn a_listing_answers_for_its_first_page() {
        let cache = Memory::new(Clock::manual(), Duration::from_secs(300), 1 << 20);
        let asked = text(&cache, 1).asked;
        let pages: Arc<[Arc<Value>]> = [Arc::new(Value::from(1)), Arc::new(Value::from(2))].into();
        cache.put_listing(&key("a"), &Listing { pages, asked: Asked { at: asked.at - 299_000_000, ..asked } });
        assert_eq!(cache.listing("a").unwrap().pages.len(), 2);
        assert_eq!(*cache.get("a", None).unwrap().outcome.unwrap(), Value::from(1));
        cache.clock.advance(Duration::from_secs(1));
        assert!(cache.listing("a").is_none(), "its age counts from when it was asked for");
    }
}
