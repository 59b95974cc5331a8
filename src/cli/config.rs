//! `assay.yaml`: where it is found, and what is in it. Unknown keys and wrong types are errors with their place.

use crate::args::duration;
use crate::dirs;
use crate::exit::{Exit, Failed};
use assay_cloud::ConnectionConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name that is searched for.
const FILE: &str = "assay.yaml";

/// What a configuration says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    /// The file; `None`: there is none, everything is default.
    pub(crate) file: Option<PathBuf>,
    /// Connections and limits.
    pub(crate) cloud: assay_cloud::Config,
    /// Folders of table specs.
    pub(crate) tables: Vec<PathBuf>,
    /// Folders of controls and benchmarks.
    pub(crate) controls: Vec<PathBuf>,
    /// How old what is shown may be.
    pub(crate) max_staleness: Duration,
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    connections: BTreeMap<String, ConnectionConfig>,
    default: Vec<String>,
    limits: BTreeMap<String, serde_json::Value>,
    tables: Vec<PathBuf>,
    controls: Vec<PathBuf>,
    #[serde(deserialize_with = "time")]
    max_staleness: Duration,
}

impl Config {
    /// Reads the file that was named, or else the one that is found; without any, everything is default.
    pub(crate) fn load(named: Option<&Path>) -> Result<Config, Failed> {
        let found = match named {
            Some(path) => Some(path.to_owned()),
            None => std::env::current_dir().ok().and_then(|dir| find(&dir, dirs::config().as_deref())),
        };
        let Some(path) = found else { return Ok(Config::default()) };
        let text = std::fs::read_to_string(&path).map_err(|e| Failed::file("read", &path, &e))?;
        Config::parse(&text, &path)
    }

    /// Parses the text of a file; relative folders in it are relative to the file.
    fn parse(text: &str, path: &Path) -> Result<Config, Failed> {
        // A file of comments only is an empty configuration.
        let written: Option<Written> = serde_yaml::from_str(text).map_err(|e| bad(path, &e))?;
        let written = written.unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let absolute = |paths: Vec<PathBuf>| paths.into_iter().map(|p| folder.join(p)).collect();
        Ok(Config {
            file: Some(path.to_owned()),
            cloud: assay_cloud::Config { connections: written.connections, default: written.default, limits: written.limits },
            tables: absolute(written.tables),
            controls: absolute(written.controls),
            max_staleness: written.max_staleness,
        })
    }
}

/// A time as the options take it.
fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let written = serde_json::Value::deserialize(from)?;
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    duration(&text).map_err(serde::de::Error::custom)
}

/// The file in a folder or the nearest parent, else in the user's configuration folder.
fn find(start: &Path, user: Option<&Path>) -> Option<PathBuf> {
    start.ancestors().chain(user).map(|dir| dir.join(FILE)).find(|file| file.is_file())
}

fn bad(path: &Path, error: &serde_yaml::Error) -> Failed {
    let text = error.to_string();
    // The parser repeats the place at the end of its message.
    let message = text.split(" at line ").next().unwrap_or(&text);
    let place = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
    let hint = match message {
        m if m.contains("unknown field") => "remove the key or correct its spelling",
        m if m.contains("invalid type") => "the value has the wrong type",
        _ => "check the indentation and quoting of this line",
    };
    Failed::new(Exit::Content, format!("{}{place}: {message}", path.display())).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_upward_wins_then_the_users() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        let user = root.path().join("user");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(&user).unwrap();
        assert_eq!(find(&deep, Some(&user)), None);
        std::fs::write(user.join(FILE), "").unwrap();
        assert_eq!(find(&deep, Some(&user)), Some(user.join(FILE)));
        std::fs::write(root.path().join("a").join(FILE), "").unwrap();
        assert_eq!(find(&deep, Some(&user)), Some(root.path().join("a").join(FILE)));
        std::fs::create_dir(deep.join(FILE)).unwrap();
        assert_eq!(find(&deep, None), Some(root.path().join("a").join(FILE)), "a folder of that name is no configuration");
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "connections:\n  prod: { cloud: aws, profile: prod, regions: [us-*] }\n  all: { aggregate: [prod] }\n\
                    default: [all]\nlimits: { prod: { iam: { rate: 20 } } }\ntables: [specs]\ncontrols: [/abs]\n\
                    max_staleness: 4h\n";
        let config = Config::parse(text, Path::new("/etc/assay.yaml")).unwrap();
        assert_eq!(config.cloud.connections["prod"].profile.as_deref(), Some("prod"));
        assert_eq!(config.cloud.default, ["all"]);
        assert_eq!(config.tables, [PathBuf::from("/etc/specs")]);
        assert_eq!(config.controls, [PathBuf::from("/abs")]);
        assert_eq!(config.max_staleness, Duration::from_secs(14_400));
        assert!(Config::parse("# nothing\n", Path::new("a.yaml")).unwrap().cloud.connections.is_empty());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, starts) in [
            ("connections:\n  prod: { profil: x }\n", "a.yaml:2:"),
            ("conections: {}\n", "a.yaml:1:1: unknown field `conections`"),
            ("max_staleness: soon\n", "a.yaml:1:1: max_staleness: \"soon\" is not a time"),
            ("default: 7\n", "a.yaml:1:10: default: invalid type"),
            ("default: [1\n", "a.yaml:"),
        ] {
            let failed = Config::parse(text, Path::new("a.yaml")).unwrap_err();
            assert_eq!(failed.exit, Exit::Content);
            assert!(failed.message.starts_with(starts), "{text:?}: {}", failed.message);
            assert!(failed.hint.is_some());
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let failed = Config::load(Some(Path::new("/nonexistent/assay.yaml"))).unwrap_err();
        assert_eq!(failed.exit, Exit::Io);
    }
}
