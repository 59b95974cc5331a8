//! Secret columns in a statement's AST: finds which names it uses, and keeps `*` from carrying a secret column that it sees by name.
//!
//! Whatever could carry one without its name, and cannot be rewritten to leave it out, is refused.

use super::ast::last_name;
use super::names::normal;
use super::srf::Call;
use crate::EngineError;
use crate::secrets::{ByTable, Secrets};
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableFactor, TableWithJoins, Visit, VisitMut,
    Visitor, VisitorMut, WildcardAdditionalOptions,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Decides which secret columns the statement sees, and rewrites its wildcards.
///
/// # Errors
/// A construct that could carry a secret column unnamed.
pub(super) fn prepare(statement: &mut Statement, secrets: &Secrets) -> Result<(), EngineError> {
    let mut names = Names::default();
    // It never breaks.
    let _ = Visit::visit(statement, &mut names);
    let shown = secrets.decide(&names.tables, &names.words);
    if shown.is_empty() {
        return Ok(());
    }
    if let Some(name) = names.ctes.iter().find(|name| shown.contains_key(*name)) {
        return Err(refused(format!("a WITH query has the name of {name}, whose secret column is read"), "give it another name"));
    }
    match VisitMut::visit(statement, &mut Wildcards(shown)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn refused(message: String, hint: &str) -> EngineError {
    EngineError::sql(message, Some(hint.to_owned()))
}

/// Names in a statement; more words than columns do no harm.
#[derive(Default)]
struct Names {
    tables: BTreeSet<String>,
    ctes: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.ctes.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| normal(&cte.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.tables.extend(last_name(relation));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                self.words.insert(normal(ident));
            }
            Expr::CompoundIdentifier(parts) => self.words.extend(parts.iter().map(normal)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites every select list that has a wildcard over a table whose secret columns the statement sees.
struct Wildcards<'a>(&'a ByTable);

impl VisitorMut for Wildcards<'_> {
    type Break = EngineError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<EngineError> {
        if query.pipe_operators.is_empty() {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(refused("pipe operators beside a secret column are not supported".to_owned(), "write a SELECT"))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<EngineError> {
        match self.select(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<EngineError> {
        let row = match expr {
            Expr::Function(function) if last_name(&function.name).as_deref() != Some("count") => match &function.args {
                FunctionArguments::List(list) => list.args.iter().any(is_row),
                FunctionArguments::None | FunctionArguments::Subquery(_) => false,
            },
            Expr::QualifiedWildcard(..) => true,
            _ => false,
        };
        if row {
            let hint = "name the columns that are wanted";
            return ControlFlow::Break(refused("a whole row as a value beside a secret column is not supported".to_owned(), hint));
        }
        ControlFlow::Continue(())
    }
}

fn is_row(arg: &FunctionArg) -> bool {
    let (FunctionArg::Unnamed(arg) | FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. }) = arg;
    !matches!(arg, FunctionArgExpr::Expr(_))
}

/// A relation of a FROM list.
struct Source {
    /// What its columns are qualified by.
    name: Option<ObjectName>,
    /// Secret columns that a wildcard leaves out.
    secret: Vec<Ident>,
}

impl Source {
    fn is(&self, name: &ObjectName) -> bool {
        self.name.as_ref().and_then(last_name) == last_name(name)
    }
}

impl Wildcards<'_> {
    fn select(&self, select: &mut Select) -> Result<(), EngineError> {
        let mut sources = Vec::new();
        let mut merges = false;
        for item in &select.from {
            self.collect(item, &mut sources, &mut merges)?;
        }
        if sources.iter().all(|s| s.secret.is_empty()) {
            return Ok(());
        }
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) => select.projection.extend(star(options, &sources, merges)?),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), mut options) => {
                    if let Some(source) = sources.iter().find(|s| s.is(&name) && !s.secret.is_empty()) {
                        leave_out(&mut options, &source.secret);
                    }
                    select.projection.push(SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options));
                }
                other => select.projection.push(other),
            }
        }
        Ok(())
    }

    /// The relations of a FROM item in order; `merges`: a join makes one column of two.
    fn collect(&self, item: &TableWithJoins, sources: &mut Vec<Source>, merges: &mut bool) -> Result<(), EngineError> {
        let first = sources.len();
        self.source(&item.relation, sources, merges)?;
        for join in &item.joins {
            self.source(&join.relation, sources, merges)?;
            match constraint(&join.join_operator) {
                Some(JoinConstraint::Natural) if sources[first..].iter().any(|s| !s.secret.is_empty()) => {
                    let message = "NATURAL JOIN with a table whose secret column is read is not supported".to_owned();
                    return Err(refused(message, "write the condition with ON"));
                }
                Some(JoinConstraint::Natural | JoinConstraint::Using(_)) => *merges = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn source(&self, relation: &TableFactor, sources: &mut Vec<Source>, merges: &mut bool) -> Result<(), EngineError> {
        let (name, alias, table) = match relation {
            TableFactor::Table { name, alias, args: None, .. } => (Some(name.clone()), alias, last_name(name)),
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.collect(table_with_joins, sources, merges),
            TableFactor::Derived { alias, .. } => (None, alias, None),
            other => {
                let name = Call::of(other).map(|call| ObjectName::from(vec![call.qualifier()]));
                sources.push(Source { name, secret: Vec::new() });
                return Ok(());
            }
        };
        let columns = table.as_ref().and_then(|table| self.0.get(table));
        if columns.is_some() && alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
            let message = "new names for the columns of a table whose secret column is read are not supported".to_owned();
            return Err(refused(message, "give the table an alias alone"));
        }
        let secret = columns.into_iter().flatten().map(|column| Ident::with_quote('"', column)).collect();
        let name = alias.as_ref().map_or(name, |alias| Some(ObjectName(vec![ObjectNamePart::Identifier(alias.name.clone())])));
        sources.push(Source { name, secret });
        Ok(())
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::Semi(c)
        | JoinOperator::LeftSemi(c)
        | JoinOperator::RightSemi(c)
        | JoinOperator::Anti(c)
        | JoinOperator::LeftAnti(c)
        | JoinOperator::RightAnti(c)
        | JoinOperator::StraightJoin(c) => Some(c),
        _ => None,
    }
}

/// `*` without the secret columns: of one relation `* except (…)`, of several `a.* except (…), b.*`.
fn star(mut options: WildcardAdditionalOptions, sources: &[Source], merges: bool) -> Result<Vec<SelectItem>, EngineError> {
    if let [source] = sources {
        leave_out(&mut options, &source.secret);
        return Ok(vec![SelectItem::Wildcard(options)]);
    }
    let hint = "write t.* for each table, or name the columns";
    if merges {
        return Err(refused("* over a join with USING, beside a secret column, is not supported".to_owned(), hint));
    }
    sources
        .iter()
        .map(|source| {
            let Some(name) = source.name.clone() else {
                let message = "* over a relation without a name, beside a secret column, is not supported".to_owned();
                return Err(refused(message, "give every relation an alias"));
            };
            let mut options = WildcardAdditionalOptions::default();
            leave_out(&mut options, &source.secret);
            Ok(SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options))
        })
        .collect()
}

/// Makes a wildcard leave columns out. PostgreSQL's grammar has nothing of the kind, so a statement's own wildcards leave none out.
fn leave_out(options: &mut WildcardAdditionalOptions, columns: &[Ident]) {
    if let [first, others @ ..] = columns {
        options.opt_except = Some(ExceptSelectItem { first_element: first.clone(), additional_elements: others.to_vec() });
    }
}
