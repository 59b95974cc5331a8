//! SQL functions of ours, one file a function family.
//!
//! They override DataFusion's of the same name where PostgreSQL's answer differs.

pub(crate) mod aggregates;
pub(crate) mod array_agg;
mod array_ops;
pub(crate) mod arrays;
mod bytes;
pub(crate) mod cast;
pub(crate) mod checked;
mod choose;
mod dates;
mod decimal;
mod inet;
pub(crate) mod interval;
mod jsonb_access;
mod jsonb_build;
mod jsonb_edit;
pub(crate) mod jsonb_equal;
mod jsonb_make;
pub(crate) mod jsonb_scan;
mod jsonb_test;
mod jsonb_walk;
mod jsonb_write;
pub(crate) mod jsonpath;
mod math;
mod numbers;
pub(crate) mod numeric;
mod perhaps;
mod regex;
mod regex_more;
pub(crate) mod row;
mod series;
mod strings;
pub(crate) mod text_out;
pub(crate) mod time_in;
mod to_char;
mod to_char_number;
mod totals;
mod transcendental;
mod zones;

use datafusion::logical_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static FUNCTIONS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let families = [
        array_ops::ALL,
        arrays::ALL,
        bytes::ALL,
        checked::ALL,
        dates::ALL,
        inet::ALL,
        interval::ALL,
        jsonb_access::ALL,
        jsonb_build::ALL,
        jsonb_edit::ALL,
        jsonb_equal::ALL,
        jsonb_test::ALL,
        jsonpath::ALL,
        math::ALL,
        numbers::ALL,
        numeric::ALL,
        regex::ALL,
        regex_more::ALL,
        strings::ALL,
        to_char::ALL,
    ];
    let rows = families.into_iter().flatten().map(|def| def.udf());
    rows.chain(arrays::typed())
        .chain(array_ops::typed())
        .chain(series::all())
        .chain(checked::typed())
        .chain(choose::all())
        .chain(cast::all())
        .chain(jsonb_walk::all())
        .chain(jsonb_make::all())
        .chain([perhaps::udf()])
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
