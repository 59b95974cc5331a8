//! Calls whose requests or answers hold a secret, kept out of every log: at its finest level the SDK logs whole requests and answers.

use std::future::Future;
use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::subscriber::NoSubscriber;

/// The call, while nobody listens.
pub(crate) fn quiet<F: Future>(call: F) -> WithDispatch<F> {
    call.with_subscriber(NoSubscriber::default())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Listens to everything, at every level.
    #[derive(Clone, Default)]
    pub(crate) struct Listener(pub(crate) Arc<Mutex<String>>);

    struct Text<'a>(&'a mut String);

    impl Visit for Text<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Subscriber for Listener {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut Text(&mut self.0.lock().unwrap()));
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut Text(&mut self.0.lock().unwrap()));
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            event.record(&mut Text(&mut self.0.lock().unwrap()));
            self.0.lock().unwrap().push('\n');
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn nobody_hears_what_is_said_quietly() {
        let listener = Listener::default();
        let call = async {
            tracing::trace!(secret = "canary");
            tokio::task::yield_now().await;
            tracing::error!("canary again");
        };
        async {
            tracing::trace!("before");
            quiet(call).await;
            tracing::trace!("after");
        }
        .with_subscriber(listener.clone())
        .await;
        let heard = listener.0.lock().unwrap().clone();
        assert!(heard.contains("before") && heard.contains("after") && !heard.contains("canary"), "{heard}");
    }
}
