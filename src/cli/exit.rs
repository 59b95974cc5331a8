//! The one place where errors become messages and exit codes.

use assay_cloud::{BundleError, CloudError, ErrorKind};
use assay_compliance::{ContentError, LoadError, SelectError};
use assay_engine::EngineError;
use assay_rotation::RotationError;
use assay_tables::SpecError;
use datafusion::error::DataFusionError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success; no alarm.
    Ok = 0,
    /// At least one alarm.
    Alarm = 1,
    /// At least one error, or incomplete data.
    Incomplete = 2,
    /// The command line is wrong.
    Usage = 64,
    /// SQL, YAML or arguments are wrong.
    Content = 65,
    /// No credentials, or nothing reachable.
    Unavailable = 69,
    /// A bug of ours.
    Internal = 70,
    /// A file cannot be read or written.
    Io = 74,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work: one line, a hint, an exit code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    /// The code.
    pub(crate) exit: Exit,
    /// One line; empty when there is nothing to say (a closed pipe).
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// What else is wrong: lines and hints, said before.
    pub(crate) also: Vec<(String, Option<String>)>,
}

impl Failed {
    /// A failure without a hint.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failed {
        Failed { exit, message: message.into(), hint: None, also: Vec::new() }
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failed {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint where there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Failed {
        self.hint = hint;
        self
    }

    /// A file that cannot be read or written: `verb` is `read`, `write`, `create` …
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Failed {
        Failed::new(Exit::Io, format!("cannot {verb} {}: {}", path.display(), io_text(error)))
    }

    /// The reader of stdout went away: the command ends quietly.
    pub(crate) fn closed_pipe() -> Failed {
        Failed::new(Exit::Ok, "")
    }

    /// Did the reader of stdout go away?
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.exit == Exit::Ok && self.message.is_empty()
    }

    /// What a failed write to stdout means.
    pub(crate) fn stdout(error: &io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failed::closed_pipe(),
            _ => Failed::new(Exit::Io, format!("cannot write to standard output: {}", io_text(error))),
        }
    }

    /// An engine's error; `locate` turns a place in the statement into one for people.
    pub(crate) fn engine(error: &EngineError, locate: impl Fn((usize, usize)) -> String) -> Failed {
        match error {
            EngineError::Sql { message, hint, at } => {
                let message = match at {
                    Some(at) => format!("{}{message}", locate(*at)),
                    None => message.clone(),
                };
                Failed::new(Exit::Content, message).maybe_hint(hint.clone())
            }
            EngineError::Data(message) => Failed::new(Exit::Content, message),
            EngineError::Cloud(error) => (**error).clone().into(),
            EngineError::Spec(error) => error.clone().into(),
            EngineError::Internal(message) => Failed::internal(message),
        }
    }

    /// Bad content in several places.
    pub(crate) fn several(mut errors: Vec<ContentError>) -> Failed {
        let Some(last) = errors.pop() else { return Failed::internal("no errors where there were some") };
        let also = errors.into_iter().map(|e| (e.to_string(), e.hint)).collect();
        Failed { also, ..last.into() }
    }

    /// A bug of ours.
    pub(crate) fn internal(message: &str) -> Failed {
        let message = message.strip_prefix("internal error: ").unwrap_or(message);
        Failed::new(Exit::Internal, format!("internal error: {message}"))
            .hint("this is a bug in assay; please report it with the statement that led here")
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Failed {
        Failed::engine(&error, |(line, column)| format!("line {line}, column {column}: "))
    }
}

/// What went wrong while rows were streaming. The engine knows its own errors inside DataFusion's.
impl From<DataFusionError> for Failed {
    fn from(error: DataFusionError) -> Failed {
        EngineError::from(error).into()
    }
}

impl From<ContentError> for Failed {
    fn from(error: ContentError) -> Failed {
        let hint = error.hint.clone();
        Failed::new(Exit::Content, error.to_string()).maybe_hint(hint)
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Failed {
        match error {
            LoadError::Content(error) => error.into(),
            LoadError::Several(errors) => Failed::several(errors),
            LoadError::Io { path, source } => Failed::file("read", Path::new(&path), &source),
        }
    }
}

impl From<SelectError> for Failed {
    fn from(error: SelectError) -> Failed {
        Failed::new(Exit::Content, error.to_string()).maybe_hint(error.hint().map(str::to_owned))
    }
}

impl From<CloudError> for Failed {
    fn from(error: CloudError) -> Failed {
        let exit = match error.kind {
            ErrorKind::Credentials | ErrorKind::Unreachable => Exit::Unavailable,
            ErrorKind::Invalid => Exit::Content,
            ErrorKind::Denied
            | ErrorKind::NotFound
            | ErrorKind::Throttled
            | ErrorKind::Transient
            | ErrorKind::BadAnswer
            | ErrorKind::NotRecorded
            | ErrorKind::OverBudget
            | ErrorKind::Service => Exit::Incomplete,
        };
        // Ours need no code: their message says it all.
        let message =
            if error.operation.is_empty() && error.kind == ErrorKind::Invalid { error.message.clone() } else { error.to_string() };
        Failed::new(exit, message).maybe_hint(error.hint().map(str::to_owned))
    }
}

impl From<SpecError> for Failed {
    fn from(error: SpecError) -> Failed {
        let hint = error.hint.clone();
        Failed::new(Exit::Content, SpecError { hint: None, ..error }.to_string()).maybe_hint(hint)
    }
}

impl From<RotationError> for Failed {
    fn from(error: RotationError) -> Failed {
        let message = error.to_string();
        match error {
            RotationError::Content { .. } => Failed::new(Exit::Content, message),
            RotationError::Refused { .. } => Failed::new(Exit::Incomplete, message),
            RotationError::Io { .. } => Failed::new(Exit::Io, message),
            RotationError::Cloud(error) => error.into(),
            RotationError::Internal { .. } => Failed::internal(&message),
        }
    }
}

impl From<BundleError> for Failed {
    fn from(error: BundleError) -> Failed {
        match error {
            BundleError::Io { path, source } => Failed::new(Exit::Io, format!("cannot use bundle {path}: {}", io_text(&source))),
            BundleError::Format { .. } => {
                Failed::new(Exit::Content, error.to_string()).hint("make one with `--record FILE` of this version of assay")
            }
        }
    }
}

/// The system's words without Rust's `(os error 13)`, in lower case.
pub(crate) fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(|c: char| c.is_uppercase()) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let cloud = |kind| Failed::from(EngineError::from(CloudError::new(kind, "Code", "message"))).exit as u8;
        for (kind, code) in [
            (ErrorKind::Credentials, 69),
            (ErrorKind::Unreachable, 69),
            (ErrorKind::Invalid, 65),
            (ErrorKind::Denied, 2),
            (ErrorKind::NotFound, 2),
            (ErrorKind::Throttled, 2),
            (ErrorKind::Transient, 2),
            (ErrorKind::BadAnswer, 2),
            (ErrorKind::NotRecorded, 2),
            (ErrorKind::Service, 2),
            (ErrorKind::OverBudget, 2),
        ] {
            assert_eq!(cloud(kind), code, "{kind:?}");
        }
        let sql = EngineError::Sql { message: "no such table".into(), hint: Some("did you mean x?".into()), at: Some((2, 5)) };
        assert_eq!(Failed::from(sql), Failed::new(Exit::Content, "line 2, column 5: no such table").hint("did you mean x?"));
        assert_eq!(Failed::from(EngineError::Data("division by zero".into())).exit as u8, 65);
        assert_eq!(Failed::from(EngineError::Internal("x".into())).exit as u8, 70);
        let spec = SpecError { file: "a.yaml".into(), at: Some((3, 1)), message: "no such thing".into(), hint: Some("fix".into()) };
        assert_eq!(Failed::from(spec), Failed::new(Exit::Content, "a.yaml:3:1: no such thing").hint("fix"));
        let io = BundleError::Io { path: "b".into(), source: io::Error::from(io::ErrorKind::PermissionDenied) };
        assert_eq!(Failed::from(io).exit as u8, 74);
        assert_eq!(Failed::from(BundleError::Format { path: "b".into(), why: "old".into() }).exit as u8, 65);
        assert_eq!(Exit::Interrupted as u8, 130);
    }

    #[test]
    fn errors_of_a_stream_keep_their_kind() {
        let inner = EngineError::from(CloudError::new(ErrorKind::Credentials, "NoCredentials", "none found"));
        let wrapped = DataFusionError::External(Box::new(inner)).context("scan");
        assert_eq!(Failed::from(wrapped).exit, Exit::Unavailable);
        assert_eq!(Failed::from(DataFusionError::Internal("x".into())).exit, Exit::Internal);
    }

    #[test]
    fn a_closed_pipe_is_no_failure_but_a_full_disk_is() {
        assert!(Failed::stdout(&io::Error::from(io::ErrorKind::BrokenPipe)).is_closed_pipe());
        assert_eq!(Failed::stdout(&io::Error::from(io::ErrorKind::StorageFull)).exit, Exit::Io);
    }

    #[test]
    fn system_messages_read_well() {
        let denied = io::Error::from_raw_os_error(13);
        assert_eq!(Failed::file("write", Path::new("a.csv"), &denied).message, "cannot write a.csv: permission denied");
    }
}
