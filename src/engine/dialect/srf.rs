//! Set-returning functions: which there are, the list functions behind them, and the columns they give.

use super::ast::{last_name, positional_list};
use datafusion::sql::sqlparser::ast::{Expr, Ident, TableAlias, TableFactor};

/// A set-returning function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Srf {
    /// Name.
    pub(super) name: &'static str,
    /// The list functions whose elements are its columns, unnested together.
    pub(super) lists: &'static [&'static str],
    /// Names of the columns; empty: the table alias.
    pub(super) columns: &'static [&'static str],
    /// Extension tags of the columns.
    pub(super) tags: &'static [Option<&'static str>],
    /// A function of one row, whose value is not a list of rows.
    pub(super) single: bool,
    /// Its columns are those the statement defines: `as r(a int, b text)`.
    pub(super) record: bool,
}

const fn list(
    name: &'static str,
    lists: &'static [&'static str],
    columns: &'static [&'static str],
    tags: &'static [Option<&'static str>],
) -> Srf {
    Srf { name, lists, columns, tags, single: false, record: false }
}

const ALL: &[Srf] = &[
    list("jsonb_array_elements", &["jsonb_array_elements"], &["value"], &[Some("jsonb")]),
    list("json_array_elements", &["json_array_elements"], &["value"], &[Some("json")]),
    list("jsonb_array_elements_text", &["jsonb_array_elements_text"], &["value"], &[None]),
    list("json_array_elements_text", &["json_array_elements_text"], &["value"], &[None]),
    list("jsonb_object_keys", &["jsonb_object_keys"], &[], &[None]),
    list("json_object_keys", &["json_object_keys"], &[], &[None]),
    list("jsonb_each", &["jsonb_each_keys", "jsonb_each_values"], &["key", "value"], &[None, Some("jsonb")]),
    list("json_each", &["json_each_keys", "json_each_values"], &["key", "value"], &[None, Some("json")]),
    list("jsonb_each_text", &["jsonb_each_keys", "jsonb_each_values_text"], &["key", "value"], &[None, None]),
    list("json_each_text", &["json_each_keys", "json_each_values_text"], &["key", "value"], &[None, None]),
    list("jsonb_path_query", &["jsonb_path_query"], &[], &[Some("jsonb")]),
    list("jsonb_path_query_tz", &["jsonb_path_query_tz"], &[], &[Some("jsonb")]),
    list("regexp_split_to_table", &["regexp_split_to_array"], &[], &[None]),
    list("regexp_matches", &["regexp_matches"], &[], &[None]),
    list("string_to_table", &["string_to_array"], &[], &[None]),
    list("generate_series", &["generate_series"], &[], &[None]),
    Srf { single: true, ..list("string_to_array", &["string_to_array"], &[], &[None]) },
    Srf { single: true, ..list("regexp_split_to_array", &["regexp_split_to_array"], &[], &[None]) },
    Srf { single: true, ..list("regexp_match", &["regexp_match"], &[], &[None]) },
    Srf { record: true, ..list("jsonb_to_record", &["jsonb_record"], &[], &[None]) },
    Srf { record: true, ..list("json_to_record", &["json_record"], &[], &[None]) },
    Srf { record: true, ..list("jsonb_to_recordset", &["jsonb_records"], &[], &[None]) },
    Srf { record: true, ..list("json_to_recordset", &["json_records"], &[], &[None]) },
];

/// `unnest` takes any arrays; it has no list function.
const UNNEST: Srf = list("unnest", &[], &[], &[]);

/// The names of all of them.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|srf| srf.name).chain([UNNEST.name])
}

/// The set-returning function of that name.
pub(super) fn named(name: &str) -> Option<&'static Srf> {
    if name == "unnest" { Some(&UNNEST) } else { ALL.iter().find(|srf| srf.name == name) }
}

/// A set-returning function in FROM.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) srf: &'static Srf,
    pub(super) args: Vec<Expr>,
    pub(super) alias: Option<TableAlias>,
    pub(super) ordinality: bool,
}

impl Call {
    /// The call a relation is, if it is one.
    pub(super) fn of(relation: &TableFactor) -> Option<Call> {
        match relation {
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                let srf = named(&last_name(name)?)?;
                Some(Call { srf, args: positional_list(&args.args)?, alias: alias.clone(), ordinality: *with_ordinality })
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                let srf = named(&last_name(name)?)?;
                Some(Call { srf, args: positional_list(args)?, alias: alias.clone(), ordinality: *with_ordinality })
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, with_offset: false, .. } => {
                Some(Call { srf: &UNNEST, args: array_exprs.clone(), alias: alias.clone(), ordinality: *with_ordinality })
            }
            _ => None,
        }
    }

    /// The name rows go by.
    pub(super) fn qualifier(&self) -> Ident {
        self.alias.as_ref().map_or_else(|| Ident::new(self.srf.name), |alias| alias.name.clone())
    }

    /// The column that a bare alias means, where it is not the alias itself.
    pub(super) fn value_column(&self) -> Option<Ident> {
        if self.srf.record {
            return None;
        }
        let renamed = self.alias.as_ref().and_then(|alias| alias.columns.first()).map(|column| column.name.clone());
        match (renamed, self.srf.columns) {
            (Some(column), [_] | []) if !self.ordinality => Some(column),
            (None, [column]) if !self.ordinality => Some(Ident::new(*column)),
            _ => None,
        }
    }
}
