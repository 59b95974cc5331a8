//! The clock of cache, limiter and patience: the real one, or in tests one that is moved by hand and never waits.

use chrono::{DateTime, Utc};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock. Clones show the same time.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Real(Instant),
    #[cfg(test)]
    Manual(std::sync::Mutex<manual::State>),
}

impl Clock {
    pub(crate) fn real() -> Clock {
        Clock(Arc::new(Kind::Real(Instant::now())))
    }

    /// Microseconds since the clock was made.
    pub(crate) fn micros(&self) -> i64 {
        i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX)
    }

    /// What the wall's clock says.
    pub(crate) fn wall(&self) -> DateTime<Utc> {
        match &*self.0 {
            Kind::Real(_) => Utc::now(),
            #[cfg(test)]
            Kind::Manual(state) => manual::EPOCH + self.now() + state.lock().unwrap().set_back,
        }
    }

    /// Time since the clock was made.
    pub(crate) fn now(&self) -> Duration {
        match &*self.0 {
            Kind::Real(start) => start.elapsed(),
            #[cfg(test)]
            Kind::Manual(state) => state.lock().unwrap().now,
        }
    }

    /// Anything from 0 to 1, to keep those apart that were turned away together. A clock moved by hand has always the same sequence.
    pub(crate) fn random(&self) -> f64 {
        let bits = match &*self.0 {
            // Every RandomState has its own seed.
            Kind::Real(_) => RandomState::new().hash_one(0_u8),
            #[cfg(test)]
            Kind::Manual(state) => state.lock().unwrap().random(),
        };
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        match &*self.0 {
            Kind::Real(_) => tokio::time::sleep(time).await,
            #[cfg(test)]
            Kind::Manual(state) => manual::Sleep::new(state, time).await,
        }
    }
}

#[cfg(test)]
mod manual {
    use super::{Clock, Kind};
    use chrono::{DateTime, Utc};
    use std::collections::BTreeMap;
    use std::pin::{Pin, pin};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    /// When manual clocks are made.
    pub(super) const EPOCH: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    #[derive(Debug, Default)]
    pub(super) struct State {
        pub(super) now: Duration,
        /// By how much the wall's clock was moved.
        pub(super) set_back: chrono::TimeDelta,
        sleepers: BTreeMap<(Duration, u64), Waker>,
        next: u64,
        drawn: u64,
    }

    impl State {
        /// SplitMix64.
        pub(super) fn random(&mut self) -> u64 {
            self.drawn = self.drawn.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.drawn;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }
    }

    pub(super) struct Sleep<'a> {
        state: &'a Mutex<State>,
        until: (Duration, u64),
    }

    impl<'a> Sleep<'a> {
        pub(super) fn new(state: &'a Mutex<State>, time: Duration) -> Sleep<'a> {
            let mut s = state.lock().unwrap();
            s.next += 1;
            let until = (s.now + time, s.next);
            drop(s);
            Sleep { state, until }
        }
    }

    impl Future for Sleep<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut s = self.state.lock().unwrap();
            if s.now >= self.until.0 {
                return Poll::Ready(());
            }
            s.sleepers.insert(self.until, context.waker().clone());
            Poll::Pending
        }
    }

    impl Drop for Sleep<'_> {
        fn drop(&mut self) {
            self.state.lock().unwrap().sleepers.remove(&self.until);
        }
    }

    impl Clock {
        pub(crate) fn manual() -> Clock {
            Clock(Arc::new(Kind::Manual(Mutex::default())))
        }

        fn state(&self) -> std::sync::MutexGuard<'_, State> {
            let Kind::Manual(state) = &*self.0 else { panic!("only a manual clock can be moved") };
            state.lock().unwrap()
        }

        /// Sets the wall's clock to another hour; what is measured from the start goes on.
        pub(crate) fn set_wall_back(&self, time: Duration) {
            self.state().set_back -= chrono::TimeDelta::from_std(time).unwrap();
        }

        pub(crate) fn advance(&self, time: Duration) {
            let mut s = self.state();
            s.now += time;
            let (now, mut due) = (s.now, Vec::new());
            while let Some(first) = s.sleepers.first_entry().filter(|e| e.key().0 <= now) {
                due.push(first.remove());
            }
            drop(s);
            due.into_iter().for_each(Waker::wake);
        }

        /// Runs work on a current-thread runtime, moving on to the next sleeper's hour whenever nothing else can go on.
        pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
            let mut work = pin!(work);
            loop {
                for _ in 0..30 {
                    if let Poll::Ready(value) = futures::poll!(work.as_mut()) {
                        return value;
                    }
                    tokio::task::yield_now().await;
                }
                let next =
                    self.state().sleepers.keys().next().map(|(until, _)| *until).expect("nothing can go on and nobody sleeps: a deadlock");
                self.advance(next.saturating_sub(self.now()));
            }
        }
    }
}
