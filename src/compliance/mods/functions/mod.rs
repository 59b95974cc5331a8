//! Functions by name. Owns the table; the functions themselves are in one file a family.

mod collections;
mod dates;
mod encoding;
pub(crate) mod files;
mod format;
mod hashes;
mod networks;
mod numbers;
mod strings;
mod yaml;

use super::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a function refuses its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Which argument, where it is one.
    pub(crate) arg: Option<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong { arg: None, message, hint: None }
    }
}

impl From<&str> for Wrong {
    fn from(message: &str) -> Wrong {
        Wrong::from(message.to_owned())
    }
}

type Done = Result<Value, Wrong>;
type Function = fn(&Args) -> Done;

/// A function: its name, how few and how many arguments it takes.
struct Entry(&'static str, usize, usize, Function);

const MANY: usize = usize::MAX;

const FAMILIES: [&[Entry]; 7] =
    [strings::TABLE, collections::TABLE, numbers::TABLE, encoding::TABLE, hashes::TABLE, networks::TABLE, dates::TABLE];

/// Functions of Powerpipe that we refuse, and why.
const REFUSED: &[(&str, &str)] = &[
    ("abspath", "it gives another path on each machine"),
    ("base64gzip", "what it gives depends on the machine"),
    ("bcrypt", "it gives another value each time"),
    ("pathexpand", "a mod reads its own files only"),
    ("rsadecrypt", "a mod has no keys"),
    ("timestamp", "it gives another value each time; use now() in SQL"),
    ("uuid", "it gives another value each time"),
];

/// Why a function of Powerpipe is not there.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(n, _)| *n == name).map(|(_, why)| *why)
}

/// Names of all functions, for suggestions.
pub(crate) fn names() -> Vec<&'static str> {
    let tables = FAMILIES.iter().flat_map(|t| t.iter().map(|e| e.0));
    tables.chain(["try", "can"]).chain(files::NAMES.iter().copied()).collect()
}

/// Calls a function; `None`: there is none of that name.
pub(crate) fn call(name: &str, args: Vec<Value>) -> Option<Done> {
    let Entry(_, least, most, function) = FAMILIES.iter().flat_map(|t| t.iter()).find(|e| e.0 == name)?;
    if let Err(wrong) = count(args.len(), *least, *most) {
        return Some(Err(wrong));
    }
    Some(function(&Args(args)))
}

fn count(given: usize, least: usize, most: usize) -> Result<(), Wrong> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let want = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (a, b) if a == b => format!("{a} arguments"),
        (a, MANY) => format!("at least {a} argument{}", if a == 1 { "" } else { "s" }),
        (a, b) => format!("{a} to {b} arguments"),
    };
    Err(Wrong::from(format!("takes {want}, not {given}")))
}

/// Arguments, read by type.
struct Args(Vec<Value>);

impl Args {
    fn at(&self, i: usize) -> &Value {
        self.0.get(i).unwrap_or(&Value::Null)
    }

    fn wrong(&self, i: usize, want: &str) -> Wrong {
        let n = if self.0.len() > 1 { format!("argument {} ", i + 1) } else { "the argument ".to_owned() };
        Wrong { arg: Some(i), message: format!("{n}must be {want}, not {}", self.at(i).kind()), hint: None }
    }

    fn text(&self, i: usize) -> Result<Arc<str>, Wrong> {
        self.at(i).as_text().ok_or_else(|| self.wrong(i, "text"))
    }

    fn int(&self, i: usize) -> Result<i64, Wrong> {
        self.at(i).as_int().ok_or_else(|| self.wrong(i, "a whole number"))
    }

    fn float(&self, i: usize) -> Result<f64, Wrong> {
        self.at(i).as_f64().ok_or_else(|| self.wrong(i, "a number"))
    }

    fn list(&self, i: usize) -> Result<&[Value], Wrong> {
        match self.at(i) {
            Value::List(items) => Ok(items),
            _ => Err(self.wrong(i, "a list")),
        }
    }

    fn map(&self, i: usize) -> Result<&BTreeMap<String, Value>, Wrong> {
        match self.at(i) {
            Value::Map(map) => Ok(map),
            _ => Err(self.wrong(i, "a map")),
        }
    }

    /// The texts of a list's elements.
    fn texts(&self, i: usize) -> Result<Vec<Arc<str>>, Wrong> {
        self.list(i)?
            .iter()
            .map(|v| {
                v.as_text().ok_or_else(|| Wrong { arg: Some(i), message: format!("an element must be text, not {}", v.kind()), hint: None })
            })
            .collect()
    }

    /// Numbers: the arguments themselves.
    fn floats(&self) -> Result<Vec<f64>, Wrong> {
        (0..self.0.len()).map(|i| self.float(i)).collect()
    }

    fn size(&self, i: usize) -> Result<usize, Wrong> {
        usize::try_from(self.int(i)?).map_err(|_| Wrong { arg: Some(i), message: "a number must not be negative".to_owned(), hint: None })
    }
}

fn bad(i: usize, message: impl Into<String>) -> Wrong {
    Wrong { arg: Some(i), message: message.into(), hint: None }
}
