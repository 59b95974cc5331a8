//! Editing jsonb at a path: `jsonb_set`, `jsonb_set_lax`, `jsonb_insert`, `#-`.

use super::jsonb_test::node;
use super::row::{Def, Kind, Ret, Row, Value, fail};
use assay_tables::jsonb::Node;
use datafusion::common::Result;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("jsonb_delete_path", &[Kind::Jsonb, Kind::Texts], Ret::Jsonb, |row| edit(row, Edit::Delete)),
    Def::new("jsonb_set", &[Kind::Jsonb, Kind::Texts, Kind::Jsonb, Kind::Bool], Ret::Jsonb, |row| edit(row, set(row))).required(3),
    Def::new("jsonb_set_lax", &[Kind::Jsonb, Kind::Texts, Kind::Jsonb, Kind::Bool, Kind::Text], Ret::Jsonb, set_lax)
        .required(3)
        .sees_nulls(),
    Def::new("jsonb_insert", &[Kind::Jsonb, Kind::Texts, Kind::Jsonb, Kind::Bool], Ret::Jsonb, |row| {
        edit(row, Edit::Insert { after: row.len() > 3 && row.bool(3) })
    })
    .required(3),
];

/// What becomes of the place a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    Delete,
    Replace,
    /// Replaces it, and makes it if it is not there.
    Create,
    Insert {
        after: bool,
    },
}

fn set(row: Row<'_>) -> Edit {
    if row.len() < 4 || row.bool(3) { Edit::Create } else { Edit::Replace }
}

fn edit(row: Row<'_>, edit: Edit) -> Result<Value<'_>> {
    let new = if edit == Edit::Delete { Node::Null } else { node(row.text(2))? };
    edited(row, edit, &new)
}

fn edited<'a>(row: Row<'a>, edit: Edit, new: &Node) -> Result<Value<'a>> {
    let document = node(row.text(0))?;
    let path = row.texts(1);
    let empty = match &document {
        Node::Array(items) => items.is_empty(),
        Node::Object(members) => members.is_empty(),
        _ if edit == Edit::Delete => return fail("cannot delete path in scalar"),
        _ => return fail("cannot set path in scalar"),
    };
    if path.is_empty() || (empty && matches!(edit, Edit::Delete | Edit::Replace)) {
        return Ok(row.text(0).into());
    }
    Ok(Place { path: &path, edit, new }.below(document, 0)?.to_text().into())
}

fn set_lax(row: Row<'_>) -> Result<Value<'_>> {
    if row.null(0) || row.null(1) || (row.len() > 3 && row.null(3)) {
        return Ok(Value::Null);
    }
    let treatment = if row.len() > 4 { (!row.null(4)).then(|| row.text(4)) } else { Some("use_json_null") };
    match treatment {
        Some(_) if !row.null(2) => edit(row, set(row)),
        Some("use_json_null") => edited(row, set(row), &Node::Null),
        Some("delete_key") => edit(row, Edit::Delete),
        Some("return_target") => Ok(row.text(0).into()),
        Some("raise_exception") => fail("JSON value must not be null"),
        _ => fail("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\""),
    }
}

/// A path, and what to do at its end.
struct Place<'a> {
    path: &'a [Option<&'a str>],
    edit: Edit,
    new: &'a Node,
}

impl Place<'_> {
    /// A document after the edit, of which so many steps of the path are gone.
    fn below(&self, document: Node, level: usize) -> Result<Node> {
        let Some(step) = self.path.get(level) else { return Ok(document) };
        let Some(step) = step else { return fail(format!("path element at position {} is null", level + 1)) };
        match document {
            Node::Array(items) => {
                let Ok(index) = step.trim_start().parse::<i32>() else {
                    return fail(format!("path element at position {} is not an integer: \"{step}\"", level + 1));
                };
                self.array(items, i64::from(index), level)
            }
            Node::Object(members) => self.object(members, step, level),
            scalar => Ok(scalar),
        }
    }

    fn makes(&self) -> bool {
        matches!(self.edit, Edit::Create | Edit::Insert { .. })
    }

    fn array(&self, mut items: Vec<Node>, index: i64, level: usize) -> Result<Node> {
        let length = items.len() as i64;
        let last = level + 1 == self.path.len();
        let before_all = index < 0 && -index > length;
        let index = if index < 0 { index + length } else { index.min(length) };
        match usize::try_from(index).ok().filter(|at| *at < items.len() && !before_all) {
            Some(at) if !last => {
                let item = std::mem::replace(&mut items[at], Node::Null);
                items[at] = self.below(item, level + 1)?;
            }
            Some(at) => match self.edit {
                Edit::Delete => {
                    items.remove(at);
                }
                Edit::Replace | Edit::Create => items[at] = self.new.clone(),
                Edit::Insert { after } => items.insert(at + usize::from(after), self.new.clone()),
            },
            None if last && self.makes() => {
                let at = if before_all { 0 } else { items.len() };
                items.insert(at, self.new.clone());
            }
            None => {}
        }
        Ok(Node::Array(items))
    }

    fn object(&self, mut members: Vec<(String, Node)>, step: &str, level: usize) -> Result<Node> {
        let last = level + 1 == self.path.len();
        match members.iter().position(|(name, _)| name == step) {
            Some(at) if !last => {
                let value = std::mem::replace(&mut members[at].1, Node::Null);
                members[at].1 = self.below(value, level + 1)?;
            }
            Some(at) => match self.edit {
                Edit::Delete => {
                    members.remove(at);
                }
                Edit::Replace | Edit::Create => members[at].1 = self.new.clone(),
                Edit::Insert { .. } => return fail("cannot replace existing key"),
            },
            None if last && self.makes() => members.push((step.to_string(), self.new.clone())),
            None => {}
        }
        Ok(Node::object(members))
    }
}
