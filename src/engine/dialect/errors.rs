//! DataFusion's errors in PostgreSQL's words, with place and hint.

use crate::EngineError;
use datafusion::common::{DataFusionError, SchemaError};

/// The engine's error of DataFusion's: whose fault it is, one line, where.
pub(crate) fn of_datafusion(error: DataFusionError) -> EngineError {
    let at = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| (usize::try_from(span.start.line).unwrap_or(0), usize::try_from(span.start.column).unwrap_or(0)))
        .filter(|(line, _)| *line > 0);
    let error = match error {
        DataFusionError::Collection(errors) => errors.into_iter().next().unwrap_or_else(|| DataFusionError::Internal("no error".into())),
        other => other,
    };
    let sql = |message: String, hint: Option<String>| EngineError::Sql { message, hint, at };
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let wanted = field.flat_name();
                let near = valid_fields
                    .iter()
                    .map(|valid| (strsim::damerau_levenshtein(&valid.name.to_lowercase(), &field.name.to_lowercase()), valid))
                    .filter(|(distance, valid)| *distance <= 1 + valid.name.chars().count() / 3)
                    .min_by_key(|(distance, _)| *distance);
                let hint = near.map(|(_, valid)| format!("perhaps you meant \"{}\"", valid.flat_name()));
                sql(format!("column \"{}\" does not exist", unquoted(&wanted)), hint)
            }
            SchemaError::AmbiguousReference { field } => sql(format!("column reference \"{}\" is ambiguous", field.name), None),
            SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
                sql(format!("column \"{name}\" is specified more than once"), Some("give each column of a subquery its own name".into()))
            }
        },
        DataFusionError::Plan(message) => sql(of_plan(message), None),
        DataFusionError::NotImplemented(message) => sql(format!("not supported: {}", one_line(message)), None),
        DataFusionError::SQL(error, _) => sql(one_line(&error.to_string()), None),
        DataFusionError::Execution(message) => EngineError::Data(one_line(message)),
        DataFusionError::ArrowError(error, _) => EngineError::Data(of_arrow(&error.to_string())),
        other => EngineError::Internal(one_line(&other.strip_backtrace())),
    }
}

fn unquoted(name: &str) -> String {
    name.replace('"', "")
}

fn of_arrow(message: &str) -> String {
    if message.contains("Divide by zero") { "division by zero".into() } else { one_line(message) }
}

fn of_plan(message: &str) -> String {
    let message = one_line(message);
    if let Some(table) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = table.rsplit('.').next().unwrap_or(table);
        return format!("relation \"{name}\" does not exist");
    }
    if let Some(rest) = message.strip_prefix("Invalid function '")
        && let Some((name, _)) = rest.split_once('\'')
    {
        return format!("function {name} does not exist");
    }
    message
}

/// The first line, its first letter small.
fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim().trim_end_matches('.');
    let mut chars = line.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => first.to_lowercase().chain(line[first.len_utf8()..].chars()).collect(),
        _ => line.to_string(),
    }
}
