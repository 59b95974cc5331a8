//! Counts the requests of one call, whether they were throttled, and whether the model says that their failure passes.

use super::client::{Attempts, Failure};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The counters of one call, in its configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<[AtomicU32; 3]>);

impl Storable for Counter {
    type Storer = StoreReplace<Self>;
}

impl Counter {
    pub(super) fn read(&self) -> Attempts {
        let [total, throttled, passing] = &*self.0;
        let (total, throttled, passing) = (total.load(Relaxed), throttled.load(Relaxed), passing.load(Relaxed) > 0);
        Attempts { total, throttled, passing, ..Attempts::default() }
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
        if let Some(c) = cfg.load::<Counter>() {
            c.0[0].fetch_add(1, Relaxed);
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
        if let (Some(failure), Some(c)) = (failure.and_then(|e| e.downcast_ref::<Failure>()), cfg.load::<Counter>()) {
            c.0[1].fetch_add(u32::from(failure.throttled()), Relaxed);
            c.0[2].fetch_add(u32::from(failure.passing()), Relaxed);
        }
        Ok(())
    }
}
