//! How deep statements may be: everything after the parser walks them recursively, and most of it takes the square of their depth or worse.
//!
//! Owns: the limits, and the stack that statements within them need. Refuses: what is deeper, before anything walks it.

use super::ast::last_name;
use super::postgresql::PostgreSql;
use crate::EngineError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Expressions in one another: as PostgreSQL's `a and b and c …` is deep, not wide, also the operators in a row.
const EXPRESSIONS: usize = 200;

/// Branches of UNION, EXCEPT and INTERSECT in a row.
const BRANCHES: usize = 256;

/// Queries of one WITH: each may read the one before.
const NAMED: usize = 300;

/// Queries in expressions in one another: the optimizer checks each of them once more for every one around it, twice the time per level.
const SUBQUERIES: usize = 12;

/// BETWEEN over BETWEEN, rows in rows: what is inside is looked at twice for each.
const DOUBLING: usize = 8;

/// Columns of one select list: PostgreSQL's own limit.
const COLUMNS: usize = 1_664;

/// Relations of one FROM.
const RELATIONS: usize = 100;

/// Operators in a row that a text may have: what the parser makes of them is taken apart again on the stack.
const OPERATORS: usize = 20_000;

/// The stack of a statement. It is only reserved: memory is what a statement really walks.
const STACK: usize = 256 << 20;

pub(super) fn too_deep() -> EngineError {
    EngineError::Sql {
        message: "the statement is nested too deeply".into(),
        hint: Some("long chains of operators count, too: write x in (…) for many alternatives, or take parts into WITH queries".into()),
        at: None,
    }
}

/// Refuses a text with more operators in a row than could be parsed.
pub(super) fn check_text(sql: &str) -> Result<(), EngineError> {
    let Ok(tokens) = Tokenizer::new(&PostgreSql, sql).tokenize() else { return Ok(()) };
    // Operators since the last comma, of each open parenthesis.
    let mut counts = vec![0usize];
    for token in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                counts.push(0);
                continue;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                counts.pop();
                // `[1]` is an operator, too.
                if *token != Token::RBracket {
                    continue;
                }
            }
            Token::Comma => {
                counts.pop();
                counts.push(0);
                continue;
            }
            Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::EOF | Token::Period => continue,
            _ => {}
        }
        let count = counts.pop().unwrap_or_default() + 1;
        if count > 2 * OPERATORS {
            return Err(too_deep());
        }
        counts.push(count);
    }
    Ok(())
}

/// Refuses a statement that is too deep to plan.
pub(super) fn check(statement: &Statement) -> Result<(), EngineError> {
    match statement {
        Statement::Statement(inner) => match inner.visit(&mut Depth::default()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(too_deep()),
        },
        Statement::Explain(explain) => check(&explain.statement),
        _ => Ok(()),
    }
}

/// Expressions and queries around the place where a visitor is.
#[derive(Default)]
struct Depth {
    expressions: usize,
    doubling: usize,
    /// Of each query around: how many expressions were around it, and how many queries in expressions it is in.
    queries: Vec<(usize, usize)>,
}

/// Is what is inside looked at twice?
fn doubles(expr: &Expr) -> bool {
    match expr {
        Expr::Between { .. } | Expr::Tuple(_) => true,
        Expr::Function(call) => last_name(&call.name).is_some_and(|name| name == "row"),
        _ => false,
    }
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expressions += 1;
        let subscripts = if let Expr::CompoundFieldAccess { access_chain, .. } = expr { access_chain.len() } else { 0 };
        self.doubling += usize::from(doubles(expr));
        let deep = self.expressions + subscripts > EXPRESSIONS || self.doubling > DOUBLING;
        if deep { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expressions -= 1;
        self.doubling -= usize::from(doubles(expr));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (mut body, mut branches) = (query.body.as_ref(), 0);
        while let SetExpr::SetOperation { left, .. } = body {
            (body, branches) = (left.as_ref(), branches + 1);
        }
        let named = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        let (around, level) = self.queries.last().copied().unwrap_or_default();
        let level = level + usize::from(self.expressions > around);
        self.queries.push((self.expressions, level));
        let deep = branches > BRANCHES || named > NAMED || level > SUBQUERIES;
        if deep { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let relations: usize = select.from.iter().map(|from| 1 + from.joins.len()).sum();
        if relations > RELATIONS || select.projection.len() > COLUMNS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Runs what walks a statement on a stack that is large enough for every statement within the limits.
pub(crate) fn deep<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK / 2, STACK, work)
}

/// A future that is polled on such a stack.
pub(crate) struct Deep<F>(Pin<Box<F>>);

impl<F: Future> Deep<F> {
    pub(crate) fn new(future: F) -> Deep<F> {
        Deep(Box::pin(future))
    }
}

impl<F: Future> Future for Deep<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        deep(|| self.0.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::statement;

    #[test]
    fn chains_and_nests_are_refused_above_the_limits() {
        for (what, sql) in [
            ("operators", format!("select 1{}", " + 1".repeat(600))),
            ("very many operators", format!("select 1{}", " + 1".repeat(300_000))),
            ("casts", format!("select 1{}", "::int".repeat(600))),
            ("subscripts", format!("select a{}", "[1]".repeat(600))),
            ("very many subscripts", format!("select a{}", "[1]".repeat(100_000))),
            ("parentheses", format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000))),
            ("nots", format!("select {}true", "not ".repeat(100_000))),
            ("unions", "select 1 union ".repeat(1_000) + "select 1"),
            ("joins", format!("select 1 from t{}", ", t".repeat(1_000))),
            ("betweens", format!("select 1{}", " between 1 and 2".repeat(9))),
            ("columns", format!("select {}", vec!["1"; 1_665].join(","))),
            ("rows", format!("select {}1{}", "row(".repeat(9), ")".repeat(9))),
            ("subqueries", format!("select {}1{}", "(select ".repeat(13), ")".repeat(13))),
        ] {
            let refused = super::deep(|| statement(&sql).map(drop).map_err(|error| error.to_string()));
            assert_eq!(refused, Err("the statement is nested too deeply".to_owned()), "{what}");
        }
        for sql in [
            format!("select 1{}", " + 1".repeat(150)),
            format!("select {}", vec!["1"; 1_664].join(",")),
            format!("select 1 where 1 in ({})", vec!["1"; 50_000].join(",")),
            format!("select {}'A'{}", "lower(".repeat(60), ")".repeat(60)),
            format!("select {}1{}", "(select ".repeat(12), ")".repeat(12)),
            format!("select 1 from {}t{}", "(select 1 from ".repeat(40), ") q".repeat(40)),
            format!("select case {} end", "when x = 1 then 2 ".repeat(3_000)),
        ] {
            super::deep(|| statement(&sql).map(drop).unwrap());
        }
    }
}
