//! SQL functions of ours, one file a function family.
//!
//! They override DataFusion's of the same name where PostgreSQL's answer differs.

mod array_ops;
pub(crate) mod arrays;
pub(crate) mod cast;
mod dates;
mod decimal;
mod inet;
pub(crate) mod interval;
mod jsonb_access;
mod jsonb_build;
pub(crate) mod jsonb_scan;
mod jsonb_test;
pub(crate) mod jsonpath;
mod numbers;
mod regex;
pub(crate) mod row;
mod series;
mod strings;
pub(crate) mod text_out;
pub(crate) mod time_in;
mod to_char;
mod to_char_number;

use datafusion::logical_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static FUNCTIONS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let families = [
        array_ops::ALL,
        arrays::ALL,
        dates::ALL,
        inet::ALL,
        interval::ALL,
        jsonb_access::ALL,
        jsonb_build::ALL,
        jsonb_test::ALL,
        jsonpath::ALL,
        numbers::ALL,
        regex::ALL,
        strings::ALL,
        to_char::ALL,
    ];
    let rows = families.into_iter().flatten().map(|def| def.udf());
    rows.chain(arrays::typed())
        .chain(array_ops::typed())
        .chain(series::all())
        .chain(cast::all())
        .map(|udf| (udf.name().to_string(), Arc::new(udf)))
        .collect()
});

/// Every scalar function of ours.
pub(crate) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    FUNCTIONS.values().cloned()
}

/// A function of ours by name.
pub(crate) fn get(name: &str) -> Option<Arc<ScalarUDF>> {
    FUNCTIONS.get(name).cloned()
}
