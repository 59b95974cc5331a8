//! WITH in the AST: names that hide others, and lists of columns.

use super::names::{MARK, normal};
use super::quantified::{select_of, template};
use datafusion::sql::sqlparser::ast::{Cte, Ident, ObjectName, Query, SetExpr, TableAlias, TableFactor, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// The names that the queries around have in WITH.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    open: Vec<Vec<String>>,
    renamed: usize,
}

impl Scopes {
    /// Before the parts of a query are visited.
    pub(super) fn enter(&mut self, query: &Query) {
        self.open.push(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| normal(&cte.alias.name)).collect());
    }

    /// After its parts are visited. A name that hides one further out becomes another: DataFusion knows one scope.
    pub(super) fn leave(&mut self, query: &mut Query) {
        let Some(own) = self.open.pop() else { return };
        for (at, name) in own.iter().enumerate() {
            if !self.open.iter().flatten().any(|outer| outer == name) {
                continue;
            }
            self.renamed += 1;
            let mut rename = Rename { from: name, to: Ident::with_quote('"', format!("{name}{MARK}{}", self.renamed)) };
            let Some(with) = &mut query.with else { continue };
            // Only later ones see it, and itself if it is recursive.
            let later = if with.recursive { at } else { at + 1 };
            for cte in with.cte_tables.iter_mut().skip(later) {
                // It never breaks.
                let _ = cte.query.visit(&mut rename);
            }
            if let Some(cte) = with.cte_tables.get_mut(at) {
                cte.alias.name = rename.to.clone();
            }
            let _ = query.body.visit(&mut rename);
            let _ = query.order_by.visit(&mut rename);
        }
    }
}

struct Rename<'a> {
    from: &'a str,
    to: Ident,
}

impl VisitorMut for Rename<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && normal(ident) == self.from
        {
            if alias.is_none() {
                *alias = Some(TableAlias { explicit: true, name: ident.clone(), columns: Vec::new(), at: None });
            }
            *name = ObjectName::from(vec![self.to.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// `c(a, b) as (query)` becomes `c as (select * from (query) c(a, b))`: a list of columns may be shorter than the query's.
pub(super) fn name_columns(query: &mut Query) {
    let Some(with) = &mut query.with else { return };
    let recursive = with.recursive;
    for cte in &mut with.cte_tables {
        if cte.alias.columns.is_empty() || recursive && matches!(cte.query.body.as_ref(), SetExpr::SetOperation { .. }) {
            continue;
        }
        if let Some(outer) = renamed(cte) {
            *cte.query = outer;
            cte.alias.columns.clear();
        }
    }
}

fn renamed(cte: &Cte) -> Option<Query> {
    let mut outer = template("select * from (select 1) as __c")?;
    let select = select_of(&mut outer)?;
    if let TableFactor::Derived { subquery, alias, .. } = &mut select.from.first_mut()?.relation {
        *subquery = cte.query.clone();
        *alias = Some(TableAlias { explicit: true, ..cte.alias.clone() });
    }
    Some(outer)
}
