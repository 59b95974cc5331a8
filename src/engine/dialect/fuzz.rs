//! Statements that nobody writes, made of those of `tests/sql` and `controls/`: splitting, parsing and planning them ends soon and without a panic.
//!
//!     cargo test -p assay-engine fuzz                                  a thousand statements, at most 20 seconds, always the same
//!     ASSAY_FUZZ_SECONDS=600 cargo test -p assay-engine fuzz           longer, and others; the seed is printed
//!     ASSAY_FUZZ_SEED=7 ASSAY_FUZZ_SECONDS=600 …                       the same ones again
//!
//! A statement that overflows the stack ends the process: it stands in `assay-fuzz-PID.sql` of the folder for temporary files. The last one that
//! is wrong stays there, too.

use super::depth::{Deep, deep};
use super::{oracle, plan, split};
use datafusion::execution::context::SessionContext;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A statement that takes longer hangs; a build for tests is some ten times slower than a release.
const HANG: Duration = Duration::from_secs(60);

/// Stack of the threads that statements run on, as tokio's.
const STACK: usize = 2 << 20;

/// SplitMix64: the same statements for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, extension, out);
        } else if path.extension().is_some_and(|found| found == extension) {
            out.push(path);
        }
    }
    out.sort();
}

/// (tables by name, statements) of the suite and the controls.
fn corpus() -> (Vec<(String, String)>, Vec<String>) {
    let (mut tables, mut statements, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    files(&root().join("tests/sql"), "test", &mut paths);
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        for block in text.split("\n\n") {
            let lines: Vec<&str> = block.lines().skip_while(|line| line.starts_with('#') || line.is_empty()).collect();
            let Some((head, rest)) = lines.split_first() else { continue };
            let sql = rest.iter().take_while(|line| **line != "----").copied().collect::<Vec<_>>().join("\n");
            match head.split_once(' ') {
                Some(("table", name)) => tables.push((name.to_owned(), sql)),
                _ if head.starts_with("query") => statements.push(sql),
                _ => {}
            }
        }
    }
    paths.clear();
    files(&root().join("controls"), "yaml", &mut paths);
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        if let Some((_, sql)) = text.split_once("\nsql: |\n") {
            statements.push(sql.lines().take_while(|line| line.starts_with("  ") || line.is_empty()).collect::<Vec<_>>().join("\n"));
        }
    }
    (tables, statements)
}

const WORDS: &[&str] = &[
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "limit",
    "having",
    "union all",
    "except",
    "intersect",
    "with",
    "recursive",
    "as",
    "not",
    "and",
    "or",
    "is",
    "null",
    "in",
    "exists",
    "any",
    "all",
    "array",
    "row",
    "case",
    "when",
    "then",
    "else",
    "end",
    "lateral",
    "left join",
    "full join",
    "using",
    "on",
    "distinct",
    "filter",
    "over",
    "partition by",
    "with ordinality",
    "values",
    "table",
    "interval",
    "timestamp",
    "date",
    "extract",
    "like",
    "ilike",
    "similar to",
    "between",
    "explain",
    "at time zone",
    "collate",
    "cast",
    "unnest",
    "generate_series",
    "jsonb_array_elements",
    "jsonb_path_query",
    "count(*)",
    "fetch first",
    "rows only",
    "->",
    "->>",
    "#>",
    "#>>",
    "@>",
    "<@",
    "?",
    "?|",
    "?&",
    "@?",
    "@@",
    "||",
    "::",
    "::jsonb",
    "::text[]",
    "::inet",
    "::numeric(5,2)",
    "<<=",
    "&&",
    "~*",
    "!~",
    "=>",
    ":=",
    "..",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    "*",
    "+",
    "-",
    "/",
    "%",
    "^",
    "=",
    "<>",
    "!",
    "|",
    "&",
    "#",
    "@",
    "$1",
    "$x",
    "$$",
    "$a$",
    "'",
    "\"",
    "E'",
    "U&'\\0041'",
    "X'1F'",
    "B'101'",
    "--",
    "/*",
    "*/",
    "\\",
    ".",
    ":",
    "''",
    "'{}'",
    "'[]'",
    "'{\"a\": [1, null]}'",
    "'$.a[*] ? (@ > 1)'",
    "'2024-02-30'",
    "'infinity'",
    "'NaN'",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1e308",
    "1e309",
    "1e-400",
    "0.1",
    "1_000",
    "0x1F",
    "00",
    "1.",
    ".5",
    "1e",
    "99999999999999999999999999999999999999999",
    "é",
    "日本語",
    "💥",
    "\u{202e}",
    "\u{0}",
    "\u{feff}",
    "\u{a0}",
    "ﬀ",
    "İ",
    "'💥'",
    "\"é\"",
];

/// What a repeated text does: (before, in the middle, after).
const NESTS: &[(&str, &str, &str)] = &[
    ("(", "1", ")"),
    ("not ", "true", ""),
    ("- ", "1", ""),
    ("+ ", "1", ""),
    ("", "1", " + 1"),
    ("", "x = 1", " and x = 1"),
    ("", "x = 1", " or x = 1"),
    ("", "'a'", " || 'a'"),
    ("", "1", "::int"),
    ("", "'{}'::jsonb", " -> 'a'"),
    ("(select ", "1", ")"),
    ("case when true then ", "1", " end"),
    ("case when ", "true", " then true end"),
    ("lower(", "'a'", ")"),
    ("coalesce(x, ", "1", ")"),
    ("array[", "1", "]"),
    ("jsonb_build_array(", "1", ")"),
    ("exists (select 1 where ", "true", ")"),
    ("array(select ", "1", ")"),
    ("", "a", "[1]"),
    ("", "true", " is not null"),
    ("", "1", " between 1 and 2"),
    ("1 in (", "1", ")"),
    ("1 = any (select ", "1", ")"),
    ("row(", "1", ")"),
    ("(1, ", "2", ")"),
    ("/*", "", "*/"),
    ("", "interval '1 day'", " + interval '1 day'"),
    ("", "now()", " at time zone 'UTC'"),
    ("", "'a'", " like 'a'"),
    ("", "1", ", 1"),
    ("cast(", "1", " as int)"),
    ("extract(day from ", "now()", ")"),
    ("(", "1", ""),
    ("[", "", ""),
    ("{", "", ""),
    ("'", "", ""),
    ("$$", "", ""),
    ("\"", "", ""),
    ("case ", "1", ""),
];

/// Statements whose one part is repeated.
const FRAMES: &[(&str, &str)] = &[
    ("select ", ""),
    ("select ", " from (values (1)) t(x)"),
    ("select * from t where ", ""),
    ("select 1 order by ", ""),
    ("select count(*) filter (where ", ")"),
    ("select * from jsonb_array_elements(", ") e"),
    ("select '", "'::jsonb"),
    ("select jsonb_path_query('{}', '", "')"),
    ("select 'a' ~ '", "'"),
    ("values (", ")"),
    ("with c as (select ", ") select * from c"),
    ("explain select ", ""),
    ("", ""),
];

struct Maker {
    random: Random,
    seeds: Vec<String>,
}

impl Maker {
    fn seed(&mut self) -> String {
        let at = self.random.below(self.seeds.len());
        self.seeds[at].clone()
    }

    /// Words, numbers, quoted texts, blanks and single characters.
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        let (mut kind, mut quote) = (' ', None);
        for c in text.chars() {
            let this = if c.is_alphanumeric() || c == '_' {
                'w'
            } else if c.is_whitespace() {
                's'
            } else {
                'o'
            };
            let joined = quote.is_some() || this == kind && this != 'o';
            match tokens.last_mut() {
                Some(last) if joined => last.push(c),
                _ => tokens.push(c.to_string()),
            }
            quote = match quote {
                Some(open) if open == c => None,
                None if matches!(c, '\'' | '"') => Some(c),
                other => other,
            };
            kind = if quote.is_none() && matches!(c, '\'' | '"') { 'q' } else { this };
        }
        tokens
    }

    fn statement(&mut self) -> String {
        match self.random.below(20) {
            0 | 1 => self.nested(),
            2 => self.repeated(),
            3..=6 => self.bytes(),
            _ => self.shuffled(),
        }
    }

    fn times(&mut self) -> usize {
        let most = [3, 20, 60, 150, 400, 3_000, 30_000][self.random.below(7)];
        1 + self.random.below(most)
    }

    fn nested(&mut self) -> String {
        let (before, middle, after) = NESTS[self.random.below(NESTS.len())];
        let (head, tail) = FRAMES[self.random.below(FRAMES.len())];
        let times = self.times();
        let closed = if self.random.below(5) == 0 { self.random.below(times) } else { times };
        format!("{head}{}{middle}{}{tail}", before.repeat(times), after.repeat(closed))
    }

    /// Nested or many queries, relations, rows, digits.
    fn repeated(&mut self) -> String {
        let n = self.times();
        match self.random.below(12) {
            0 => format!("{}select 1{}", "select * from (".repeat(n), ") t".repeat(n)),
            1 => format!("{}select 1", "select 1 union ".repeat(n)),
            2 => format!("select 1 from (values (1)) t(x){}", ", (values (1)) u(y)".repeat(n)),
            3 => format!(
                "select 1 from (values ('[]'::jsonb)) t(x){}",
                (0..n).map(|i| format!(", jsonb_array_elements(x) e{i}")).collect::<String>()
            ),
            4 => format!(
                "select 1 from (values (1)) t(x){}",
                (0..n).map(|i| format!(" join (values (1)) u{i}(y) on y = x")).collect::<String>()
            ),
            5 => format!("select {}", "9".repeat(n)),
            6 => format!("select '{}'", "é".repeat(n * 10)),
            7 => format!("select x in ({}1) from (values (1)) t(x)", "1, ".repeat(n)),
            8 => format!("with {}select 1", (0..n).map(|i| format!("c{i} as (select 1), ")).collect::<String>()),
            9 => format!("values (1){}", ", (1)".repeat(n)),
            10 => format!("select {}1 from (values (1)) t(x)", "x, ".repeat(n)),
            _ => format!("select {} from (values (1)) t(x)", "\"".repeat(n)),
        }
    }

    fn shuffled(&mut self) -> String {
        let mut tokens = Maker::tokens(&self.seed());
        for _ in 0..=self.random.below(4) {
            let at = self.random.below(tokens.len());
            let Some(token) = tokens.get(at).cloned() else { continue };
            match self.random.below(9) {
                0 => drop(tokens.remove(at)),
                1 => tokens.insert(at, format!(" {token} ")),
                2 | 3 => tokens.insert(at, format!(" {} ", self.random.of(WORDS))),
                4 | 5 => tokens[at] = self.random.of(WORDS).to_owned(),
                6 => {
                    let other = Maker::tokens(&self.seed());
                    let from = self.random.below(other.len());
                    let to = (from + 1 + self.random.below(12)).min(other.len());
                    tokens.splice(at..at, other[from.min(to)..to].iter().cloned());
                }
                7 => {
                    let other = self.random.below(tokens.len());
                    tokens.swap(at, other);
                }
                _ => tokens.truncate(at),
            }
        }
        tokens.concat()
    }

    fn bytes(&mut self) -> String {
        let mut bytes = self.seed().into_bytes();
        for _ in 0..=self.random.below(6) {
            let at = self.random.below(bytes.len());
            if bytes.is_empty() {
                break;
            }
            match self.random.below(6) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = self.random.next() as u8,
                2 => bytes[at] ^= 1 << self.random.below(8),
                3 => bytes.insert(at, b"'\"()[]{};,.$\\-/*:?@#|&%~!"[self.random.below(25)]),
                4 => bytes.truncate(at),
                _ => {
                    let to = (at + self.random.below(20)).min(bytes.len());
                    let copy = bytes[at..to].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What became of a statement.
fn entry(runtime: &tokio::runtime::Runtime, ctx: &SessionContext, sql: &str) -> Result<(), String> {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(Deep::new(async {
            let Ok(statements) = split(sql) else { return };
            for one in statements.iter().take(3) {
                let state = oracle::state(ctx);
                if let Ok(plan) = plan(&state, one, &[]).await {
                    let _ = state.create_physical_plan(&plan).await;
                }
            }
        }));
    }));
    tried.map_err(|panic| {
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// A context with the suite's tables.
fn context(tables: &[(String, String)]) -> SessionContext {
    let ctx = oracle::context();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, sql) in tables {
        runtime.block_on(async {
            let _ = ctx.deregister_table(name.as_str());
            oracle::table(&ctx, name, sql).await;
        });
    }
    ctx
}

fn fuzz(seed: u64, time: Duration) {
    let (tables, seeds) = corpus();
    assert!(seeds.len() > 1_000, "the corpus is gone: {}", seeds.len());
    let ctx = deep(|| context(&tables));
    let note = std::env::temp_dir().join(format!("assay-fuzz-{}.sql", std::process::id()));
    let (statements, tried) = (mpsc::channel::<String>(), mpsc::channel::<Result<(), String>>());
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for sql in statements.1 {
            if tried.0.send(entry(&runtime, &ctx, &sql)).is_err() {
                break;
            }
        }
    });
    let mut maker = Maker { random: Random(seed), seeds };
    let (end, mut wrong, mut count, mut slowest) = (Instant::now() + time, Vec::new(), 0, (Duration::ZERO, String::new()));
    let most = if std::env::var_os("ASSAY_FUZZ_SECONDS").is_some() { usize::MAX } else { 1_000 };
    while Instant::now() < end && wrong.len() < 10 && count < most {
        let sql = maker.statement();
        std::fs::write(&note, &sql).unwrap();
        let begun = Instant::now();
        statements.0.send(sql.clone()).unwrap();
        match tried.1.recv_timeout(HANG) {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => {
                std::fs::write(note.with_extension("wrong.sql"), &sql).unwrap();
                wrong.push(format!("panic {panic:?}: {}", shortened(&sql)));
            }
            Err(_) => {
                std::fs::write(note.with_extension("wrong.sql"), &sql).unwrap();
                wrong.push(format!("no end after {HANG:?}: {}", shortened(&sql)));
                break;
            }
        }
        count += 1;
        if begun.elapsed() > slowest.0 {
            slowest = (begun.elapsed(), sql);
        }
    }
    drop(statements.0);
    let _ = std::fs::remove_file(&note);
    drop(worker);
    let report = format!("seed {seed}: {count} statements, the slowest took {:?}: {}", slowest.0, shortened(&slowest.1));
    assert!(wrong.is_empty(), "{report}\n{}", wrong.join("\n"));
    assert!(count > 20, "{report}");
    if std::env::var_os("ASSAY_FUZZ_SECONDS").is_some() {
        std::fs::write(std::env::temp_dir().join("assay-fuzz-report.txt"), report).unwrap();
    }
}

fn shortened(sql: &str) -> String {
    if sql.len() <= 1_500 {
        return sql.to_owned();
    }
    let cut = |mut at: usize| {
        while !sql.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    format!("{} … {} bytes … {}", &sql[..cut(300)], sql.len(), &sql[cut(sql.len() - 100)..])
}

#[test]
fn fuzzed_statements_end_without_a_panic() {
    match std::env::var("ASSAY_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => {
            let given = std::env::var("ASSAY_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
            let seed = given.unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
            fuzz(seed, Duration::from_secs(seconds));
        }
        None => fuzz(1, Duration::from_secs(20)),
    }
}
