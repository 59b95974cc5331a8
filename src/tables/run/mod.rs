//! What an executor of plans works with: links, further calls, rows in the making, and the batches they end in.
//!
//! Pure: asks are data, answers come in as JSON. Owns nothing of when, how often or how parallel calls are made.

mod batch;
mod call;
mod convert;
mod fold;
mod rest;
mod row;
mod select;
#[cfg(test)]
mod tests;

pub use batch::{BatchBuilder, Problem};
pub use call::{Also, Ask, Fallback, Gathered, Link, Until};
pub use fold::Fold;
pub use row::{Facts, Keys, Row, Slot};

pub(crate) use call::{Call, LinkSource, Override, Takes};
pub(crate) use convert::Builder;
pub(crate) use rest::{Clause, FILTER, Front, Rest, property};
pub(crate) use select::{Decode, Segment, Select};
