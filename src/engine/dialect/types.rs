//! Which PostgreSQL type an expression has, as far as operators need to know, and SQL type names for DataFusion.

use super::casts;
use crate::functions::array_agg::DOCUMENTS;
use crate::functions::cast::Target;
use crate::functions::row::tag;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

/// A PostgreSQL type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PgType {
    /// An untyped literal or NULL: takes the type of what it meets.
    Unknown,
    Text,
    /// Its text as it was spelled; no operator but `->` and its like.
    Json,
    Jsonb,
    Bool,
    Int,
    Float,
    Numeric,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Bytes,
    List(Box<PgType>),
    /// inet, cidr, uuid …: compared as text.
    Tagged(String),
    Other,
}

impl PgType {
    /// Numbers of any kind.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, PgType::Int | PgType::Float | PgType::Numeric)
    }

    /// inet and cidr.
    pub(super) fn is_address(&self) -> bool {
        matches!(self, PgType::Tagged(name) if name == "inet" || name == "cidr")
    }

    /// Points in time.
    pub(super) fn is_moment(&self) -> bool {
        matches!(self, PgType::Date | PgType::Timestamp | PgType::Timestamptz)
    }

    /// What an untyped literal is cast to when it meets this type.
    pub(super) fn target(&self) -> Option<(Target, bool)> {
        Some(match self {
            PgType::Bool => (Target::Bool, false),
            PgType::Int => (Target::Int8, false),
            PgType::Float => (Target::Float8, false),
            PgType::Numeric => (Target::Numeric, false),
            PgType::Date => (Target::Date, false),
            PgType::Time => (Target::Time, false),
            PgType::Timestamp => (Target::Timestamp, false),
            PgType::Timestamptz => (Target::Timestamptz, false),
            PgType::Interval => (Target::Interval, false),
            PgType::Bytes => (Target::Bytea, false),
            PgType::Json => (Target::Json, false),
            PgType::Jsonb => (Target::Jsonb, false),
            PgType::Tagged(name) => match name.as_str() {
                "inet" => (Target::Inet, false),
                "jsonpath" => (Target::Jsonpath, false),
                "cidr" => (Target::Cidr, false),
                "uuid" => (Target::Uuid, false),
                _ => return None,
            },
            PgType::List(item) => match item.as_ref() {
                PgType::Text | PgType::Unknown => (Target::Text, true),
                item => (item.target()?.0, true),
            },
            PgType::Unknown | PgType::Text | PgType::Other => return None,
        })
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            PgType::Unknown => "unknown".into(),
            PgType::Text => "text".into(),
            PgType::Json => "json".into(),
            PgType::Jsonb => "jsonb".into(),
            PgType::Bool => "boolean".into(),
            PgType::Int => "bigint".into(),
            PgType::Float => "double precision".into(),
            PgType::Numeric => "numeric".into(),
            PgType::Date => "date".into(),
            PgType::Time => "time without time zone".into(),
            PgType::Timestamp => "timestamp without time zone".into(),
            PgType::Timestamptz => "timestamp with time zone".into(),
            PgType::Interval => "interval".into(),
            PgType::Bytes => "bytea".into(),
            PgType::List(item) => format!("{}[]", item.name()),
            PgType::Tagged(name) => name.clone(),
            PgType::Other => "record".into(),
        }
    }
}

/// The type a field carries.
pub(super) fn of_field(field: &Field) -> PgType {
    match tag(field) {
        Some("jsonb") => return PgType::Jsonb,
        Some(DOCUMENTS) => return PgType::List(Box::new(PgType::Jsonb)),
        Some("json") => return PgType::Json,
        Some(other) if matches!(field.data_type(), DataType::Utf8) => return PgType::Tagged(other.to_string()),
        _ => {}
    }
    match field.data_type() {
        DataType::Null => PgType::Unknown,
        DataType::LargeUtf8 => PgType::Numeric,
        DataType::Utf8 | DataType::Utf8View => PgType::Text,
        DataType::Boolean => PgType::Bool,
        ty if ty.is_integer() => PgType::Int,
        ty if ty.is_floating() => PgType::Float,
        ty if ty.is_numeric() => PgType::Numeric,
        DataType::Date32 | DataType::Date64 => PgType::Date,
        DataType::Time32(_) | DataType::Time64(_) => PgType::Time,
        DataType::Timestamp(_, None) => PgType::Timestamp,
        DataType::Timestamp(_, Some(_)) => PgType::Timestamptz,
        DataType::Interval(_) | DataType::Duration(_) => PgType::Interval,
        DataType::Binary => PgType::Bytes,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => PgType::List(Box::new(of_field(item))),
        _ => PgType::Other,
    }
}

/// The type of an expression. DataFusion loses tags at CASE and a few functions: those are looked through.
pub(super) fn of_expr(expr: &Expr, schema: &DFSchema) -> PgType {
    match expr {
        Expr::Literal(ScalarValue::Null, _) => PgType::Unknown,
        Expr::Literal(value, metadata) if value.data_type() == DataType::Utf8 && metadata.is_none() => PgType::Unknown,
        Expr::Alias(alias) if alias.metadata.is_none() => of_expr(&alias.expr, schema),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then).chain(case.else_expr.iter());
            known(results.map(|result| of_expr(result, schema)))
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nullif" | "greatest" | "least") => {
            known(call.args.iter().map(|arg| of_expr(arg, schema)))
        }
        // Lists lose the tags of their items.
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            PgType::List(Box::new(known(call.args.iter().map(|arg| of_expr(arg, schema)))))
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "cast_jsonb_array" | "cast_json_array") => {
            PgType::List(Box::new(if call.func.name() == "cast_jsonb_array" { PgType::Jsonb } else { PgType::Json }))
        }
        Expr::AggregateFunction(call) if call.func.name() == "array_agg" && call.params.args.len() == 1 => {
            PgType::List(Box::new(of_expr(&call.params.args[0], schema)))
        }
        Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max" | "first_value" | "last_value") => {
            known(call.params.args.iter().map(|arg| of_expr(arg, schema)))
        }
        // A field has a name, which is the expression as text: of a long chain of conditions none is made.
        Expr::BinaryExpr(binary) if binary.op.is_logic_operator() || binary.op.supports_propagation() => PgType::Bool,
        Expr::Not(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_) => PgType::Bool,
        _ => expr.to_field(schema).map_or(PgType::Other, |(_, field)| of_field(&field)),
    }
}

/// The first type that is known; of several numbers, the widest.
fn known(types: impl Iterator<Item = PgType>) -> PgType {
    let rank = |ty: &PgType| match ty {
        PgType::Int => 1,
        PgType::Numeric => 2,
        PgType::Float => 3,
        _ => 4,
    };
    let widest = |a: PgType, b: PgType| if rank(&a) < 4 && rank(&b) < 4 && rank(&b) > rank(&a) { b } else { a };
    types.filter(|ty| *ty != PgType::Unknown).reduce(widest).unwrap_or(PgType::Text)
}

/// The extension tag of a type.
pub(super) fn tag_of(ty: &PgType) -> Option<&str> {
    match ty {
        PgType::Json => Some("json"),
        PgType::Jsonb => Some("jsonb"),
        PgType::Tagged(name) => Some(name),
        _ => None,
    }
}

/// DataFusion's view of SQL type names.
#[derive(Debug)]
pub(super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, ty: &ast::DataType) -> Result<Option<FieldRef>> {
        Ok(casts::target(ty)
            .map(|(target, array)| Arc::new(if array { Field::new("", DataType::List(target.item()), true) } else { target.field("") })))
    }
}
