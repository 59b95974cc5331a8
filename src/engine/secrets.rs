//! Secret columns: which of them one statement sees.
//!
//! A secret column is part of a table's SQL schema only where the statement names it and the engine was told to show secrets. Owns: that
//! decision, and what to say of a column that stays hidden. Refuses: to know how SQL is written; the dialect finds the names.

use assay_tables::{Catalog, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// Tables and the secret columns of each.
pub(crate) type ByTable = BTreeMap<String, BTreeSet<String>>;

/// The secret columns of the tables that one statement reads.
#[derive(Debug)]
pub(crate) struct Secrets {
    catalog: Arc<Catalog>,
    allowed: bool,
    decided: OnceLock<Decided>,
}

#[derive(Debug, Default)]
struct Decided {
    shown: ByTable,
    hidden: ByTable,
}

impl Secrets {
    /// `allowed`: somebody asked for secrets to be shown.
    pub(crate) fn new(catalog: Arc<Catalog>, allowed: bool) -> Secrets {
        Secrets { catalog, allowed, decided: OnceLock::new() }
    }

    /// Decides, once: `tables` are the relations of the statement, `words` what it may name a column by. Gives the columns it sees.
    pub(crate) fn decide(&self, tables: &BTreeSet<String>, words: &BTreeSet<String>) -> &ByTable {
        let decided = self.decided.get_or_init(|| {
            let mut decided = Decided::default();
            for name in tables {
                // A bad spec is reported where the table is resolved.
                let Ok(Some(table)) = self.catalog.table(name) else { continue };
                for column in table.columns.iter().filter(|c| c.secret) {
                    let seen = self.allowed && words.contains(&column.name);
                    let side = if seen { &mut decided.shown } else { &mut decided.hidden };
                    side.entry(name.clone()).or_default().insert(column.name.clone());
                }
            }
            decided
        });
        &decided.shown
    }

    /// Does the statement see this column of a table?
    pub(crate) fn shows(&self, table: &Table, column: usize) -> bool {
        let Some(column) = table.columns.get(column) else { return false };
        let named = || self.decided.get().and_then(|d| d.shown.get(&table.name));
        !column.secret || named().is_some_and(|names| names.contains(&column.name))
    }

    /// Why there is no column of this name, where that is because it is secret.
    pub(crate) fn refusal(&self, column: &str) -> Option<(String, String)> {
        let decided = self.decided.get()?;
        let of = |side: &ByTable| side.iter().find(|(_, columns)| columns.contains(column)).map(|(table, _)| table.clone());
        if let Some(table) = of(&decided.shown) {
            let hint = format!("* leaves secret columns out: name {column} in the query that reads {table}");
            return Some((format!("column \"{column}\" does not exist here"), hint));
        }
        let table = of(&decided.hidden)?;
        let hint = "only `assay query --show-secrets`, and the shell after `.secrets on`, show it where it is named; controls never do";
        Some((format!("column \"{column}\" of {table} is secret"), hint.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(allowed: bool, words: &[&str]) -> (Secrets, Arc<Table>) {
        let spec = "table: t\nabout: Things.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\n\
                    secret: [a, b]\ncolumns:\n  name: text <- UserName\n  a: text <- A\n  b: text <- B\n";
        let mut catalog = Catalog::embedded();
        catalog.add("t.yaml", spec).unwrap();
        let catalog = Arc::new(catalog);
        let secrets = Secrets::new(catalog.clone(), allowed);
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        secrets.decide(&set(&["t", "unknown"]), &set(words));
        (secrets, catalog.table("t").unwrap().unwrap())
    }

    #[test]
    fn named_and_allowed_is_seen() {
        for (allowed, words, seen) in
            [(true, &["a"][..], [true, true, false]), (true, &[], [true, false, false]), (false, &["a", "b"], [true, false, false])]
        {
            let (secrets, table) = decided(allowed, words);
            assert_eq!([0, 1, 2].map(|i| secrets.shows(&table, i)), seen, "{allowed} {words:?}");
            assert!(!secrets.shows(&table, 99));
        }
    }

    #[test]
    fn what_is_hidden_says_how_to_see_it() {
        let (message, hint) = decided(false, &["a"]).0.refusal("a").unwrap();
        assert_eq!(message, "column \"a\" of t is secret");
        assert!(hint.contains("--show-secrets") && hint.contains(".secrets on"), "{hint}");
        let (message, hint) = decided(true, &["a"]).0.refusal("a").unwrap();
        assert_eq!((message.as_str(), hint.contains("name a in the query that reads t")), ("column \"a\" does not exist here", true));
        assert!(decided(false, &["a"]).0.refusal("name").is_none());
        assert!(Secrets::new(Arc::new(Catalog::embedded()), true).refusal("a").is_none(), "undecided");
    }
}
