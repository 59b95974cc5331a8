//! Counts the requests of one call and how many of them were throttled, whether the call succeeds or not.

use super::client::{Attempts, Failure};
use crate::ErrorKind;
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
pub(super) struct Counter(Arc<[AtomicU32; 2]>);

impl Storable for Counter {
    type Storer = StoreReplace<Self>;
}

impl Counter {
    pub(super) fn read(&self) -> Attempts {
        let [total, throttled] = &*self.0;
        Attempts { total: total.load(Relaxed), throttled: throttled.load(Relaxed), ..Attempts::default() }
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
        let throttled = failure.and_then(|e| e.downcast_ref::<Failure>()).is_some_and(|f| f.kind() == ErrorKind::Throttled);
        if let (true, Some(c)) = (throttled, cfg.load::<Counter>()) {
            c.0[1].fetch_add(1, Relaxed);
        }
        Ok(())
    }
}
