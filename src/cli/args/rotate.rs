//! Arguments of `assay rotate`.

use crate::output::Format;
use assay_rotation::{Period, Step};
use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;

/// `assay rotate …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RotateVerb {
    /// List users: name, id, created on
    #[command(after_help = "Example:\n  assay rotate users --output csv")]
    Users {
        /// Output format
        #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
        output: Format,
    },
    /// Show which keys are too old, what would be done to each, and why others are left alone; changes nothing
    #[command(after_help = "Examples:\n  \
        assay rotate plan --older-than 90d --out plan.yaml\n  \
        assay rotate plan --where \"path like '/service/%' and access_key_last_used_date is null\"\n  \
        assay rotate plan --retire --user alice\n  \
        assay rotate plan --storage --older-than 90d --out storage.yaml")]
    Plan(RotatePlanArgs),
    /// Carry out a plan: shows what will happen, asks, and goes as far as the waits allow
    #[command(after_help = "Examples:\n  \
        assay rotate apply plan.yaml --sink 'secretsmanager:assay/{user}'\n  \
        assay rotate apply plan.yaml --sink 'file:/run/keys/{user}.json?age=age1…' --yes")]
    Apply(RotateApplyArgs),
    /// Only the first step: make new keys, deliver and verify them
    #[command(after_help = "Example:\n  assay rotate create plan.yaml --sink 'command:vault kv put secret/{user} -' --out created.yaml")]
    Create(RotateStepArgs),
    /// Only the second step: deactivate the old keys of a list
    #[command(after_help = "Example:\n  assay rotate deactivate created.yaml --out deactivated.yaml")]
    Deactivate(RotateStepArgs),
    /// Only the last step: delete the deactivated keys of a list
    #[command(after_help = "Example:\n  assay rotate delete deactivated.yaml")]
    Delete(RotateStepArgs),
    /// Show runs and where their keys stand; checks the journals
    #[command(after_help = "Examples:\n  assay rotate status\n  assay rotate status RUN --output json")]
    Status {
        /// A run, or the latest one of a key; all runs without
        #[arg(value_name = "RUN | KEY")]
        what: Option<String>,
        /// Output format
        #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
        output: Format,
    },
    /// Go on with a run after a wait or a crash
    #[command(
        after_help = "Examples:\n  assay rotate resume RUN\n  assay rotate resume RUN --moved mystorageaccount=key2\n  assay rotate resume RUN --moved mystorageaccount=key1"
    )]
    Resume {
        /// The run
        run: String,
        /// Consumers of this storage account work with this key now (without a name: key2), or with this new access key
        #[arg(long, value_name = "ACCOUNT[=KEY] | KEY")]
        moved: Vec<String>,

        /// Write the list for the next step
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,

        #[command(flatten)]
        exclude: RotateExclude,

        #[command(flatten)]
        going: RotateGoing,
    },
    /// Take a run, or one key of it, back: old keys active again, new keys that nobody used deleted
    #[command(after_help = "Examples:\n  assay rotate undo RUN\n  assay rotate undo AKIAIOSFODNN7EXAMPLE")]
    Undo {
        /// A run, or one key of its latest run; to name a new key says that no consumer has it
        #[arg(value_name = "RUN | KEY")]
        what: String,
        #[command(flatten)]
        going: RotateGoing,
    },
}

/// `assay rotate plan`.
#[derive(Debug, Args)]
pub(crate) struct RotatePlanArgs {
    /// Age from which a key is a candidate; judged by midnight UTC, as the controls do
    #[arg(long, visible_alias = "threshold-age", default_value = "90d", value_name = "AGE")]
    pub(crate) older_than: Period,

    /// Only keys for which this SQL condition is true
    #[arg(long = "where", value_name = "SQL", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,

    /// Only this user
    #[arg(long, value_name = "USER", conflicts_with = "storage")]
    pub(crate) user: Vec<String>,

    /// Only this account or subscription, by id
    #[arg(long, value_name = "ID")]
    pub(crate) account: Vec<String>,

    /// Write the plan to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Where new secrets go: secretsmanager:, keyvault:, file: or command:
    #[arg(long, value_name = "SINK")]
    pub(crate) sink: Option<String>,

    /// How long the new key must be in place, and the old one unused, before the old one is deactivated
    #[arg(long, default_value = "7d", value_name = "TIME")]
    pub(crate) grace: Period,

    /// How long a key must be inactive before it is deleted
    #[arg(long, default_value = "7d", value_name = "TIME")]
    pub(crate) settle: Period,

    /// For users with two keys: delete the inactive one, or retire the unused one
    #[arg(long, conflicts_with = "storage")]
    pub(crate) retire: bool,

    /// Storage accounts instead of access keys
    #[arg(long)]
    pub(crate) storage: bool,

    /// Only this storage account, by name
    #[arg(long, value_name = "NAME", requires = "storage")]
    pub(crate) storage_account: Vec<String>,

    /// Instead of rotating: set the key expiration period
    #[arg(long, value_name = "TIME", requires = "storage", conflicts_with = "disable_shared_key")]
    pub(crate) expiration_policy: Option<Period>,

    /// Instead of rotating: turn shared-key access off
    #[arg(long, requires = "storage")]
    pub(crate) disable_shared_key: bool,

    #[command(flatten)]
    pub(crate) exclude: RotateExclude,

    /// Output format; json is the whole plan
    #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// What is left alone beside the tag assay:rotate=never.
#[derive(Debug, Args)]
pub(crate) struct RotateExclude {
    /// Leave users or storage accounts of this name alone; * stands for anything
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,

    /// Leave users below this path alone: /break-glass/
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude_path: Vec<String>,

    /// Leave users or storage accounts with this tag alone, as those with assay:rotate=never
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) exclude_tag: Vec<String>,
}

/// `assay rotate apply`.
#[derive(Debug, Args)]
pub(crate) struct RotateApplyArgs {
    #[command(flatten)]
    pub(crate) list: RotateStepArgs,

    /// Only these of the plan's steps; create, deliver and verify are one
    #[arg(long, value_delimiter = ',', value_name = "STEPS", value_parser = step)]
    pub(crate) steps: Vec<Step>,
}

/// A step on a list of keys.
#[derive(Debug, Args)]
pub(crate) struct RotateStepArgs {
    /// The plan, or the list that the step before wrote
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,

    /// Where new secrets go, instead of the plan's sink
    #[arg(long, value_name = "SINK")]
    pub(crate) sink: Option<String>,

    /// Write the list for the next step
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Most keys in one run
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) max: usize,

    #[command(flatten)]
    pub(crate) exclude: RotateExclude,

    #[command(flatten)]
    pub(crate) going: RotateGoing,
}

/// Options of everything that changes something.
#[derive(Debug, Args)]
pub(crate) struct RotateGoing {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Keys in work at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    pub(crate) parallel: u16,

    /// Write what was done, with the control's verdicts before and after, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// Parses the name of a step.
fn step(text: &str) -> Result<Step, String> {
    match text {
        "create" => Ok(Step::Create),
        "deliver" => Ok(Step::Deliver),
        "verify" => Ok(Step::Verify),
        "deactivate" => Ok(Step::Deactivate),
        "delete" => Ok(Step::Delete),
        _ => Err("the steps are create, deliver, verify, deactivate and delete".to_owned()),
    }
}
