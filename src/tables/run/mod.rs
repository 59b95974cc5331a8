//! What an executor of plans works with: links, further calls, rows in the making, and the batches they end in.
//!
//! Pure: asks are data, answers come in as JSON. Owns nothing of when, how often or how parallel calls are made.

mod also;
mod batch;
mod call;
mod convert;
mod fold;
mod rest;
mod row;
mod select;
#[cfg(test)]
mod tests;

pub use also::Also;
pub use batch::{BatchBuilder, Problem};
pub use call::{Ask, Fallback, Gathered, Link, Make, Until};
pub use fold::Fold;
pub use row::{Facts, Keys, Row, Slot};

pub(crate) use call::{Call, LinkSource, Override, Takes};
pub(crate) use convert::Builder;
pub(crate) use rest::{Clause, FILTER, Front, Rest, property};
pub(crate) use select::{Decode, Segment, Select};

/// The first element of a list, or the list, as a place.
#[cfg(test)]
pub(crate) fn test_place(answer: &std::sync::Arc<serde_json::Value>, first: bool) -> row::Place {
    let hops = if first { vec![row::Hop::Index(0)] } else { Vec::new() };
    row::Place { answer: std::sync::Arc::clone(answer), hops }
}
