//! Whole runs against a world of our own: a stateful IAM, a sink with its consumers, a clock moved by hand, and a fuse that kills the
//! process at a chosen point. The world notes every moment at which a consumer has no key that works.

mod crash;
mod faults;
mod full;
mod guarded;
mod random;
mod storage;
mod storage_crash;
mod storage_guarded;
pub(crate) mod storage_world;
mod taking_back;
mod tamper;
pub(crate) mod world;
pub(crate) mod world_hands;
