//! The chain of links: each row of one is the parent of the next. Children are asked side by side and come in their parents' order.

use super::{Found, Walk};
use assay_cloud::{CloudError, ErrorKind};
use assay_tables::Route;
use assay_tables::run::{Ask, Gathered, Link, Row, Until};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Lists of so many values are few enough to be asked just to know how long they are.
const FEW_WALKS: usize = 8;

/// While so many parents or fewer are at hand, the next page of them is on its way, so that their calls do not wait for it.
const AHEAD: usize = 96;

/// Pages of rows. What fails is logged and left out.
type Pages = BoxStream<'static, Vec<Row>>;

/// Which link: of the chain, or the get.
#[derive(Debug, Clone, Copy)]
enum Which {
    Get,
    Chain(usize),
}

/// Every row of the plan.
pub(super) fn all(walk: Arc<Walk>) -> BoxStream<'static, Found> {
    let window = walk.window();
    let starts = 0..walk.plan.starts().len();
    let of_start = move |start: usize| {
        let walk = walk.clone();
        let rows = ahead(of_start(walk.clone(), start));
        async move {
            let rows = rows.await.flat_map(stream::iter);
            rows.filter(move |row| std::future::ready(walk.plan.belongs(row, walk.start(start), &walk.facts))).map(move |row| (row, start))
        }
    };
    stream::iter(starts).map(of_start).buffered(window).flatten().boxed()
}

/// The stream with its first page already asked for.
async fn ahead(mut pages: Pages) -> Pages {
    match pages.next().await {
        Some(first) => stream::once(async { first }).chain(pages).boxed(),
        None => stream::empty().boxed(),
    }
}

/// Does a recording answer the first calls of every start? Calls further down depend on rows, and are those of any plan.
pub(super) async fn recorded(walk: &Walk) -> bool {
    for start in walk.plan.starts() {
        let link = match start.route() {
            Route::Get => walk.link(Which::Get),
            Route::Links(first) => walk.link(Which::Chain(first)),
        };
        if link.is_fixed() {
            continue;
        }
        if let Ok(Some(ask)) = link.ask(start, &walk.facts, None)
            && matches!(walk.pages(ask, false).next().await, Some(Err(error)) if error.kind == ErrorKind::NotRecorded)
        {
            return false;
        }
    }
    true
}

fn of_start(walk: Arc<Walk>, start: usize) -> Pages {
    match walk.start(start).route() {
        Route::Get => of_link(walk, start, Which::Get, None),
        Route::Links(first) => {
            let mut pages = of_link(walk.clone(), start, Which::Chain(first), None);
            for link in first + 1..walk.plan.links().len() {
                pages = descend(walk.clone(), start, link, pages);
            }
            pages
        }
    }
}

/// The rows of pages, a page ahead when few are left. Nobody knows how many a limit will need: then a page at a time.
fn read_ahead(mut pages: Pages, limited: bool) -> BoxStream<'static, Row> {
    let enough = if limited { 0 } else { AHEAD };
    let (mut rows, mut ended) = (VecDeque::new(), false);
    stream::poll_fn(move |context| {
        while !ended && rows.len() <= enough {
            match pages.poll_next_unpin(context) {
                Poll::Ready(Some(page)) => rows.extend(page),
                Poll::Ready(None) => ended = true,
                Poll::Pending if rows.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(rows.pop_front())
    })
    .boxed()
}

/// The rows of a link for all its parents, in their order.
fn descend(walk: Arc<Walk>, start: usize, link: usize, parents: Pages) -> Pages {
    let window = walk.window();
    let above = walk.clone();
    let worth = parents.map(move |rows| above.worth_asking(link - 1, start, rows)).boxed();
    let parents = read_ahead(worth, walk.limit.is_some()).map(Arc::new);
    match walk.plan.links()[link].batch() {
        None => parents
            .map(move |parent| ahead(of_link(walk.clone(), start, Which::Chain(link), Some(parent))))
            .buffered(window)
            .flatten()
            .boxed(),
        Some(size) => {
            let batching = walk.clone();
            let batches = parents.chunks(size).flat_map(move |parents| stream::iter(batches(&batching, start, link, &parents)));
            let rows = move |(ask, up)| ahead(asked(walk.clone(), start, Which::Chain(link), ask, up, None));
            batches.map(rows).buffered(window).flatten().boxed()
        }
    }
}

/// The rows of a link for one parent.
fn of_link(walk: Arc<Walk>, start: usize, which: Which, parent: Option<Arc<Row>>) -> Pages {
    let link = walk.link(which);
    match link.fixed(walk.start(start), &walk.facts, parent.as_ref()) {
        Ok(Some(rows)) => return stream::once(async { rows }).boxed(),
        Ok(None) => {}
        Err(why) => {
            walk.fail(None, None, Vec::new(), walk.own_error("BadValue", why));
            return stream::empty().boxed();
        }
    }
    match link.ask(walk.start(start), &walk.facts, parent.as_deref()) {
        Ok(Some(ask)) => asked(walk, start, which, ask, parent.clone(), parent),
        Ok(None) => stream::empty().boxed(),
        Err(why) => {
            walk.fail(None, None, Vec::new(), walk.own_error("BadValue", why));
            stream::empty().boxed()
        }
    }
}

/// Parents whose calls differ only in their ids, in one call each; with the row above the parents.
fn batches(walk: &Walk, start: usize, link: usize, parents: &[Arc<Row>]) -> Vec<(Ask, Option<Arc<Row>>)> {
    let link = &walk.plan.links()[link];
    let mut groups: Vec<(Ask, Vec<serde_json::Value>, Option<Arc<Row>>)> = Vec::new();
    for parent in parents {
        match link.gather(walk.start(start), &walk.facts, parent) {
            Ok(Some(Gathered { base, id })) => match groups.last_mut() {
                Some((last, ids, _)) if *last == base => ids.push(id),
                _ => groups.push((base, vec![id], parent.up().cloned())),
            },
            Ok(None) => {}
            Err(why) => walk.fail(None, None, Vec::new(), walk.own_error("BadValue", why)),
        }
    }
    groups.into_iter().map(|(base, ids, up)| (link.scatter(&base, ids), up)).collect()
}

/// What a call is doing; rows that are folded, or of a summary that can still be given up, wait in it for the last page.
enum State {
    Begin(Ask),
    Pages(BoxStream<'static, Result<Arc<serde_json::Value>, CloudError>>, String, Vec<Row>),
    End,
}

/// The rows of a call. `up` is the row they come from, `parent` the one its fallback is computed for.
fn asked(walk: Arc<Walk>, start: usize, which: Which, ask: Ask, up: Option<Arc<Row>>, parent: Option<Arc<Row>>) -> Pages {
    let original = ask.clone();
    let step = move |state: State| {
        let (walk, up, parent, original) = (walk.clone(), up.clone(), parent.clone(), original.clone());
        async move {
            let mut state = state;
            let mut instead = false;
            let mut made = false;
            loop {
                let first = matches!(state, State::Begin(_));
                let (mut pages, about, mut waiting) = match state {
                    State::End => return None,
                    State::Begin(ask) => {
                        let about = ask.about();
                        (walk.answers(start, which, ask), about, Vec::new())
                    }
                    State::Pages(pages, about, waiting) => (pages, about, waiting),
                };
                let link = walk.link(which);
                let error = match pages.next().await {
                    None if walk.is_blank(link) => return None,
                    None if walk.waits(link) => return walk.whole(link, start, waiting).map(|rows| (rows, State::End)),
                    None => match folded(link, waiting) {
                        Ok(rows) => return rows.map(|rows| (rows, State::End)),
                        Err(why) => walk.own_error("BadAnswer", why),
                    },
                    Some(Ok(page)) => match walk.usable(link, start, &page, up.as_ref()) {
                        Ok(None) => return None,
                        Ok(Some(rows)) => match link.fold() {
                            None if walk.waits(link) => {
                                waiting.extend(rows);
                                state = State::Pages(pages, about, waiting);
                                continue;
                            }
                            None => return Some((rows, State::Pages(pages, about, waiting))),
                            Some(fold) => {
                                waiting.extend(rows.into_iter().map(|row| fold.detach(row)));
                                state = State::Pages(pages, about, waiting);
                                continue;
                            }
                        },
                        Err(why) => walk.own_error("BadAnswer", why),
                    },
                    Some(Err(error)) => error,
                };
                // Rows that wait are lost with a page: without it, which is the last of them nobody knows.
                if link.means_none(&error.code) {
                    return None;
                }
                let making = if first && !std::mem::replace(&mut made, true) {
                    walk.make(link, start, &error, parent.as_deref()).await
                } else {
                    None
                };
                let error = match making {
                    Some(Ok(())) => {
                        state = State::Begin(original.clone());
                        continue;
                    }
                    Some(Err(why)) => why,
                    None => error,
                };
                if walk.gives_up(link, &error) {
                    return None;
                }
                let other = match instead {
                    true => Ok(None),
                    false => link.instead(&error.code, walk.start(start), &walk.facts, parent.as_deref()),
                };
                match other {
                    Ok(Some(other)) => {
                        instead = true;
                        state = State::Begin(other);
                    }
                    // The list will say whether there is such a thing.
                    Ok(None) if first && up.is_none() && walk.refuses(start, &error) => return None,
                    Ok(None) => {
                        // A first link without inputs is about the whole scope.
                        let row = Some(about).filter(|a| !a.is_empty() && up.is_some());
                        walk.fail(row, None, Vec::new(), error);
                        state = State::End;
                    }
                    Err(why) => {
                        let row = Some(about).filter(|a| !a.is_empty());
                        walk.fail(row, None, Vec::new(), walk.own_error("BadValue", why));
                        state = State::End;
                    }
                }
            }
        }
    };
    stream::unfold(State::Begin(ask), step).boxed()
}

/// The rows of a link that folds, once all pages are there; none for another link.
fn folded(link: &Link, waiting: Vec<Row>) -> Result<Option<Vec<Row>>, String> {
    link.fold().map(|fold| fold.rows(waiting)).transpose()
}

impl Walk {
    /// Is it the value that the service refuses? Then somebody looks after it.
    fn refuses(&self, start: usize, error: &CloudError) -> bool {
        let Some(refused) = &self.env.refused else { return false };
        let of_input = matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Service);
        if of_input {
            refused.add(start);
        }
        of_input
    }

    /// The rows of a page; `None` where it is that of a summary which is older than it may be.
    fn usable(&self, link: &Link, start: usize, page: &Arc<serde_json::Value>, up: Option<&Arc<Row>>) -> Result<Option<Vec<Row>>, String> {
        let rows = link.rows(page, up)?;
        let shown = !rows.is_empty();
        let rows = self.kept(link, start, rows)?;
        Ok(self.fresh(link, page, shown)?.then_some(rows))
    }

    /// Makes what a call says is not there yet; `None` where that is not what it says.
    async fn make(&self, link: &Link, start: usize, error: &CloudError, parent: Option<&Row>) -> Option<Result<(), CloudError>> {
        match link.making(&error.code, self.start(start), &self.facts, parent) {
            Ok(None) => None,
            Ok(Some((ask, until))) => Some(self.polled(ask, until, false).await.map(|_| ())),
            Err(why) => Some(Err(self.own_error("BadValue", why))),
        }
    }

    /// The rows that `where:` lets through.
    fn kept(&self, link: &Link, start: usize, rows: Vec<Row>) -> Result<Vec<Row>, String> {
        let mut out = Vec::new();
        for row in rows {
            if link.keeps(&row, self.start(start), &self.facts)? {
                out.push(row);
            }
        }
        Ok(out)
    }

    fn link(&self, which: Which) -> &Link {
        match (which, self.plan.get()) {
            (Which::Chain(link), _) => &self.plan.links()[link],
            (Which::Get, Some(get)) => get,
            // A start takes the get only where there is one.
            (Which::Get, None) => &self.plan.links()[0],
        }
    }

    /// Is the call of a link one of many: by key, below a list, or one of many walks?
    fn is_for_row(&self, start: usize, which: Which) -> bool {
        match (which, self.start(start).route()) {
            (Which::Chain(link), Route::Links(0)) if !self.plan.links()[link].is_shared() => {
                self.plan.starts().len() > FEW_WALKS || self.plan.links()[..link].iter().any(Link::lists)
            }
            (Which::Chain(_), Route::Links(0)) => false,
            _ => true,
        }
    }

    fn answers(self: &Arc<Walk>, start: usize, which: Which, ask: Ask) -> BoxStream<'static, Result<Arc<serde_json::Value>, CloudError>> {
        let for_row = self.is_for_row(start, which);
        match self.link(which).until() {
            None => match self.shared.as_ref().filter(|_| self.link(which).is_shared()) {
                Some(shared) => self.pages_of(shared, ask, for_row),
                None => self.pages(ask, for_row),
            },
            Some(until) => {
                let (walk, until) = (self.clone(), until.clone());
                stream::once(async move { walk.polled(ask, &until, for_row).await }).boxed()
            }
        }
    }

    /// Asks until the answer is complete.
    async fn polled(&self, ask: Ask, until: &Until, for_row: bool) -> Result<Arc<serde_json::Value>, CloudError> {
        let mut waited = Duration::ZERO;
        loop {
            let answer = self.call(ask.clone(), for_row).await?;
            if until.done(&answer).map_err(|why| self.own_error("BadAnswer", why))? {
                return Ok(answer);
            }
            if waited >= until.at_most {
                let mut error = self.own_error("NotComplete", format!("still not complete after {} s; run again later", waited.as_secs()));
                error.service = ask.service.to_string();
                error.operation = ask.operation.to_string();
                return Err(error);
            }
            let pause = until.every.min(until.at_most - waited).max(Duration::from_millis(1));
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }
}
