//! Types of expressions over the shapes of a model.

use super::{Shape, Shapes};
use crate::ColumnType;
use crate::expr::functions::{Gives, find};
use crate::expr::{Expr, Fact, Jmes, Piece, Root, Spread, Step, same_name};
use crate::spec::yaml::closest;
use jmespath::ast::Ast;
use serde_json::Value;
use std::sync::Arc;

/// What a value is, as far as the models tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Ty {
    /// Not known.
    #[default]
    Any,
    Text,
    Number,
    Bool,
    Timestamp,
    /// An object or a list that an expression makes.
    Json,
    List(Box<Ty>),
    /// A shape of a service.
    Node(Arc<str>, String),
    /// One of two.
    Either(Box<Ty>, Box<Ty>),
}

/// The types of names.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub(super) this: Ty,
    pub(super) parent: Ty,
    pub(super) links: Vec<Ty>,
    pub(super) alsos: Vec<Ty>,
    pub(super) item: Ty,
    pub(super) fold: Ty,
}

type Wrong = (String, Option<String>);
type Inferred = Result<Ty, Wrong>;

impl Scene {
    /// For expressions over an answer.
    pub(super) fn over(answer: &Ty) -> Scene {
        Scene { this: answer.clone(), ..Scene::default() }
    }

    fn root(&self, root: Root) -> Ty {
        match root {
            Root::This => self.this.clone(),
            Root::Parent => self.parent.clone(),
            Root::Link(link) => self.links.get(link).cloned().unwrap_or_default(),
            Root::Also(also) => self.alsos[also].clone(),
            Root::Item => self.item.clone(),
            Root::Fold => self.fold.clone(),
            Root::Fact(Fact::Regions | Fact::Asked) => Ty::List(Box::new(Ty::Text)),
            Root::Fact(Fact::Now) => Ty::Timestamp,
            Root::Fact(_) => Ty::Text,
            Root::Key(_) | Root::Keys => Ty::Any,
        }
    }
}

/// What a shape is, with scalars as types of their own.
pub(super) enum Kind {
    Scalar(Ty),
    Structure(Vec<super::Member>),
    List(Ty),
    Map(Ty),
    Any,
}

pub(super) fn kind(ty: &Ty, shapes: &dyn Shapes) -> Kind {
    match ty {
        Ty::Node(service, name) => {
            let node = |shape: String| Ty::Node(service.clone(), shape);
            match shapes.shape(service, name) {
                None | Some(Shape::Document) => Kind::Any,
                Some(Shape::Structure(members)) => Kind::Structure(members),
                Some(Shape::List(of)) => Kind::List(node(of)),
                Some(Shape::Map(of)) => Kind::Map(node(of)),
                Some(Shape::Text | Shape::Blob) => Kind::Scalar(Ty::Text),
                Some(Shape::Int | Shape::Double) => Kind::Scalar(Ty::Number),
                Some(Shape::Bool) => Kind::Scalar(Ty::Bool),
                Some(Shape::Timestamp) => Kind::Scalar(Ty::Timestamp),
            }
        }
        Ty::List(of) => Kind::List((**of).clone()),
        Ty::Any | Ty::Json | Ty::Either(..) => Kind::Any,
        scalar => Kind::Scalar(scalar.clone()),
    }
}

fn both(a: Inferred, b: Inferred) -> Inferred {
    // One of two alternatives may lack the path, not both.
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(Ty::Either(Box::new(a), Box::new(b))),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(wrong), Err(_)) => Err(wrong),
    }
}

/// The type of a member.
pub(super) fn field(ty: &Ty, name: &str, shapes: &dyn Shapes) -> Inferred {
    if let Ty::Either(a, b) = ty {
        return both(field(a, name, shapes), field(b, name, shapes));
    }
    match kind(ty, shapes) {
        Kind::Any => Ok(Ty::Any),
        Kind::Map(of) => Ok(of),
        Kind::Structure(members) => match (members.iter().find(|m| m.name == name), ty) {
            (Some(m), Ty::Node(service, _)) => Ok(Ty::Node(service.clone(), m.shape.clone())),
            _ => Err(no_member(ty, name, members.iter().map(|m| m.name.as_str()))),
        },
        Kind::List(_) => Err((format!("`{name}` is read from a list"), Some("go through it with [], or take an element with [0]".into()))),
        Kind::Scalar(_) => Err((format!("`{name}` is read from a value that has no members"), None)),
    }
}

fn no_member<'a>(ty: &Ty, name: &str, members: impl Iterator<Item = &'a str> + Clone) -> Wrong {
    let shape = match ty {
        Ty::Node(service, shape) => format!("{service} {shape}"),
        _ => "the value".into(),
    };
    let hint = match closest(name, members.clone()) {
        Some(best) => Some(format!("did you mean {best}?")),
        None => {
            let all: Vec<&str> = members.collect();
            (all.len() <= 12).then(|| format!("members: {}", all.join(", ")))
        }
    };
    (format!("{shape} has no member `{name}`"), hint)
}

/// The type of a list's elements.
pub(super) fn element(ty: &Ty, shapes: &dyn Shapes) -> Inferred {
    if let Ty::Either(a, b) = ty {
        return both(element(a, shapes), element(b, shapes));
    }
    match kind(ty, shapes) {
        Kind::List(of) => Ok(of),
        Kind::Any => Ok(Ty::Any),
        _ => Err(("not a list".into(), None)),
    }
}

fn steps(mut ty: Ty, path: &[Step], shapes: &dyn Shapes) -> Inferred {
    for step in path {
        ty = match step {
            Step::Field(name) => field(&ty, name, shapes)?,
            Step::Index(_) => element(&ty, shapes)?,
        };
    }
    Ok(ty)
}

/// The type of an expression.
pub(super) fn infer(expr: &Expr, scene: &Scene, shapes: &dyn Shapes) -> Inferred {
    let of = |e: &Expr| infer(e, scene, shapes);
    Ok(match expr {
        Expr::Const(value) => constant(value),
        Expr::Path(root, path) => steps(scene.root(*root), path, shapes)?,
        Expr::Get(base, path) => steps(of(base)?, path, shapes)?,
        Expr::Named(base, column, spread) => named(&of(base)?, column, *spread, shapes)?,
        Expr::Template(pieces) => {
            for piece in pieces {
                if let Piece::Value(e) = piece
                    && compound(&of(e)?, shapes)
                {
                    return Err(("a list or an object stands in a template".into(), None));
                }
            }
            Ty::Text
        }
        Expr::List(items) => {
            let types = items.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            Ty::List(Box::new(types.into_iter().next().unwrap_or_default()))
        }
        Expr::Object(members) => {
            members.iter().try_for_each(|(_, e)| of(e).map(|_| ()))?;
            Ty::Json
        }
        Expr::Or(a, b) => Ty::Either(Box::new(of(a)?), Box::new(of(b)?)),
        Expr::And(a, b) => {
            of(a)?;
            of(b)?
        }
        Expr::Not(e) => {
            of(e)?;
            Ty::Bool
        }
        Expr::Compare(_, a, b) => {
            of(a)?;
            of(b)?;
            Ty::Bool
        }
        Expr::Call(function, args) => {
            let types = args.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            given(function.name, function.gives, types)
        }
        Expr::Jmes(jmes) => search(jmes, scene, shapes)?,
    })
}

fn constant(value: &Value) -> Ty {
    match value {
        Value::Null => Ty::Any,
        Value::Bool(_) => Ty::Bool,
        Value::Number(_) => Ty::Number,
        Value::String(_) => Ty::Text,
        Value::Array(_) | Value::Object(_) => Ty::Json,
    }
}

fn named(ty: &Ty, column: &str, spread: Spread, shapes: &dyn Shapes) -> Inferred {
    if let Ty::Either(a, b) = ty {
        return both(named(a, column, spread, shapes), named(b, column, spread, shapes));
    }
    match (kind(ty, shapes), ty) {
        (Kind::Structure(members), Ty::Node(service, _)) => {
            let node = |shape: &str| Ty::Node(service.clone(), shape.to_owned());
            if let Some(m) = members.iter().find(|m| same_name(&m.name, column)) {
                return Ok(node(&m.shape));
            }
            match members.iter().find(|m| spread == Spread::Properties && m.name == "properties") {
                Some(m) => named(&node(&m.shape), column, Spread::Flat, shapes),
                None => Err(no_member(ty, column, members.iter().map(|m| m.name.as_str()))),
            }
        }
        (Kind::Map(of), _) => Ok(of),
        (Kind::Any, _) => Ok(Ty::Any),
        _ => Err((format!("the row has no members, so none is called {column}"), Some("write a source: `@` is the row itself".into()))),
    }
}

fn given(name: &str, gives: Gives, args: Vec<Ty>) -> Ty {
    match (gives, name) {
        (Gives::Text, _) => Ty::Text,
        (Gives::Number, _) => Ty::Number,
        (Gives::Timestamp, _) => Ty::Timestamp,
        (Gives::Json, "split") => Ty::List(Box::new(Ty::Text)),
        (Gives::Json, "entries") => Ty::List(Box::new(Ty::Any)),
        (Gives::Json, _) => Ty::Any,
        (Gives::First, _) => args.into_iter().next().unwrap_or_default(),
    }
}

fn search(jmes: &Jmes, scene: &Scene, shapes: &dyn Shapes) -> Inferred {
    ast(&jmes.ast, &Here::Root(jmes, scene), shapes)
}

/// Where an expression stands: at the root with its names, or inside a value.
enum Here<'a> {
    Root(&'a Jmes, &'a Scene),
    In(Ty),
}

fn ast(node: &Ast, here: &Here<'_>, shapes: &dyn Shapes) -> Inferred {
    let at = |node: &Ast| ast(node, here, shapes);
    let inside = |node: &Ast, ty: Ty| ast(node, &Here::In(ty), shapes);
    let whole = || match here {
        Here::Root(_, scene) => scene.this.clone(),
        Here::In(ty) => ty.clone(),
    };
    Ok(match node {
        Ast::Identity { .. } => whole(),
        Ast::Field { name, .. } => match here {
            Here::In(ty) => field(ty, name, shapes)?,
            Here::Root(jmes, scene) => {
                let root = jmes.names.iter().flatten().find(|(n, _)| n == name).map(|(_, r)| *r).unwrap_or(Root::This);
                if root == Root::This { field(&scene.this, name, shapes)? } else { scene.root(root) }
            }
        },
        Ast::Index { .. } => element(&whole(), shapes)?,
        Ast::Slice { .. } => {
            element(&whole(), shapes)?;
            whole()
        }
        Ast::Subexpr { lhs, rhs, .. } => {
            let left = at(lhs)?;
            inside(rhs, left)?
        }
        Ast::Projection { lhs, rhs, .. } => {
            let of = element(&at(lhs)?, shapes)?;
            Ty::List(Box::new(inside(rhs, of)?))
        }
        Ast::Flatten { node, .. } => {
            let of = element(&at(node)?, shapes)?;
            // A list of lists loses one level; a list of anything else stays.
            match kind(&of, shapes) {
                Kind::List(inner) => Ty::List(Box::new(inner)),
                _ => Ty::List(Box::new(of)),
            }
        }
        Ast::ObjectValues { node, .. } => match kind(&at(node)?, shapes) {
            Kind::Map(of) => Ty::List(Box::new(of)),
            _ => Ty::List(Box::new(Ty::Any)),
        },
        Ast::Condition { predicate, then, .. } => {
            at(predicate)?;
            at(then)?
        }
        Ast::Literal { value, .. } => constant(&crate::expr::functions::to_value(value).unwrap_or_default()),
        Ast::MultiList { elements, .. } => {
            elements.iter().try_for_each(|e| at(e).map(|_| ()))?;
            Ty::List(Box::new(Ty::Any))
        }
        Ast::MultiHash { elements, .. } => {
            elements.iter().try_for_each(|e| at(&e.value).map(|_| ()))?;
            Ty::Json
        }
        Ast::Or { lhs, rhs, .. } => Ty::Either(Box::new(at(lhs)?), Box::new(at(rhs)?)),
        Ast::And { lhs, rhs, .. } => {
            at(lhs)?;
            at(rhs)?
        }
        Ast::Comparison { lhs, rhs, .. } => {
            at(lhs)?;
            at(rhs)?;
            Ty::Bool
        }
        Ast::Not { node, .. } => {
            at(node)?;
            Ty::Bool
        }
        Ast::Function { name, args, .. } => function(name, args, here, shapes)?,
        Ast::Expref { .. } => Ty::Any,
    })
}

fn function(name: &str, args: &[Ast], here: &Here<'_>, shapes: &dyn Shapes) -> Inferred {
    let plain = args.iter().filter(|a| !matches!(a, Ast::Expref { .. }));
    let types = plain.map(|a| ast(a, here, shapes)).collect::<Result<Vec<_>, _>>()?;
    let first = types.first().cloned().unwrap_or_default();
    for arg in args {
        if let Ast::Expref { ast: inner, .. } = arg {
            ast(inner, &Here::In(element(&first, shapes)?), shapes)?;
        }
    }
    if let Some(function) = find(name) {
        return Ok(given(name, function.gives, types));
    }
    Ok(match name {
        "length" | "sum" | "avg" | "abs" | "ceil" | "floor" | "to_number" => Ty::Number,
        "contains" | "starts_with" | "ends_with" => Ty::Bool,
        "join" | "to_string" | "type" => Ty::Text,
        "keys" => Ty::List(Box::new(Ty::Text)),
        "sort" | "sort_by" | "reverse" => first,
        "max" | "min" | "max_by" | "min_by" => element(&first, shapes)?,
        "not_null" => types.into_iter().reduce(|a, b| Ty::Either(Box::new(a), Box::new(b))).unwrap_or_default(),
        "map" | "values" => Ty::List(Box::new(Ty::Any)),
        _ => Ty::Any,
    })
}

/// Is it a list or an object?
pub(super) fn compound(ty: &Ty, shapes: &dyn Shapes) -> bool {
    matches!(kind(ty, shapes), Kind::List(_) | Kind::Structure(_) | Kind::Map(_))
}

/// Why a column of this type cannot take the value; `None` when it can.
pub(super) fn misfit(column: ColumnType, ty: &Ty, shapes: &dyn Shapes) -> Option<String> {
    if let Ty::Either(a, b) = ty {
        return misfit(column, a, shapes).or_else(|| misfit(column, b, shapes));
    }
    let scalar = match kind(ty, shapes) {
        Kind::Any if *ty == Ty::Json => None,
        Kind::Any => return None,
        Kind::Scalar(scalar) => Some(scalar),
        _ => None,
    };
    let fits = match (column, &scalar) {
        (ColumnType::Jsonb | ColumnType::Text, Some(_)) | (ColumnType::Jsonb, None) => true,
        (ColumnType::Int | ColumnType::Double, Some(s)) => matches!(s, Ty::Number | Ty::Text),
        (ColumnType::Bool, Some(s)) => matches!(s, Ty::Bool | Ty::Text),
        (ColumnType::Timestamp, Some(s)) => matches!(s, Ty::Timestamp | Ty::Text | Ty::Number),
        (ColumnType::Inet | ColumnType::Cidr, Some(s)) => *s == Ty::Text,
        (_, None) => false,
    };
    let what = match scalar {
        Some(Ty::Text) => "a text",
        Some(Ty::Number) => "a number",
        Some(Ty::Bool) => "a boolean",
        Some(Ty::Timestamp) => "a timestamp",
        _ => "a list or an object",
    };
    (!fits).then(|| format!("{what} does not fit {}", column.sql_name()))
}

/// Why a query parameter cannot take the value; `None` when it can. All go out as text, so one that takes text takes every scalar.
pub(super) fn unfit_parameter(ty: &Ty, parameter: &Ty, shapes: &dyn Shapes) -> Option<String> {
    let takes_text = matches!(kind(parameter, shapes), Kind::Scalar(Ty::Text));
    if takes_text && !compound(ty, shapes) { None } else { unfit_input(ty, parameter, shapes) }
}

/// Why an input member cannot take the value; `None` when it can.
pub(super) fn unfit_input(ty: &Ty, member: &Ty, shapes: &dyn Shapes) -> Option<String> {
    if let Ty::Either(a, b) = ty {
        return unfit_input(a, member, shapes).or_else(|| unfit_input(b, member, shapes));
    }
    match (kind(ty, shapes), kind(member, shapes)) {
        (Kind::Scalar(_), Kind::List(_)) => Some("it takes a list: write [value]".into()),
        (Kind::Scalar(_), Kind::Structure(_) | Kind::Map(_)) => Some("it takes an object".into()),
        (Kind::List(_) | Kind::Structure(_) | Kind::Map(_), Kind::Scalar(_)) => Some("it takes one value".into()),
        (Kind::Scalar(Ty::Text), Kind::Scalar(Ty::Number | Ty::Bool)) | (Kind::Scalar(Ty::Number), Kind::Scalar(Ty::Text | Ty::Bool)) => {
            Some("its type is another one".into())
        }
        _ => None,
    }
}
