//! How many requests may still be sent: `--max-calls`. Owns the count of attempts, retries and assumed roles included, and the refusal of
//! the one too many. Refuses: knowing who asks; the budget is the process's.

use crate::{CloudError, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The code of a call that was not made because of the budget.
pub(crate) const CODE: &str = "MaxCalls";

/// A budget of requests, shared by its clones. Without a limit it refuses nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<State>);

#[derive(Debug, Default)]
struct State {
    limited: AtomicBool,
    limit: AtomicU64,
    taken: AtomicU64,
}

impl Budget {
    /// Begins anew with a limit, or without one.
    pub(crate) fn set(&self, limit: Option<u64>) {
        self.0.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.0.taken.store(0, Ordering::Relaxed);
        self.0.limited.store(limit.is_some(), Ordering::Release);
    }

    /// Takes one request; false where there is none left.
    pub(crate) fn take(&self) -> bool {
        let state = &*self.0;
        if !state.limited.load(Ordering::Acquire) {
            return true;
        }
        let limit = state.limit.load(Ordering::Relaxed);
        state.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < limit).then_some(taken + 1)).is_ok()
    }

    /// Why a call was not made.
    pub(crate) fn refusal(&self) -> CloudError {
        let limit = self.0.limit.load(Ordering::Relaxed);
        let calls = if limit == 1 { "the one call".to_owned() } else { format!("the {limit} calls") };
        CloudError::new(ErrorKind::OverBudget, CODE, format!("not called: {calls} of --max-calls are made"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_after_the_last_is_refused() {
        let budget = Budget::default();
        assert!((0..10).all(|_| budget.take()), "no limit");
        budget.set(Some(2));
        let clone = budget.clone();
        assert!(budget.take() && clone.take());
        assert!(!budget.take() && !clone.take());
        assert_eq!(budget.refusal().message, "not called: the 2 calls of --max-calls are made");
        budget.set(Some(1));
        assert!(budget.take() && !budget.take(), "begins anew");
        budget.set(Some(0));
        assert!(!budget.take());
        budget.set(None);
        assert!(budget.take());
    }

    #[test]
    fn many_threads_do_not_overspend() {
        let budget = Budget::default();
        budget.set(Some(1000));
        let taken: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..500).filter(|_| budget.take()).count() as u64)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }
}
