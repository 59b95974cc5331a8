//! One file per report format: pure functions from the result model to bytes.
