//! Which of the functions that stand side by side in FROM runs first: `t, f(t.a) x, g(t.b) y where y = 'z'`.
//!
//! PostgreSQL joins what is filtered before what is not. That makes fewer rows, and shows in errors: of a row that `y` leaves out, `f` is never
//! asked, whatever it would say of it.

use super::names::normal;
use super::srf::Call;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Select, SelectItem, TableWithJoins, visit_expressions};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Puts the functions with a condition of their own before those without, where no function needs another one that stands before it.
pub(super) fn order(select: &mut Select) {
    // A star would show it.
    if select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
        return;
    }
    let Some(condition) = &select.selection else { return };
    let mut conjuncts = Vec::new();
    split(condition, &mut conjuncts);
    let filtered: BTreeSet<String> = conjuncts.into_iter().filter_map(only_relation).collect();
    let mut at = 0;
    while at < select.from.len() {
        let run = select.from[at..].iter().take_while(|item| function(item).is_some()).count();
        if run > 1 {
            let items: Vec<TableWithJoins> = select.from.splice(at..at + run, []).collect();
            select.from.splice(at..at, ordered(items, &filtered));
        }
        at += run.max(1);
    }
}

fn ordered(items: Vec<TableWithJoins>, filtered: &BTreeSet<String>) -> Vec<TableWithJoins> {
    let names: Vec<String> = items.iter().filter_map(function).collect();
    let needs: Vec<BTreeSet<String>> = items.iter().map(needed).collect();
    let mut left: Vec<(usize, TableWithJoins)> = items.into_iter().enumerate().collect();
    let mut out = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready =
            |at: usize| !left.iter().any(|(other, _)| *other < at && names.get(*other).is_some_and(|name| needs[at].contains(name)));
        let first = left.iter().position(|(at, _)| names.get(*at).is_some_and(|name| filtered.contains(name)) && ready(*at));
        // The first of all needs none of the others.
        out.push(left.remove(first.unwrap_or(0)).1);
    }
    out
}

/// The name of a relation that is a function and nothing else.
fn function(item: &TableWithJoins) -> Option<String> {
    Call::of(&item.relation).filter(|_| item.joins.is_empty()).map(|call| normal(&call.qualifier()))
}

/// All names in the arguments of a function.
fn needed(item: &TableWithJoins) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for arg in Call::of(&item.relation).into_iter().flat_map(|call| call.args) {
        mentioned(&arg, &mut names);
    }
    names
}

fn split<'a>(condition: &'a Expr, out: &mut Vec<&'a Expr>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            split(left, out);
            split(right, out);
        }
        Expr::Nested(inner) => split(inner, out),
        other => out.push(other),
    }
}

/// The one name that a condition is about.
fn only_relation(condition: &Expr) -> Option<String> {
    let mut names = BTreeSet::new();
    let plain = mentioned(condition, &mut names);
    (plain && names.len() == 1).then(|| names.pop_first()).flatten()
}

/// Collects the relations, or the bare names, of an expression; false if it has a query within.
fn mentioned(expr: &Expr, names: &mut BTreeSet<String>) -> bool {
    visit_expressions(expr, |part| {
        match part {
            Expr::Identifier(name) => {
                names.insert(normal(name));
            }
            Expr::CompoundIdentifier(parts) => names.extend(parts.first().map(normal)),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .is_continue()
}
