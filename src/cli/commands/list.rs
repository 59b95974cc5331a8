//! `assay list`: tables, controls, benchmarks, named queries, connections, in any output format.

use crate::args::{Global, ListArgs, ListWhat};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::output::{self, Look, Summary};
use crate::session::{self, Session};
use assay_cloud::Cloud;
use assay_compliance::{Child, Item, Library, Param};
use assay_tables::Catalog;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

/// Column names, and rows as wide.
pub(crate) type Listing = (&'static [&'static str], Vec<Vec<String>>);

/// Prints the list.
pub(crate) async fn exec(global: &Global, console: Console, args: &ListArgs) -> Result<Exit, Failed> {
    let config = || if global.demo { Ok(Config::default()) } else { Config::load(global.config.as_deref()) };
    let (columns, rows) = match args.what {
        ListWhat::Tables => tables(&session::catalog(&config()?)?, "")?,
        ListWhat::Controls => controls(&library(&config()?, args)?, args)?,
        ListWhat::Benchmarks => benchmarks(&library(&config()?, args)?, args)?,
        ListWhat::Queries => queries(&library(&config()?, args)?, args)?,
        ListWhat::Connections => connections(&Session::open(global, console).await?.cloud),
    };
    let look = Look { format: args.output, header: true, separator: b',', color: console.color_stdout };
    print(look, columns, &rows)?;
    Ok(Exit::Ok)
}

/// Prints rows of text in a query's output format.
pub(crate) fn print(look: Look, columns: &[&str], rows: &[Vec<String>]) -> Result<(), Failed> {
    write(look, columns, rows, &mut BufWriter::new(io::stdout()))
}

/// Writes rows of text in a query's output format.
pub(crate) fn write(look: Look, columns: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> Result<(), Failed> {
    let schema = Arc::new(Schema::new(columns.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>()));
    let arrays = (0..columns.len()).map(|i| Arc::new(rows.iter().map(|r| Some(r[i].as_str())).collect::<StringArray>()) as ArrayRef);
    let batch = RecordBatch::try_new(schema.clone(), arrays.collect()).map_err(|e| Failed::internal(&e.to_string()))?;
    let mut sink = output::sink(look, schema)?;
    sink.batch(&batch, out).and_then(|()| sink.end(&Summary::default(), out)).and_then(|()| out.flush()).map_err(|e| Failed::stdout(&e))
}

/// Tables whose name contains `pattern` (`*` and `%` stand for anything), with what they hold.
pub(crate) fn tables(catalog: &Catalog, pattern: &str) -> Result<Listing, Failed> {
    let mut rows = Vec::new();
    for name in catalog.names().into_iter().filter(|name| matches(pattern, name)) {
        let about = catalog.table(name)?.map(|t| t.about.clone()).unwrap_or_default();
        rows.push(vec![name.to_owned(), about]);
    }
    Ok((&["table", "about"], rows))
}

/// The library; a mod that is asked for must be there.
fn library(config: &Config, args: &ListArgs) -> Result<Library, Failed> {
    let library = session::library(config, &[])?;
    let mods = &library.mods().mods;
    match &args.of_mod {
        Some(name) if !mods.iter().any(|m| m.name == *name) => {
            let known: Vec<&str> = mods.iter().map(|m| m.name.as_str()).collect();
            let hint = if known.is_empty() {
                "there are no mods; `assay mod install` brings some".to_owned()
            } else {
                format!("mods: {}", known.join(", "))
            };
            Err(Failed::new(Exit::Content, format!("there is no mod '{name}'")).hint(hint))
        }
        _ => Ok(library),
    }
}

/// The mod of an id; empty: it is no mod's.
fn mod_of(id: &str) -> &str {
    if id.split('.').count() == 3 { id.split('.').next().unwrap_or_default() } else { "" }
}

fn wanted(args: &ListArgs, id: &str) -> bool {
    args.of_mod.as_deref().is_none_or(|name| name == mod_of(id))
}

fn controls(library: &Library, args: &ListArgs) -> Result<Listing, Failed> {
    let row = |c: &Arc<assay_compliance::Control>| {
        vec![c.id.clone(), c.severity.to_string(), c.service.clone(), c.title.clone(), mod_of(&c.id).to_owned()]
    };
    let rows = library.controls()?.iter().filter(|c| wanted(args, &c.id)).map(row).collect();
    Ok((&["control", "severity", "service", "title", "mod"], rows))
}

fn benchmarks(library: &Library, args: &ListArgs) -> Result<Listing, Failed> {
    let groups = if args.all { library.groups()? } else { library.benchmarks()? };
    let mut rows = Vec::new();
    for group in groups.iter().filter(|g| wanted(args, &g.id)) {
        let leaves = count_leaves(library, &group.children)?;
        rows.push(vec![group.id.clone(), leaves.to_string(), group.title.clone(), mod_of(&group.id).to_owned()]);
    }
    Ok((&["benchmark", "controls", "title", "mod"], rows))
}

fn count_leaves(library: &Library, children: &[Child]) -> Result<usize, Failed> {
    let mut sum = 0;
    for child in children {
        sum += match library.follow(child)? {
            Item::Group(group) => count_leaves(library, &group.children)?,
            Item::Leaf(_) | Item::Control(_) => 1,
        };
    }
    Ok(sum)
}

fn queries(library: &Library, args: &ListArgs) -> Result<Listing, Failed> {
    let mut rows = Vec::new();
    for control in library.controls()?.iter().filter(|c| wanted(args, &c.id)) {
        // A query is named after the control that has the SQL; controls that share it are not listed again.
        let query = library.query(&control.id)?;
        if query.name == control.id {
            let params = parameters(&query.params);
            rows.push(vec![query.name, params, control.title.clone(), mod_of(&control.id).to_owned()]);
        }
    }
    for query in library.mod_queries().filter(|q| wanted(args, &q.id)) {
        rows.push(vec![query.id.clone(), parameters(&query.params), query.title.clone(), mod_of(&query.id).to_owned()]);
    }
    Ok((&["query", "parameters", "title", "mod"], rows))
}

fn parameters(params: &[Param]) -> String {
    let shown = params.iter().map(|p| p.default.as_ref().map_or_else(|| p.name.clone(), |d| format!("{}={d}", p.name)));
    shown.collect::<Vec<_>>().join(" ")
}

/// Connections and aggregates.
pub(crate) fn connections(cloud: &Cloud) -> Listing {
    let default = cloud.default_connections();
    let rows = cloud
        .connections()
        .iter()
        .map(|c| {
            let members = c.members.join(", ");
            let kind = if members.is_empty() { "connection" } else { "aggregate" };
            let cloud_name = if members.is_empty() { c.cloud() } else { "" };
            let is_default = if default.contains(&c.name) { "yes" } else { "" };
            vec![c.name.to_string(), cloud_name.to_owned(), kind.to_owned(), members, is_default.to_owned()]
        })
        .collect();
    (&["connection", "cloud", "kind", "members", "default"], rows)
}

/// Without a wildcard the pattern may stand anywhere in the name; with one it is the whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let mut parts = pattern.split(['*', '%']);
    let first = parts.next().unwrap_or_default();
    if !pattern.contains(['*', '%']) {
        return name.contains(first);
    }
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("", "aws_iam_user", true),
            ("iam", "aws_iam_user", true),
            ("IAM", "aws_iam_user", true),
            ("aws_iam_*", "aws_iam_user", true),
            ("%user", "aws_iam_user", true),
            ("aws*iam*user", "aws_iam_user", true),
            ("iam*", "aws_iam_user", false),
            ("*iam", "aws_iam_user", false),
            ("aws_*_x*", "aws_iam_user", false),
            ("s3", "aws_iam_user", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
