//! `assay.yaml`: where it is found, and what is in it. Unknown keys and wrong types are errors with their place.

use crate::args;
use crate::dirs;
use crate::exit::{Exit, Failed};
use assay_cloud::{ConnectionConfig, DiskCache, KeySource};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
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
    /// How answers are kept.
    pub(crate) cache: Cache,
    /// How old what is shown may be.
    pub(crate) max_staleness: Duration,
}

/// How answers are kept: `cache` of the configuration, as far as it says something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// On disk for the next run too?
    pub(crate) disk: bool,
    /// How long they are reused.
    #[serde(deserialize_with = "ttl")]
    pub(crate) ttl: Option<Duration>,
    #[serde(deserialize_with = "bytes")]
    max_size: Option<u64>,
    #[serde(deserialize_with = "key")]
    key: Option<Key>,
    path: Option<PathBuf>,
}

/// Where the key of the disk comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Os,
    File(PathBuf),
}

/// What a connection may keep on disk if nobody says more.
const MAX_SIZE: u64 = 256 << 20;

/// The parser names a place, but not always the key.
fn keyed<E: Error>(key: &str, why: &str) -> E {
    E::custom(format!("{key}: {why}"))
}

fn ttl<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Duration>, D::Error> {
    args::duration(&scalar(from)?).map(Some).map_err(|e| keyed("ttl", &e))
}

fn staleness<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Duration>, D::Error> {
    args::duration(&scalar(from)?).map(Some).map_err(|e| keyed("max_staleness", &e))
}

fn bytes<'d, D: Deserializer<'d>>(from: D) -> Result<Option<u64>, D::Error> {
    args::size(&scalar(from)?).map(|bytes| Some(bytes as u64)).map_err(|e| keyed("max_size", &e))
}

fn key<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Key>, D::Error> {
    let text = scalar(from)?;
    match text.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Ok(Some(Key::File(path.into()))),
        _ if text == "os" => Ok(Some(Key::Os)),
        _ => Err(D::Error::custom(format!("key: \"{text}\" is not where a key comes from: write os or file:PATH"))),
    }
}

/// Text, or a number as text: `ttl: 300` and `ttl: 5m`.
fn scalar<'d, D: Deserializer<'d>>(from: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(from)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        other => Err(D::Error::custom(format!("{other} is neither a text nor a number"))),
    }
}

impl Cache {
    /// Where answers are kept on disk, if they are.
    pub(crate) fn place(&self) -> Result<DiskCache, Failed> {
        let nowhere = |what: &str, fix: &str| {
            Failed::new(Exit::Usage, format!("there is no folder for {what}: neither HOME nor an XDG variable is set")).hint(fix)
        };
        let folder = match &self.path {
            Some(path) => path.clone(),
            None => dirs::cache()
                .map(|dir| dir.join("answers"))
                .ok_or_else(|| nowhere("the cache", "set `cache: { path: FOLDER }` in assay.yaml"))?,
        };
        let key = match &self.key {
            Some(Key::Os) => KeySource::Os,
            Some(Key::File(path)) => KeySource::File(path.clone()),
            None => KeySource::Any(
                dirs::data()
                    .map(|dir| dir.join("cache.key"))
                    .ok_or_else(|| nowhere("the cache's key", "set `cache: { key: file:PATH }` in assay.yaml"))?,
            ),
        };
        Ok(DiskCache { folder, max_bytes: self.max_size.unwrap_or(MAX_SIZE), key })
    }

    /// Paths are relative to the folder of the file that names them.
    fn below(self, folder: &Path) -> Cache {
        let key = self.key.map(|key| match key {
            Key::File(path) => Key::File(folder.join(path)),
            Key::Os => Key::Os,
        });
        Cache { path: self.path.map(|path| folder.join(path)), key, ..self }
    }
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
    cache: Cache,
    #[serde(deserialize_with = "staleness")]
    max_staleness: Option<Duration>,
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
            cloud: assay_cloud::Config { connections: written.connections, default: written.default, limits: written.limits, disk: None },
            tables: absolute(written.tables),
            controls: absolute(written.controls),
            cache: written.cache.below(folder),
            max_staleness: written.max_staleness.unwrap_or_default(),
        })
    }
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
        assert!(!config.cache.disk && config.cache.ttl.is_none());
        assert_eq!(config.max_staleness, Duration::from_secs(14_400));
        assert!(Config::parse("# nothing\n", Path::new("a.yaml")).unwrap().cloud.connections.is_empty());
    }

    #[test]
    fn the_cache_is_read_with_its_paths() {
        let text = "cache: { disk: true, ttl: 300, max_size: 64MiB, key: \"file:keys/cache\", path: /var/cache/assay }\n";
        let cache = Config::parse(text, Path::new("/etc/assay.yaml")).unwrap().cache;
        assert!(cache.disk && cache.ttl == Some(Duration::from_secs(300)));
        let key = KeySource::File("/etc/keys/cache".into());
        assert_eq!(cache.place().unwrap(), DiskCache { folder: "/var/cache/assay".into(), max_bytes: 64 << 20, key });
        let cache = Config::parse("cache: { key: os, path: kept }\n", Path::new("/etc/assay.yaml")).unwrap().cache;
        assert_eq!(cache.place().unwrap(), DiskCache { folder: "/etc/kept".into(), max_bytes: MAX_SIZE, key: KeySource::Os });
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, starts) in [
            ("connections:\n  prod: { profil: x }\n", "a.yaml:2:"),
            ("conections: {}\n", "a.yaml:1:1: unknown field `conections`"),
            ("cache: { ttl: soon }\n", "a.yaml:1:8: cache: ttl: \"soon\" is not a time"),
            ("cache: { max_size: -1 }\n", "a.yaml:1:8: cache: max_size: "),
            ("cache: { key: mine }\n", "a.yaml:1:8: cache: key: \"mine\" is not where a key comes from"),
            ("cache: { disc: true }\n", "a.yaml:1:"),
            ("max_staleness: soon\n", "a.yaml:1:"),
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
