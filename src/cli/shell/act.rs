//! What lines of the shell do: statements run, meta-commands show and change settings.

use crate::bill;
use crate::commands::list;
use crate::exit::{Exit, Failed};
use crate::export::Pending;
use crate::output::{Format, Look};
use crate::session::Session;
use crate::shell::meta::{self, Cache, Meta, Params};
use crate::shell::pager::Pager;
use crate::shell::script::{self, Step};
use crate::sql_text::{self, Kind};
use crate::statement::{Job, Ran};
use crate::statistics::{self, Ended};
use crate::{commands, inspect, params};
use assay_engine::{Arg, Engine, Settings};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Files that read files that read files …: a file that reads itself stops here.
const DEPTH: usize = 16;

/// Go on, or leave the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on.
    Go,
    /// Leave.
    Leave,
}

/// The shell's settings over a session.
pub(crate) struct Shell<'s> {
    /// The object graph.
    pub(crate) session: &'s Session,
    /// Several lines to a statement?
    pub(crate) multi: bool,
    /// Complete while typing?
    pub(crate) autocomplete: bool,
    /// Did calls of any statement fail?
    pub(crate) incomplete: bool,
    engine: Engine,
    look: Look,
    timing: bool,
    paged: bool,
    cache: bool,
    cache_ttl: Duration,
    params: Vec<Arg>,
    once: Option<PathBuf>,
    max_calls: Option<u64>,
}

impl<'s> Shell<'s> {
    /// A shell with default settings; `paged`: stdout is a terminal that somebody reads.
    pub(crate) fn new(session: &'s Session, paged: bool) -> Shell<'s> {
        Shell {
            session,
            multi: true,
            autocomplete: true,
            incomplete: false,
            engine: session.engine.clone(),
            look: Look { format: Format::Table, header: true, separator: b',', color: session.console.color_stdout },
            timing: false,
            paged,
            cache: !session.cache_ttl.is_zero(),
            cache_ttl: session.cache_ttl,
            params: Vec::new(),
            once: None,
            max_calls: None,
        }
    }

    /// Runs what was typed: a meta-command, or statements.
    pub(crate) async fn line(&mut self, text: &str) -> Result<Flow, Failed> {
        if meta::is_meta(text) { self.meta(text, 0).await } else { self.sql(text, "", 1).await.map(|()| Flow::Go) }
    }

    /// Runs a text of statements and meta-commands, to the first that fails.
    pub(crate) async fn script(&mut self, text: &str, name: &str, depth: usize) -> Result<Flow, Failed> {
        if depth > DEPTH {
            return Err(Failed::new(Exit::Content, format!("{name}: files are read {DEPTH} deep: does one read itself?")));
        }
        for (line, step) in script::steps(text) {
            match step {
                Step::Sql(text) => self.sql(&text, name, line).await?,
                Step::Meta(text) => {
                    if Box::pin(self.meta(&text, depth)).await.map_err(|e| at_line(e, name, line))? == Flow::Leave {
                        return Ok(Flow::Leave);
                    }
                }
            }
        }
        Ok(Flow::Go)
    }

    /// Runs the statements of a text that begins at line `first` of `name`.
    async fn sql(&mut self, text: &str, name: &str, first: usize) -> Result<(), Failed> {
        for statement in sql_text::statements(text) {
            let locate = |at: (usize, usize)| {
                let (line, column) = statement.place(at);
                let line = line + first - 1;
                if name.is_empty() { format!("line {line}, column {column}: ") } else { format!("{name}:{line}:{column}: ") }
            };
            if let Some(engine) = self.engine.set(&statement.text).map_err(|e| Failed::engine(&e, locate))? {
                self.engine = engine;
                continue;
            }
            let ran = self.statement(&statement.text, &locate).await?;
            let console = &self.session.console;
            ran.report(console, false);
            if ran.is_whole() {
                let args = used(&self.params, &statement.text);
                let ended = Ended { asked: (&statement.text, &args), meter: &ran.meter };
                statistics::remember(self.session, &self.engine, &[ended], false);
            }
            self.incomplete |= !ran.is_complete();
            if self.timing {
                console.note(&ran.timing());
            }
            if ran.interrupted {
                return Err(Failed::new(Exit::Interrupted, format!("cancelled after {} rows", ran.rows)));
            }
        }
        Ok(())
    }

    /// Runs one statement into a file, a pager, or stdout.
    async fn statement(&mut self, sql: &str, locate: &dyn Fn((usize, usize)) -> String) -> Result<Ran, Failed> {
        let args = used(&self.params, sql);
        bill::afford(self.session, &self.engine, &[(sql, &args)], self.max_calls).await?;
        let once = self.once.take();
        let mut look = self.look;
        if let Some(path) = &once {
            look.color = false;
            look.format = Format::of_file(path).unwrap_or(look.format);
        }
        let console = &self.session.console;
        let job = Job { engine: &self.engine, console, sql, args: &args, look, timing: self.timing, locate };
        if let Some(path) = once {
            let mut file = Pending::open(&path)?;
            let ran = job.run(&mut file).await?;
            if ran.ended {
                file.commit()?;
            }
            return Ok(ran);
        }
        if !self.paged {
            return job.run(&mut BufWriter::new(io::stdout())).await;
        }
        let mut pager = Pager::new();
        let ran = job.run(&mut pager).await;
        let shown = pager.finish().map_err(|e| Failed::stdout(&e));
        let ran = ran?;
        shown?;
        Ok(ran)
    }

    async fn meta(&mut self, line: &str, depth: usize) -> Result<Flow, Failed> {
        let meta = meta::parse(line).map_err(|message| Failed::new(Exit::Content, message))?;
        let console = self.session.console;
        let on_off = |on: bool| if on { "on" } else { "off" };
        match meta {
            Meta::Exit => return Ok(Flow::Leave),
            Meta::Help(entry) => self.show(&meta::help(entry))?,
            Meta::Clear => {
                if console.stdout_terminal {
                    self.show("\x1b[H\x1b[2J\x1b[3J")?;
                }
            }
            Meta::Tables(pattern) => self.tables(&pattern)?,
            Meta::Inspect(None) => self.tables("")?,
            Meta::Inspect(Some(name)) => self.inspect(&name)?,
            Meta::Connections => {
                let (columns, rows) = list::connections(&self.session.cloud);
                self.list(columns, &rows)?;
            }
            Meta::Output(None) => console.note(self.look.format.name()),
            Meta::Output(Some(format)) => self.look.format = format,
            Meta::Header(None) => console.note(on_off(self.look.header)),
            Meta::Header(Some(on)) => self.look.header = on,
            Meta::Separator(None) => console.note(&char::from(self.look.separator).escape_default().to_string()),
            Meta::Separator(Some(byte)) => self.look.separator = byte,
            Meta::Timing(None) => console.note(on_off(self.timing)),
            Meta::Timing(Some(on)) => self.timing = on,
            Meta::MaxCalls(None) => console.note(&self.max_calls.map_or_else(|| "off".to_owned(), |most| most.to_string())),
            Meta::MaxCalls(Some(most)) => self.max_calls = most,
            Meta::Multi(None) => console.note(on_off(self.multi)),
            Meta::Multi(Some(on)) => self.multi = on,
            Meta::Autocomplete(None) => console.note(on_off(self.autocomplete)),
            Meta::Autocomplete(Some(on)) => self.autocomplete = on,
            Meta::Cache(action) => self.cache(action)?,
            Meta::CacheTtl(None) => console.note(&format!("{} s", self.cache_ttl.as_secs())),
            Meta::CacheTtl(Some(ttl)) => {
                self.cache_ttl = ttl;
                self.cache = !ttl.is_zero();
                self.session.cloud.set_cache_ttl(ttl);
            }
            Meta::MaxStaleness(None) => console.note(&format!("{} s", self.engine.settings().max_staleness.as_secs())),
            Meta::MaxStaleness(Some(time)) => {
                self.engine = self.engine.with(Settings { max_staleness: time, ..self.engine.settings().clone() })?;
            }
            Meta::SearchPath(None) => {
                let names = match self.engine.settings().search_path.as_slice() {
                    [] => self.session.cloud.default_connections().iter().map(ToString::to_string).collect(),
                    names => names.to_vec(),
                };
                console.note(&names.join(", "));
            }
            Meta::SearchPath(Some(names)) => {
                self.engine = self.engine.with(Settings { search_path: names, ..self.engine.settings().clone() })?;
            }
            Meta::Secrets(None) => console.note(on_off(self.engine.settings().secrets)),
            Meta::Secrets(Some(on)) => {
                self.engine = self.engine.with(Settings { secrets: on, ..self.engine.settings().clone() })?;
            }
            Meta::Read(path) => {
                let text = std::fs::read_to_string(&path).map_err(|e| Failed::file("read", &path, &e))?;
                return self.script(&text, &path.display().to_string(), depth + 1).await;
            }
            Meta::Once(path) => {
                crate::session::writable_place(&path)?;
                self.once = Some(path);
            }
            Meta::Params(Params::List) => {
                let rows: Vec<[String; 3]> =
                    self.params.iter().map(|p| [format!("${}", p.name), p.value.to_string(), String::new()]).collect();
                let mut text = String::new();
                inspect::grid(&rows, &mut text);
                self.show(&text)?;
            }
            Meta::Params(Params::Clear) => self.params.clear(),
            Meta::Params(Params::Set(texts)) => {
                for arg in params::parse(&texts)? {
                    self.params.retain(|p| p.name != arg.name);
                    self.params.push(arg);
                }
            }
        }
        Ok(Flow::Go)
    }

    /// On or off, how long, and what is on disk.
    fn cache_status(&self) -> Result<(), Failed> {
        let (console, ttl) = (&self.session.console, self.cache_ttl.as_secs());
        console.note(&if self.cache { format!("on: answers are reused for {ttl} s") } else { "off".to_owned() });
        let Some(place) = &self.session.disk else {
            console.note("disk: off");
            return Ok(());
        };
        let stores = place.status().map_err(|e| Failed::file("read", &place.folder, &e))?;
        console.note(&commands::cache::settings(place, true));
        for store in stores {
            console.note(&format!("{}: {} answers, {} bytes", store.connection, store.entries, store.bytes));
        }
        Ok(())
    }

    fn cache(&mut self, action: Option<Cache>) -> Result<(), Failed> {
        match action {
            None => self.session.console.note(if self.cache { "on" } else { "off" }),
            Some(Cache::Clear) => self.session.cloud.clear_cache(),
            Some(Cache::Status) => self.cache_status()?,
            Some(Cache::Off) => {
                self.cache = false;
                self.session.cloud.set_cache_ttl(Duration::ZERO);
            }
            Some(Cache::On) => {
                self.cache = true;
                if self.cache_ttl.is_zero() {
                    self.cache_ttl = Duration::from_secs(300);
                }
                self.session.cloud.set_cache_ttl(self.cache_ttl);
            }
        }
        Ok(())
    }

    fn tables(&self, pattern: &str) -> Result<(), Failed> {
        let (columns, rows) = list::tables(&self.session.catalog, pattern)?;
        self.list(columns, &rows)
    }

    fn inspect(&self, name: &str) -> Result<(), Failed> {
        let unqualified = name.rsplit('.').next().unwrap_or(name);
        match self.session.catalog.table(unqualified)? {
            Some(table) => self.show(&inspect::table(&table)),
            None => {
                let hint = self.session.catalog.suggest(unqualified).map(|s| format!("did you mean {s}?"));
                Err(Failed::new(Exit::Content, format!("there is no table {name}")).maybe_hint(hint))
            }
        }
    }

    fn list(&self, columns: &[&str], rows: &[Vec<String>]) -> Result<(), Failed> {
        let mut text = Vec::new();
        list::write(self.look, columns, rows, &mut text)?;
        self.show(&String::from_utf8_lossy(&text))
    }

    /// Shows a text, through the pager where somebody reads.
    fn show(&self, text: &str) -> Result<(), Failed> {
        let shown = if self.paged {
            let mut pager = Pager::new();
            pager.write_all(text.as_bytes()).and_then(|()| pager.finish())
        } else {
            io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush())
        };
        shown.map_err(|e| Failed::stdout(&e))
    }
}

/// The parameters a statement uses; the others would be unknown to it.
fn used(params: &[Arg], sql: &str) -> Vec<Arg> {
    let tokens = sql_text::tokens(sql);
    let uses = |name: &str| tokens.iter().any(|t| t.kind == Kind::Param && &t.text(sql)[1..] == name);
    params.iter().filter(|p| uses(&p.name)).cloned().collect()
}

/// Names the line of a file whose meta-command failed.
fn at_line(failed: Failed, name: &str, line: usize) -> Failed {
    if name.is_empty() || failed.is_closed_pipe() {
        return failed;
    }
    Failed { message: format!("{name}:{line}: {}", failed.message), ..failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_parameters_in_use_are_bound() {
        let params = [Arg { name: "a".into(), value: json!(1) }, Arg { name: "b".into(), value: json!(2) }];
        let names = |sql: &str| used(&params, sql).into_iter().map(|a| a.name).collect::<Vec<_>>();
        assert_eq!(names("select $a, '$b', $ab -- $b"), ["a"]);
        assert!(names("select 1").is_empty());
    }
}
