//! The line editor: completion, hints, colours and multi-line input, wired to rustyline; and the history file.

use crate::dirs;
use crate::shell::complete::{self, Completion, Words};
use crate::shell::{highlight, meta};
use crate::sql_text;
use assay_engine::Engine;
use assay_tables::Catalog;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::{BellStyle, Builder, ColorMode, CompletionType};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

/// Entries kept.
const HISTORY: usize = 10_000;

/// rustyline's editor with our helper.
pub(crate) type LineEditor = Editor<Assistant, FileHistory>;

/// Completes, hints, colours, and knows when a statement is finished.
pub(crate) struct Assistant {
    names: Names,
    files: FilenameCompleter,
    history: HistoryHinter,
    color: bool,
    /// A statement may have several lines.
    pub(crate) multi: bool,
    /// Complete at all?
    pub(crate) complete: bool,
}

/// What exists, looked up when first asked.
struct Names {
    engine: Engine,
    catalog: Arc<Catalog>,
    functions: OnceCell<Vec<String>>,
}

impl Words for Names {
    fn tables(&self) -> Vec<String> {
        self.catalog.names().into_iter().map(str::to_owned).collect()
    }

    fn schemas(&self) -> Vec<String> {
        let connections = self.engine.cloud().connections().iter().map(|c| c.name.to_string());
        connections.chain(["information_schema".to_owned()]).collect()
    }

    fn functions(&self) -> Vec<String> {
        self.functions.get_or_init(|| self.engine.functions()).clone()
    }

    fn columns(&self, table: &str) -> Vec<String> {
        match self.catalog.table(table) {
            Ok(Some(table)) => table.columns.iter().map(|c| c.name.clone()).collect(),
            // A bad spec is reported when the table is used.
            Ok(None) | Err(_) => Vec::new(),
        }
    }
}

/// Opens the editor.
pub(crate) fn open(engine: &Engine, catalog: &Arc<Catalog>, color: bool) -> rustyline::Result<LineEditor> {
    let config = Builder::new()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .bell_style(BellStyle::None)
        .color_mode(if color { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let history = FileHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Assistant {
        names: Names { engine: engine.clone(), catalog: Arc::clone(catalog), functions: OnceCell::new() },
        files: FilenameCompleter::new(),
        history: HistoryHinter::new(),
        color,
        multi: true,
        complete: true,
    }));
    Ok(editor)
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if !self.complete {
            return Ok((pos, Vec::new()));
        }
        match complete::complete(line, pos, &self.names) {
            Completion::File => self.files.complete_path(line, pos),
            Completion::Words(start, words) => {
                Ok((start, words.into_iter().map(|w| Pair { display: w.clone(), replacement: w }).collect()))
            }
        }
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<String> {
        if pos < line.len() {
            return None;
        }
        usage_hint(line).or_else(|| self.history.hint(line, pos, context))
    }
}

/// What a meta-command takes, once its name is typed.
fn usage_hint(line: &str) -> Option<String> {
    let name = line.trim_start();
    if !meta::is_meta(name) || name.trim_end().contains(char::is_whitespace) {
        return None;
    }
    let entry = meta::COMMANDS.iter().find(|e| e.name == name.trim_end())?;
    let space = if name.ends_with(' ') { "" } else { " " };
    (!entry.usage.is_empty()).then(|| format!("{space}{}", entry.usage))
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.color { Cow::Owned(highlight::highlight(line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.color { Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color { Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")) } else { Cow::Borrowed(hint) }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.color
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let done = !self.multi || meta::is_meta(text) || sql_text::is_finished(text);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// The history file. A home that cannot be written is said once, and the shell goes on without.
pub(crate) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// Loads the history into the editor. Gives a warning when it cannot be kept.
    pub(crate) fn load(editor: &mut LineEditor) -> (History, Option<String>) {
        let Some(folder) = dirs::state() else { return (History { file: None }, Some("no home folder: history is not kept".to_owned())) };
        let file = folder.join("history");
        match private_file(&folder, &file) {
            Ok(()) => {
                let warning = editor.load_history(&file).err().map(|e| format!("history of {} cannot be read: {e}", file.display()));
                (History { file: Some(file) }, warning)
            }
            Err(error) => {
                let why = crate::exit::io_text(&error);
                (History { file: None }, Some(format!("history is not kept: {}: {why}", file.display())))
            }
        }
    }

    /// Adds a line, here and in the file. Gives a warning the first time that fails.
    pub(crate) fn add(&mut self, editor: &mut LineEditor, line: &str) -> Option<String> {
        let added = editor.add_history_entry(line);
        let file = self.file.as_ref()?;
        match added.and_then(|_| editor.append_history(file)) {
            Ok(()) => None,
            Err(error) => {
                let warning = format!("history is not kept: {}: {error}", file.display());
                self.file = None;
                Some(warning)
            }
        }
    }
}

/// Statements may hold what is nobody else's business: folder 0700, file 0600.
fn private_file(folder: &std::path::Path, file: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(folder)?;
    options.open(file).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_show_what_a_command_takes() {
        for (line, hint) in [
            (".output", Some(" [FORMAT]")),
            (".output ", Some("[FORMAT]")),
            (".output c", None),
            (".exit", None),
            (".outp", None),
            ("select", None),
        ] {
            assert_eq!(usage_hint(line).as_deref(), hint, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_history_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/assay");
        let file = folder.join("history");
        private_file(&folder, &file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
