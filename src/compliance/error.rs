//! Errors of content (a place in a file and a hint) and of selection (what the user asked for).

/// A bad control or benchmark file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ContentError {
    /// The file, as it was named when loaded.
    pub file: String,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// One line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A folder of content cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file in it is bad.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Several things in it are bad; by file and place.
    #[error("{} problems, the first is {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Several(Vec<ContentError>),
    /// It or a file in it cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The path.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl LoadError {
    /// Errors by file and place, each once. `None`: there are none.
    pub(crate) fn of(mut errors: Vec<ContentError>) -> Option<LoadError> {
        errors.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        errors.dedup();
        if errors.len() > 1 { Some(LoadError::Several(errors)) } else { errors.pop().map(LoadError::Content) }
    }
}

/// What was asked for cannot be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The request is wrong: an unknown id, tag, parameter or attribute.
    #[error("{message}")]
    Request {
        /// One line.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The content behind it is bad.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl SelectError {
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            SelectError::Request { hint, .. } => hint.as_deref(),
            SelectError::Content(e) => e.hint.as_deref(),
        }
    }

    pub(crate) fn request(message: impl Into<String>, hint: Option<String>) -> SelectError {
        SelectError::Request { message: message.into(), hint }
    }
}

/// `did you mean 'x'?` for the nearest of `known`, if any is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&name.to_ascii_lowercase(), &k.to_ascii_lowercase()), k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))
        .map(|(_, k)| format!("did you mean '{k}'?"))
}
