//! Completion: which words may stand at the cursor. Pure; what exists comes through [`Words`].

use crate::shell::meta::{self, Takes};
use crate::sql_text::{self, Kind, Token};

/// What exists.
pub(crate) trait Words {
    /// Names of tables.
    fn tables(&self) -> Vec<String>;
    /// Names of schemas: connections and `information_schema`.
    fn schemas(&self) -> Vec<String>;
    /// Names of functions.
    fn functions(&self) -> Vec<String>;
    /// Columns of a table; none when there is no such table.
    fn columns(&self, table: &str) -> Vec<String>;
}

/// What may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Completion {
    /// These words, in place of the text from here to the cursor.
    Words(usize, Vec<String>),
    /// A file name.
    File,
}

/// Words that begin or join clauses, and those that stand in expressions.
pub(crate) const KEYWORDS: &[&str] = &[
    "all",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "at",
    "between",
    "by",
    "case",
    "cast",
    "count",
    "cross",
    "current_date",
    "current_timestamp",
    "date",
    "desc",
    "distinct",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "explain",
    "extract",
    "false",
    "filter",
    "first",
    "following",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "intersect",
    "interval",
    "is",
    "join",
    "last",
    "lateral",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "preceding",
    "range",
    "recursive",
    "reset",
    "right",
    "rows",
    "select",
    "set",
    "show",
    "similar",
    "some",
    "table",
    "then",
    "time",
    "timestamp",
    "to",
    "true",
    "unbounded",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
    "within",
    "zone",
];

/// Words after which a table stands.
const BEFORE_TABLES: &[&str] = &["from", "join", "table"];

/// Words that end a FROM clause.
const AFTER_TABLES: &[&str] =
    &["where", "group", "order", "having", "limit", "offset", "union", "except", "intersect", "on", "using", "window", "select"];

/// What may stand at byte `at` of a text.
pub(crate) fn complete(text: &str, at: usize, words: &dyn Words) -> Completion {
    if meta::is_meta(text) {
        return of_command(text, at, words);
    }
    let (text, offset) = statement_at(text, at);
    let at = at - offset;
    let tokens: Vec<Token> = sql_text::tokens(text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    let nothing = Completion::Words(offset + at, Vec::new());
    if tokens.iter().any(|t| within(t, at)) {
        return nothing;
    }
    let before: Vec<&Token> = tokens.iter().filter(|t| t.end <= at && t.kind != Kind::Comment).collect();
    let (prefix, before) = match before.as_slice() {
        [rest @ .., last] if last.end == at && matches!(last.kind, Kind::Word) => (last.text(text), rest),
        all => ("", all),
    };
    let start = offset + at - prefix.len();
    let sources = sources(text, &tokens);

    // After a dot: columns of what stands before it, or tables of the schema.
    if let [.., qualifier, dot] = before
        && dot.text(text) == "."
        && dot.end == at - prefix.len()
    {
        let name = unquoted(qualifier.text(text));
        let mut found: Vec<String> = sources.iter().filter(|s| s.is(&name)).flat_map(|s| words.columns(&s.table)).collect();
        if found.is_empty() && words.schemas().contains(&name) {
            found = words.tables();
        }
        return Completion::Words(start, fitting(prefix, [found]));
    }
    let place = before.iter().rev().map(|t| t.text(text).to_ascii_lowercase()).next().unwrap_or_default();
    if BEFORE_TABLES.contains(&place.as_str()) || (place == "," && in_from(text, before)) {
        let names = with_names(text, &tokens);
        return Completion::Words(start, fitting(prefix, [names, words.tables(), words.schemas()]));
    }
    let columns: Vec<String> = sources.iter().flat_map(|s| words.columns(&s.table)).collect();
    if prefix.is_empty() && !columns.is_empty() {
        return Completion::Words(start, fitting(prefix, [columns]));
    }
    let aliases: Vec<String> = sources.iter().map(|s| s.alias.clone().unwrap_or_else(|| s.table.clone())).collect();
    let upper = prefix.chars().any(char::is_uppercase) && !prefix.chars().any(char::is_lowercase);
    let keywords = KEYWORDS.iter().map(|k| if upper { k.to_uppercase() } else { (*k).to_owned() }).collect();
    if prefix.is_empty() {
        return Completion::Words(start, keywords);
    }
    let functions: Vec<String> = words.functions().into_iter().map(|f| format!("{f}(")).collect();
    // A table's name outside of FROM helps who writes the columns first.
    let tables = if prefix.len() > 2 { words.tables() } else { Vec::new() };
    Completion::Words(start, fitting(prefix, [columns, aliases, keywords, functions, tables]))
}

/// A table in FROM.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    table: String,
    alias: Option<String>,
}

impl Source {
    fn is(&self, name: &str) -> bool {
        self.alias.as_deref().unwrap_or(&self.table) == name
    }
}

/// The statement around the cursor and where it begins.
fn statement_at(text: &str, at: usize) -> (&str, usize) {
    let ends: Vec<Token> = sql_text::tokens(text).into_iter().filter(|t| t.kind == Kind::End).collect();
    let start = ends.iter().rev().find(|t| t.end <= at).map_or(0, |t| t.end);
    let end = ends.iter().find(|t| t.start >= at).map_or(text.len(), |t| t.start);
    (&text[start..end], start)
}

/// Is the cursor inside a literal or comment?
fn within(token: &Token, at: usize) -> bool {
    let closed = matches!(token.kind, Kind::Text | Kind::Name | Kind::Comment);
    closed && token.start < at && (at < token.end || token.open || (token.kind == Kind::Comment && at == token.end))
}

/// Tables of the statement, also those after the cursor.
fn sources(text: &str, tokens: &[Token]) -> Vec<Source> {
    let tokens: Vec<&Token> = tokens.iter().filter(|t| t.kind != Kind::Comment).collect();
    let word = |i: usize| tokens.get(i).filter(|t| matches!(t.kind, Kind::Word | Kind::Name)).map(|t| unquoted(t.text(text)));
    let symbol = |i: usize| tokens.get(i).map(|t| t.text(text)).unwrap_or_default();
    let mut out = Vec::new();
    let mut from = false;
    let mut depth = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let lower = symbol(i).to_ascii_lowercase();
        let opens = match lower.as_str() {
            "(" => {
                depth.push(std::mem::take(&mut from));
                false
            }
            ")" => {
                from = depth.pop().unwrap_or_default();
                false
            }
            "from" | "join" => {
                from = true;
                true
            }
            "," => from,
            _ => {
                from &= !AFTER_TABLES.contains(&lower.as_str());
                false
            }
        };
        i += 1;
        if !opens {
            continue;
        }
        if word(i).is_some_and(|w| w.eq_ignore_ascii_case("lateral")) {
            i += 1;
        }
        let Some(mut table) = word(i) else { continue };
        i += 1;
        while symbol(i) == "." {
            match word(i + 1) {
                Some(name) => table = name,
                None => break,
            }
            i += 2;
        }
        if symbol(i) == "(" {
            // A function in FROM has columns nobody knows here.
            continue;
        }
        if symbol(i).eq_ignore_ascii_case("as") {
            i += 1;
        }
        let alias = word(i).filter(|w| !KEYWORDS.contains(&w.to_ascii_lowercase().as_str()));
        if alias.is_some() {
            i += 1;
        }
        let source = Source { table, alias };
        if !out.contains(&source) {
            out.push(source);
        }
    }
    out
}

/// Is the end of these tokens in a FROM clause?
fn in_from(text: &str, before: &[&Token]) -> bool {
    let mut depth = 0;
    for token in before.iter().rev() {
        let lower = token.text(text).to_ascii_lowercase();
        match lower.as_str() {
            ")" => depth += 1,
            "(" if depth == 0 => return false,
            "(" => depth -= 1,
            "from" | "join" if depth == 0 => return true,
            word if depth == 0 && AFTER_TABLES.contains(&word) => return false,
            _ => {}
        }
    }
    false
}

/// Names that `with … as (` defines.
fn with_names(text: &str, tokens: &[Token]) -> Vec<String> {
    tokens
        .windows(3)
        .filter(|w| w[0].kind == Kind::Word && w[1].text(text).eq_ignore_ascii_case("as") && w[2].text(text) == "(")
        .map(|w| w[0].text(text).to_owned())
        .collect()
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

/// Words that begin with what is typed, each once; groups keep their order, words in a group are sorted.
fn fitting<const N: usize>(prefix: &str, groups: [Vec<String>; N]) -> Vec<String> {
    let prefix = prefix.to_ascii_lowercase();
    let mut out: Vec<String> = Vec::new();
    for mut group in groups {
        group.sort();
        for word in group {
            if word.to_ascii_lowercase().starts_with(&prefix) && !out.contains(&word) {
                out.push(word);
            }
        }
    }
    out
}

fn of_command(text: &str, at: usize, words: &dyn Words) -> Completion {
    let head = &text[..at];
    let begin = head.len() - head.trim_start().len();
    let names = || meta::COMMANDS.iter().map(|e| e.name.to_owned()).collect::<Vec<_>>();
    let Some(space) = head[begin..].find(char::is_whitespace) else {
        return Completion::Words(begin, fitting(&head[begin..], [names()]));
    };
    let Ok(entry) = meta::find(&head[begin..begin + space]) else {
        return Completion::Words(at, Vec::new());
    };
    let start = head.rfind([' ', '\t', ',']).map_or(begin, |i| i + 1);
    let prefix = &head[start..];
    let found = match entry.takes {
        Takes::File => return Completion::File,
        Takes::Nothing | Takes::Other => Vec::new(),
        Takes::Words(list) => list.iter().map(|w| (*w).to_owned()).collect(),
        Takes::Table => words.tables(),
        Takes::Connection => words.schemas(),
        Takes::Command => names(),
    };
    Completion::Words(start, fitting(prefix, [found]))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World;

    impl Words for World {
        fn tables(&self) -> Vec<String> {
            ["aws_iam_user", "aws_iam_role", "aws_s3_bucket"].map(str::to_owned).into()
        }

        fn schemas(&self) -> Vec<String> {
            ["prod", "information_schema"].map(str::to_owned).into()
        }

        fn functions(&self) -> Vec<String> {
            ["now", "nullif"].map(str::to_owned).into()
        }

        fn columns(&self, table: &str) -> Vec<String> {
            match table {
                "aws_iam_user" => ["user_name", "user_id", "arn"].map(str::to_owned).into(),
                "aws_s3_bucket" => ["name", "arn"].map(str::to_owned).into(),
                _ => Vec::new(),
            }
        }
    }

    /// Completes at `|`.
    fn at(text: &str) -> (String, Vec<String>) {
        let cursor = text.find('|').unwrap();
        let text = text.replacen('|', "", 1);
        match complete(&text, cursor, &World) {
            Completion::Words(start, words) => (text[start..cursor].to_owned(), words),
            Completion::File => ("FILE".to_owned(), Vec::new()),
        }
    }

    #[test]
    fn what_stands_where() {
        for (text, prefix, first) in [
            ("select user| from aws_iam_user", "user", vec!["user_id", "user_name"]),
            ("select u.u| from aws_iam_user u", "u", vec!["user_id", "user_name"]),
            ("select U.u| from aws_iam_user as u", "u", vec!["user_id", "user_name"]),
            ("select aws_s3_bucket.n| from aws_s3_bucket", "n", vec!["name"]),
            ("select | from aws_s3_bucket", "", vec!["arn", "name"]),
            ("select a| from aws_iam_user, aws_s3_bucket b", "a", vec!["arn", "aws_iam_user", "all", "analyze"]),
            ("select * from |", "", vec!["aws_iam_role", "aws_iam_user", "aws_s3_bucket", "information_schema"]),
            ("select * from aws_i|", "aws_i", vec!["aws_iam_role", "aws_iam_user"]),
            ("select * from AWS_S|", "AWS_S", vec!["aws_s3_bucket"]),
            ("select * from aws_iam_role, aws_s|", "aws_s", vec!["aws_s3_bucket"]),
            ("select * from a join aws_s|", "aws_s", vec!["aws_s3_bucket"]),
            ("select * from prod.aws_s|", "aws_s", vec!["aws_s3_bucket"]),
            ("select * from prod.aws_iam_user u where u.ar|", "ar", vec!["arn"]),
            ("with mine as (select 1) select * from mi|", "mi", vec!["mine"]),
            ("select nul|", "nul", vec!["null", "nulls", "nullif("]),
            ("SEL|", "SEL", vec!["SELECT"]),
            ("sel|", "sel", vec!["select"]),
            ("select 1; sel|", "sel", vec!["select"]),
            ("select user| from aws_iam_user; select * from aws_s3_bucket", "user", vec!["user_id", "user_name"]),
            ("select * from aws_iam_user where user_n|", "user_n", vec!["user_name"]),
            ("select * from aws_s3_bucket b where b.name in (select u| from aws_iam_user)", "u", vec!["user_id", "user_name"]),
            (".ins|", ".ins", vec![".inspect"]),
            (".inspect aws_s|", "aws_s", vec!["aws_s3_bucket"]),
            (".output js|", "js", vec!["json", "jsonl"]),
            (".search_path prod, inf|", "inf", vec!["information_schema"]),
            (".help .on|", ".on", vec![".once"]),
            (".read x|", "FILE", vec![]),
            (".exit |", "", vec![]),
            ("select 'us|", "", vec![]),
            ("select 1 -- us|", "", vec![]),
            ("select /* us| */ 1", "", vec![]),
            ("select nothing_like_it|", "nothing_like_it", vec![]),
            ("select unknown.x| from aws_iam_user", "x", vec![]),
        ] {
            let (got_prefix, words) = at(text);
            assert_eq!(got_prefix, prefix, "{text}");
            assert_eq!(words.iter().take(first.len()).collect::<Vec<_>>(), first, "{text}");
            if first.is_empty() {
                assert!(words.is_empty(), "{text}: {words:?}");
            }
        }
    }

    #[test]
    fn commas_outside_of_from_are_no_places_for_tables() {
        let (_, words) = at("select user_name, | from aws_iam_user");
        assert_eq!(words, ["arn", "user_id", "user_name"]);
        let (_, words) = at("select * from aws_iam_user where user_id in (1, user_n|");
        assert_eq!(words, ["user_name"]);
    }

    #[test]
    fn it_never_panics_at_any_cursor() {
        for text in ["select 'é', \"x\".y from a.b.c d, e(f) where $1 = $$x$$; .help é", ".output é", ".", "é", "select * from (select"]
        {
            for (i, _) in text.char_indices().chain([(text.len(), ' ')]) {
                complete(text, i, &World);
            }
        }
    }
}
