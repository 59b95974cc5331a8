//! Arguments: `$1` and `$name` become literals in the AST, never text in the statement.

use super::ast::literal;
use crate::{Arg, EngineError};
use datafusion::sql::sqlparser::ast::ArrayElemTypeDef;
use datafusion::sql::sqlparser::ast::{Array, CastKind, DataType, Expr, Statement, UnaryOperator, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Replaces placeholders by their arguments.
///
/// # Errors
/// A placeholder has no argument, or an argument has a value SQL has no literal for.
pub(super) fn bind(statement: &mut Statement, args: &[Arg]) -> Result<(), EngineError> {
    match statement.visit(&mut Binder { args }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Binder<'a> {
    args: &'a [Arg],
}

impl VisitorMut for Binder<'_> {
    type Break = EngineError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(placeholder) = &value.value else { return ControlFlow::Continue(()) };
        let span = value.span;
        let name = placeholder.trim_start_matches(['$', ':', '?', '@']);
        let Some(arg) = self.args.iter().find(|arg| arg.name == name) else {
            let position = name.bytes().all(|b| b.is_ascii_digit());
            return ControlFlow::Break(EngineError::Sql {
                message: format!("there is no parameter {placeholder}"),
                hint: (!position).then(|| format!("give it a value: --arg {name}=…")),
                at: (span.start.line > 0).then_some((span.start.line as usize, span.start.column as usize)),
            });
        };
        match to_literal(&arg.value) {
            Ok(bound) => {
                *expr = bound;
                ControlFlow::Continue(())
            }
            Err(why) => ControlFlow::Break(EngineError::Sql { message: format!("parameter {placeholder}: {why}"), hint: None, at: None }),
        }
    }
}

fn to_literal(value: &serde_json::Value) -> Result<Expr, String> {
    Ok(match value {
        serde_json::Value::Null => literal(Value::Null),
        serde_json::Value::Bool(value) => literal(Value::Boolean(*value)),
        serde_json::Value::Number(number) => {
            let text = number.to_string();
            let text = assay_tables::jsonb::canonical_number(&text).unwrap_or(text);
            match text.strip_prefix('-') {
                Some(positive) => Expr::Nested(Box::new(Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: Box::new(literal(Value::Number(positive.into(), false))),
                })),
                None => literal(Value::Number(text, false)),
            }
        }
        serde_json::Value::String(text) => literal(Value::SingleQuotedString(text.clone())),
        serde_json::Value::Array(items) if items.is_empty() => cast(literal(Value::SingleQuotedString("{}".into())), text_array()),
        serde_json::Value::Array(items) => {
            if items.iter().any(|item| item.is_array() || item.is_object()) {
                return Err("an array may hold only text, numbers, booleans and nulls".into());
            }
            let texts = items.iter().any(serde_json::Value::is_string);
            if texts && items.iter().any(|item| item.is_number() || item.is_boolean()) {
                return Err("an array must hold values of one type".into());
            }
            let elem = items.iter().map(to_literal).collect::<Result<_, _>>()?;
            let array = Expr::Array(Array { elem, named: true });
            if texts { cast(array, text_array()) } else { array }
        }
        serde_json::Value::Object(_) => cast(literal(Value::SingleQuotedString(value.to_string())), DataType::JSONB),
    })
}

fn text_array() -> DataType {
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(expr), data_type, array: false, format: None }
}
