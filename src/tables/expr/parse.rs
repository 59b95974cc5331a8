//! Text to [`Expr`]: resolves names, finds templates and functions, and says what is wrong with a source.

use super::functions::{self, Function};
use super::negation;
use super::{Expr, Fact, Jmes, Piece, Root, Step};
use crate::spec::yaml::closest;
use jmespath::ast::Ast;
use serde_json::Value;
use std::collections::BTreeSet;

/// Values that a query gives for key columns: `key.user_name`.
pub(crate) const KEY: &str = "key";
/// Upper bounds that a query gives for columns: `upper.create_date`.
pub(crate) const UPPER: &str = "upper";

/// The names an expression may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// `as:` names with their link.
    pub(crate) links: &'a [(String, usize)],
    /// `also:` names.
    pub(crate) alsos: &'a [String],
    /// Key columns; in a summary, columns that filters can give an upper bound.
    pub(crate) keys: &'a [String],
    /// The name they are reached by: [`KEY`] or [`UPPER`].
    pub(crate) keys_are: &'static str,
    /// Key columns are names without `key.` (in the input of a get).
    pub(crate) bare_keys: bool,
    /// There is a row, so other names are its members.
    pub(crate) row: bool,
    /// There is `parent`.
    pub(crate) parent: bool,
    /// There is `item`.
    pub(crate) item: bool,
    /// There is `fold`.
    pub(crate) fold: bool,
    /// Facts of the scope, by name. (None in expressions over an answer.)
    pub(crate) facts: &'a [(&'static str, Fact)],
}

impl Names<'_> {
    /// For expressions over an answer: members only.
    pub(crate) const ANSWER: Names<'static> = Names {
        links: &[],
        alsos: &[],
        keys: &[],
        keys_are: KEY,
        bare_keys: false,
        row: true,
        parent: false,
        item: false,
        fold: false,
        facts: &[],
    };

    fn root(&self, name: &str) -> Option<Root> {
        if let Some((_, fact)) = self.facts.iter().find(|(n, _)| *n == name) {
            return Some(Root::Fact(*fact));
        }
        match name {
            _ if name == self.keys_are && !self.keys.is_empty() => return Some(Root::Keys),
            "parent" if self.parent => return Some(Root::Parent),
            "item" if self.item => return Some(Root::Item),
            "fold" if self.fold => return Some(Root::Fold),
            _ => {}
        }
        if let Some((_, link)) = self.links.iter().find(|(n, _)| n == name) {
            return Some(Root::Link(*link));
        }
        if let Some(also) = self.alsos.iter().position(|n| n == name) {
            return Some(Root::Also(also));
        }
        if self.bare_keys {
            return self.keys.iter().position(|k| k == name).map(Root::Key);
        }
        None
    }

    fn known(&self) -> Vec<&str> {
        let mut out: Vec<&str> = self.links.iter().map(|(n, _)| n.as_str()).collect();
        out.extend(self.alsos.iter().map(String::as_str));
        if self.bare_keys {
            out.extend(self.keys.iter().map(String::as_str));
        }
        out.extend(self.facts.iter().map(|(n, _)| *n));
        out
    }
}

/// Message and hint.
pub(crate) type Wrong = (String, Option<String>);

/// Compiles an expression.
pub(crate) fn parse(text: &str, names: &Names<'_>) -> Result<Expr, Wrong> {
    let mut ast = jmespath::parse(text).map_err(|e| {
        let reason = match e.reason {
            jmespath::ErrorReason::Parse(why) => why,
            jmespath::ErrorReason::Runtime(why) => why.to_string(),
        };
        let reason = reason.lines().next().unwrap_or_default().trim_end_matches('.').to_lowercase();
        let hint = if text.contains(" = ") { Some("JMESPath compares with ==".to_owned()) } else { None };
        (format!("`{text}` is not JMESPath: {reason}, at character {}", e.offset + 1), hint)
    })?;
    negation::outwards(&mut ast);
    compile(&ast, text, names)
}

/// Compiles a constant: a template where it has braces.
pub(crate) fn constant(text: &str, names: &Names<'_>) -> Result<Expr, Wrong> {
    if !text.contains('{') {
        return Ok(Expr::Const(Value::String(text.to_owned())));
    }
    Ok(Expr::Template(pieces(text, names)?))
}

/// The parts of a template.
pub(crate) fn pieces(text: &str, names: &Names<'_>) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|i| open + i) else {
            return Err((format!("template '{text}' has a brace that is not closed"), None));
        };
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        pieces.push(Piece::Value(parse(rest[open + 1..close].trim(), names)?));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn compile(ast: &Ast, text: &str, names: &Names<'_>) -> Result<Expr, Wrong> {
    let pair = |lhs: &Ast, rhs: &Ast| Ok((Box::new(compile(lhs, text, names)?), Box::new(compile(rhs, text, names)?)));
    Ok(match ast {
        Ast::Identity { .. } if names.row => Expr::this(),
        Ast::Identity { .. } => return Err(("`@` has no meaning here: there is no row yet".into(), None)),
        Ast::Index { idx, .. } if names.row => Expr::Path(Root::This, vec![Step::Index(*idx)]),
        Ast::Field { name, .. } => field(name, names)?,
        Ast::Subexpr { lhs, rhs, .. } => match (&**lhs, relative(rhs)) {
            (_, None) => jmes(ast, text, names)?,
            (Ast::Identity { .. }, Some(steps)) if names.row => Expr::Path(Root::This, steps),
            (Ast::Field { name, .. }, Some(steps)) if name == names.keys_are && names.root(name) == Some(Root::Keys) => key(steps, names)?,
            (_, Some(steps)) => steps.into_iter().fold(compile(lhs, text, names)?, step),
        },
        Ast::Literal { value, .. } => match value.as_string() {
            Some(s) => constant(s, names)?,
            None => Expr::Const(functions::to_value(value).map_err(|why| (why, None))?),
        },
        Ast::Or { lhs, rhs, .. } => {
            let (a, b) = pair(lhs, rhs)?;
            Expr::Or(a, b)
        }
        Ast::And { lhs, rhs, .. } => {
            let (a, b) = pair(lhs, rhs)?;
            Expr::And(a, b)
        }
        Ast::Comparison { comparator, lhs, rhs, .. } => {
            let (a, b) = pair(lhs, rhs)?;
            Expr::Compare(comparator.clone(), a, b)
        }
        Ast::Not { node, .. } => Expr::Not(Box::new(compile(node, text, names)?)),
        Ast::MultiList { elements, .. } => Expr::List(elements.iter().map(|e| compile(e, text, names)).collect::<Result<_, _>>()?),
        Ast::MultiHash { elements, .. } => {
            Expr::Object(elements.iter().map(|e| Ok((e.key.clone(), compile(&e.value, text, names)?))).collect::<Result<_, Wrong>>()?)
        }
        Ast::Function { name, args, .. } => match functions::find(name) {
            Some(function) => {
                arity(function, args.len())?;
                Expr::Call(function, args.iter().map(|a| compile(a, text, names)).collect::<Result<_, _>>()?)
            }
            None => jmes(ast, text, names)?,
        },
        _ => jmes(ast, text, names)?,
    })
}

/// Members and elements behind a value; `None` when it is more than that.
pub(super) fn relative(ast: &Ast) -> Option<Vec<Step>> {
    match ast {
        Ast::Field { name, .. } => Some(vec![Step::Field(name.clone())]),
        Ast::Index { idx, .. } => Some(vec![Step::Index(*idx)]),
        Ast::Subexpr { lhs, rhs, .. } => {
            let mut steps = relative(lhs)?;
            steps.extend(relative(rhs)?);
            Some(steps)
        }
        _ => None,
    }
}

/// `key.column`, `upper.column`.
fn key(steps: Vec<Step>, names: &Names<'_>) -> Result<Expr, Wrong> {
    let mut steps = steps.into_iter();
    let Some(Step::Field(name)) = steps.next() else { return Err((format!("`{}` is followed by a column", names.keys_are), None)) };
    match names.keys.iter().position(|k| *k == name) {
        Some(k) => Ok(Expr::Path(Root::Key(k), steps.collect())),
        None => {
            let what = if names.keys_are == KEY { "a key column" } else { "a number or a time" };
            let hint = closest(&name, names.keys.iter().map(String::as_str)).map(|n| format!("did you mean {}.{n}?", names.keys_are));
            Err((format!("`{name}` is not {what} of this table"), hint))
        }
    }
}

fn field(name: &str, names: &Names<'_>) -> Result<Expr, Wrong> {
    match names.root(name) {
        Some(root) => Ok(Expr::Path(root, Vec::new())),
        None if names.row => Ok(Expr::Path(Root::This, vec![Step::Field(name.to_owned())])),
        None => Err(unknown(name, names)),
    }
}

fn unknown(name: &str, names: &Names<'_>) -> Wrong {
    let hint = match closest(name, names.known()) {
        Some(n) => format!("did you mean {n}?"),
        None => format!("there is no row here; a constant is written in single quotes: '{name}'"),
    };
    (format!("unknown name `{name}`"), Some(hint))
}

fn step(base: Expr, step: Step) -> Expr {
    match base {
        Expr::Path(root, mut steps) => {
            steps.push(step);
            Expr::Path(root, steps)
        }
        Expr::Get(base, mut steps) => {
            steps.push(step);
            Expr::Get(base, steps)
        }
        other => Expr::Get(Box::new(other), vec![step]),
    }
}

fn arity(function: &Function, given: usize) -> Result<(), Wrong> {
    if function.args.contains(&given) {
        return Ok(());
    }
    Err((format!("{}() does not take {given} arguments", function.name), Some(format!("write {}", function.usage))))
}

/// Leaves an expression to the `jmespath` crate.
fn jmes(ast: &Ast, text: &str, names: &Names<'_>) -> Result<Expr, Wrong> {
    check_functions(ast)?;
    let mut found = Some(BTreeSet::new());
    root_names(ast, &mut found);
    if found.is_none() && !names.row {
        return Err(("`@` has no meaning here: there is no row yet".into(), None));
    }
    let names = match found {
        None => None,
        Some(found) => Some(
            found
                .into_iter()
                .map(|n| match names.root(&n) {
                    Some(root) => Ok((n, root)),
                    None if names.row => Ok((n, Root::This)),
                    None => Err(unknown(&n, names)),
                })
                .collect::<Result<Vec<_>, Wrong>>()?,
        ),
    };
    Ok(Expr::Jmes(Box::new(Jmes { ast: ast.clone(), text: text.to_owned(), names })))
}

/// Names that are read from the root; `None` once the root is read as a whole.
fn root_names(ast: &Ast, out: &mut Option<BTreeSet<String>>) {
    match ast {
        Ast::Field { name, .. } => {
            if let Some(out) = out {
                out.insert(name.clone());
            }
        }
        Ast::Identity { .. } | Ast::Index { .. } | Ast::Slice { .. } => *out = None,
        Ast::Subexpr { lhs, rhs, .. } if matches!(**lhs, Ast::Identity { .. }) => root_names(rhs, out),
        Ast::Subexpr { lhs, .. } | Ast::Projection { lhs, .. } => root_names(lhs, out),
        Ast::Condition { predicate, then, .. } => {
            root_names(predicate, out);
            root_names(then, out);
        }
        Ast::Or { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Comparison { lhs, rhs, .. } => {
            root_names(lhs, out);
            root_names(rhs, out);
        }
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => root_names(node, out),
        Ast::MultiList { elements, .. } => elements.iter().for_each(|e| root_names(e, out)),
        Ast::MultiHash { elements, .. } => elements.iter().for_each(|e| root_names(&e.value, out)),
        Ast::Function { args, .. } => args.iter().for_each(|a| root_names(a, out)),
        Ast::Literal { .. } | Ast::Expref { .. } => {}
    }
}

/// Functions exist and have their number of arguments; templates stand where they are evaluated.
fn check_functions(ast: &Ast) -> Result<(), Wrong> {
    match ast {
        Ast::Function { name, args, .. } => {
            match functions::find(name) {
                Some(function) => arity(function, args.len())?,
                None if functions::runtime().get_function(name).is_some() => {}
                None => {
                    let hint = closest(name, functions::names()).map(|n| format!("did you mean {n}()?"));
                    return Err((format!("unknown function {name}()"), hint));
                }
            }
            args.iter().try_for_each(check_functions)
        }
        Ast::Literal { value, .. } => match value.as_string() {
            Some(s) if s.contains('{') && s.contains('}') => Err((
                format!("the template '{s}' stands inside a projection or function"),
                Some("templates stand alone or in a list".into()),
            )),
            _ => Ok(()),
        },
        Ast::Subexpr { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Comparison { lhs, rhs, .. }
        | Ast::Condition { predicate: lhs, then: rhs, .. } => {
            check_functions(lhs)?;
            check_functions(rhs)
        }
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } | Ast::Expref { ast: node, .. } => {
            check_functions(node)
        }
        Ast::MultiList { elements, .. } => elements.iter().try_for_each(check_functions),
        Ast::MultiHash { elements, .. } => elements.iter().try_for_each(|e| check_functions(&e.value)),
        Ast::Identity { .. } | Ast::Index { .. } | Ast::Slice { .. } | Ast::Field { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScopeKind;
    use crate::provider::Provider;

    fn names<'a>(links: &'a [(String, usize)], alsos: &'a [String], keys: &'a [String]) -> Names<'a> {
        let facts = Provider::Aws.facts(ScopeKind::Region);
        Names { links, alsos, keys, keys_are: KEY, bare_keys: false, row: true, parent: true, item: false, fold: false, facts }
    }

    #[test]
    fn names_are_resolved_in_order() {
        let links = [("user".to_owned(), 0)];
        let alsos = ["used".to_owned()];
        let keys = ["path".to_owned()];
        let n = names(&links, &alsos, &keys);
        for (text, roots) in [
            ("UserName", vec![Root::This]),
            ("user.UserName", vec![Root::Link(0)]),
            ("used.A[0].B", vec![Root::Also(0)]),
            ("key.path || @.key", vec![Root::Key(0), Root::This]),
            ("'arn:{partition}:{account_id}:{used.X}'", vec![Root::Fact(Fact::Partition), Root::Fact(Fact::AccountId), Root::Also(0)]),
            ("used[].{A: user, B: C}", vec![Root::Also(0)]),
            ("length(used.Xs) > `0` && !Flag", vec![Root::Also(0), Root::This]),
            ("[?user == 'x']", vec![Root::This]),
            ("split(parent.OwnerId, '/')[-1]", vec![Root::Parent]),
        ] {
            assert_eq!(parse(text, &n).unwrap().all_roots(), roots, "{text}");
        }
    }

    #[test]
    fn member_paths_are_read_directly() {
        for text in ["a.b[0].c", "@.a.b", "used[1].x.y", "split(a, '/')[-1].b", "a || b.c[0]"] {
            let parsed = format!("{:?}", parse(text, &names(&[], &["used".to_owned()], &[])).unwrap());
            assert!(!parsed.contains("Jmes"), "{text}: {parsed}");
        }
    }

    #[test]
    fn bad_sources_are_named() {
        let keys = ["user_name".to_owned()];
        let row = names(&[], &[], &keys);
        let first = Names { row: false, parent: false, ..row };
        for (names, text, message, hint) in [
            (row, "State = 'X'", "is not JMESPath", "JMESPath compares with =="),
            (row, "a..b", "is not JMESPath", ""),
            (row, "tgas(Tags)", "unknown function tgas()", "did you mean tags()?"),
            (row, "tags(A, B)", "tags() does not take 2 arguments", "write tags(list)"),
            (row, "key.usr_name", "`usr_name` is not a key column", "did you mean key.user_name?"),
            (row, "'arn:{partition'", "not closed", ""),
            (row, "Xs[].join('-', ['{a}'])", "stands inside a projection", "templates stand alone"),
            (first, "All", "unknown name `All`", "single quotes: 'All'"),
            (first, "acount_id", "unknown name `acount_id`", "did you mean account_id?"),
            (first, "@", "there is no row yet", ""),
        ] {
            let (m, h) = parse(text, &names).unwrap_err();
            assert!(m.contains(message) && h.unwrap_or_default().contains(hint), "{text}: {m}");
        }
    }
}
