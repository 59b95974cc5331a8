//! What `explain` and `policy` are asked about: SQL, files, named queries, controls and benchmarks, as statements with their arguments.

use crate::args::{Global, TargetArgs};
use crate::commands::{self, query, run};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::{self, Session};
use crate::{params, sql_text};
use assay_compliance::{Evaluation, Item, Library, Request, TargetKind};
use assay_engine::{Arg, Asked, EngineError};

/// A statement, its arguments, and what to call it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// The query's name; empty for SQL of the command line.
    pub(crate) name: String,
    /// The statement.
    pub(crate) sql: String,
    /// Its arguments.
    pub(crate) args: Vec<Arg>,
}

impl Target {
    /// As the engine takes it.
    pub(crate) fn asked(&self) -> Asked<'_> {
        (&self.sql, &self.args)
    }

    /// The statement behind a control.
    pub(crate) fn of(evaluation: &Evaluation) -> Target {
        let args = evaluation.args.iter().map(|a| Arg { name: a.name.clone(), value: a.value.clone() });
        Target { name: evaluation.query.clone(), sql: evaluation.sql.to_string(), args: args.collect() }
    }
}

/// Every statement, each once.
pub(crate) fn resolve(global: &Global, console: Console, args: &TargetArgs) -> Result<Vec<Target>, Failed> {
    let config = if global.demo { Config::default() } else { Config::load(global.config.as_deref())? };
    let vars = run::all_variables(&args.var_file, &args.var)?;
    let library = session::library(&config, &vars)?;
    let (mut controls, mut benchmarks) = (Vec::new(), Vec::new());
    let mut out: Vec<Target> = Vec::new();
    for text in &args.targets {
        match kind(&library, text) {
            Some(TargetKind::Control) => controls.push(text.clone()),
            Some(TargetKind::Benchmark) => benchmarks.push(text.clone()),
            None => {
                let mut bound = params::parse(&args.arg)?;
                let source = query::source(global, text, &mut bound)?;
                for statement in sql_text::statements(&source.text) {
                    out.push(Target { name: String::new(), sql: statement.text, args: bound.clone() });
                }
            }
        }
    }
    for (kind, ids) in [(TargetKind::Control, controls), (TargetKind::Benchmark, benchmarks)] {
        if ids.is_empty() {
            continue;
        }
        let (filters, tags) = (args.filter.clone(), args.tag.clone());
        let request = Request { kind, ids, filters, tags, args: args.arg.clone(), vars: vars.clone() };
        let plan = library.plan(&request)?;
        if plan.root.controls().iter().any(|c| c.id.contains('.')) {
            commands::mods::notices(console, &library);
        }
        for target in plan.evaluations.iter().map(Target::of) {
            if !out.iter().any(|known| (&known.sql, &known.args) == (&target.sql, &target.args)) {
                out.push(target);
            }
        }
    }
    if out.is_empty() {
        return Err(Failed::new(Exit::Content, "there is no statement behind this").hint("for example: assay explain cis_v200"));
    }
    Ok(out)
}

/// Control or benchmark; `None` for what is SQL, a file or a query.
fn kind(library: &Library, text: &str) -> Option<TargetKind> {
    if text == "all" {
        return Some(TargetKind::Benchmark);
    }
    let word = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    match library.find(text).ok().filter(|_| word)? {
        Item::Group(_) => Some(TargetKind::Benchmark),
        Item::Control(_) | Item::Leaf(_) => Some(TargetKind::Control),
    }
}

/// Statements that can be planned; of controls, the others are named. SQL that was written here must be right.
pub(crate) async fn plannable(session: &Session, targets: Vec<Target>) -> Result<(Vec<Target>, Vec<String>), Failed> {
    let (mut good, mut notes) = (Vec::new(), Vec::new());
    for target in targets {
        match session.engine.operations(&[target.asked()]).await {
            Ok(_) => good.push(target),
            Err(error @ (EngineError::Internal(_) | EngineError::Cloud(_))) => return Err(error.into()),
            Err(error) if target.name.is_empty() => return Err(error.into()),
            Err(error) => notes.push(format!("{} is left out: {}", target.name, Failed::from(error).message)),
        }
    }
    Ok((good, notes))
}
