//! Functions of specs beside JMESPath's own: pure, one family a file.

mod codec;
mod days;
mod document;
mod entries;
mod later;
mod pascal;
mod policy;
mod resource_id;
mod tags;
mod text;
mod time;

use jmespath::{Context, ErrorReason, JmespathError, Rcvar, Runtime, Variable};
use serde_json::Value;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// What a function gives, for the check of column types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    Text,
    Number,
    Timestamp,
    Json,
    /// What its first argument is.
    First,
}

/// A function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) args: RangeInclusive<usize>,
    pub(crate) gives: Gives,
    pub(crate) call: fn(&[&Value]) -> Result<Value, String>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

static FUNCTIONS: [&Function; 18] = [
    &codec::BASE64,
    &days::DAYS,
    &document::DOCUMENT,
    &entries::ENTRIES,
    &time::EPOCH,
    &resource_id::ID_PART,
    &later::LATER,
    &text::LOWER,
    &text::NULL_IF,
    &pascal::PASCAL,
    &policy::POLICY,
    &text::REPLACE,
    &resource_id::RESOURCE_GROUP,
    &resource_id::RESOURCE_IDS,
    &text::SPLIT,
    &tags::TAGS,
    &text::TRIM,
    &text::UPPER,
];

pub(crate) use codec::base64_text;

/// A function of ours.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name).copied()
}

/// Names of our functions and of JMESPath's.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    const BUILTIN: [&str; 26] = [
        "abs",
        "avg",
        "ceil",
        "contains",
        "ends_with",
        "floor",
        "join",
        "keys",
        "length",
        "map",
        "max",
        "max_by",
        "merge",
        "min",
        "min_by",
        "not_null",
        "reverse",
        "sort",
        "sort_by",
        "starts_with",
        "sum",
        "to_array",
        "to_number",
        "to_string",
        "type",
        "values",
    ];
    FUNCTIONS.iter().map(|f| f.name).chain(BUILTIN)
}

/// JMESPath's functions and ours.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut runtime = Runtime::new();
        runtime.register_builtin_functions();
        for function in FUNCTIONS {
            let call = move |args: &[Rcvar], ctx: &mut Context<'_>| adapt(function, args, ctx);
            runtime.register_function(function.name, Box::new(call));
        }
        runtime
    });
    &RUNTIME
}

fn adapt(function: &Function, args: &[Rcvar], ctx: &mut Context<'_>) -> Result<Rcvar, JmespathError> {
    let run = || {
        let args = args.iter().map(to_value).collect::<Result<Vec<_>, _>>()?;
        (function.call)(&args.iter().collect::<Vec<_>>())
    };
    match run() {
        Ok(value) => Ok(Rcvar::new(Variable::from_serializable(&value)?)),
        Err(why) => Err(JmespathError::from_ctx(ctx, ErrorReason::Parse(why))),
    }
}

/// Why a search failed, without the place in the expression.
pub(crate) fn reason(e: &JmespathError) -> String {
    match &e.reason {
        ErrorReason::Parse(why) => why.clone(),
        ErrorReason::Runtime(why) => why.to_string().to_lowercase(),
    }
}

/// A value of the `jmespath` crate as JSON.
pub(crate) fn to_value(value: &Rcvar) -> Result<Value, String> {
    serde_json::to_value(&**value).map_err(|_| "an expression reference is not a value".to_owned())
}

/// The text of an argument; null stays null, anything else is an error that names the function.
fn text_of<'v>(function: &str, value: &'v Value) -> Result<Option<&'v str>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(s) => Ok(Some(s)),
        _ => Err(format!("{function}() takes a text")),
    }
}

#[cfg(test)]
pub(crate) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    (find(name).unwrap().call)(&args.iter().collect::<Vec<_>>())
}
