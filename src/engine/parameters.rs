//! The parameters of a session that SET, RESET and SHOW are about: their values, in PostgreSQL's spelling and with its mistakes. An engine
//! is not changed: SET gives another one, and what runs goes on as it began.

use crate::dialect::set::{OnParameters, on_parameters};
use crate::session::search_path;
use crate::{Engine, EngineError, Query, QueryLog, Settings, messages};
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    MaxStaleness,
    SearchPath,
    StatementTimeout,
}

/// All, by name, with what SHOW ALL says about them.
const ALL: [(&str, Parameter, &str); 3] = [
    ("max_staleness", Parameter::MaxStaleness, "How old what is shown may be; a number is seconds, 0 is live."),
    ("search_path", Parameter::SearchPath, "Connections that unqualified tables mean."),
    ("statement_timeout", Parameter::StatementTimeout, "How long a statement may take; a number is milliseconds, 0 is no limit."),
];

/// Milliseconds of PostgreSQL's units, the largest first.
const UNITS: [(&str, f64); 6] = [("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1000.0), ("ms", 1.0), ("us", 0.001)];

impl Parameter {
    fn find(name: &str) -> Result<Parameter, EngineError> {
        let found = ALL.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, parameter, _)| *parameter);
        found.ok_or_else(|| {
            let names = ALL.map(|(name, ..)| name);
            let hint = match messages::closest(name, names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("parameters are: {}", names.join(", ")),
            };
            EngineError::sql(format!("unrecognized configuration parameter \"{name}\""), Some(hint))
        })
    }

    fn name(self) -> &'static str {
        ALL.iter().find(|(_, parameter, _)| *parameter == self).map_or("", |(name, ..)| name)
    }

    fn set(self, values: Vec<String>, settings: &mut Settings) -> Result<(), EngineError> {
        match (self, values.as_slice()) {
            (Parameter::SearchPath, _) => settings.search_path = values,
            (Parameter::MaxStaleness, [value]) => settings.max_staleness = self.time(value, "s")?,
            (Parameter::StatementTimeout, [value]) => {
                settings.statement_timeout = Some(self.time(value, "ms")?).filter(|time| !time.is_zero());
            }
            _ => return Err(EngineError::sql(format!("SET {} takes only one argument", self.name()), None)),
        }
        Ok(())
    }

    fn reset(self, settings: &mut Settings, to: &Settings) {
        match self {
            Parameter::SearchPath => settings.search_path.clone_from(&to.search_path),
            Parameter::MaxStaleness => settings.max_staleness = to.max_staleness,
            Parameter::StatementTimeout => settings.statement_timeout = to.statement_timeout,
        }
    }

    /// A time; `unit` is that of a number alone.
    fn time(self, text: &str, unit: &str) -> Result<Duration, EngineError> {
        let invalid = || {
            let hint = "valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"".to_owned();
            EngineError::sql(format!("invalid value for parameter \"{}\": \"{text}\"", self.name()), Some(hint))
        };
        let factor = |unit: &str| UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let written = &text.trim()[digits.len()..];
        let digits = digits.trim_end();
        // As a float reads it, but for `inf` and `1e3`.
        let number: f64 = digits.parse().ok().filter(|_| !digits.contains(['e', 'E'])).ok_or_else(invalid)?;
        let base = factor(unit).ok_or_else(invalid)?;
        let count = (number * factor(if written.is_empty() { unit } else { written }).ok_or_else(invalid)? / base).round_ties_even();
        if count > f64::from(i32::MAX) {
            return Err(invalid());
        }
        if count < 0.0 {
            let message = format!("{count} {unit} is outside the valid range for parameter \"{}\" (0 .. {})", self.name(), i32::MAX);
            return Err(EngineError::sql(message, None));
        }
        Ok(Duration::from_secs_f64(count * base / 1000.0))
    }

    fn show(self, engine: &Engine) -> String {
        let settings = engine.settings();
        match self {
            Parameter::SearchPath => engine.shared.search_path.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", "),
            Parameter::MaxStaleness => time_text(settings.max_staleness),
            Parameter::StatementTimeout => time_text(settings.statement_timeout.unwrap_or_default()),
        }
    }
}

/// A time in the largest unit that it is a whole number of.
fn time_text(time: Duration) -> String {
    let millis = time.as_millis();
    let whole = UNITS.iter().find(|(_, factor)| *factor >= 1.0 && millis.is_multiple_of(*factor as u128));
    match whole {
        Some((unit, factor)) if millis > 0 => format!("{}{unit}", millis / *factor as u128),
        _ => "0".to_owned(),
    }
}

/// A name as SQL would have it.
fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl Engine {
    /// What it was made or set to.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The same engine with other settings; it keeps its memory, and RESET goes back to the settings it was made with.
    ///
    /// # Errors
    /// The search path names an unknown connection.
    pub fn with(&self, settings: Settings) -> Result<Engine, EngineError> {
        let mut shared = (*self.shared).clone();
        shared.search_path = search_path(&shared.cloud, &settings)?;
        shared.settings = settings;
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// The engine for the statements after SET or RESET; `None`: the statement is neither.
    ///
    /// # Errors
    /// There is no such parameter, or it does not take the value.
    pub fn set(&self, sql: &str) -> Result<Option<Engine>, EngineError> {
        let (mut settings, first) = (self.settings().clone(), &self.shared.first);
        match on_parameters(sql)? {
            Some(OnParameters::Set(name, values)) => Parameter::find(&name)?.set(values, &mut settings)?,
            Some(OnParameters::Reset(Some(name))) => Parameter::find(&name)?.reset(&mut settings, first),
            Some(OnParameters::Reset(None)) => ALL.iter().for_each(|(_, parameter, _)| parameter.reset(&mut settings, first)),
            Some(OnParameters::Show(_)) | None => return Ok(None),
        }
        self.with(settings).map(Some)
    }

    /// The answer to SHOW; `None`: the statement is another.
    pub(crate) fn show(&self, sql: &str) -> Result<Option<Query>, EngineError> {
        let columns: Vec<(&str, Vec<String>)> = match on_parameters(sql)? {
            Some(OnParameters::Show(Some(name))) => {
                let parameter = Parameter::find(&name)?;
                vec![(parameter.name(), vec![parameter.show(self)])]
            }
            Some(OnParameters::Show(None)) => vec![
                ("name", ALL.iter().map(|(name, ..)| (*name).to_owned()).collect()),
                ("setting", ALL.iter().map(|(_, parameter, _)| parameter.show(self)).collect()),
                ("description", ALL.iter().map(|(.., about)| (*about).to_owned()).collect()),
            ],
            _ => return Ok(None),
        };
        let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as ArrayRef).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(DataFusionError::from)?;
        let stream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter([Ok(batch)])));
        Ok(Some(Query { schema, stream, log: Arc::new(QueryLog::default()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_postgresqls() {
        let timeout = |text| Parameter::StatementTimeout.time(text, "ms");
        for (text, shown) in [
            ("90s", "90s"),
            ("60000", "1min"),
            ("1.5s", "1500ms"),
            (" 2 h ", "2h"),
            ("500us", "0"),
            ("600us", "1ms"),
            ("1d", "1d"),
            ("24h", "1d"),
            ("0", "0"),
            ("2147483647", "2147483647ms"),
        ] {
            assert_eq!(time_text(timeout(text).unwrap()), shown, "{text}");
        }
        assert_eq!(Parameter::MaxStaleness.time("300", "s").unwrap(), Duration::from_secs(300));
        for text in ["soon", "5m", "5 parsecs", "", "99999999999", "true", "inf", "1e3", "NaN", "s", "1 2"] {
            let message = format!("invalid value for parameter \"statement_timeout\": \"{text}\"");
            assert!(matches!(timeout(text), Err(EngineError::Sql { message: found, .. }) if found == message), "{text}");
        }
        let message = "-1 ms is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)";
        assert!(matches!(timeout("-1"), Err(EngineError::Sql { message: found, .. }) if found == message));
    }

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        for (name, text) in [("prod", "prod"), ("B c", "\"B c\""), ("a-b", "\"a-b\""), ("1a", "\"1a\""), ("a\"b", "\"a\"\"b\"")] {
            assert_eq!(identifier(name), text);
        }
    }
}
