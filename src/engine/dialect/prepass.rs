//! The AST pre-pass: PostgreSQL's shapes that DataFusion lacks, in shapes it has.
//!
//! Top-down at each SELECT: column names, set-returning functions, the fold of FROM. Bottom-up at each expression: casts, ANY/ALL, dates.

use super::ast::{binary, call, case, last_name, literal, negate, positional, string_of, text};
use super::ctes::{self, Scopes};
use super::from::{fold, is_wildcard, name_merged, name_values, nested, unnest_in};
use super::quantified::sliced;
use super::relation::sideways;
use super::tokens::{distinct, is_symmetric, symmetric};
use super::{casts, grouping, names, quantified, query, rows, siblings};
use crate::EngineError;
use crate::functions::cast::Target;
use chrono::{DateTime, Utc};
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    Ident, Interval, NamedWindowDefinition, OrderByExpr, OrderByOptions, Query, Select, SelectItem, Statement, TableFactor, TableWithJoins,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rewrites a statement; returns the cast functions it needs beside the registered ones.
///
/// # Errors
/// A cast to a type we do not know, or a quantified expression we cannot rewrite.
pub(super) fn rewrite(statement: &mut Statement, now: Option<DateTime<Utc>>) -> Result<Vec<Arc<ScalarUDF>>, EngineError> {
    let mut prepass = Prepass {
        now,
        ctes: BTreeSet::new(),
        scopes: Scopes::default(),
        parametric: BTreeMap::new(),
        values: Vec::new(),
        windows: Vec::new(),
    };
    match statement.visit(&mut prepass) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(prepass.parametric.into_values().collect()),
    }
}

struct Prepass {
    now: Option<DateTime<Utc>>,
    ctes: BTreeSet<String>,
    parametric: BTreeMap<String, Arc<ScalarUDF>>,
    /// Of each query around, the names of its WITH.
    scopes: Scopes,
    /// Of each SELECT around, its WINDOW clause.
    windows: Vec<Vec<NamedWindowDefinition>>,
    /// Of each SELECT around, the aliases that stand for a value: alias to column.
    values: Vec<BTreeMap<String, Ident>>,
}

/// Does an expression hold a subquery or, in a subquery, a column, which may be one of the query around?
fn looks_around(expr: &Expr, inner: bool) -> bool {
    datafusion::sql::sqlparser::ast::visit_expressions(expr, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) if inner => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn unsupported(message: String) -> EngineError {
    EngineError::Sql { message, hint: None, at: None }
}

impl VisitorMut for Prepass {
    type Break = EngineError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.ctes.insert(cte.alias.name.value.to_lowercase());
        }
        self.scopes.enter(query);
        ctes::name_columns(query);
        query::rewrite(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        self.windows.push(select.named_window.clone());
        grouping::rewrite(select);
        name_merged(select);
        let wildcard = select.projection.iter().any(is_wildcard);
        self.values.push(if wildcard { name_values(select) } else { BTreeMap::new() });
        names::assign(select);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                unnest_in(expr);
            }
        }
        for item in &mut select.from {
            self.wrap(&mut item.relation);
            item.joins.iter_mut().for_each(|join| self.wrap(&mut join.relation));
        }
        if select.from.iter().any(sideways) {
            siblings::order(select);
            fold(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<Self::Break> {
        self.values.pop();
        self.windows.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let (Expr::Function(function), Some(windows)) = (&mut *expr, self.windows.last()) {
            grouping::window(function, windows);
        }
        quantified::member_of_query(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match self.rewrite(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Prepass {
    /// Wraps subqueries and CTEs, so that the relation planner can give their columns tags that DataFusion loses.
    fn wrap(&self, relation: &mut TableFactor) {
        let wanted = match relation {
            TableFactor::Derived { lateral, .. } => !*lateral,
            TableFactor::Table { name, args: None, alias, .. } => {
                alias.as_ref().is_some_and(|alias| !alias.columns.is_empty())
                    || last_name(name).is_some_and(|name| self.ctes.contains(&name.to_lowercase()))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.wrap(&mut table_with_joins.relation);
                table_with_joins.joins.iter_mut().for_each(|join| self.wrap(&mut join.relation));
                false
            }
            _ => false,
        };
        if wanted {
            let empty = TableFactor::TableFunction { expr: literal(Value::Null), alias: None };
            let inner = std::mem::replace(relation, empty);
            *relation = nested(TableWithJoins { relation: inner, joins: Vec::new() });
        }
    }

    fn rewrite(&mut self, expr: &mut Expr) -> Result<Option<Expr>, EngineError> {
        Ok(match expr {
            Expr::Cast { expr: inner, data_type, .. } => Some(self.cast(inner.as_ref().clone(), data_type)?),
            Expr::TypedString(typed) => {
                let value = Expr::Value(typed.value.clone());
                Some(self.cast(value, &typed.data_type)?)
            }
            Expr::Interval(interval) => Some(interval_of(interval)?),
            Expr::Extract { field, expr: inner, .. } => {
                Some(call("extract", vec![text(field.to_string().to_lowercase()), inner.as_ref().clone()]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => match (left.as_ref(), right.as_ref()) {
                (Expr::Tuple(left), Expr::Tuple(right)) if left.len() == 2 && right.len() == 2 => {
                    Some(call("overlaps", left.iter().chain(right).cloned().collect()))
                }
                _ => None,
            },
            Expr::AtTimeZone { timestamp, time_zone } => {
                Some(call("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
            }
            Expr::Between { low, .. } if is_symmetric(low) => None,
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => symmetric(left, right),
            Expr::BinaryOp { left, op: BinaryOperator::Custom(op), right } if distinct(op).is_some() => {
                let (left, right) = (left.clone(), right.clone());
                let differ = distinct(op) == Some(true);
                let of_rows = rows::distinct(&left, &right, differ);
                Some(of_rows.unwrap_or(if differ { Expr::IsDistinctFrom(left, right) } else { Expr::IsNotDistinctFrom(left, right) }))
            }
            Expr::IsDistinctFrom(left, right) => rows::distinct(left, right, true),
            Expr::IsNotDistinctFrom(left, right) => rows::distinct(left, right, false),
            Expr::Between { expr: inner, negated, low, high } => {
                let compared = |op: BinaryOperator, bound: &Expr| {
                    rows::compared(inner, &op, bound).unwrap_or_else(|| binary(inner.as_ref().clone(), op, bound.clone()))
                };
                let (low, high) = (compared(BinaryOperator::GtEq, low), compared(BinaryOperator::LtEq, high));
                Some(negate(Expr::Nested(Box::new(binary(low, BinaryOperator::And, high))), *negated))
            }
            Expr::AnyOp { left, compare_op, right, .. } => Some(quantified_of(left, compare_op, right, false)?),
            Expr::AllOp { left, compare_op, right } => Some(quantified_of(left, compare_op, right, true)?),
            Expr::Like { any: true, negated, expr: inner, pattern, escape_char } => {
                quantified::like_any(inner, pattern, *negated, false, escape_char.as_ref())
            }
            Expr::ILike { any: true, negated, expr: inner, pattern, escape_char } => {
                quantified::like_any(inner, pattern, *negated, true, escape_char.as_ref())
            }
            // `x like all (…)` parses as LIKE of a function.
            Expr::Like { any: false, negated, expr: inner, pattern, .. } if quantifier(pattern).is_some() => {
                let op = if *negated { BinaryOperator::PGNotLikeMatch } else { BinaryOperator::PGLikeMatch };
                self.quantified_like(inner, &op, pattern)?
            }
            Expr::ILike { any: false, negated, expr: inner, pattern, .. } if quantifier(pattern).is_some() => {
                let op = if *negated { BinaryOperator::PGNotILikeMatch } else { BinaryOperator::PGILikeMatch };
                self.quantified_like(inner, &op, pattern)?
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escape_char.take() {
                    **pattern = call("like_escape", vec![pattern.as_ref().clone(), Expr::Value(escape)]);
                }
                None
            }
            Expr::SimilarTo { negated, expr: inner, pattern, escape_char } => {
                let mut args = vec![inner.as_ref().clone(), pattern.as_ref().clone()];
                args.extend(escape_char.clone().map(Expr::Value));
                Some(negate(call("similar_to", args), *negated))
            }
            Expr::Substring { expr: inner, substring_from: Some(from), substring_for: Some(escape), .. }
                if string_of(from).is_some() && string_of(escape).is_some() =>
            {
                Some(call("substring_similar", vec![inner.as_ref().clone(), from.as_ref().clone(), escape.as_ref().clone()]))
            }
            Expr::Substring { expr: inner, substring_from: Some(from), substring_for: None, .. } if string_of(from).is_some() => {
                Some(call("substring_regex", vec![inner.as_ref().clone(), from.as_ref().clone()]))
            }
            Expr::Collate { expr: inner, .. } => Some(inner.as_ref().clone()),
            Expr::UnaryOp { op, expr: inner } => unary(*op, inner),
            Expr::CompoundFieldAccess { root, access_chain } => sliced(root, access_chain),
            Expr::InSubquery { expr: inner, subquery, negated } => {
                rows::fields(inner).and_then(|fields| rows::within(fields, subquery)).map(|found| negate(found, *negated))
            }
            Expr::BinaryOp { left, op, right } => rows::compared(left, op, right),
            Expr::IsNull(inner) => rows::of_nulls(inner, true),
            Expr::IsNotNull(inner) => rows::of_nulls(inner, false),
            Expr::InList { expr: inner, list, negated } => {
                let within = |query| Expr::InSubquery { expr: inner.clone(), subquery: Box::new(query), negated: *negated };
                rows::values_of(list).map(within).or_else(|| rows::among(inner, list).map(|found| negate(found, *negated)))
            }
            Expr::Nested(inner) => rows::values_of(std::slice::from_ref(inner)).map(|query| Expr::Subquery(Box::new(query))),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if digits.parse::<i64>().is_err() => Some(numeric(digits)),
                Value::EscapedStringLiteral(string) | Value::UnicodeStringLiteral(string) => Some(text(string.clone())),
                Value::DollarQuotedString(string) => Some(text(string.value.clone())),
                _ => None,
            },
            Expr::Identifier(ident) => self.value_of(ident),
            // DataFusion plans the items of `array[…]` as if nothing were around: no outer columns, no WITH.
            Expr::Array(array) if !array.elem.is_empty() && array.elem.iter().any(|item| looks_around(item, self.values.len() > 1)) => {
                Some(call("make_array", array.elem.clone()))
            }
            Expr::Function(function) => self.function(function)?,
            _ => None,
        })
    }

    fn quantified_like(&self, inner: &Expr, op: &BinaryOperator, pattern: &Expr) -> Result<Option<Expr>, EngineError> {
        match quantifier(pattern) {
            Some((array, all)) => Ok(Some(quantified_of(inner, op, &array, all)?)),
            None => Ok(None),
        }
    }

    /// A bare alias of a set-returning function, where the select list has a wildcard.
    fn value_of(&self, ident: &Ident) -> Option<Expr> {
        let name = ident.value.to_lowercase();
        let column = self.values.iter().rev().find_map(|values| values.get(&name))?;
        (column.value != ident.value).then(|| Expr::CompoundIdentifier(vec![ident.clone(), column.clone()]))
    }

    fn cast(&mut self, expr: Expr, ty: &DataType) -> Result<Expr, EngineError> {
        let Some((target, array)) = casts::target(ty) else {
            return Err(unsupported(format!("type \"{}\" does not exist", ty.to_string().to_lowercase())));
        };
        let name = target.function(array);
        if target.is_parametric() {
            self.parametric.entry(name.clone()).or_insert_with(|| Arc::new(target.udf(array)));
        }
        Ok(call(&name, vec![expr]))
    }

    fn function(&self, function: &mut Function) -> Result<Option<Expr>, EngineError> {
        let Some(name) = last_name(&function.name) else { return Ok(None) };
        drop_positions(function);
        if name == "array"
            && let FunctionArguments::Subquery(query) = &function.args
        {
            return match quantified::array_of(query) {
                Some(array) => Ok(Some(array)),
                None => Err(unsupported("cannot plan ARRAY(subquery)".into())),
            };
        }
        Ok(match name.as_str() {
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp" => {
                self.now.map(|now| call(&Target::Timestamptz.function(false), vec![text(now.to_rfc3339())]))
            }
            "localtimestamp" => self.now.map(|now| call(&Target::Timestamp.function(false), vec![text(now.to_rfc3339())])),
            "current_date" => self.now.map(|now| call(&Target::Date.function(false), vec![text(now.date_naive().to_string())])),
            "date" => positional(&function.args).filter(|args| args.len() == 1).map(|args| call(&Target::Date.function(false), args)),
            "age" => match (positional(&function.args).as_deref(), self.now) {
                (Some([of]), Some(now)) => {
                    let today = call(&Target::Timestamptz.function(false), vec![text(now.date_naive().to_string())]);
                    Some(call("age", vec![today, of.clone()]))
                }
                _ => None,
            },
            "every" => renamed(function, "bool_and"),
            "mod" => match positional(&function.args).as_deref() {
                Some([left, right]) => Some(Expr::Nested(Box::new(binary(left.clone(), BinaryOperator::Modulo, right.clone())))),
                _ => None,
            },
            name if name.starts_with("percentile_") || name.starts_with("approx_") => {
                plain_numbers(function);
                None
            }
            "pg_typeof" => positional(&function.args).as_deref().and_then(literal_type).map(text),
            "to_hex" => {
                map_args(function, |args| match args.as_slice() {
                    [arg] if is_int4(arg) => vec![call(&Target::Int4.function(false), args)],
                    _ => args,
                });
                None
            }
            "localtime" | "current_time" => {
                self.now.map(|now| call(&Target::Time.function(false), vec![text(now.format("%H:%M:%S%.6f").to_string())]))
            }
            // DataFusion's are unsigned.
            "cardinality" | "array_position" => Some(call(&Target::Int8.function(false), vec![Expr::Function(function.clone())])),
            "stddev_samp" => renamed(function, "stddev"),
            "variance" | "var_samp" => renamed(function, "var"),
            "ceiling" => renamed(function, "ceil"),
            "text" => positional(&function.args).filter(|args| args.len() == 1).map(|args| call(&Target::Text.function(false), args)),
            // An order of its own for each: those of DataFusion must agree.
            "string_agg" if (is_distinct(function) || !order_of(function).is_empty()) && function.over.is_none() => {
                let Some([value, separator]) = positional(&function.args).and_then(|args| <[Expr; 2]>::try_from(args).ok()) else {
                    return Ok(None);
                };
                map_args(function, |_| vec![value.clone()]);
                rename(function, "array_agg");
                sort_distinct(function);
                let joined = call("array_to_string", vec![Expr::Function(function.clone()), separator]);
                let mut counted = super::ast::function("count", vec![value]);
                counted.filter = function.filter.clone();
                let any = binary(Expr::Function(counted), BinaryOperator::Gt, literal(Value::Number("0".into(), false)));
                Some(case(any, joined))
            }
            // DISTINCT sorts.
            "array_agg" | "string_agg" => {
                sort_distinct(function);
                None
            }
            "jsonb_agg" | "json_agg" if is_distinct(function) => {
                let descending = order_of(function).first().is_some_and(|by| by.options.asc == Some(false));
                map_args(function, |args| args.into_iter().map(|arg| call("to_jsonb", vec![arg])).collect());
                rename(function, "array_agg");
                clear_order(function);
                let array = call("jsonb_sorted_array_of", vec![Expr::Function(function.clone()), literal(Value::Boolean(descending))]);
                Some(if name == "json_agg" { call("json_tag", vec![array]) } else { array })
            }
            "jsonb_agg" | "json_agg" => {
                let (item, all) = if name == "json_agg" { ("json_item", "json_array_of") } else { ("to_jsonb", "jsonb_array_of") };
                map_args(function, |args| match args.as_slice() {
                    [value] => vec![call(item, vec![value.clone()])],
                    _ => args,
                });
                rename(function, "array_agg");
                Some(call(all, vec![Expr::Function(function.clone())]))
            }
            "jsonb_object_agg" | "json_object_agg" => {
                let (pair, all) =
                    if name == "json_object_agg" { ("json_pair", "json_object_of") } else { ("jsonb_pair", "jsonb_object_of") };
                map_args(function, |args| vec![call(pair, args)]);
                rename(function, "array_agg");
                Some(call(all, vec![Expr::Function(function.clone())]))
            }
            "make_interval" => {
                let zero = literal(Value::Number("0".into(), false));
                named_args(function, &["years", "months", "weeks", "days", "hours", "mins", "secs"], &zero);
                None
            }
            name if name.starts_with("jsonb_path_") => {
                named_args(function, &["target", "path", "vars", "silent"], &text("{}"));
                // A literal is checked even if there is no row.
                map_args(function, |mut args| {
                    if let Some(path) = args.get_mut(1).filter(|path| string_of(path).is_some()) {
                        *path = call(&Target::Jsonpath.function(false), vec![path.clone()]);
                    }
                    args
                });
                None
            }
            _ => None,
        })
    }
}

/// True for what is `integer` in PostgreSQL, where integers are bigint here: literals and arithmetic of them.
fn is_int4(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok()),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } | Expr::Nested(expr) => is_int4(expr),
        Expr::BinaryOp { left, op, right } => {
            use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
            matches!(op, Plus | Minus | Multiply | Divide | Modulo) && is_int4(left) && is_int4(right)
        }
        _ => false,
    }
}

/// The type of a literal, which an expression of ours would not tell.
fn literal_type(args: &[Expr]) -> Option<&'static str> {
    match args {
        [arg] if is_int4(arg) => Some("integer"),
        [Expr::Array(array)] if !array.elem.is_empty() && array.elem.iter().all(is_int4) => Some("integer[]"),
        [arg] if string_of(arg).is_some() => Some("unknown"),
        _ => None,
    }
}

/// A literal that is no bigint.
fn numeric(digits: &str) -> Expr {
    call(&Target::Numeric.function(false), vec![text(digits)])
}

/// The operators before their operand.
fn unary(op: UnaryOperator, inner: &Expr) -> Option<Expr> {
    let function = match op {
        UnaryOperator::Minus => match inner {
            Expr::Value(value) if matches!(&value.value, Value::Number(..)) => return None,
            Expr::Function(function) if last_name(&function.name).is_some_and(|name| name == Target::Numeric.function(false)) => {
                match positional(&function.args)?.as_slice() {
                    // -9223372036854775808 is a bigint, its digits alone are none.
                    [digits] if string_of(digits).is_some_and(|digits| !digits.starts_with('-')) => {
                        let negative = format!("-{}", string_of(digits)?);
                        return Some(match negative.parse::<i64>() {
                            Ok(_) => call(&Target::Int8.function(false), vec![text(negative)]),
                            Err(_) => numeric(&negative),
                        });
                    }
                    _ => "negate",
                }
            }
            _ => "negate",
        },
        UnaryOperator::Plus => return Some(inner.clone()),
        UnaryOperator::BitwiseNot => "bitwise not",
        UnaryOperator::PGAbs => "abs",
        UnaryOperator::PGCubeRoot => "cbrt",
        UnaryOperator::PGSquareRoot => {
            return Some(call("sqrt", vec![call(&Target::Float8.function(false), vec![inner.clone()])]));
        }
        _ => return None,
    };
    Some(call(function, vec![inner.clone()]))
}

/// DataFusion's functions that want a literal of its own kind.
fn plain_numbers(function: &mut Function) {
    map_args(function, |args| {
        args.into_iter().map(|arg| digits_of(&arg).map_or(arg, |digits| literal(Value::Number(digits, false)))).collect()
    });
}

fn digits_of(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    let name = last_name(&function.name).filter(|name| *name == Target::Numeric.function(false))?;
    let args = positional(&function.args).filter(|_| !name.is_empty())?;
    args.first().and_then(string_of).map(str::to_string)
}

fn renamed(function: &mut Function, name: &str) -> Option<Expr> {
    rename(function, name);
    None
}

fn is_distinct(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
}

/// The ORDER BY inside an aggregate's parentheses.
fn order_of(function: &Function) -> &[OrderByExpr] {
    let FunctionArguments::List(list) = &function.args else { return &[] };
    let found =
        list.clauses.iter().find_map(|clause| if let FunctionArgumentClause::OrderBy(by) = clause { Some(by.as_slice()) } else { None });
    found.unwrap_or_default()
}

fn clear_order(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args {
        list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::OrderBy(_)));
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

/// A number in an aggregate's ORDER BY is a value, no position.
fn drop_positions(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    for clause in &mut list.clauses {
        if let FunctionArgumentClause::OrderBy(by) = clause {
            by.retain(|by| !is_number(&by.expr));
        }
    }
    list.clauses.retain(|clause| !matches!(clause, FunctionArgumentClause::OrderBy(by) if by.is_empty()));
}

/// PostgreSQL sorts to find what is distinct, and aggregates in that order.
fn sort_distinct(function: &mut Function) {
    if !is_distinct(function) || !order_of(function).is_empty() || function.over.is_some() {
        return;
    }
    let Some(first) = positional(&function.args).and_then(|args| args.into_iter().next()).filter(|first| !is_number(first)) else { return };
    if let FunctionArguments::List(list) = &mut function.args {
        let by = OrderByExpr { expr: first, options: OrderByOptions { asc: None, nulls_first: None }, with_fill: None };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![by]));
    }
}

fn rename(function: &mut Function, name: &str) {
    function.name = datafusion::sql::sqlparser::ast::ObjectName::from(vec![Ident::new(name)]);
}

fn map_args(function: &mut Function, map: impl FnOnce(Vec<Expr>) -> Vec<Expr>) {
    let Some(args) = positional(&function.args) else { return };
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = map(args).into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
}

/// `days => 3` by position; parameters not named have the default.
fn named_args(function: &mut Function, names: &[&str], default: &Expr) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let mut values: Vec<Expr> = names.iter().map(|_| default.clone()).collect();
    let mut width = 0;
    for (at, arg) in list.args.iter().enumerate() {
        let (at, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (Some(at), value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                (names.iter().position(|known| known.eq_ignore_ascii_case(&name.value)), value)
            }
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (names.iter().position(|known| known.eq_ignore_ascii_case(&name.value)), value)
            }
            _ => return,
        };
        match at.and_then(|at| values.get_mut(at).map(|slot| (at, slot))) {
            Some((at, slot)) => {
                *slot = value.clone();
                width = width.max(at + 1);
            }
            // An unknown name stays, and planning refuses it.
            None => return,
        }
    }
    values.truncate(width);
    list.args = values.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
}

/// The array of `all (…)` or `any (…)` read as a function, and whether it is ALL.
fn quantifier(pattern: &Expr) -> Option<(Expr, bool)> {
    let Expr::Function(function) = pattern else { return None };
    let name = last_name(&function.name)?;
    let all = name == "all";
    if !all && name != "any" && name != "some" {
        return None;
    }
    match &function.args {
        FunctionArguments::Subquery(query) => Some((Expr::Subquery(query.clone()), all)),
        args => Some((positional(args)?.pop()?, all)),
    }
}

fn quantified_of(left: &Expr, op: &BinaryOperator, right: &Expr, all: bool) -> Result<Expr, EngineError> {
    quantified::comparison(left.clone(), op, right.clone(), all)
        .ok_or_else(|| unsupported(format!("operator {op} with {} is not supported", if all { "ALL" } else { "ANY" })))
}

/// `interval '90 days'`, `interval '90' day`.
fn interval_of(interval: &Interval) -> Result<Expr, EngineError> {
    let Some(value) = string_of(&interval.value) else {
        return Err(EngineError::Sql {
            message: format!("syntax error at or near \"{}\"", interval.value),
            hint: Some("an interval literal is quoted: interval '90 days'".into()),
            at: None,
        });
    };
    let value = match &interval.leading_field {
        Some(field) if value.trim().bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.')) => {
            format!("{} {}", value.trim(), field.to_string().to_lowercase())
        }
        _ => value.to_string(),
    };
    Ok(call(&Target::Interval.function(false), vec![text(value)]))
}
