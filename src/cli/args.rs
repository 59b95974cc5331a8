//! The command line: what can be typed. Decides nothing; the commands do.

mod cache;
mod explain;
mod rotate;
mod values;

pub(crate) use cache::CacheVerb;
pub(crate) use explain::{ExplainArgs, PolicyArgs, PolicyFormat, TargetArgs};
pub(crate) use rotate::{RotateExclude, RotateGoing, RotatePlanArgs, RotateStepArgs, RotateVerb};
pub(crate) use values::{Separator, duration, separator, size};

use crate::output::Format;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `assay`.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    about = "SQL over live cloud APIs: tables, controls and benchmarks in one binary",
    disable_help_subcommand = true,
    after_help = "Without a command, assay opens an interactive SQL shell.\n\n\
                  Examples:\n  \
                  assay run benchmark cis_v200 --demo\n  \
                  assay query \"select user_name, create_date from aws_iam_user\"\n  \
                  assay --demo"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// In the shell: show secret columns where a statement names them, as `.secrets on` does
    #[arg(long)]
    pub(crate) show_secrets: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file; default: assay.yaml here or in a parent folder, then in ~/.config/assay
    #[arg(long, global = true, value_name = "FILE", env = "ASSAY_CONFIG", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,

    /// Connection that unqualified table names mean; several make a search path
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) connection: Vec<String>,

    /// How long answers of the cloud are reused: 300, 90s, 5m, 1h; 0 turns the cache off [default: 5m]
    #[arg(long, global = true, value_name = "TIME", env = "ASSAY_CACHE_TTL", value_parser = duration, help_heading = "Global options")]
    pub(crate) cache_ttl: Option<Duration>,

    /// Keep answers on disk, encrypted, for the next run; the configuration's `cache` says where and how many
    #[arg(long, global = true, value_name = "true|false", env = "ASSAY_DISK_CACHE", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true,
          default_missing_value = "true", help_heading = "Global options")]
    pub(crate) disk_cache: Option<bool>,

    /// How old what is shown may be: 4h lets reports of the cloud, such as IAM's credential report, take the place of many calls; without it, or
    /// with 0, only live answers do
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, help_heading = "Global options")]
    pub(crate) max_staleness: Option<Duration>,

    /// Answer from the recorded demo organisation that ships with assay: no account and no network needed
    #[arg(long, global = true, conflicts_with_all = ["replay", "record"], help_heading = "Global options")]
    pub(crate) demo: bool,

    /// Answer from a recording, with the clock at the recording's time
    #[arg(long, global = true, value_name = "BUNDLE", conflicts_with = "record", help_heading = "Global options")]
    pub(crate) replay: Option<PathBuf>,

    /// Record every answer of the cloud into a bundle
    #[arg(long, global = true, value_name = "BUNDLE", help_heading = "Global options")]
    pub(crate) record: Option<PathBuf>,

    /// How long a statement may take: 500ms, 90s, 5m; what it found until then is incomplete. 0 is no limit
    #[arg(long, global = true, value_name = "TIME", default_value = "0", value_parser = duration, env = "ASSAY_QUERY_TIMEOUT", hide_default_value = true, help_heading = "Global options")]
    pub(crate) query_timeout: Duration,

    /// Memory that statements may take together: 2GiB, 512MiB; default: half of the machine's, at most 4 GiB
    #[arg(long, global = true, value_name = "SIZE", env = "ASSAY_MEMORY_LIMIT", value_parser = size, help_heading = "Global options")]
    pub(crate) memory_limit: Option<usize>,

    /// No colours (also: environment variable NO_COLOR)
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_color: bool,

    /// Progress on stderr; auto: on a terminal
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = When::Auto, help_heading = "Global options")]
    pub(crate) progress: When,

    /// Say on stderr what is done: which calls are made, and how they end; never a secret
    #[arg(long, global = true, value_name = "LEVEL", value_enum, env = "ASSAY_LOG_LEVEL", help_heading = "Global options")]
    pub(crate) log_level: Option<LogLevel>,
}

/// How much `--log-level` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What ends assay
    Error,
    /// What may be wrong
    Warn,
    /// Calls that failed, and that were made again
    Info,
    /// Every call: operation, account, region, time, status
    Debug,
    /// Also answers that were reused
    Trace,
}

/// `auto`, `always`, `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run SQL and print its rows
    #[command(after_help = "Examples:\n  \
        assay query \"select user_name from aws_iam_user where not mfa_enabled\"\n  \
        assay query report.sql --output csv\n  \
        assay query \"select * from aws_iam_role\" --output parquet > roles.parquet\n  \
        echo \"select 1\" | assay query -\n  \
        assay query \"select * from aws_iam_access_key where user_name = $who\" --arg who=alice")]
    Query(QueryArgs),

    /// Run controls or benchmarks and report their verdicts
    #[command(after_help = "Examples:\n  assay run benchmark cis_v200 --demo\n  assay run control cis_v200_1_14 --output csv")]
    Run {
        #[command(subcommand)]
        what: RunWhat,
    },

    /// Powerpipe's spelling of `run control`
    #[command(hide = true)]
    Control {
        #[command(subcommand)]
        verb: RunVerb,
    },

    /// Powerpipe's spelling of `run benchmark`
    #[command(hide = true)]
    Benchmark {
        #[command(subcommand)]
        verb: RunVerb,
    },

    /// Say what a statement, control or benchmark will call, before anything is called
    #[command(after_help = "Examples:\n  \
        assay explain cis_v200 --demo\n  \
        assay explain \"select user_name, create_date from aws_iam_access_key\"\n  \
        assay explain cis_v200_1_14 --arg max_age_days=60 --output json\n  \
        assay explain all --max-calls 5000 && assay run benchmark all")]
    Explain(ExplainArgs),

    /// Print the permissions that a statement, control or benchmark needs: an IAM policy, an Azure role
    #[command(after_help = "Examples:\n  \
        assay policy cis_v200 > policy.json\n  \
        assay policy \"select name, tags from aws_s3_bucket\"\n  \
        assay policy conformity_azure_storage --output text")]
    Policy(PolicyArgs),

    /// List tables, controls, benchmarks, named queries or connections
    #[command(
        after_help = "Examples:\n  assay list tables\n  assay list controls --output csv\n  assay list benchmarks --mod my_mod --all\n  assay list connections"
    )]
    List(ListArgs),

    /// Show a table, control, benchmark or named query
    #[command(after_help = "Examples:\n  assay show aws_iam_access_key\n  assay show cis_v200_1_14\n  assay show cis_v200")]
    Show(ShowArgs),

    /// Install Powerpipe mods, list, update and remove them
    #[command(after_help = "Examples:\n  \
        assay mod install github.com/owner/repository@v1.2.0\n  \
        assay mod install ./my-mod\n  \
        assay mod list")]
    Mod {
        #[command(subcommand)]
        verb: ModVerb,
    },

    /// Rotate access keys of IAM users and keys of Azure storage accounts: plan, apply, resume, undo
    #[command(after_help = "Examples:\n  \
        assay rotate plan --older-than 90d --out plan.yaml\n  \
        assay rotate apply plan.yaml --sink 'secretsmanager:assay/{user}'\n  \
        assay rotate status")]
    Rotate {
        #[command(subcommand)]
        verb: RotateVerb,
    },

    /// Look at the answers that are kept on disk, and remove them
    #[command(after_help = "Examples:\n  assay cache status\n  assay cache clear --connection prod")]
    Cache {
        #[command(subcommand)]
        verb: CacheVerb,
    },

    /// Check configuration, credentials and access of every connection
    #[command(after_help = "Example:\n  assay doctor --connection prod")]
    Doctor,

    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  assay completions bash > ~/.local/share/bash-completion/completions/assay")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `assay run …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunWhat {
    /// Run controls
    #[command(after_help = "Examples:\n  \
        assay run control cis_v200_1_14\n  \
        assay run control cis_v200_1_14 --arg max_age_days=60 --output json")]
    Control(RunArgs),
    /// Run benchmarks
    #[command(after_help = "Examples:\n  \
        assay run benchmark cis_v200 --demo\n  \
        assay run benchmark cis_v200 --export report.html --export report.csv\n  \
        assay run benchmark all --where \"severity in ('high', 'critical')\" --dry-run")]
    Benchmark(RunArgs),
}

/// `assay control …`, `assay benchmark …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunVerb {
    /// Run them
    #[command(after_help = "Example:\n  assay benchmark run cis_v200 --demo")]
    Run(RunArgs),
}

/// `assay mod …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModVerb {
    /// Install mods and what they require; without a source, what the mod in this folder requires
    #[command(after_help = "Examples:\n  \
        assay mod install https://github.com/owner/repository@^1.2\n  \
        assay mod install git@github.com:owner/repository.git@main\n  \
        assay mod install ../my-mod")]
    Install {
        /// Folder, or git URL with or without a tag, branch, commit or range of versions; the newest version otherwise
        #[arg(value_name = "PATH | URL[@VERSION]")]
        sources: Vec<String>,
    },
    /// List installed mods, and the one in this folder
    #[command(after_help = "Example:\n  assay mod list --output json")]
    List {
        /// Output format
        #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
        output: Format,
    },
    /// Bring mods up to date within the versions they were installed with
    #[command(after_help = "Examples:\n  assay mod update\n  assay mod update my_mod")]
    Update {
        /// Names of mods; all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove mods
    #[command(after_help = "Example:\n  assay mod uninstall my_mod")]
    Uninstall {
        /// Names of mods
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// `assay query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// SQL, a file that ends in .sql, the name of a query, or - for standard input
    #[arg(value_name = "SQL | FILE.sql | NAME | -")]
    pub(crate) sql: Vec<String>,

    /// Output format
    #[arg(long, short, default_value = "table", value_parser = Format::of_rows(), value_name = "FORMAT")]
    pub(crate) output: Format,

    /// Value of a parameter: name=value for $name, or a value alone for $1, $2, …
    #[arg(long, value_name = "[NAME=]VALUE")]
    pub(crate) arg: Vec<String>,

    /// Rows, calls, cache hits and time on stderr
    #[arg(long)]
    pub(crate) timing: bool,

    /// Print column names (table, csv)
    #[arg(long, action = ArgAction::Set, default_value_t = true, value_name = "true|false")]
    pub(crate) header: bool,

    /// Separator of csv
    #[arg(long, default_value = ",", value_parser = separator, value_name = "CHAR")]
    pub(crate) separator: Separator,

    /// Show secret columns where the statement names them; select * never has them
    #[arg(long)]
    pub(crate) show_secrets: bool,

    /// Requests that may be sent, retries included; what they do not reach is missing, and the result incomplete
    #[arg(long, value_name = "N")]
    pub(crate) max_calls: Option<u64>,

    /// Incomplete data is a warning, not exit code 2
    #[arg(long)]
    pub(crate) allow_partial: bool,
}

/// `assay run control|benchmark`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Ids, with or without prefix: cis_v200_1_14, aws_compliance.control.cis_v200_1_14; all
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,

    /// Report on stdout: the whole tree as text, what is not ok as brief, every row as csv …
    #[arg(long, short, default_value = "text", value_parser = report_format(), value_name = "FORMAT")]
    pub(crate) output: assay_report::Format,

    /// Also write the report to a file; its suffix (.csv, .json, .md, .html, .txt) is the format
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Vec<PathBuf>,

    /// Only controls for which this is true: "severity = 'high' and tags->>'service' = 'AWS/IAM'"
    #[arg(long = "where", value_name = "EXPR", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,

    /// Only controls with this tag
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) tag: Vec<String>,

    /// List the controls that would run
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Controls that run at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    pub(crate) max_parallel: u16,

    /// Argument of the controls: name=value
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) arg: Vec<String>,

    /// Variable of mods, or that controls use as default of an argument: name=value, mod.name=value
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,

    /// File of variables: .ppvars and .spvars in HCL, else YAML or JSON, name: value
    #[arg(long, value_name = "FILE")]
    pub(crate) var_file: Vec<PathBuf>,

    /// Requests that all controls together may send, retries included; controls that lack some are errors
    #[arg(long, value_name = "N")]
    pub(crate) max_calls: Option<u64>,

    /// Incomplete data is a warning, not exit code 2
    #[arg(long)]
    pub(crate) allow_partial: bool,
}

/// What `assay list` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListWhat {
    /// Tables, with what they hold
    Tables,
    /// Controls
    Controls,
    /// Benchmarks
    Benchmarks,
    /// Named queries
    Queries,
    /// Connections of the configuration
    Connections,
}

/// `assay list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub(crate) what: ListWhat,

    /// Only what this mod has: controls, benchmarks, queries
    #[arg(long = "mod", value_name = "NAME")]
    pub(crate) of_mod: Option<String>,

    /// Benchmarks: also those inside of others
    #[arg(long)]
    pub(crate) all: bool,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// `assay show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Id of a table, control, benchmark or named query
    pub(crate) id: String,
}

/// Names of the report formats.
fn report_format() -> impl TypedValueParser<Value = assay_report::Format> {
    PossibleValuesParser::new(assay_report::Format::ALL.map(assay_report::Format::as_str))
        .try_map(|name| assay_report::Format::parse(&name).ok_or_else(|| format!("there is no format {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent_and_every_command_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        fn check(command: &clap::Command) {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "no example in `{} --help`", command.get_name());
            command.get_subcommands().filter(|c| !c.is_hide_set()).for_each(check);
        }
        check(&command);
    }

    #[test]
    fn good_lines_parse() {
        for line in [
            "assay",
            "assay --demo",
            "assay --demo --show-secrets",
            "assay query select --show-secrets --memory-limit 2GiB",
            "assay query select --output csv --separator ; --header false --arg a=1 --arg 2",
            "assay query - --demo",
            "assay query x --output parquet",
            "assay run control cis_v200_1_14 a.control.b --export a.csv --export b.html --arg max_age_days=60",
            "assay run benchmark all --tag service=AWS/IAM --tag level=1 --dry-run --max-parallel 4",
            "assay control run x --output brief",
            "assay benchmark run cis_v200 --replay x.bundle --progress never",
            "assay explain select --output json --max-calls 5",
            "assay explain cis_v200 cis_v200_1_14 --arg a=1 --tag level=1 --where x",
            "assay policy all --output text",
            "assay query select --max-calls 0",
            "assay run control x --max-calls 100",
            "assay list tables --output json",
            "assay list benchmarks --mod x --all",
            "assay show aws_iam_user --connection a --connection b",
            "assay mod install a b@v1",
            "assay mod install",
            "assay mod list -o json",
            "assay mod update",
            "assay mod uninstall x",
            "assay rotate users",
            "assay rotate plan --older-than 60d --where status='Active' --user a --user b --out p.yaml",
            "assay rotate plan --threshold-age 30d --retire --exclude svc-* --exclude-path /x/ --exclude-tag a=b",
            "assay rotate plan --storage --expiration-policy 90d",
            "assay rotate apply p.yaml --steps create,deliver,verify --yes --sink file:/x --max 5 --parallel 2 --report r.json",
            "assay rotate create p.yaml --sink file:/x --out c.yaml -y",
            "assay rotate deactivate c.yaml",
            "assay rotate delete d.yaml",
            "assay rotate status",
            "assay rotate status x -o json",
            "assay rotate apply p.yaml --steps create -y --exclude-tag team",
            "assay rotate resume x --moved a --moved b=key1 --out c.yaml --exclude svc-*",
            "assay rotate undo AKIAIOSFODNN7EXAMPLE --yes",
            "assay doctor --config x.yaml",
            "assay completions zsh",
            "assay query select --log-level debug",
            "assay cache status -o json",
            "assay cache clear --connection prod",
            "assay --disk-cache query select --cache-ttl 1h",
            "assay query select --disk-cache=false",
        ] {
            if let Err(e) = parse(line) {
                panic!("{line}: {e}");
            }
        }
    }

    #[test]
    fn bad_lines_are_refused() {
        for line in [
            "assay nonsense",
            "assay query --output xml x",
            "assay list tables --output parquet",
            "assay query --separator ab x",
            "assay run",
            "assay run control",
            "assay run control x --max-parallel 0",
            "assay run control x --max-calls -1",
            "assay explain",
            "assay policy x --output csv",
            "assay run control x --output parquet",
            "assay run control x --show-secrets",
            "assay query x --memory-limit much",
            "assay --demo --replay x",
            "assay --replay x --record y",
            "assay --cache-ttl 5x list tables",
            "assay --disk-cache=perhaps list tables",
            "assay cache",
            "assay list everything",
            "assay completions cmd",
            "assay mod",
            "assay mod uninstall",
            "assay rotate",
            "assay rotate plan --older-than 90",
            "assay rotate plan --storage --user a",
            "assay rotate plan --disable-shared-key",
            "assay rotate plan --storage --disable-shared-key --expiration-policy 90d",
            "assay rotate apply",
            "assay rotate apply p.yaml --steps reset",
            "assay rotate apply p.yaml --parallel 0",
            "assay rotate delete",
            "assay rotate resume",
            "assay query --header maybe x",
        ] {
            assert!(parse(line).is_err(), "{line} was accepted");
        }
    }
}
