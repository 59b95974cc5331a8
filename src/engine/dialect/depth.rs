//! How deep statements may be: everything after the parser walks them recursively, and most of it takes the square of their depth or worse.
//!
//! Owns: the limits, and the stack that statements within them need. Refuses: what is deeper, before anything walks it.

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
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expressions += 1;
        let subscripts = if let Expr::CompoundFieldAccess { access_chain, .. } = expr { access_chain.len() } else { 0 };
        if self.expressions + subscripts > EXPRESSIONS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.expressions -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (mut body, mut branches) = (query.body.as_ref(), 0);
        while let SetExpr::SetOperation { left, .. } = body {
            (body, branches) = (left.as_ref(), branches + 1);
        }
        if branches > BRANCHES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let relations: usize = select.from.iter().map(|from| 1 + from.joins.len()).sum();
        if relations > RELATIONS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
        ] {
            let refused = super::deep(|| statement(&sql).map(drop).map_err(|error| error.to_string()));
            assert_eq!(refused, Err("the statement is nested too deeply".to_owned()), "{what}");
        }
        for sql in [
            format!("select 1{}", " + 1".repeat(150)),
            format!("select {}", vec!["1"; 50_000].join(",")),
            format!("select {}'A'{}", "lower(".repeat(60), ")".repeat(60)),
            format!("select case {} end", "when x = 1 then 2 ".repeat(3_000)),
        ] {
            super::deep(|| statement(&sql).map(drop).unwrap());
        }
    }
}
