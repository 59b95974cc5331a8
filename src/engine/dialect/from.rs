//! FROM in the AST: the fold into one join, aliases that stand for a function's value, columns merged by USING; and such functions in the select list.

use super::ast::{call, last_name};
use super::names::{MARK, normal};
use super::relation::{RESOLVED, joined};
use super::srf::{self, Call};
use datafusion::logical_expr::JoinType;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    TableAliasColumnDef, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

pub(super) fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// With `*` in the select list the functions' columns must be exactly PostgreSQL's: a bare alias is resolved here instead.
pub(super) fn name_values(select: &mut Select) -> BTreeMap<String, Ident> {
    let mut values = BTreeMap::new();
    let relations = select
        .from
        .iter_mut()
        .flat_map(|item| std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation)));
    for relation in relations {
        let Some(call) = Call::of(relation) else { continue };
        let Some(column) = call.value_column() else { continue };
        values.insert(call.qualifier().value.to_lowercase(), column.clone());
        if let TableFactor::Table { alias: Some(alias), .. } | TableFactor::Function { alias: Some(alias), .. } = relation {
            if alias.columns.is_empty() {
                alias.columns.push(TableAliasColumnDef { name: column, data_type: None });
            }
            if let Some(first) = alias.columns.first_mut() {
                first.name = Ident::with_quote('"', format!("{}{RESOLVED}", normal(&first.name)));
            }
        }
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
            && values.get(&ident.value.to_lowercase()).is_some_and(|column| column.value != ident.value)
        {
            *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias: ident.clone() };
        }
    }
    values
}

/// One join out of the whole FROM list: commas become cross joins, and the relation planner sees it at once.
pub(super) fn fold(select: &mut Select) {
    let mut items = std::mem::take(&mut select.from).into_iter();
    let Some(mut base) = items.next() else { return };
    for item in items {
        // Such a join is one with what stands right before it, not with all items to its left.
        let outer = item.joins.iter().any(|join| match joined(&join.join_operator) {
            Some((kind, constraint)) => {
                matches!(kind, JoinType::Right | JoinType::Full) || matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
            }
            None => false,
        });
        let (relation, joins) = if outer { (nested(item), Vec::new()) } else { (item.relation, item.joins) };
        base.joins.push(Join { relation, global: false, join_operator: JoinOperator::CrossJoin(JoinConstraint::None) });
        base.joins.extend(joins);
    }
    select.from = vec![TableWithJoins { relation: nested(base), joins: Vec::new() }];
}

pub(super) fn nested(item: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin { table_with_joins: Box::new(item), alias: None }
}

/// The column that USING merges goes by a table name of its own (see `using`): here unqualified names of this SELECT get it, because a name that
/// several tables have would be looked for in the query around.
pub(super) fn name_merged(select: &mut Select) {
    let mut merged = BTreeMap::new();
    for item in &select.from {
        let Some(first) = first_name(&item.relation) else { continue };
        for join in &item.joins {
            let Some((_, JoinConstraint::Using(keys))) = joined(&join.join_operator) else { continue };
            merged.extend(keys.iter().filter_map(last_name).map(|key| (key, first.clone())));
        }
    }
    if merged.is_empty() {
        return;
    }
    let mut names = Merged { merged, depth: 0 };
    // It never breaks.
    let _ = select.projection.visit(&mut names);
    let _ = select.selection.visit(&mut names);
    let _ = select.group_by.visit(&mut names);
    let _ = select.having.visit(&mut names);
}

/// The name that the columns of a FROM item's first table go by.
fn first_name(relation: &TableFactor) -> Option<String> {
    if let Some(call) = Call::of(relation) {
        return Some(normal(&call.qualifier()));
    }
    match relation {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => Some(normal(&alias.name)),
        TableFactor::Table { name, .. } => last_name(name),
        TableFactor::NestedJoin { table_with_joins, alias: None } => first_name(&table_with_joins.relation),
        _ => None,
    }
}

struct Merged {
    merged: BTreeMap<String, String>,
    depth: usize,
}

impl VisitorMut for Merged {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr
            && self.depth == 0
            && let Some(table) = self.merged.get(&normal(ident))
        {
            let table = Ident::with_quote('"', format!("{MARK}{table}"));
            *expr = Expr::CompoundIdentifier(vec![table, ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Does an expression of a select list hold a set-returning function?
pub(super) fn gives_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => {
            let name = last_name(&function.name).unwrap_or_default();
            let args = match &function.args {
                FunctionArguments::List(list) => list.args.as_slice(),
                _ => &[],
            };
            name == "unnest"
                || srf::named(&name).is_some_and(|srf| !srf.single && srf.lists.len() == 1)
                || args.iter().any(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) if gives_rows(arg)))
        }
        Expr::BinaryOp { left, right, .. } => gives_rows(left) || gives_rows(right),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => gives_rows(inner),
        _ => false,
    }
}

/// Set-returning functions of a select list become `unnest` of their lists.
pub(super) fn unnest_in(expr: &mut Expr) {
    match expr {
        Expr::Function(function) => {
            let name = last_name(&function.name).unwrap_or_default();
            if name == "unnest" {
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                            *arg = call("array flat", vec![arg.clone()]);
                        }
                    }
                }
            } else if let Some(srf) = srf::named(&name).filter(|srf| !srf.single && srf.lists.len() == 1) {
                function.name = datafusion::sql::sqlparser::ast::ObjectName::from(vec![Ident::new(srf.lists[0])]);
                let list = call("unnest", vec![expr.clone()]);
                *expr = match srf.tags {
                    [Some("jsonb")] => call("jsonb_tag", vec![list]),
                    [Some("json")] => call("json_tag", vec![list]),
                    _ => list,
                };
            } else if let FunctionArguments::List(list) = &mut function.args {
                for arg in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                        unnest_in(arg);
                    }
                }
            }
        }
        Expr::BinaryOp { left, right, .. } => {
            unnest_in(left);
            unnest_in(right);
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => unnest_in(inner),
        _ => {}
    }
}
