//! Single flight: callers that want the same thing at the same time share one piece of work. The work runs as a task of its own, so a
//! caller that nobody polls for a while holds up no other; when the last caller is dropped, the task is aborted.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::CloudError;

/// Work in progress by key.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    shared: Arc<Shared<T>>,
}

/// Flights by key, with their number: it tells a flight from its successor.
type Going<T> = HashMap<Arc<str>, (u64, Weak<Flight<T>>)>;

#[derive(Debug)]
struct Shared<T> {
    going: Mutex<Going<T>>,
    next: AtomicU64,
}

/// One piece of work; alive as long as somebody waits for it.
#[derive(Debug)]
struct Flight<T> {
    key: Arc<str>,
    number: u64,
    result: watch::Receiver<Option<T>>,
    task: AbortHandle,
    shared: Arc<Shared<T>>,
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.forget(&self.key, self.number);
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Going<T>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A newer flight may have taken the key meanwhile; that one stays.
    fn forget(&self, key: &str, number: u64) {
        let mut going = self.lock();
        if going.get(key).is_some_and(|(n, _)| *n == number) {
            going.remove(key);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(crate) fn new() -> Flights<T> {
        Flights { shared: Arc::new(Shared { going: Mutex::default(), next: AtomicU64::new(0) }) }
    }

    /// Waits for the work under `key`, starting it if it is not under way; `true` if it was. `None` if the work panicked.
    pub(crate) async fn join<F>(&self, key: &Arc<str>, work: impl FnOnce() -> F) -> (bool, Option<T>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (joined, flight) = self.board(key, work);
        let mut result = flight.result.clone();
        let outcome = match result.wait_for(Option::is_some).await {
            Ok(value) => value.clone(),
            Err(_) => None,
        };
        (joined, outcome)
    }

    fn board<F>(&self, key: &Arc<str>, work: impl FnOnce() -> F) -> (bool, Arc<Flight<T>>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut going = self.shared.lock();
        if let Some(flight) = going.get(key).and_then(|(_, f)| f.upgrade()) {
            return (true, flight);
        }
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (tell, result) = watch::channel(None);
        let (work, shared, name) = (work(), self.shared.clone(), key.clone());
        let task = tokio::spawn(async move {
            let value = work.await;
            // Whoever asks from now on finds the answer in the cache, or asks anew.
            shared.forget(&name, number);
            tell.send_replace(Some(value));
        });
        let flight = Arc::new(Flight { key: key.clone(), number, result, task: task.abort_handle(), shared: self.shared.clone() });
        going.insert(key.clone(), (number, Arc::downgrade(&flight)));
        (false, flight)
    }
}

/// A fact that is found out once: kept when found, asked again after a failure, asked by one caller at a time.
#[derive(Debug, Clone)]
pub(crate) struct Once<T>(Arc<OnceInner<T>>);

#[derive(Debug)]
struct OnceInner<T> {
    known: OnceLock<T>,
    refused: OnceLock<CloudError>,
    failed: Mutex<Option<CloudError>>,
    flights: Flights<Result<T, CloudError>>,
}

impl<T: Clone + std::fmt::Debug + Send + Sync + 'static> Once<T> {
    pub(crate) fn new() -> Once<T> {
        Once(Arc::new(OnceInner { known: OnceLock::new(), refused: OnceLock::new(), failed: Mutex::new(None), flights: Flights::new() }))
    }

    pub(crate) fn set(&self, value: T) {
        // Two findings of the same fact agree; the first stays.
        let _ = self.0.known.set(value);
    }

    /// A fact that cannot be found out: asking gives this error for good.
    pub(crate) fn refuse(&self, error: CloudError) {
        let _ = self.0.refused.set(error);
    }

    pub(crate) fn get(&self) -> Option<T> {
        self.0.known.get().cloned()
    }

    /// The fact, or why it was not found the last time it was looked for; `None` if nobody asked.
    pub(crate) fn outcome(&self) -> Option<Result<T, CloudError>> {
        let failed = || self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.get().map(Ok).or_else(|| failed().map(Err))
    }

    pub(crate) async fn find<F>(&self, look: impl FnOnce() -> F) -> Result<T, CloudError>
    where
        F: Future<Output = Result<T, CloudError>> + Send + 'static,
    {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        if let Some(error) = self.0.refused.get() {
            return Err(error.clone());
        }
        let inner = self.0.clone();
        let (_, outcome) = self
            .0
            .flights
            .join(&Arc::from("once"), || {
                let looking = look();
                async move {
                    if let Some(value) = inner.known.get() {
                        return Ok(value.clone());
                    }
                    let found = looking.await;
                    match &found {
                        Ok(value) => {
                            let _ = inner.known.set(value.clone());
                        }
                        Err(e) => *inner.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.clone()),
                    }
                    found
                }
            })
            .await;
        outcome.unwrap_or_else(|| Err(died()))
    }
}

/// The error for work that panicked: a bug of ours, but no reason to hang.
pub(crate) fn died() -> CloudError {
    CloudError::new(crate::ErrorKind::BadAnswer, "InternalError", "the task of this call died: a bug in assay; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Semaphore;

    fn key() -> Arc<str> {
        Arc::from("k")
    }

    #[tokio::test]
    async fn a_hundred_callers_share_one_piece_of_work() {
        let flights = Flights::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let key = key();
        let all = futures::future::join_all((0..100).map(|_| {
            flights.join(&key, || {
                let runs = runs.clone();
                async move {
                    tokio::task::yield_now().await;
                    runs.fetch_add(1, Ordering::SeqCst)
                }
            })
        }))
        .await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(all.iter().filter(|(joined, _)| !joined).count(), 1);
        assert!(all.iter().all(|(_, v)| *v == Some(0)));
        assert!(flights.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn the_first_caller_may_leave_and_the_second_still_gets_the_result() {
        let flights = Arc::new(Flights::new());
        let gate = Arc::new(Semaphore::new(0));
        let key = key();
        let mut first = Box::pin(flights.join(&key, || {
            let gate = gate.clone();
            async move {
                let _pass = gate.acquire().await;
                7
            }
        }));
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = Box::pin(flights.join(&key, || async { unreachable!("joins the first") }));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        gate.add_permits(1);
        assert_eq!(second.await, (true, Some(7)));
    }

    #[tokio::test]
    async fn a_caller_that_is_never_polled_again_does_not_hold_up_others() {
        let flights = Flights::new();
        let key = key();
        let mut first = Box::pin(flights.join(&key, || async {
            tokio::task::yield_now().await;
            1
        }));
        assert!(futures::poll!(&mut first).is_pending());
        assert_eq!(flights.join(&key, || async { 2 }).await.1, Some(1));
        drop(first);
    }

    #[tokio::test]
    async fn when_all_callers_leave_the_work_is_aborted() {
        struct OnDrop(Option<tokio::sync::oneshot::Sender<()>>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                let _ = self.0.take().unwrap().send(());
            }
        }
        let flights = Flights::<()>::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let guard = OnDrop(Some(tell));
        let key = key();
        let mut only = Box::pin(flights.join(&key, || async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }));
        assert!(futures::poll!(&mut only).is_pending());
        drop(only);
        told.await.unwrap();
        assert!(flights.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn work_that_panics_hangs_nobody() {
        let flights = Flights::<u8>::new();
        assert_eq!(flights.join(&key(), || async { panic!("on purpose") }).await, (false, None));
    }

    #[tokio::test]
    async fn a_fact_is_asked_once_and_a_failure_is_not_kept() {
        let once = Once::<u8>::new();
        let failed = once.find(|| async { Err(CloudError::new(crate::ErrorKind::Transient, "X", "y")) }).await;
        assert_eq!(failed.unwrap_err().code, "X");
        assert_eq!(once.outcome().unwrap().unwrap_err().code, "X");
        assert_eq!(once.find(|| async { Ok(3) }).await.unwrap(), 3);
        assert_eq!(once.find(|| async { Ok(4) }).await.unwrap(), 3);
        assert_eq!(once.outcome().unwrap().unwrap(), 3);
    }
}
