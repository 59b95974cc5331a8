//! `!a.b`: JMESPath binds `!` closer than the dot and so reads it as a member of a boolean, which is always null. Here it is `!(a.b)`.

use super::parse::relative;
use jmespath::ast::Ast;

/// Moves negations outwards over the members and elements behind them.
pub(super) fn outwards(ast: &mut Ast) {
    for child in children(ast) {
        outwards(child);
    }
    let negated = match ast {
        Ast::Subexpr { lhs, rhs, .. } if relative(rhs).is_some() => inner(lhs),
        Ast::Projection { lhs: node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => inner(node),
        _ => None,
    };
    if let Some(offset) = negated {
        let node = Box::new(std::mem::replace(ast, Ast::Identity { offset }));
        *ast = Ast::Not { offset, node };
    }
}

/// Takes the negation off a node; gives its place.
fn inner(ast: &mut Ast) -> Option<usize> {
    let Ast::Not { offset, node } = ast else { return None };
    let offset = *offset;
    let within = std::mem::replace(&mut **node, Ast::Identity { offset });
    *ast = within;
    Some(offset)
}

fn children(ast: &mut Ast) -> Vec<&mut Ast> {
    match ast {
        Ast::Comparison { lhs, rhs, .. }
        | Ast::Condition { predicate: lhs, then: rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => vec![&mut **lhs, &mut **rhs],
        Ast::Expref { ast: node, .. } | Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => {
            vec![&mut **node]
        }
        Ast::Function { args: nodes, .. } | Ast::MultiList { elements: nodes, .. } => nodes.iter_mut().collect(),
        Ast::MultiHash { elements, .. } => elements.iter_mut().map(|e| &mut e.value).collect(),
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::{Env, Names, parse};
    use crate::run::{Facts, Keys};
    use serde_json::json;

    #[test]
    fn negations_are_of_the_whole_path() {
        let row = json!({"a": {"b": {"c": true, "d": [{"e": 1}]}}, "f": false, "g": [{"h": false}, {"h": true, "i": {"j": 1}}]});
        for (text, want) in [
            ("!a.b.c", json!(false)),
            ("!a.b.x", json!(true)),
            ("!a.b.d[0].e", json!(false)),
            ("!a.b.d[?e == `2`].e", json!(true)),
            ("!a.b.d[].e", json!(false)),
            ("!f", json!(true)),
            ("!f && !a.x", json!(true)),
            ("(!a.b.x || f) && !(a.b.y)", json!(true)),
            ("!!a.b.c", json!(true)),
            ("g[?!i.j].h", json!([false])),
            ("!f | to_string(@)", json!("true")),
        ] {
            let (facts, keys) = (Facts::default(), Keys::default());
            let env = Env { this: &row, row: None, facts: &facts, keys: &keys, item: None };
            assert_eq!(*parse(text, &Names::ANSWER).unwrap().eval(&env).unwrap(), want, "{text}");
        }
    }
}
