//! Answers kept for a while, bounded in bytes; the oldest go first. Refusals are answers too: a denied call is asked once, not once per
//! table. Owns which answers may be kept; a failure that may pass by itself never is.

use crate::clock::Clock;
use crate::{CloudError, ErrorKind};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a call came to.
pub(crate) type Outcome = Result<Arc<Value>, CloudError>;

/// The response cache.
#[derive(Debug)]
pub(crate) struct Cache {
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
    at: Duration,
    bytes: usize,
    outcome: Outcome,
}

impl Cache {
    pub(crate) fn new(clock: Clock, ttl: Duration, max_bytes: usize) -> Cache {
        let state = State { ttl, entries: HashMap::new(), order: VecDeque::new(), bytes: 0, next: 0 };
        Cache { clock, max_bytes, state: Mutex::new(state) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Outcome> {
        let mut state = self.lock();
        let ttl = state.ttl;
        let entry = state.entries.get(key)?;
        if self.clock.now().saturating_sub(entry.at) < ttl {
            return Some(entry.outcome.clone());
        }
        state.remove(key);
        None
    }

    /// Keeps an outcome if it is one that may be kept.
    pub(crate) fn put(&self, key: &Arc<str>, service: &str, operation: &str, outcome: &Outcome) {
        if !keepable(service, operation, outcome) {
            return;
        }
        let bytes = key.len() + outcome.as_ref().map_or(256, |v| size(v));
        let mut state = self.lock();
        if state.ttl.is_zero() || bytes > self.max_bytes {
            return;
        }
        state.remove(key);
        state.next += 1;
        let number = state.next;
        state.bytes += bytes;
        state.order.push_back((number, key.clone()));
        state.entries.insert(key.clone(), Entry { number, at: self.clock.now(), bytes, outcome: outcome.clone() });
        while state.bytes > self.max_bytes {
            let Some((number, oldest)) = state.order.pop_front() else { break };
            if state.entries.get(&oldest).is_some_and(|e| e.number == number) {
                state.remove(&oldest);
            }
        }
    }

    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.order.clear();
        state.bytes = 0;
    }

    pub(crate) fn set_ttl(&self, ttl: Duration) {
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

/// Operations that are asked again and again until they say they are done: the member and the value that end it.
/// Source: IAM API Reference, GenerateCredentialReport.
const POLLED: &[(&str, &str, &str, &str)] = &[("iam", "GenerateCredentialReport", "State", "COMPLETE")];

/// Parts of error codes that announce another answer soon (`ReportInProgress`, `ReportNotPresent`, `CredentialReportExpired` …).
const PASSING: &[&str] = &["InProgress", "NotReady", "NotPresent", "Pending", "Expired"];

fn keepable(service: &str, operation: &str, outcome: &Outcome) -> bool {
    match outcome {
        Ok(value) => POLLED
            .iter()
            .filter(|(s, o, ..)| *s == service && *o == operation)
            .all(|(_, _, member, done)| value.get(member).and_then(Value::as_str) == Some(done)),
        Err(e) => {
            matches!(e.kind, ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Service) && !PASSING.iter().any(|p| e.code.contains(p))
        }
    }
}

/// Bytes a value takes in memory, roughly: an object member costs its slot, its hash and its key.
fn size(value: &Value) -> usize {
    const SLOT: usize = size_of::<Value>();
    match value {
        Value::String(s) => SLOT + s.len(),
        Value::Array(items) => SLOT + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => SLOT + members.iter().map(|(k, v)| 48 + k.len() + size(v)).sum::<usize>(),
        _ => SLOT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    fn text(bytes: usize) -> Outcome {
        Ok(Arc::new(Value::String("x".repeat(bytes))))
    }

    #[test]
    fn answers_live_as_long_as_the_ttl() {
        let clock = Clock::manual();
        let cache = Cache::new(clock.clone(), Duration::from_secs(300), 1 << 20);
        cache.put(&key("a"), "iam", "ListUsers", &text(1));
        clock.advance(Duration::from_secs(299));
        assert!(cache.get("a").is_some());
        clock.advance(Duration::from_secs(1));
        assert!(cache.get("a").is_none());
        assert_eq!(cache.lock().bytes, 0);
        cache.put(&key("a"), "iam", "ListUsers", &text(1));
        cache.set_ttl(Duration::ZERO);
        assert!(cache.get("a").is_none());
        cache.put(&key("a"), "iam", "ListUsers", &text(1));
        assert!(cache.lock().entries.is_empty());
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let cache = Cache::new(Clock::manual(), Duration::from_secs(300), 3000);
        for name in ["a", "b", "c"] {
            cache.put(&key(name), "iam", "ListUsers", &text(1000));
        }
        assert!(cache.get("a").is_none() && cache.get("b").is_some() && cache.get("c").is_some());
        cache.put(&key("b"), "iam", "ListUsers", &text(1000));
        cache.put(&key("d"), "iam", "ListUsers", &text(1000));
        assert!(cache.get("c").is_none(), "b was renewed, so c is the oldest");
        assert!(cache.get("b").is_some() && cache.get("d").is_some());
        cache.put(&key("huge"), "iam", "ListUsers", &text(5000));
        assert!(cache.get("huge").is_none() && cache.get("d").is_some());
        assert!(cache.lock().bytes <= 3000);
    }

    #[test]
    fn replacing_a_key_for_ever_does_not_grow_the_order() {
        let cache = Cache::new(Clock::manual(), Duration::from_secs(300), 1 << 20);
        for _ in 0..10_000 {
            cache.put(&key("a"), "iam", "ListUsers", &text(1));
        }
        assert!(cache.lock().order.len() < 200);
    }

    #[test]
    fn only_lasting_outcomes_are_kept() {
        use ErrorKind::*;
        for (kind, code, kept) in [
            (Denied, "AccessDenied", true),
            (NotFound, "NoSuchEntity", true),
            (Service, "ValidationError", true),
            (Service, "ReportInProgress", false),
            (NotFound, "ReportNotPresent", false),
            (Throttled, "Throttling", false),
            (Transient, "InternalError", false),
            (Credentials, "ExpiredToken", false),
            (Unreachable, "ConnectionFailure", false),
            (BadAnswer, "BadAnswer", false),
            (Invalid, "Invalid", false),
        ] {
            assert_eq!(keepable("iam", "GetUser", &Err(CloudError::new(kind, code, ""))), kept, "{kind:?} {code}");
        }
        let state = |s: &str| Ok(Arc::new(json!({"State": s})));
        assert!(!keepable("iam", "GenerateCredentialReport", &state("STARTED")));
        assert!(keepable("iam", "GenerateCredentialReport", &state("COMPLETE")));
        assert!(keepable("iam", "ListUsers", &state("STARTED")));
    }
}
