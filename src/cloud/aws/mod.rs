//! Any operation of any AWS service by name, JSON in and JSON out, driven by the official service models at run time.

pub mod client;
pub mod model;
