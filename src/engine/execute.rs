//! Walks a table's call plan in one scope: pages, children, per-row calls; streams record batches.
