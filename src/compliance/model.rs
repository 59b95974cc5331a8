//! What content files say: controls, and the groups and leaves of benchmarks. Nothing here is resolved across files.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Tags by name, in the order of reports.
pub type Tags = BTreeMap<String, String>;

/// How bad an alarm is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not said.
    #[default]
    None,
    /// Good to know.
    Info,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// All, mildest first.
    pub const ALL: [Severity; 6] = [Severity::None, Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The word used in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The severity of that name.
    pub fn parse(text: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: usize,
    /// 1-based column.
    pub column: usize,
}

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Number, bool, text or a list of those, in a mod any JSON; `None`: it must be given.
    pub default: Option<Json>,
    /// Smallest number allowed.
    pub min: Option<f64>,
    /// Largest number allowed.
    pub max: Option<f64>,
    /// What to do instead, shown with a value that is refused; may be empty.
    pub hint: String,
}

impl Param {
    /// Says so when a number is out of bounds.
    pub fn out_of_bounds(&self, value: &Json) -> Option<String> {
        crate::args::out_of_bounds(self, value)
    }

    /// The hint, where there is one.
    pub fn advice(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }
}

/// Where a control's SQL is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryRef {
    /// Its own; the control's id names it.
    Sql(Arc<str>),
    /// Another control's, or a mod's query.
    Named(String),
}

/// A query of a mod, which controls share.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Id, such as `aws_compliance.query.iam_user_mfa`.
    pub id: String,
    /// One line.
    pub title: String,
    /// A sentence or two; may be empty.
    pub description: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// Tags.
    pub tags: Tags,
    /// The statement.
    pub sql: Arc<str>,
    /// Parameters in the order of `$1`, `$2`, ….
    pub params: Vec<Param>,
    /// Where it stands.
    pub place: Place,
}

/// One question to a cloud: a query and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Id, and name of the query.
    pub id: String,
    /// One line.
    pub title: String,
    /// A sentence or two; may be empty.
    pub description: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// How bad an alarm is.
    pub severity: Severity,
    /// Such as `AWS/IAM`; may be empty.
    pub service: String,
    /// Tags, `service` among them.
    pub tags: Tags,
    /// Parameters in order. With `QueryRef::Named` only those whose default or text differs, in a mod all.
    pub params: Vec<Param>,
    /// The SQL.
    pub query: QueryRef,
    /// Where the control stands.
    pub place: Place,
    /// Where its SQL or the query's name stands.
    pub query_place: Place,
}

/// A control's place in a framework.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// Id, such as `cis_v200_1_14`.
    pub id: String,
    /// The control, where one is planned.
    pub control: Option<String>,
    /// Item number, such as `1.14`.
    pub item: Option<String>,
    /// Title where it differs from the control's.
    pub title: Option<String>,
    /// Description where it differs.
    pub description: Option<String>,
    /// Markdown where it differs.
    pub documentation: Option<String>,
    /// Service where the control does not say it.
    pub service: Option<String>,
    /// Inherited, derived and own tags; the control's are added beneath them.
    pub tags: Tags,
    /// Arguments for the control's parameters.
    pub args: BTreeMap<String, Json>,
    /// Where it stands.
    pub place: Place,
    /// Where its control's name stands.
    pub control_place: Place,
}

/// A benchmark or a group inside one.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Id, such as `cis_v200` or `cis_v200_1`.
    pub id: String,
    /// One line.
    pub title: String,
    /// A sentence or two; may be empty.
    pub description: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// Inherited and own tags.
    pub tags: Tags,
    /// In the order of the report.
    pub children: Vec<Child>,
    /// The root of its file?
    pub is_file: bool,
    /// Where it stands.
    pub place: Place,
}

/// A child of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Child {
    /// A nested group.
    Group(Arc<Group>),
    /// A leaf.
    Leaf(Arc<Leaf>),
    /// The id of a benchmark, group, leaf or control that stands elsewhere.
    Name(String, Place),
}
