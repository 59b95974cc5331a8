//! A listing: all pages of a call, of one time. Owns what is kept of it on disk: all pages, or none; and that a listing that began with an
//! answer of today does not go on with one of yesterday.

use crate::CloudError;
use crate::cache::{Asked, Outcome, size};
use crate::caller::{Caller, OnBehalf, Target};
use crate::credentials::Login;
use crate::{Tally, pages};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pages of a listing that is to be kept wait for its end; one that is larger than this in memory is not kept.
const LARGEST: usize = 32 << 20;

/// A target that lives as long as its listing.
#[derive(Debug)]
struct Call {
    caller: Arc<Caller>,
    login: Arc<Login>,
    connection: String,
    region: Arc<str>,
    service: String,
    operation: String,
}

impl Call {
    fn target(&self) -> Target<'_> {
        let who = OnBehalf { login: &self.login, connection: &self.connection };
        Target { who, region: &self.region, service: &self.service, operation: &self.operation }
    }
}

/// The pages so far.
#[derive(Debug, Default)]
struct Read {
    pages: Vec<Arc<Value>>,
    bytes: usize,
    first: Option<Asked>,
    last: Option<Asked>,
}

/// All pages of a call, in order, asked one by one as the stream is polled; from the cache as a whole where it has the whole. Nothing is
/// asked before the first poll. Ends after the first error.
pub(crate) fn pages(caller: &Arc<Caller>, target: Target<'_>, input: Value, tally: &Tally) -> BoxStream<'static, Outcome> {
    let call = Call {
        caller: caller.clone(),
        login: target.who.login.clone(),
        connection: target.who.connection.to_owned(),
        region: target.region.clone(),
        service: target.service.to_owned(),
        operation: target.operation.to_owned(),
    };
    let (call, tally) = (Arc::new(call), tally.clone());
    let begin = async move {
        match call.caller.kept_listing(call.target(), &input, &tally).await {
            Some(listing) => {
                let pages = listing.pages;
                stream::iter((0..pages.len()).map(move |i| Ok::<_, CloudError>(pages[i].clone()))).boxed()
            }
            None => asked(call, input, tally).await,
        }
    };
    stream::once(begin).flatten().boxed()
}

async fn asked(call: Arc<Call>, input: Value, tally: Tally) -> BoxStream<'static, Outcome> {
    let place = call.caller.place(call.target(), &call.target().key(&input)).await;
    let read = Arc::new(Mutex::new(Read::default()));
    let paging = pages::of(&call.service, &call.operation);
    let (keeps, asking, whole) = (place.is_some(), (call.clone(), read.clone()), (call, read));
    let ask = move |input: Value| {
        let ((call, read), tally) = (asking.clone(), tally.clone());
        async move {
            let after = lock(&read).last;
            let answered = call.caller.page(call.target(), input, after, &tally).await;
            let mut read = lock(&read);
            read.first.get_or_insert(answered.asked);
            read.last = Some(answered.asked);
            if let (true, Ok(page)) = (keeps, &answered.outcome) {
                read.bytes += size(page);
                read.pages.push(page.clone());
                if read.bytes > LARGEST {
                    read.pages.clear();
                }
            }
            drop(read);
            answered.outcome
        }
    };
    let end = move || {
        let (call, read) = &whole;
        let mut read = lock(read);
        if let (Some(place), Some(first)) = (place.clone().filter(|_| read.bytes <= LARGEST), read.first) {
            call.caller.cache.store(place, &call.service, &call.operation, std::mem::take(&mut read.pages), first);
        }
    };
    pages::follow_to_end(paging, input, ask, end).boxed()
}

/// A poisoned lock only means that another page's task panicked.
fn lock(read: &Mutex<Read>) -> MutexGuard<'_, Read> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}
