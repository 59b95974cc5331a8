//! Meta-commands: the lines that begin with a dot. What they are called, what they take, and how they are read; pure.

use crate::args;
use crate::output::Format;
use std::path::PathBuf;
use std::time::Duration;

/// What a command takes, for completion and hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing.
    Nothing,
    /// One of these words.
    Words(&'static [&'static str]),
    /// The name of a table.
    Table,
    /// Names of connections.
    Connection,
    /// A file.
    File,
    /// The name of a meta-command.
    Command,
    /// Something else.
    Other,
}

/// A command as the help shows it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// With its dot.
    pub(crate) name: &'static str,
    /// Its arguments.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
}

const ON_OFF: &[&str] = &["on", "off"];
const CACHE: &[&str] = &["on", "off", "clear", "status"];
const FORMATS: &[&str] = &["table", "csv", "json", "jsonl", "line", "none"];

/// All commands, sorted.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry { name: ".autocomplete", usage: "[on|off]", about: "completion while typing", takes: Takes::Words(ON_OFF) },
    Entry { name: ".cache", usage: "[on|off|clear|status]", about: "reuse of answers", takes: Takes::Words(CACHE) },
    Entry { name: ".cache_ttl", usage: "[TIME]", about: "how long answers are reused: 300, 5m, 1h", takes: Takes::Other },
    Entry { name: ".clear", usage: "", about: "clear the screen", takes: Takes::Nothing },
    Entry { name: ".connections", usage: "", about: "list connections", takes: Takes::Nothing },
    Entry { name: ".exit", usage: "", about: "leave the shell", takes: Takes::Nothing },
    Entry { name: ".header", usage: "[on|off]", about: "column names in table and csv", takes: Takes::Words(ON_OFF) },
    Entry { name: ".help", usage: "[COMMAND]", about: "this list", takes: Takes::Command },
    Entry { name: ".inspect", usage: "[TABLE]", about: "columns, key columns and API calls of a table", takes: Takes::Table },
    Entry { name: ".max_calls", usage: "[N|off]", about: "requests that each statement may send", takes: Takes::Words(&["off"]) },
    Entry { name: ".max_staleness", usage: "[TIME]", about: "how old what is shown may be: 0, 5m, 4h", takes: Takes::Other },
    Entry { name: ".multi", usage: "[on|off]", about: "on: a statement ends with ;  off: with the line", takes: Takes::Words(ON_OFF) },
    Entry {
        name: ".once",
        usage: "FILE",
        about: "the next result goes to a file; .csv, .json, .jsonl and .parquet name its format",
        takes: Takes::File,
    },
    Entry { name: ".output", usage: "[FORMAT]", about: "format of results", takes: Takes::Words(FORMATS) },
    Entry { name: ".params", usage: "[NAME=VALUE … | clear]", about: "values of $NAME in statements", takes: Takes::Words(&["clear"]) },
    Entry { name: ".read", usage: "FILE", about: "run the statements of a file", takes: Takes::File },
    Entry {
        name: ".search_path",
        usage: "[NAME, … | default]",
        about: "connections that unqualified tables mean",
        takes: Takes::Connection,
    },
    Entry {
        name: ".secrets",
        usage: "[on|off]",
        about: "on: secret columns are shown where a statement names them",
        takes: Takes::Words(ON_OFF),
    },
    Entry { name: ".separator", usage: "[CHAR]", about: "between the cells of csv", takes: Takes::Other },
    Entry { name: ".tables", usage: "[PATTERN]", about: "list tables", takes: Takes::Table },
    Entry { name: ".timing", usage: "[on|off]", about: "rows, calls, cache hits and time of each statement", takes: Takes::Words(ON_OFF) },
];

/// A parsed command. `None` in a setting asks for its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meta {
    /// `.autocomplete`
    Autocomplete(Option<bool>),
    /// `.cache`
    Cache(Option<Cache>),
    /// `.cache_ttl`
    CacheTtl(Option<Duration>),
    /// `.clear`
    Clear,
    /// `.connections`
    Connections,
    /// `.exit`
    Exit,
    /// `.header`
    Header(Option<bool>),
    /// `.help`
    Help(Option<&'static Entry>),
    /// `.inspect`
    Inspect(Option<String>),
    /// `.max_calls`; `off`: any number
    MaxCalls(Option<Option<u64>>),
    /// `.max_staleness`
    MaxStaleness(Option<Duration>),
    /// `.multi`
    Multi(Option<bool>),
    /// `.once`
    Once(PathBuf),
    /// `.output`
    Output(Option<Format>),
    /// `.params`
    Params(Params),
    /// `.read`
    Read(PathBuf),
    /// `.search_path`; empty: the configuration's default
    SearchPath(Option<Vec<String>>),
    /// `.secrets`
    Secrets(Option<bool>),
    /// `.separator`
    Separator(Option<u8>),
    /// `.tables`
    Tables(String),
    /// `.timing`
    Timing(Option<bool>),
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

/// What `.cache` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Reuse answers.
    On,
    /// Ask anew every time.
    Off,
    /// Forget what is known, also on disk.
    Clear,
    /// Show how much there is, and where.
    Status,
}

/// What `.params` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Params {
    /// List them.
    List,
    /// Forget them.
    Clear,
    /// Set these, `name=value`.
    Set(Vec<String>),
}

/// Is this line a meta-command? A number such as `.5` is not.
pub(crate) fn is_meta(line: &str) -> bool {
    let mut chars = line.trim_start().chars();
    chars.next() == Some('.') && chars.next().is_none_or(|c| c.is_ascii_alphabetic() || c == '?')
}

/// The command of this name; a beginning that fits only one will do.
pub(crate) fn find(name: &str) -> Result<&'static Entry, String> {
    let name = match name.to_ascii_lowercase().as_str() {
        ".quit" | ".q" => ".exit".to_owned(),
        ".?" | "." => ".help".to_owned(),
        name if name.starts_with('.') => name.to_owned(),
        name => format!(".{name}"),
    };
    if let Some(entry) = COMMANDS.iter().find(|e| e.name == name) {
        return Ok(entry);
    }
    let fitting: Vec<_> = COMMANDS.iter().filter(|e| e.name.starts_with(&name)).collect();
    match fitting.as_slice() {
        [entry] => Ok(entry),
        [] => Err(format!("there is no command {name}; .help lists them")),
        several => Err(format!("{name} may mean {}", several.iter().map(|e| e.name).collect::<Vec<_>>().join(" or "))),
    }
}

/// Reads a command; a trailing `;` does no harm.
pub(crate) fn parse(line: &str) -> Result<Meta, String> {
    let whole = line.trim();
    let line = whole.trim_end_matches(';').trim_end();
    let (name, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(n, r)| (n, r.trim()));
    let entry = find(name)?;
    let rest = if entry.name == ".separator" && whole.ends_with(" ;") { ";" } else { rest };
    let wrong = || format!("usage: {} {}", entry.name, entry.usage).trim_end().to_owned();
    let some = (!rest.is_empty()).then_some(rest);
    let on_off = || match rest {
        "" => Ok(None),
        "on" | "true" => Ok(Some(true)),
        "off" | "false" => Ok(Some(false)),
        _ => Err(wrong()),
    };
    let nothing = |meta: Meta| if rest.is_empty() { Ok(meta) } else { Err(wrong()) };
    let file = || some.map(|f| PathBuf::from(unquoted(f))).ok_or_else(wrong);
    match entry.name {
        ".autocomplete" => Ok(Meta::Autocomplete(on_off()?)),
        ".cache" => Ok(Meta::Cache(match rest {
            "" => None,
            "on" => Some(Cache::On),
            "off" => Some(Cache::Off),
            "clear" => Some(Cache::Clear),
            "status" => Some(Cache::Status),
            _ => return Err(wrong()),
        })),
        ".cache_ttl" => Ok(Meta::CacheTtl(some.map(args::duration).transpose()?)),
        ".clear" => nothing(Meta::Clear),
        ".connections" => nothing(Meta::Connections),
        ".exit" => nothing(Meta::Exit),
        ".header" => Ok(Meta::Header(on_off()?)),
        ".help" => Ok(Meta::Help(some.map(find).transpose()?)),
        ".inspect" => Ok(Meta::Inspect(some.map(|t| unquoted(t).to_owned()))),
        ".max_calls" => Ok(Meta::MaxCalls(match rest {
            "" => None,
            "off" => Some(None),
            number => Some(Some(number.parse().map_err(|_| wrong())?)),
        })),
        ".max_staleness" => Ok(Meta::MaxStaleness(some.map(args::duration).transpose()?)),
        ".multi" => Ok(Meta::Multi(on_off()?)),
        ".once" => Ok(Meta::Once(file()?)),
        ".output" => Ok(Meta::Output(match some {
            None => None,
            Some("parquet") => return Err("Parquet goes to a file: write `.once rows.parquet` before the statement".to_owned()),
            Some(name) => Some(Format::parse(name).ok_or_else(|| format!("{name} is no format: use one of {}", FORMATS.join(", ")))?),
        })),
        ".params" => Ok(Meta::Params(match rest {
            "" => Params::List,
            "clear" => Params::Clear,
            _ => Params::Set(split_quoted(rest)),
        })),
        ".read" => Ok(Meta::Read(file()?)),
        ".search_path" => Ok(Meta::SearchPath(some.map(|names| {
            let names = names.split([',', ' ']).map(unquoted).filter(|n| !n.is_empty() && *n != "default");
            names.map(str::to_owned).collect()
        }))),
        ".secrets" => Ok(Meta::Secrets(on_off()?)),
        ".separator" => Ok(Meta::Separator(some.map(|s| args::separator(unquoted(s))).transpose()?.map(|s| s.0))),
        ".tables" => Ok(Meta::Tables(rest.to_owned())),
        ".timing" => Ok(Meta::Timing(on_off()?)),
        other => Err(format!("there is no command {other}; .help lists them")),
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Words, where `'…'` keeps spaces together and is taken away.
fn split_quoted(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut any = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                any = true;
            }
            c if c.is_whitespace() && !quoted => {
                if any {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        out.push(word);
    }
    out
}

/// The help: all commands, or one.
pub(crate) fn help(entry: Option<&Entry>) -> String {
    if let Some(entry) = entry {
        return format!("{} {}\n  {}\n", entry.name, entry.usage, entry.about).replace(" \n", "\n");
    }
    let rows: Vec<[String; 3]> = COMMANDS.iter().map(|e| [e.name.to_owned(), e.usage.to_owned(), e.about.to_owned()]).collect();
    let mut out = String::from("A statement ends with ; and may have several lines. Ctrl-C cancels it, Ctrl-D leaves, Tab completes.\n\n");
    crate::inspect::grid(&rows, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_whole() {
        assert!(COMMANDS.windows(2).all(|w| w[0].name < w[1].name));
        for entry in COMMANDS {
            let line = match entry.takes {
                Takes::File => format!("{} x", entry.name),
                _ => entry.name.to_owned(),
            };
            assert!(parse(&line).is_ok(), "{line}");
            assert!(help(None).contains(entry.name));
        }
    }

    #[test]
    fn commands_are_read() {
        for (line, expected) in [
            (".exit", Meta::Exit),
            (".quit", Meta::Exit),
            ("  .EXIT ; ", Meta::Exit),
            (".out csv", Meta::Output(Some(Format::Csv))),
            (".output", Meta::Output(None)),
            (".timing on", Meta::Timing(Some(true))),
            (".secrets on", Meta::Secrets(Some(true))),
            (".secrets", Meta::Secrets(None)),
            (".header off;", Meta::Header(Some(false))),
            (".inspect aws_iam_user", Meta::Inspect(Some("aws_iam_user".into()))),
            (".tables iam", Meta::Tables("iam".into())),
            (".cache clear", Meta::Cache(Some(Cache::Clear))),
            (".cache status", Meta::Cache(Some(Cache::Status))),
            (".cache_ttl 5m", Meta::CacheTtl(Some(Duration::from_secs(300)))),
            (".max_staleness 4h", Meta::MaxStaleness(Some(Duration::from_secs(14_400)))),
            (".read 'my file.sql'", Meta::Read(PathBuf::from("my file.sql"))),
            (".separator ;", Meta::Separator(Some(b';'))),
            (".search_path a, b", Meta::SearchPath(Some(vec!["a".into(), "b".into()]))),
            (".search_path default", Meta::SearchPath(Some(Vec::new()))),
            (".separator \\t", Meta::Separator(Some(b'\t'))),
            (".params a=1 b='x y'", Meta::Params(Params::Set(vec!["a=1".into(), "b=x y".into()]))),
            (".params clear", Meta::Params(Params::Clear)),
            (".help once", Meta::Help(Some(find(".once").unwrap()))),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (line, message) in [
            (".nonsense", "there is no command .nonsense; .help lists them"),
            (".c", ".c may mean .cache or .cache_ttl or .clear or .connections"),
            (".timing maybe", "usage: .timing [on|off]"),
            (".exit now", "usage: .exit"),
            (".read", "usage: .read FILE"),
            (".output parquet", "Parquet goes to a file: write `.once rows.parquet` before the statement"),
            (".output xml", "xml is no format: use one of table, csv, json, jsonl, line, none"),
            (".cache_ttl soon", "\"soon\" is not a time: write 300, 90s, 5m, 1h or 2d"),
            (".separator ab", "the separator is one ASCII character, or \\t"),
        ] {
            assert_eq!(parse(line), Err(message.to_owned()), "{line}");
        }
    }

    #[test]
    fn numbers_are_no_commands() {
        assert!(is_meta(" .help"));
        assert!(is_meta("."));
        assert!(!is_meta(".5 + 1"));
        assert!(!is_meta("select .5"));
    }
}
