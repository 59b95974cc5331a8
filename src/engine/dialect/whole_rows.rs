//! Whole rows: `to_jsonb(t)`, `json_agg(t.*)`, `count(t)`, `t is null`.
//!
//! In the AST the relation's name becomes `t.*`, and in the plan an object of the relation's columns or a test of them. A column of that
//! name comes first.

use super::ast::{self, last_name};
use super::names::normal;
use super::operators::call;
use super::srf::Call;
use crate::functions::row::tag;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::logical_expr::{Expr as Planned, LogicalPlan, lit};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select, Statement, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Functions that take a whole row.
const TAKING: [&str; 12] = [
    "count",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// What `t is null` and `t is not null` are until the columns are known: neither is the other's contrary.
const TESTS: [&str; 2] = ["row_is_null", "row_is_not_null"];

/// Finds the names of relations among the arguments of functions that take rows, and before IS NULL.
pub(super) fn name(statement: &mut Statement) {
    // It never breaks.
    let _ = statement.visit(&mut Scopes(Vec::new()));
}

/// Of each SELECT around, the names of its relations.
struct Scopes(Vec<BTreeSet<String>>);

impl VisitorMut for Scopes {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut names = BTreeSet::new();
        select.from.iter().for_each(|item| relations(item, &mut names));
        self.0.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.0.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let tested = match expr {
            Expr::IsNull(inner) => Some((inner, TESTS[0])),
            Expr::IsNotNull(inner) => Some((inner, TESTS[1])),
            _ => None,
        };
        if let Some((inner, test)) = tested {
            let Expr::Identifier(ident) = inner.as_ref() else { return ControlFlow::Continue(()) };
            if !self.names(ident) {
                return ControlFlow::Continue(());
            }
            let row = Expr::QualifiedWildcard(ObjectName::from(vec![ident.clone()]), AttachedToken::empty());
            // Without the test of a truth it would be a column of the function's name.
            *expr = Expr::IsTrue(Box::new(ast::call(test, vec![row])));
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &mut function.args
            && last_name(&function.name).is_some_and(|name| TAKING.contains(&name.as_str()))
        {
            let counts = last_name(&function.name).is_some_and(|name| name == "count");
            for arg in &mut list.args {
                let FunctionArg::Unnamed(arg) = arg else { continue };
                let row = match arg {
                    FunctionArgExpr::QualifiedWildcard(relation) => relation.clone(),
                    FunctionArgExpr::Expr(Expr::Identifier(ident)) if self.names(ident) => ObjectName::from(vec![ident.clone()]),
                    _ => continue,
                };
                // A count shows nothing of the row.
                *arg = match counts {
                    true => FunctionArgExpr::QualifiedWildcard(row),
                    false => FunctionArgExpr::Expr(Expr::QualifiedWildcard(row, AttachedToken::empty())),
                };
            }
        }
        ControlFlow::Continue(())
    }
}

impl Scopes {
    fn names(&self, ident: &Ident) -> bool {
        self.0.last().is_some_and(|names| names.contains(&normal(ident)))
    }
}

fn relations(item: &TableWithJoins, names: &mut BTreeSet<String>) {
    for relation in std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)) {
        // The alias of a function stands for its value.
        if let Some(call) = Call::of(relation) {
            if call.srf.record || call.srf.columns.len() > 1 {
                names.insert(normal(&call.qualifier()));
            }
            continue;
        }
        match relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => relations(table_with_joins, names),
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. } => {
                names.insert(normal(&alias.name));
            }
            TableFactor::Table { name, args: None, .. } => names.extend(last_name(name)),
            _ => {}
        }
    }
}

/// `t is null`: every column is; `t is not null`: none is.
#[expect(deprecated, reason = "DataFusion's planner makes this of a qualified wildcard in an argument")]
pub(super) fn tested(function: &str, args: &[Planned], schema: &DFSchema) -> Option<Planned> {
    let (true, [Planned::Wildcard { qualifier: Some(relation), .. }]) = (TESTS.contains(&function), args) else { return None };
    let test = |column: Column| {
        let column = Planned::Column(column);
        if function == TESTS[0] { column.is_null() } else { column.is_not_null() }
    };
    let columns = columns(relation, schema);
    Some(columns.into_iter().map(test).reduce(Planned::and).unwrap_or_else(|| lit(true)))
}

/// True if a row may be one that an outer join made up.
pub(super) fn may_be_missing(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Join(join) if join.join_type.is_outer()))).unwrap_or(true)
}

/// The columns of a row; a column of the relation's name is meant itself.
pub(super) fn columns(relation: &TableReference, schema: &DFSchema) -> Vec<Column> {
    match schema.qualified_fields_with_unqualified_name(relation.table()).as_slice() {
        [only] => vec![Column::from(*only)],
        _ => schema.fields_indices_with_qualified(relation).into_iter().map(|at| Column::from(schema.qualified_field(at))).collect(),
    }
}

/// The row behind `t.*` in the arguments of a function: an object of its columns. After an outer join a row may be missing.
#[expect(deprecated, reason = "DataFusion's planner makes this of a qualified wildcard in an argument")]
pub(super) fn expand(function: &str, args: Vec<Planned>, schema: &DFSchema, outer: bool) -> Result<Vec<Planned>> {
    let one = |arg| match arg {
        Planned::Wildcard { qualifier: Some(relation), .. } => row(function, &relation, schema, outer),
        other => Ok(other),
    };
    args.into_iter().map(one).collect()
}

/// True if an expression of a node has a row among its arguments.
pub(super) fn uses(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |= expr.exists(|expr| Ok(matches!(expr, Planned::ScalarFunction(call) if has_row(&call.args))))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// True if an argument is a row.
#[expect(deprecated, reason = "DataFusion's planner makes this of a qualified wildcard in an argument")]
pub(super) fn has_row(args: &[Planned]) -> bool {
    args.iter().any(|arg| matches!(arg, Planned::Wildcard { qualifier: Some(_), .. }))
}

fn row(function: &str, relation: &TableReference, schema: &DFSchema, outer: bool) -> Result<Planned> {
    if let [(qualifier, field)] = schema.qualified_fields_with_unqualified_name(relation.table()).as_slice() {
        return Ok(Planned::Column(Column::from((*qualifier, *field))));
    }
    let mut members = Vec::new();
    for at in schema.fields_indices_with_qualified(relation) {
        let (qualifier, field) = schema.qualified_field(at);
        // A name that is there twice has a mark.
        let name = field.name().split('\u{1}').next().unwrap_or_default();
        let column = Planned::Column(Column::from((qualifier, field)));
        // The optimizer may lose the tag of a column that comes from a list.
        let value = match tag(field) {
            Some("jsonb") => call("jsonb_tag", vec![column])?,
            Some("json") => call("json_tag", vec![column])?,
            _ => column,
        };
        members.extend([lit(name), value]);
    }
    let json = function.starts_with("json_") || matches!(function, "row_to_json" | "to_json");
    let name = match (json, outer) {
        (true, false) => "json_row",
        (true, true) => "json_row_outer",
        (false, false) => "jsonb_row",
        (false, true) => "jsonb_row_outer",
    };
    call(name, members)
}
