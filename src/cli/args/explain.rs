//! Arguments of `assay explain` and `assay policy`.

use crate::output::Format;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

/// What is asked about.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// SQL, a file that ends in .sql, - for standard input, or ids of controls, benchmarks and queries; all
    #[arg(required = true, value_name = "SQL | FILE.sql | ID")]
    pub(crate) targets: Vec<String>,

    /// Only controls for which this is true, as in `run`
    #[arg(long = "where", value_name = "EXPR", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,

    /// Only controls with this tag
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<String>,

    /// Argument of the statement or of the controls: name=value
    #[arg(long, value_name = "[NAME=]VALUE")]
    pub(crate) arg: Vec<String>,

    /// Variable of mods, or that controls use as default of an argument: name=value, mod.name=value
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,

    /// File of variables: .ppvars and .spvars in HCL, else YAML or JSON, name: value
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<PathBuf>,
}

/// `assay explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,

    /// Exit code 2 where it takes more calls than this
    #[arg(long, value_name = "N")]
    pub(crate) max_calls: Option<u64>,

    /// Ask for lists, a few calls, where that tells how many calls their rows take
    #[arg(long)]
    pub(crate) ask: bool,

    /// Explain secret columns too, where the statement names them
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// How a policy is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyFormat {
    /// Documents for the cloud's own tools
    Json,
    /// A permission a line
    Text,
}

/// `assay policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = PolicyFormat::Json, value_name = "FORMAT")]
    pub(crate) output: PolicyFormat,

    /// Grant what secret columns take too, where the statement names them
    #[arg(long)]
    pub(crate) show_secrets: bool,
}
