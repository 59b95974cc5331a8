//! Names for outer columns that are the result of a subquery as they are: `(select o.x from t)`. DataFusion names such a column after the
//! reference, and no longer finds it when the reference is gone.

use super::names::normal;
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins};

/// Names the columns of a subquery in an expression that are not its relations'.
pub(super) fn name(query: &mut Query) {
    if let SetExpr::Select(select) = query.body.as_mut() {
        of_select(select);
    }
}

fn of_select(select: &mut Select) {
    let mut own = Vec::new();
    select.from.iter().for_each(|from| relations(from, &mut own));
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let Some(parts) = parts(expr) else { continue };
        let [.., relation, column] = parts else { continue };
        if !own.contains(&normal(relation)) {
            let alias = column.clone();
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

fn parts(expr: &Expr) -> Option<&[datafusion::sql::sqlparser::ast::Ident]> {
    match expr {
        Expr::CompoundIdentifier(parts) => Some(parts),
        Expr::Nested(inner) => parts(inner),
        _ => None,
    }
}

/// The names by which the columns of a FROM are known.
fn relations(from: &TableWithJoins, out: &mut Vec<String>) {
    for relation in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        match relation {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => out.push(normal(&alias.name)),
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
                out.extend(name.0.last().and_then(|part| part.as_ident()).map(normal));
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => relations(table_with_joins, out),
            _ => {}
        }
    }
}
