//! Counts the requests of one call and how many of them were throttled, whether the call succeeds or not.

use super::client::{Attempts, Failure};
use crate::ErrorKind;
use crate::budget::Budget;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The counters of one call, in its configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU32,
    throttled: AtomicU32,
    refused: AtomicBool,
    budget: Budget,
}

impl Storable for Counter {
    type Storer = StoreReplace<Self>;
}

impl Counter {
    /// Retries are taken from the budget.
    pub(super) fn within(budget: &Budget) -> Counter {
        Counter(Arc::new(Counts { budget: budget.clone(), ..Counts::default() }))
    }

    pub(super) fn read(&self) -> Attempts {
        let Counts { total, throttled, refused, .. } = &*self.0;
        Attempts { total: total.load(Relaxed), throttled: throttled.load(Relaxed), refused: refused.load(Relaxed), ..Attempts::default() }
    }
}

/// The interceptor that counts.
#[derive(Debug)]
pub(super) struct CountAttempts;

#[dyn_dispatch_hint]
impl Intercept for CountAttempts {
    fn name(&self) -> &'static str {
        "CountAttempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Counter(counts)) = cfg.load::<Counter>() {
            if counts.total.load(Relaxed) > 0 && !counts.budget.take() {
                counts.refused.store(true, Relaxed);
                return Err("the calls that were allowed are made".into());
            }
            counts.total.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        ctx: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failure = ctx.output_or_error().and_then(Result::err).and_then(OrchestratorError::as_operation_error);
        let throttled = failure.and_then(|e| e.downcast_ref::<Failure>()).is_some_and(|f| f.kind() == ErrorKind::Throttled);
        if let (true, Some(c)) = (throttled, cfg.load::<Counter>()) {
            c.0.throttled.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}
