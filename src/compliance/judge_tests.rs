//! Tests of judge.
