//! `columns:`: names, types and sources, and the columns every table has.

use super::calls::{Reader, compiled, expression};
use super::yaml::{At, Bad, Kind, Node, Quotes, Result, get};
use crate::expr::{Expr, Fact, Root};
use crate::program::Source;
use crate::provider::Provider;
use crate::{ColumnType, ScopeKind};
use serde_json::Value;

const TYPES: [(&str, ColumnType); 8] = [
    ("text", ColumnType::Text),
    ("int", ColumnType::Int),
    ("double", ColumnType::Double),
    ("bool", ColumnType::Bool),
    ("timestamp", ColumnType::Timestamp),
    ("jsonb", ColumnType::Jsonb),
    ("inet", ColumnType::Inet),
    ("cidr", ColumnType::Cidr),
];

/// What people call our types elsewhere.
const ELSEWHERE: [(&str, &str); 12] = [
    ("string", "text"),
    ("varchar", "text"),
    ("ltree", "text"),
    ("json", "jsonb"),
    ("ipaddr", "inet"),
    ("boolean", "bool"),
    ("integer", "int"),
    ("bigint", "int"),
    ("float", "double"),
    ("number", "double"),
    ("timestamptz", "timestamp"),
    ("datetime", "timestamp"),
];

/// A column as written.
#[derive(Clone)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) ty: ColumnType,
    pub(super) about: String,
    pub(super) from: Option<From>,
}

/// A source as written: behind the arrow, or `from:`.
#[derive(Clone)]
pub(super) enum From {
    Arrow(String, Node),
    Key(Node),
}

pub(super) fn declare(node: &Node) -> Result<Vec<Declared>> {
    let entries = node.map("columns")?;
    if entries.is_empty() {
        return Err(Bad::new(node.at, "a table needs columns"));
    }
    entries
        .iter()
        .map(|e| {
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if e.key.is_empty() || !e.key.chars().all(word) || e.key.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(Bad::new(e.at, format!("`{}` is not a column name", e.key)).hint("lower-case letters, digits and _"));
            }
            let declared = |ty, about: &str, from| Declared { name: e.key.clone(), at: e.at, ty, about: about.to_owned(), from };
            match &e.value.kind {
                Kind::Map(_) => {
                    let entries = e.value.known("a column", &["type", "from", "about"])?;
                    let ty = get(entries, "type").ok_or_else(|| Bad::new(e.at, format!("column {} has no type", e.key)))?;
                    let about = get(entries, "about").map_or(Ok(""), |n| n.text("about"))?;
                    Ok(declared(type_of(ty.text("type")?, ty)?, about, get(entries, "from").cloned().map(From::Key)))
                }
                _ => {
                    let text = e.value.text("a column's type")?;
                    let (ty, source) = text.split_once("<-").map_or((text, None), |(t, s)| (t, Some(s.trim())));
                    let ty = type_of(ty.trim(), &e.value)?;
                    if source == Some("") {
                        return Err(Bad::new(e.value.at, "nothing stands behind `<-`"));
                    }
                    Ok(declared(ty, "", source.map(|s| From::Arrow(s.to_owned(), e.value.clone()))))
                }
            }
        })
        .collect()
}

fn type_of(text: &str, node: &Node) -> Result<ColumnType> {
    if let Some((_, ty)) = TYPES.iter().find(|(n, _)| *n == text) {
        return Ok(*ty);
    }
    let bad = Bad::new(node.at, format!("unknown type `{text}`"));
    if text.contains(' ') {
        return Err(bad.hint("a column is written `type` or `type <- source`"));
    }
    Err(match ELSEWHERE.iter().find(|(n, _)| *n == text) {
        Some((_, ours)) => bad.hint(format!("write {ours}")),
        None => bad.hint(format!("types: {}", TYPES.map(|(n, _)| n).join(", "))),
    })
}

/// Compiles the sources, and adds the common columns that the table does not declare itself.
pub(super) fn sources(declared: &[Declared], secret: &[(String, At)], reader: &Reader) -> Result<Vec<Source>> {
    let names = reader.names();
    let column = |name: &str, ty, source, at, common| Source {
        name: name.to_owned(),
        ty,
        source,
        at,
        common,
        secret: secret.iter().any(|(s, _)| s == name),
        alsos: Vec::new(),
        costly_fact: false,
    };
    let mut out = Vec::new();
    for d in declared {
        let named = |base: Expr| Expr::Named(Box::new(base), d.name.clone(), reader.spread());
        let (source, at) = match &d.from {
            None => (named(Expr::this()), d.at),
            Some(From::Key(node)) => match node.text("from")?.strip_suffix('.') {
                Some(base) if !base.is_empty() => (named(compiled(base, node, &names)?), node.at),
                _ => (expression(node, "from", &names)?, node.at),
            },
            Some(From::Arrow(text, node)) => match text.strip_suffix('.') {
                Some(base) if !base.is_empty() => (named(compiled(base, node, &names)?), node.at),
                _ => (compiled(text, node, &names)?, node.at),
            },
        };
        out.push(column(&d.name, d.ty, source, at, false));
    }
    for (name, ty, source) in common(reader.provider, reader.scope) {
        if !declared.iter().any(|d| d.name == name) {
            out.push(column(name, ty, source, (1, 1), true));
        }
    }
    Ok(out)
}

/// The sources of a summary, and which columns it gives: all as in the table but those `without:` names, or only those that `columns:` names. Where
/// `columns:` says nothing of a column, it is as in the table.
pub(super) fn of_summary(
    declared: &[Declared],
    secret: &[(String, At)],
    columns: Option<&Node>,
    without: Option<&Node>,
    reader: &Reader,
) -> Result<(Vec<Source>, Vec<bool>)> {
    let own = columns.map(|node| node.map("columns")).transpose()?;
    let lacks = without.map(|node| node.list("without")).transpose()?;
    let lacks = lacks.map(|list| list.iter().map(|n| Ok((n.text("without")?, n.at))).collect::<Result<Vec<_>>>()).transpose()?;
    let entry = |name: &str| own.and_then(|own| own.iter().find(|e| e.key == name));
    let is_lacked = |name: &str| lacks.iter().flatten().any(|(lacked, _)| *lacked == name);
    let named = own.into_iter().flatten().map(|e| (e.key.as_str(), e.at)).chain(lacks.iter().flatten().copied());
    for (name, at) in named {
        if !declared.iter().any(|d| d.name == name) {
            return Err(Bad::new(at, format!("`{name}` is not a column")).suggest(name, declared.iter().map(|d| d.name.as_str())));
        }
        if is_lacked(name) && entry(name).is_some() {
            return Err(Bad::new(at, format!("`{name}` stands in `columns` and in `without`")).hint("it has it or has it not"));
        }
    }
    let given = |name: &str| match (&lacks, own) {
        (Some(_), _) => !is_lacked(name),
        (None, Some(_)) => entry(name).is_some(),
        (None, None) => true,
    };
    let is_bare = |node: &Node| matches!(&node.kind, Kind::Text { text, style: Quotes::Plain } if text.is_empty() || text == "~");
    let nothing = |at| Node { at, kind: Kind::Text { text: "`null`".to_owned(), style: Quotes::Plain } };
    let here = |d: &Declared| match entry(&d.name) {
        _ if !given(&d.name) => Declared { from: Some(From::Key(nothing(d.at))), ..d.clone() },
        Some(e) if !is_bare(&e.value) => Declared { from: Some(From::Key(e.value.clone())), ..d.clone() },
        _ => d.clone(),
    };
    let sources = sources(&declared.iter().map(here).collect::<Vec<_>>(), secret, reader)?;
    let gives = sources.iter().map(|s| s.common || given(&s.name)).collect();
    Ok((sources, gives))
}

/// The columns that come by themselves.
fn common(provider: Provider, scope: ScopeKind) -> Vec<(&'static str, ColumnType, Expr)> {
    let fact = |f| Expr::Path(Root::Fact(f), Vec::new());
    let ctx = || Expr::Object(vec![("connection_name".to_owned(), fact(Fact::Connection))]);
    let text = |name, source| (name, ColumnType::Text, source);
    let region = match scope {
        ScopeKind::Region => fact(Fact::Region),
        _ => Expr::Const(Value::String("global".into())),
    };
    let mut out = match (provider, scope) {
        (Provider::Aws, _) => {
            vec![text("partition", fact(Fact::Partition)), text("region", region), text("account_id", fact(Fact::AccountId))]
        }
        (Provider::Azure, ScopeKind::Tenant) => {
            vec![text("cloud_environment", fact(Fact::Partition)), text("tenant_id", fact(Fact::TenantId))]
        }
        (Provider::Azure, _) => {
            vec![text("cloud_environment", fact(Fact::Partition)), text("subscription_id", fact(Fact::AccountId))]
        }
    };
    out.push(("_ctx", ColumnType::Jsonb, ctx()));
    out.push(text("sp_connection_name", fact(Fact::Connection)));
    out.push(("sp_ctx", ColumnType::Jsonb, ctx()));
    out
}

/// Descriptions of the common columns.
pub(super) fn about_common(name: &str) -> &'static str {
    match name {
        "partition" => "The AWS partition: aws, aws-cn, aws-us-gov.",
        "region" => "The region; global for services that have none.",
        "account_id" => "The account.",
        "cloud_environment" => "The Azure cloud: AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, or the name of a custom one.",
        "subscription_id" => "The subscription.",
        "tenant_id" => "The tenant.",
        "_ctx" | "sp_ctx" => "How the row was reached: the connection.",
        "sp_connection_name" => "The connection the row was reached through.",
        _ => "",
    }
}
