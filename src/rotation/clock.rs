//! The time of a run, injected so that waits need no waiting in tests.

use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// Says what time it is, and lets a moment pass.
#[async_trait::async_trait]
pub trait Time: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
    /// Returns after this long.
    async fn sleep(&self, span: Duration);
}

/// The clock of a run. Cheap to clone.
#[derive(Clone)]
pub struct Clock(pub Arc<dyn Time>);

struct Real;

#[async_trait::async_trait]
impl Time for Real {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

impl Clock {
    /// The machine's.
    pub fn real() -> Clock {
        Clock(Arc::new(Real))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
