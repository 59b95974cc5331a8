//! `assay show`: a table, control, leaf, benchmark or named query in full.

use crate::args::{Global, ShowArgs};
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::{inspect, session};
use assay_compliance::{Child, Control, Group, Item, Leaf, Library, SelectError, Tags};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Prints it.
pub(crate) fn exec(global: &Global, _: Console, args: &ShowArgs) -> Result<Exit, Failed> {
    let config = if global.demo { Config::default() } else { Config::load(global.config.as_deref())? };
    let text = describe(&config, &args.id)?;
    io::stdout().write_all(text.as_bytes()).map_err(|e| Failed::stdout(&e))?;
    Ok(Exit::Ok)
}

fn describe(config: &Config, id: &str) -> Result<String, Failed> {
    let catalog = session::catalog(config)?;
    if let Some(table) = catalog.table(id)? {
        return Ok(inspect::table(&table));
    }
    let library = session::library(config, &[])?;
    if let Some(query) = library.mod_query(id) {
        let mut out = head("Query", &query.id, &query.title, &query.description);
        facts(&[("Tags", tags(&query.tags))], &mut out);
        body(&library, &query.id, &BTreeMap::new(), &query.documentation, &mut out)?;
        return Ok(out);
    }
    match library.find(id) {
        Ok(Item::Control(control)) => self::control(&library, &control),
        Ok(Item::Leaf(leaf)) => self::leaf(&library, &leaf),
        Ok(Item::Group(group)) => self::group(&library, &group),
        Err(SelectError::Request { hint, .. }) => {
            let table =
                catalog.suggest(id).filter(|name| strsim::jaro_winkler(name, id) > 0.9).map(|name| format!("did you mean '{name}'?"));
            let hint =
                table.or(hint).unwrap_or_else(|| "`assay list tables`, `list controls` and `list benchmarks` say what there is".to_owned());
            Err(Failed::new(Exit::Content, format!("there is no table, control, benchmark or query '{id}'")).hint(hint))
        }
        Err(error) => Err(error.into()),
    }
}

fn control(library: &Library, control: &Control) -> Result<String, Failed> {
    let mut out = head("Control", &control.id, &control.title, &control.description);
    facts(&[("Severity", control.severity.to_string()), ("Service", control.service.clone()), ("Tags", tags(&control.tags))], &mut out);
    body(library, &control.id, &BTreeMap::new(), &control.documentation, &mut out)?;
    Ok(out)
}

fn leaf(library: &Library, leaf: &Leaf) -> Result<String, Failed> {
    let control = match &leaf.control {
        Some(id) => match library.find(id) {
            Ok(Item::Control(control)) => Some(control),
            _ => None,
        },
        None => None,
    };
    let of_control = |own: &Option<String>, pick: fn(&Control) -> &String| {
        own.clone().or_else(|| control.as_deref().map(|c| pick(c).clone())).unwrap_or_default()
    };
    let title = of_control(&leaf.title, |c| &c.title);
    let description = of_control(&leaf.description, |c| &c.description);
    let documentation = of_control(&leaf.documentation, |c| &c.documentation);
    let mut out = head("Control", &leaf.id, &title, &description);
    let mut all = control.as_ref().map(|c| c.tags.clone()).unwrap_or_default();
    all.extend(leaf.tags.clone());
    facts(
        &[
            ("Item", leaf.item.clone().unwrap_or_default()),
            ("Question", leaf.control.clone().unwrap_or_else(|| "none yet".to_owned())),
            ("Severity", control.as_ref().map(|c| c.severity.to_string()).unwrap_or_default()),
            ("Service", of_control(&leaf.service, |c| &c.service)),
            ("Tags", tags(&all)),
        ],
        &mut out,
    );
    if control.is_some() {
        body(library, &leaf.id, &leaf.args, &documentation, &mut out)?;
    } else {
        if !documentation.is_empty() {
            let _ = write!(out, "\n{}\n", documentation.trim_end());
        }
        out.push_str("\nNot implemented yet: a run lists and counts it, and gives no verdict.\n");
    }
    Ok(out)
}

fn group(library: &Library, group: &Group) -> Result<String, Failed> {
    let mut out = head("Benchmark", &group.id, &group.title, &group.description);
    facts(&[("Tags", tags(&group.tags))], &mut out);
    if !group.documentation.is_empty() {
        let _ = write!(out, "\n{}\n", group.documentation.trim_end());
    }
    out.push('\n');
    tree(library, &group.children, 0, &mut out)?;
    Ok(out)
}

fn tree(library: &Library, children: &[Child], depth: usize, out: &mut String) -> Result<(), Failed> {
    let indent = "  ".repeat(depth);
    for child in children {
        match library.follow(child)? {
            Item::Group(group) => {
                let _ = writeln!(out, "{indent}{}  {}", group.id, group.title);
                tree(library, &group.children, depth + 1, out)?;
            }
            Item::Leaf(leaf) => {
                let title = match (&leaf.title, leaf.control.as_deref().map(|id| library.find(id))) {
                    (Some(title), _) => title.clone(),
                    (None, Some(Ok(Item::Control(control)))) => control.title.clone(),
                    _ => String::new(),
                };
                let open = if library.query(&leaf.id).is_err() { "  (not implemented)" } else { "" };
                let _ = writeln!(out, "{indent}{}  {title}{open}", leaf.id);
            }
            Item::Control(control) => {
                let _ = writeln!(out, "{indent}{}  {}", control.id, control.title);
            }
        }
    }
    Ok(())
}

fn head(kind: &str, id: &str, title: &str, description: &str) -> String {
    let mut out = format!("{kind} {id}\n{title}\n");
    if !description.trim().is_empty() {
        let _ = write!(out, "\n{}\n", description.trim_end());
    }
    out
}

fn facts(facts: &[(&str, String)], out: &mut String) {
    let rows: Vec<[String; 3]> =
        facts.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| [format!("{k}:"), v.clone(), String::new()]).collect();
    if !rows.is_empty() {
        out.push('\n');
        inspect::grid(&rows, out);
    }
}

fn tags(tags: &Tags) -> String {
    tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

/// Documentation, parameters and SQL.
fn body(
    library: &Library,
    id: &str,
    args: &BTreeMap<String, serde_json::Value>,
    documentation: &str,
    out: &mut String,
) -> Result<(), Failed> {
    if !documentation.trim().is_empty() {
        let _ = write!(out, "\n{}\n", documentation.trim_end());
    }
    let query = match library.query(id) {
        Ok(query) => query,
        Err(error) => {
            let _ = writeln!(out, "\n{error}");
            return Ok(());
        }
    };
    if !query.params.is_empty() {
        out.push_str("\nParameters\n");
        let rows: Vec<[String; 3]> = query
            .params
            .iter()
            .map(|p| {
                let value = args.get(&p.name).or(p.default.as_ref());
                [p.name.clone(), value.map_or_else(|| "required".to_owned(), |v| format!("default {v}")), p.description.clone()]
            })
            .collect();
        inspect::grid(&rows, out);
    }
    let name = if query.name.contains('.') { query.name.clone() } else { format!("query.{}", query.name) };
    let _ = writeln!(out, "\nSQL ({name})");
    for line in query.sql.trim_end().lines() {
        let _ = writeln!(out, "  {line}");
    }
    Ok(())
}
