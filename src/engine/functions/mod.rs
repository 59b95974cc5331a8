//! SQL functions of ours, one file a function family.
