//! Tests of library.
