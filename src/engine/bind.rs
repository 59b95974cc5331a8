//! Join binding: the values that one side of a join has become parameters of the calls behind the other.
//!
//! [`sides`] puts tables that can be asked by key on the probe side of their join; [`rule`] taps the build side and hands its values to the
//! scans below the probe side, as far as [`trace`] can follow the columns; [`choose`] decides, scope by scope and with the values in hand,
//! which calls are cheapest; [`streamed`] reads no more of a build side than a LIMIT needs. Nothing waits for anything but the build side of
//! a join it is the probe side of, and so no plan can hang.

mod choose;
mod rule;
mod sides;
mod streamed;
mod tap;
mod trace;
mod values;

pub(crate) use choose::{Chooser, Chosen, Fed, Feed, Need};

use rule::BindJoins;
use sides::JoinSides;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rules with ours where they belong: sides are chosen before anything depends on them, values bound when nothing moves any more.
pub(crate) fn rules(mut rules: Vec<Rule>) -> Vec<Rule> {
    let after = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(after, Arc::new(JoinSides));
    rules.push(Arc::new(BindJoins));
    rules
}
