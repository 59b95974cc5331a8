//! Expressions of specs: JMESPath whose names are a row, its ancestors, further calls, key columns and the scope.
//!
//! Owns parsing and evaluation. Member paths, templates, lists, comparisons and our functions are evaluated on the answer as it is; the
//! rest goes through the `jmespath` crate. Refuses to know where values come from: that is [`Env`].

mod eval;
pub(crate) mod functions;
mod negation;
mod parse;

pub(crate) use eval::{Env, same_name, truthy};
pub(crate) use parse::{KEY, Names, UPPER, constant, parse, pieces};

use functions::Function;
use jmespath::ast::{Ast, Comparator};
use serde_json::Value;

/// Where the first name of a path lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Root {
    /// The row, or the answer in expressions over an answer.
    This,
    /// The object that holds the row's list.
    Parent,
    /// The row of an earlier link.
    Link(usize),
    /// The answer of a further call.
    Also(usize),
    /// The value given for a key column.
    Key(usize),
    /// All values given for key columns, as an object.
    Keys,
    /// A fact of the scope.
    Fact(Fact),
    /// The element a `per:` call is made for.
    Item,
    /// All rows that were folded into this one.
    Fold,
}

/// What is known of the scope that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fact {
    Partition,
    AccountId,
    /// The tenant of a subscription.
    TenantId,
    Region,
    Connection,
    /// Where calls to global services go.
    HomeRegion,
    /// The regions the connection reads.
    Regions,
    /// The subscriptions that one call of a summary is about: those that a scan asks on the connection.
    Asked,
    /// The statement's clock.
    Now,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Index(i32),
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Const(Value),
    Path(Root, Vec<Step>),
    /// A path that begins at a computed value.
    Get(Box<Expr>, Vec<Step>),
    /// The member whose name is this one in the API's spelling.
    Named(Box<Expr>, String, Spread),
    Template(Vec<Piece>),
    List(Vec<Expr>),
    Object(Vec<(String, Expr)>),
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Compare(Comparator, Box<Expr>, Box<Expr>),
    Call(&'static Function, Vec<Expr>),
    Jmes(Box<Jmes>),
}

/// Where a member without a source is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// In the object.
    Flat,
    /// In the object, then in its `properties`, where Azure keeps what is not common to all resources.
    Properties,
}

/// A part of a template.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(String),
    Value(Expr),
}

/// An expression for the `jmespath` crate, with the names it reads.
#[derive(Debug, Clone)]
pub(crate) struct Jmes {
    pub(crate) ast: Ast,
    pub(crate) text: String,
    /// Names at the root; `None` when it reads the row as a whole.
    pub(crate) names: Option<Vec<(String, Root)>>,
}

impl Expr {
    /// The row itself.
    pub(crate) fn this() -> Expr {
        Expr::Path(Root::This, Vec::new())
    }

    /// Calls `f` with every root the value can depend on, given that these key columns have a value: what stands behind
    /// `key.x ||` is not read when `x` is given.
    pub(crate) fn roots(&self, given: &dyn Fn(usize) -> bool, f: &mut dyn FnMut(Root)) {
        match self {
            Expr::Const(_) => {}
            Expr::Path(root, _) => f(*root),
            Expr::Get(e, _) | Expr::Named(e, ..) | Expr::Not(e) => e.roots(given, f),
            Expr::Template(pieces) => {
                for p in pieces {
                    if let Piece::Value(e) = p {
                        e.roots(given, f);
                    }
                }
            }
            Expr::List(items) | Expr::Call(_, items) => items.iter().for_each(|e| e.roots(given, f)),
            Expr::Object(members) => members.iter().for_each(|(_, e)| e.roots(given, f)),
            Expr::Or(a, b) => {
                a.roots(given, f);
                if !matches!(**a, Expr::Path(Root::Key(k), _) if given(k)) {
                    b.roots(given, f);
                }
            }
            Expr::And(a, b) | Expr::Compare(_, a, b) => {
                a.roots(given, f);
                b.roots(given, f);
            }
            Expr::Jmes(j) => match &j.names {
                None => f(Root::This),
                Some(names) => names.iter().for_each(|(_, r)| f(*r)),
            },
        }
    }

    /// Calls `f` with every path the value is made from.
    pub(crate) fn paths(&self, f: &mut dyn FnMut(Root, &[Step])) {
        match self {
            Expr::Const(_) => {}
            Expr::Path(root, steps) => f(*root, steps),
            Expr::Get(e, _) | Expr::Named(e, ..) | Expr::Not(e) => e.paths(f),
            Expr::Template(pieces) => {
                for piece in pieces {
                    if let Piece::Value(e) = piece {
                        e.paths(f);
                    }
                }
            }
            Expr::List(items) | Expr::Call(_, items) => items.iter().for_each(|e| e.paths(f)),
            Expr::Object(members) => members.iter().for_each(|(_, e)| e.paths(f)),
            Expr::Or(a, b) | Expr::And(a, b) | Expr::Compare(_, a, b) => {
                a.paths(f);
                b.paths(f);
            }
            Expr::Jmes(jmes) => match &jmes.names {
                None => f(Root::This, &[]),
                Some(names) => {
                    for (name, root) in names {
                        match root {
                            Root::This => f(Root::This, &[Step::Field(name.clone())]),
                            root => f(*root, &[]),
                        }
                    }
                }
            },
        }
    }

    /// Every root, in order of appearance, each once.
    pub(crate) fn all_roots(&self) -> Vec<Root> {
        let mut out = Vec::new();
        self.roots(&|_| false, &mut |r| {
            if !out.contains(&r) {
                out.push(r);
            }
        });
        out
    }

    /// `key.x` with nothing beside it.
    pub(crate) fn bare_key(&self) -> Option<usize> {
        match self {
            Expr::Path(Root::Key(k), _) => Some(*k),
            _ => None,
        }
    }
}
