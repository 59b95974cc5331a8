//! The way of one call: cache, single flight, limiter, transport. Owns what happens around a call that goes wrong: credentials renewed
//! once when they expired, further attempts, which wait for the limits as the first one does, and who hears of it.

use crate::aws::client::Attempts;
use crate::budget::Budget;
use crate::cache::{Answered, Asked, Cache, Disk, Listing, Outcome, Place};
use crate::clock::Clock;
use crate::credentials::{FAILURE_BELIEVED, Login};
use crate::flight::{Flights, died};
use crate::key::{call_key, canonical_input};
use crate::limiter::{Limit, Limiter, Outcome as Went};
use crate::limits::Limits;
use crate::meter::{self, Meter};
use crate::read_op::is_secret_answer;
use crate::recorder::Recorder;
use crate::retries::Retries;
use crate::tally::Latency;
use crate::transport::{Request, Transport};
use crate::{CloudError, ErrorKind, Tally, TallyCounts, aws, azure, pages};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers of a run are kept up to this size.
const CACHE_BYTES: usize = 256 << 20;

/// Codes that say the credentials are too old. Source: AWS "Common error types" and the STS and S3 API references.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];

/// Looks in vain after which an address counts as down for all calls that wait for it.
const LOOKS: u32 = 3;

/// A cloud that asks for a longer wait is not waited for: the call fails, and says so.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The call's own credentials are too old, or those that a role is assumed with: then only the chain of causes says so. Azure answers 401
/// to any token that it does not like, whatever the code.
fn expired(error: &CloudError, login: &Login) -> bool {
    if login.principal().is_some() {
        return error.kind == ErrorKind::Credentials && error.status == Some(401);
    }
    let base = || error.kind == ErrorKind::Credentials && EXPIRED.iter().any(|code| error.message.contains(code));
    EXPIRED.contains(&error.code.as_str()) || base()
}

/// Nobody knows the answer, and nobody may ask.
pub(crate) fn not_asked() -> CloudError {
    CloudError::new(ErrorKind::NotRecorded, "NotAsked", "nothing is called here, and the answer is not known")
}

/// What a result says about the calls to come.
fn outcome(result: &Result<Value, CloudError>, attempts: &Attempts) -> Went {
    match result {
        Err(e) if attempts.throttled > 0 || e.kind == ErrorKind::Throttled => Went::Throttled,
        Err(e) if matches!(e.kind, ErrorKind::Transient | ErrorKind::Unreachable) && e.status != Some(501) => Went::Unanswered,
        _ => Went::Answered,
    }
}

fn too_long(wait: Duration) -> CloudError {
    let message = format!("the cloud asks not to be called for {} s: run again then", wait.as_secs());
    CloudError::new(ErrorKind::Throttled, "TooManyRequests", message)
}

/// The error with the names of the call it is of.
fn label(mut e: CloudError, who: OnBehalf<'_>, region: &str, service: &str, operation: &str) -> CloudError {
    e.service = service.to_owned();
    e.operation = operation.to_owned();
    // Azure's scopes have no region.
    e.region = if azure::is_api(service) { String::new() } else { region.to_owned() };
    e.account = who.login.identity.get().map_or_else(|| who.connection.to_owned(), |i| i.account_id.to_string());
    e
}

/// Says that a call was made. Never its input or its answer.
fn log(request: &Request, result: &Result<Value, CloudError>, attempts: &Attempts, took: Duration) {
    let Request { login, region, service, operation, .. } = request;
    let whose = login.identity.get().map_or_else(|| login.key.to_string(), |i| i.account_id.to_string());
    let ms = took.as_millis();
    match result {
        Ok(_) => tracing::debug!(target: "assay::call", "{service}:{operation} {whose} {region}: ok, {ms} ms"),
        Err(_) if attempts.total == 0 => tracing::info!(target: "assay::call", "{service}:{operation} {whose} {region}: not sent, {ms} ms"),
        Err(e) => {
            let status = e.status.map(|s| format!(" {s}")).unwrap_or_default();
            let id = e.request_id.as_ref().map(|id| format!(", request id {id}")).unwrap_or_default();
            tracing::info!(target: "assay::call", "{service}:{operation} {whose} {region}:{status} {}, {ms} ms{id}", e.code);
        }
    }
}

/// Where the meters count a call.
fn place(who: OnBehalf<'_>, region: &Arc<str>, service: &str, operation: &str) -> meter::Place {
    meter::Place { login: who.login.key.clone(), region: region.clone(), service: service.into(), operation: operation.into() }
}

/// Makes calls for everybody in the room.
#[derive(Debug)]
pub(crate) struct Caller {
    clock: Clock,
    transport: Arc<dyn Transport>,
    pub(crate) cache: Cache,
    flights: Flights<Answered>,
    limiter: Limiter,
    /// Where nothing answered, since when, and how that was told.
    down: Mutex<HashMap<String, (Duration, CloudError)>>,
    /// By login.
    limits: HashMap<Arc<str>, Limits>,
    pub(crate) recorder: Option<Recorder>,
    /// Calls of the whole process.
    pub(crate) tally: Tally,
    /// Distinct calls of the whole process.
    pub(crate) meter: Meter,
    /// Requests that may still be sent.
    pub(crate) budget: Budget,
    /// How long answers took.
    pub(crate) latency: Latency,
}

/// Which part of an answer is asked for.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// All of it, as far as the caller cares.
    All,
    /// A page; not an older one than the page before it.
    Page { after: Option<Asked> },
}

impl Part {
    fn since(self) -> Option<Asked> {
        match self {
            Part::All => None,
            Part::Page { after } => after,
        }
    }
}

/// Whose credentials, where, and what: a call but for its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) who: OnBehalf<'a>,
    pub(crate) region: &'a Arc<str>,
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
}

impl<'a> Target<'a> {
    fn of(request: &'a Request) -> Target<'a> {
        let who = OnBehalf { login: &request.login, connection: &request.login.key };
        Target { who, region: &request.region, service: &request.service, operation: &request.operation }
    }

    /// What makes calls with this input the same call.
    pub(crate) fn key(self, input: &Value) -> Arc<str> {
        call_key(&self.who.login.key, self.region, self.service, self.operation, &canonical_input(input))
    }

    fn labelled(self, e: CloudError) -> CloudError {
        label(e, self.who, self.region, self.service, self.operation)
    }
}

/// Whom a call is for, beside what the cloud is told: names in errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnBehalf<'a> {
    pub(crate) login: &'a Arc<Login>,
    pub(crate) connection: &'a str,
}

impl Caller {
    pub(crate) fn new(
        clock: Clock,
        transport: Arc<dyn Transport>,
        cache_ttl: Duration,
        max_in_flight: usize,
        limits: HashMap<Arc<str>, Limits>,
        recorder: Option<Recorder>,
        disk: Option<Disk>,
    ) -> Caller {
        let meter = Meter::default();
        Caller {
            transport,
            cache: Cache::new(clock.clone(), cache_ttl, CACHE_BYTES, disk),
            flights: Flights::new(),
            limiter: Limiter::new(clock.clone(), max_in_flight),
            down: Mutex::default(),
            limits,
            recorder,
            tally: Tally::root(meter.clone()),
            meter,
            budget: Budget::default(),
            latency: Latency::default(),
            clock,
        }
    }

    pub(crate) fn clear_cache(&self) {
        self.cache.clear();
        self.down().clear();
    }

    fn down(&self) -> MutexGuard<'_, HashMap<String, (Duration, CloudError)>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits on the way of calls that are not made yet, of AWS with these credentials, of Azure for this connection.
    pub(crate) fn gates(&self, login: &Login, service: &str, operation: &str) -> Vec<(String, Limit)> {
        let limits = self.limits.get(login.limits_key());
        match azure::is_api(service) {
            true => {
                let path = operation.split_once(' ').map_or(operation, |(_, path)| path);
                azure::gates::of(login.limits_key(), service, operation, &serde_json::json!({"path": path}), limits)
            }
            false => aws::gates::of(&login.key, service, operation, &Value::Null, limits),
        }
    }

    pub(crate) fn set_cache_ttl(&self, ttl: Duration) {
        self.cache.set_ttl(ttl);
    }

    /// One call, from the cache or from a call under way where possible.
    pub(crate) async fn call(
        self: &Arc<Self>,
        who: OnBehalf<'_>,
        region: &Arc<str>,
        service: &str,
        operation: &str,
        input: Value,
        tally: &Tally,
    ) -> Outcome {
        self.ask(Target { who, region, service, operation }, input, Part::All, tally).await.outcome
    }

    /// The same for a page of a listing.
    pub(crate) async fn page(self: &Arc<Self>, target: Target<'_>, input: Value, after: Option<Asked>, tally: &Tally) -> Answered {
        self.ask(target, input, Part::Page { after }, tally).await
    }

    async fn ask(self: &Arc<Self>, target: Target<'_>, input: Value, part: Part, tally: &Tally) -> Answered {
        let Target { who, region, service, operation } = target;
        let refused = |e: CloudError| Answered { outcome: Err(e), asked: self.cache.asked_now() };
        if let Some(error) = &who.login.refused {
            return refused(target.labelled(error.clone()));
        }
        let canonical = canonical_input(&input);
        let key = call_key(&who.login.key, region, service, operation, &canonical);
        tally.asked(&key, &place(who, region, service, operation));
        let hit = TallyCounts { cache_hits: 1, ..TallyCounts::default() };
        let answered = if let Some(answered) = self.cache.get(&key, part.since()) {
            tally.add(hit);
            tracing::trace!(target: "assay::call", "{service}:{operation} {} {region}: known", who.login.key);
            answered
        } else {
            let request = || Request {
                login: who.login.clone(),
                region: region.clone(),
                service: service.into(),
                operation: operation.into(),
                input: input.clone(),
                canonical: canonical.as_str().into(),
            };
            let mut answered = None;
            // A call under way may be of an earlier listing; the next one certainly is not.
            for _ in 0..2 {
                let (joined, outcome) = self.flights.join(&key, || self.clone().perform(key.clone(), request(), part, tally.clone())).await;
                if joined {
                    tally.add(hit);
                }
                let early = outcome.as_ref().is_some_and(|a| part.since().is_some_and(|since| a.asked.at < since.at));
                answered = outcome;
                if !early {
                    break;
                }
            }
            answered.unwrap_or_else(|| refused(died()))
        };
        tally.tell(answered.asked.wall);
        Answered { outcome: answered.outcome.map_err(|e| target.labelled(e)), ..answered }
    }

    /// All pages of a call, if they are known and from one time.
    pub(crate) async fn kept_listing(self: &Arc<Self>, target: Target<'_>, input: &Value, tally: &Tally) -> Option<Listing> {
        let key = target.key(input);
        let mut listing = self.cache.listing(&key);
        if listing.is_none() && !self.cache.knows(&key) {
            let place = self.place(target, &key).await?;
            listing = self.cache.recall(&place, &key);
        }
        let listing = listing?;
        let Target { who, region, service, operation } = target;
        tracing::trace!(target: "assay::call", "{service}:{operation} {} {region}: {} pages known", who.login.key, listing.pages.len());
        // Without the listing, each page would be a call.
        let paging = pages::of(service, operation);
        for input in pages::inputs(paging.as_ref(), input, &listing.pages) {
            tally.asked(&target.key(&input), &place(who, region, service, operation));
        }
        tally.add(TallyCounts { cache_hits: listing.pages.len() as u64, ..TallyCounts::default() });
        tally.tell(listing.asked.wall);
        Some(listing)
    }

    /// Where on disk the answer to a call stands, or would; `None` if it may not, or nobody can tell whose it is.
    pub(crate) async fn place(self: &Arc<Self>, target: Target<'_>, key: &str) -> Option<Place> {
        let login = target.who.login;
        let connection = login.connection();
        let disk = self.cache.disk(&connection, target.service, target.operation)?;
        if login.refused.is_some() || login.recent_failure(self.clock.now()).is_some() {
            return None;
        }
        let (who, endpoint) = self.cache.subjects.of(self, login, target.service, target.operation).await?;
        disk.place(&connection, &[&who, endpoint.as_bytes(), key.as_bytes()])
    }

    /// An answer that is there without a call.
    pub(crate) fn known(
        &self,
        who: OnBehalf<'_>,
        region: &Arc<str>,
        service: &str,
        operation: &str,
        input: &Value,
        tally: &Tally,
    ) -> Outcome {
        if let Some(refused) = &who.login.refused {
            return Err(label(refused.clone(), who, region, service, operation));
        }
        let key = call_key(&who.login.key, region, service, operation, &canonical_input(input));
        tally.asked(&key, &place(who, region, service, operation));
        let Some(answered) = self.cache.get(&key, None) else { return Err(label(not_asked(), who, region, service, operation)) };
        tally.add(TallyCounts { cache_hits: 1, ..TallyCounts::default() });
        answered.outcome.map_err(|e| label(e, who, region, service, operation))
    }

    /// The answer of a recording, of which only meters hear.
    pub(crate) async fn rehearse(
        &self,
        who: OnBehalf<'_>,
        region: &Arc<str>,
        service: &str,
        operation: &str,
        input: Value,
        tally: &Tally,
    ) -> Outcome {
        let canonical = canonical_input(&input);
        let key = call_key(&who.login.key, region, service, operation, &canonical);
        let request = Request {
            login: who.login.clone(),
            region: region.clone(),
            service: service.into(),
            operation: operation.into(),
            input,
            canonical: canonical.into(),
        };
        let answer = self.transport.send(&request, &mut Attempts::default()).await;
        // What was not recorded was not asked then.
        if !matches!(&answer, Err(e) if e.kind == ErrorKind::NotRecorded) {
            tally.asked(&key, &place(who, region, service, operation));
        }
        answer.map(Arc::new).map_err(|e| label(e, who, region, service, operation))
    }

    /// One call that is certainly made, after it was asked for: no cache, and no call that somebody else has under way.
    pub(crate) async fn call_alone(
        &self,
        who: OnBehalf<'_>,
        region: &Arc<str>,
        service: &str,
        operation: &str,
        input: Value,
        tally: &Tally,
    ) -> Outcome {
        let labelled = |e| label(e, who, region, service, operation);
        if let Some(refused) = &who.login.refused {
            return Err(labelled(refused.clone()));
        }
        let canonical = canonical_input(&input).into();
        let (service, operation) = (service.into(), operation.into());
        let request = Request { login: who.login.clone(), region: region.clone(), service, operation, input, canonical };
        self.send(&request, tally).await.map(Arc::new).map_err(labelled)
    }

    /// The call itself, in a task of its own.
    async fn perform(self: Arc<Self>, key: Arc<str>, request: Request, part: Part, tally: Tally) -> Answered {
        // Between the caller's look and the start of this task the answer may have come.
        if let Some(answered) = self.cache.get(&key, part.since()) {
            tally.add(TallyCounts { cache_hits: 1, ..TallyCounts::default() });
            return answered;
        }
        let (service, operation) = (&*request.service, &*request.operation);
        let place = match part {
            Part::All => self.place(Target::of(&request), &key).await,
            // Pages are kept together.
            Part::Page { .. } => None,
        };
        if let Some(listing) = place.as_ref().and_then(|place| self.cache.recall(place, &key)) {
            tally.add(TallyCounts { cache_hits: 1, ..TallyCounts::default() });
            return Answered { outcome: Ok(listing.pages[0].clone()), asked: listing.asked };
        }
        let asked = self.cache.asked_now();
        let outcome = self.send(&request, &tally).await.map(Arc::new);
        let answered = Answered { outcome, asked };
        // An answer that is a secret goes to those who wait for it, and nowhere else.
        if answered.outcome.is_ok() && is_secret_answer(service, operation) {
            return answered;
        }
        self.cache.put(&key, service, operation, &answered);
        if let (Some(place), Ok(page)) = (place, &answered.outcome)
            && pages::is_whole(service, operation, &request.input, page)
        {
            self.cache.store(place, service, operation, vec![page.clone()], asked);
        }
        if let Some(recorder) = &self.recorder {
            recorder.answer(&key, service, operation, &answered.outcome);
        }
        answered
    }

    async fn send(&self, request: &Request, tally: &Tally) -> Result<Value, CloudError> {
        let login = &request.login;
        if let Some(error) = login.recent_failure(self.clock.now()) {
            return Err(error);
        }
        let (gates, lane) = self.way_of(request);
        if let Some(error) = self.known_down(&lane) {
            return Err(error);
        }
        let mut retries = Retries::default();
        let (mut sent, mut renewed) = (0, false);
        loop {
            let closed = self.limiter.closed_for(&gates);
            if closed > LONGEST_WAIT {
                return Err(too_long(closed));
            }
            let pass = self.limiter.enter(tally.consumer(), gates.clone()).await;
            // While this one waited, others may have found out.
            if let Some(error) = self.known_down(&lane) {
                return Err(error);
            }
            if !self.afford(login) {
                return Err(self.budget.refusal());
            }
            let generation = login.generation();
            let mut attempts = Attempts::default();
            let begun = self.clock.now();
            let result = self.transport.send(request, &mut attempts).await;
            let took = self.clock.now().saturating_sub(begun);
            log(request, &result, &attempts, took);
            if attempts.total > 0 {
                self.latency.add(took);
            }
            pass.report(outcome(&result, &attempts), attempts.advice);
            drop(pass);
            tally.add(TallyCounts {
                calls: u64::from(sent == 0 && attempts.total > 0),
                retries: u64::from(attempts.total.saturating_sub(u32::from(sent == 0))),
                throttles: u64::from(attempts.throttled),
                cache_hits: 0,
            });
            sent += attempts.total;
            let Err(error) = result else { return result };
            let asked = attempts.advice.retry_after.unwrap_or_default();
            if expired(&error, login) && !renewed {
                renewed = true;
                login.renew(generation);
            } else if asked > LONGEST_WAIT {
                return Err(CloudError { message: format!("{}; {}", error.message, too_long(asked).message), ..error });
            } else if error.kind == ErrorKind::Unreachable && self.limiter.looks(&gates) >= LOOKS {
                self.remember(&error, login, lane, generation, attempts);
                return Err(error);
            } else if let Some(wait) = retries.next(&error, &attempts, self.clock.random()) {
                self.clock.sleep(wait.max(asked)).await;
            } else {
                self.remember(&error, login, lane, generation, attempts);
                return Err(error);
            }
        }
    }

    /// Takes one request out of the budget, and another where a role has to be assumed for it.
    fn afford(&self, login: &Arc<Login>) -> bool {
        for assumed in login.enters() {
            // Source: the provider that assumes roles asks STS once and keeps what it gets.
            let (service, operation) = ("sts", "AssumeRole");
            let who = OnBehalf { login: &assumed, connection: &assumed.key };
            let key = call_key(&assumed.key, &assumed.region, service, operation, "{}");
            self.tally.asked(&key, &place(who, &assumed.region, service, operation));
            if !self.budget.take() {
                return false;
            }
        }
        self.budget.take()
    }

    /// Why it is known that nothing answers there.
    fn known_down(&self, lane: &str) -> Option<CloudError> {
        let down = self.down();
        down.get(lane).filter(|(since, _)| self.clock.now().saturating_sub(*since) < FAILURE_BELIEVED).map(|(_, error)| error.clone())
    }

    /// The gates that a call goes through, and the name under which it is known that nothing answers there.
    fn way_of(&self, request: &Request) -> (Vec<(String, Limit)>, String) {
        let Request { login, region, service, operation, input, .. } = request;
        let limits = self.limits.get(login.limits_key());
        if let Some(principal) = login.principal() {
            let gates = azure::gates::of(&principal.connection, service, operation, input, limits);
            return (gates, azure::gates::lane(&principal.connection, service, input));
        }
        let lane = [&*login.key, region, service].join("\t");
        (aws::gates::of(&lane, service, operation, input, limits), lane)
    }

    /// Some failures hold for the next calls too, which need not wait for them as long.
    fn remember(&self, error: &CloudError, login: &Login, lane: String, generation: u64, attempts: Attempts) {
        match error.kind {
            // Azure's tokens remember by themselves, for all subscriptions of the connection.
            ErrorKind::Credentials if login.principal().is_some() => {}
            // Nothing was sent: there are no credentials. A provider that failed may not tell its reason twice, so it goes.
            ErrorKind::Credentials if attempts.total == 0 => {
                login.remember_failure(self.clock.now(), error);
                login.renew(generation);
            }
            ErrorKind::Unreachable => {
                self.down().insert(lane, (self.clock.now(), error.clone()));
            }
            _ => {}
        }
    }
}
