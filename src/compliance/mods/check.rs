//! Looks a mod over before it is installed: everything in it is evaluated, what a run would need and what it would not, and all that is wrong is
//! named at once. Errors keep a mod from being installed; warnings are what its other controls can do without.

use super::build::{Builder, Built, Made};
use super::eval::{Evaluator, Frame};
use super::load::{self, ModFolder};
use super::module::{At, Kind, World};
use super::source;
use super::template::{self, Style};
use crate::index::Index;
use crate::yaml::error_at;
use crate::{ContentError, LoadError, Place, QueryRef};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is wrong with a statement: the line and column where that shows, if known, and why.
pub type SqlProblem = (Option<(usize, usize)>, String);

/// Begins the hint of what a mod that is not there makes wrong.
pub(crate) const NEEDS: &str = "the mod needs another one: ";

/// What looking over a mod found, by file and place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The mod cannot be used as it is.
    pub errors: Vec<ContentError>,
    /// The mod can be used; one of its controls or texts cannot.
    pub warnings: Vec<String>,
}

/// Looks over the first of the folders; the others may be named by it.
pub(crate) fn check(
    folders: &[ModFolder],
    outside: BTreeSet<(Kind, String)>,
    sql: &(dyn Fn(&str) -> Result<(), SqlProblem> + Sync),
) -> Result<Checked, LoadError> {
    let (mut world, sources) = match load::open_all(folders, outside) {
        Ok(opened) => opened,
        Err(LoadError::Content(e)) => return Ok(Checked { errors: vec![e], ..Checked::default() }),
        Err(LoadError::Several(errors)) => return Ok(Checked { errors, ..Checked::default() }),
        Err(other) => return Err(other),
    };
    world.looked_at = true;
    let mut errors = world.modules.first_mut().map(|m| std::mem::take(&mut m.bad)).unwrap_or_default();
    load::bind(&mut world, &sources, &mut errors);
    let mut warnings = Vec::new();
    let Some(target) = world.modules.first() else { return Ok(Checked::default()) };

    let work: Vec<_> = load::work_of(0, target).collect();
    let made = source::in_parallel(&work, |(module, kind, name, at)| {
        let made = Builder::new(&world, *module, *kind, name, *at).build();
        let wrong = statement(&made).and_then(|text| sql(text).err()).map(|wrong| of_sql(&world, *at, wrong));
        (made, wrong)
    });
    let mut groups = Vec::new();
    for (made, wrong) in made {
        errors.extend(made.bad);
        warnings.extend(made.notices);
        warnings.extend(wrong);
        if let Built::Group(group) = made.built {
            groups.push(Arc::new(group));
        }
    }
    // Benchmarks that contain themselves.
    errors.extend(Index::build(groups, |_| false).err());
    let ev = Evaluator::new(&world);
    for name in target.locals.keys() {
        errors.extend(ev.local(0, name, &target.place(target.block)).err());
    }
    for name in target.variables.keys() {
        errors.extend(ev.var(0, name, &target.place(target.block)).err());
    }
    // What other mods have comes with them.
    errors.retain(|e| e.hint.as_deref().is_none_or(|h| !h.starts_with(NEEDS)));
    let errors = match LoadError::of(errors) {
        Some(LoadError::Several(errors)) => errors,
        Some(LoadError::Content(e)) => vec![e],
        _ => Vec::new(),
    };
    warnings.sort();
    warnings.dedup();
    Ok(Checked { errors, warnings })
}

/// The SQL a block has itself, unless it is wrong in another way already.
fn statement(made: &Made) -> Option<&str> {
    let text = match &made.built {
        Built::Query(q) => &q.sql,
        Built::Control(c) => match &c.query {
            QueryRef::Sql(sql) => sql,
            QueryRef::Named(_) => return None,
        },
        Built::Group(_) => return None,
    };
    (made.bad.is_empty() && !text.is_empty()).then_some(&**text)
}

/// A problem of a statement at its place in the file.
fn of_sql(world: &World, at: At, (within, why): SqlProblem) -> String {
    let m = &world.modules[0];
    let place = within.and_then(|within| in_file(world, at, within));
    let place = place.unwrap_or_else(|| {
        let span = m.attribute(at, "sql").and_then(|a| a.value.span());
        m.sources[at.source].place(span)
    });
    error_at(&place, why, None).to_string()
}

/// Where a line and column of the SQL stand in the file.
fn in_file(world: &World, at: At, (line, column): (usize, usize)) -> Option<Place> {
    let m = &world.modules[0];
    let source = &m.sources[at.source];
    let Expression::HeredocTemplate(heredoc) = &m.attribute(at, "sql")?.value else { return None };
    let flush = source.text.get(heredoc.span()?.start..)?.starts_with("<<-");
    let frame = Frame { module: 0, source, names: None };
    let mut trace = Some(Vec::new());
    let style = if flush { Style::Flush } else { Style::Heredoc };
    let text = template::traced(&Evaluator::new(world), &frame, &heredoc.template, style, &mut trace).ok()?;
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let offset = start + rest.char_indices().nth(column.checked_sub(1)?).map_or(rest.len(), |(i, _)| i);
    let trace = trace?;
    let (from, to) = trace.get(trace.partition_point(|(out, _)| *out <= offset).checked_sub(1)?)?;
    Some(source.place_of(to + (offset - from)))
}
