//! Any operation of any AWS service by name, JSON in and JSON out, driven by the official service models at run time.
//!
//! Requests, signing, credentials and transport are the official crates'; models, endpoint rules and answers are read here.

mod attempts;
pub mod client;
mod embedded;
mod endpoint;
mod failure;
pub(crate) mod gates;
mod json;
pub mod model;
pub(crate) mod plain;
mod plugins;
mod request;
mod response;
mod scalar;
mod schema;
mod service;
mod shape;
#[cfg(test)]
mod suites;
mod xml;

pub(crate) use failure::write_failure;
pub(crate) use service::Service;
