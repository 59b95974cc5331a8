//! Key rotation: plan, confirm, step, verify, journal, undo. The only room that may change a cloud.
//!
//! Owns: plans, guards, the order of steps, sinks for secrets, the journal. Refuses: anything that could leave a consumer without a
//! working key, and showing a secret to anyone but its sink. docs/rotation.md is its contract.

pub mod aws;
pub mod azure;
mod clock;
mod error;
mod guards;
pub mod hands;
mod journal;
mod lock;
mod period;
mod plan;
mod quiet;
mod refusal;
pub mod run;
mod secret;
pub mod select;
pub mod sink;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod trials;

pub use clock::Clock;
pub use error::RotationError;
pub use hands::CloudHands;
pub use journal::{Act, Entry, Event, History, State, Store};
pub use period::Period;
pub use plan::{AccessKeyItem, KeyStatus, LastUse, LeftAlone, Plan, Replacement, Step, StorageAction, StorageItem};
pub use refusal::{Guard, Refusal};
pub use secret::Secret;
