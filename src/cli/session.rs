//! The object graph of one process: configuration, cloud, catalog, engine. Built on demand, and nothing in it makes a call.

use crate::args::Global;
use crate::config::Config;
use crate::console::Console;
use crate::demo;
use crate::exit::{Exit, Failed};
use crate::mods;
use crate::statistics;
use assay_cloud::{Bundle, Cloud, DiskCache, Mode, Options};
use assay_compliance::Library;
use assay_engine::shapes::ModelShapes;
use assay_engine::{Engine, Settings};
use assay_tables::Catalog;
use chrono::{DateTime, Utc};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Ceiling for calls in flight. Each needs a socket, and 1,024 open files is the usual limit of a process.
const MAX_IN_FLIGHT: usize = 256;

/// How long answers are reused if nobody says more.
const CACHE_TTL: Duration = Duration::from_secs(300);

/// Everything a command that runs SQL needs.
#[derive(Debug)]
pub(crate) struct Session {
    /// The terminal.
    pub(crate) console: Console,
    /// What the configuration file says.
    pub(crate) config: Config,
    /// Answers calls.
    pub(crate) cloud: Cloud,
    /// Tables.
    pub(crate) catalog: Arc<Catalog>,
    /// Runs SQL.
    pub(crate) engine: Engine,
    /// How long answers are reused.
    pub(crate) cache_ttl: Duration,
    /// Where answers are kept for the next run, if they are.
    pub(crate) disk: Option<DiskCache>,
}

impl Session {
    /// Builds the graph as the global options say; statements see no secret.
    pub(crate) async fn open(global: &Global, console: Console) -> Result<Session, Failed> {
        Session::showing(global, console, false, Some(Utc::now())).await
    }

    /// The same without answers of earlier runs, for commands that must see how it is now.
    pub(crate) async fn today(global: &Global, console: Console) -> Result<Session, Failed> {
        Session::open(&Global { disk_cache: Some(false), ..global.clone() }, console).await
    }

    /// Builds the graph; with `secrets`, statements see the secret columns that they name. Answers that were asked for before `since` are
    /// named as older; `None`: those from before each statement.
    pub(crate) async fn showing(global: &Global, console: Console, secrets: bool, since: Option<DateTime<Utc>>) -> Result<Session, Failed> {
        let config = if global.demo { Config::default() } else { Config::load(global.config.as_deref())? };
        let mode = if global.demo {
            Mode::Replay(Arc::new(demo::bundle()?))
        } else if let Some(path) = &global.replay {
            Mode::Replay(Arc::new(Bundle::read(path)?))
        } else if let Some(path) = &global.record {
            writable_place(path)?;
            Mode::Record(path.clone())
        } else {
            Mode::Live
        };
        // A recording brings its own connections.
        let connections = if matches!(mode, Mode::Replay(_)) { assay_cloud::Config::default() } else { config.cloud.clone() };
        let on_disk = matches!(mode, Mode::Live) && global.disk_cache.unwrap_or(config.cache.disk);
        let disk = if on_disk { Some(config.cache.place()?) } else { None };
        let cache_ttl = global.cache_ttl.or(config.cache.ttl).unwrap_or(CACHE_TTL);
        let connections = assay_cloud::Config { disk: disk.clone(), ..connections };
        let options = Options { config: connections, mode, cache_ttl, max_in_flight: MAX_IN_FLIGHT };
        let cloud = Cloud::open(options).await?;
        let catalog = Arc::new(catalog(&config)?);
        // A recording tells by itself what it costs.
        let statistics = if cloud.is_replay() { Arc::default() } else { statistics::load(&console) };
        let settings = Settings {
            search_path: global.connection.clone(),
            secrets,
            memory: global.memory_limit,
            asked_since: since,
            statistics: Some(statistics),
            max_staleness: global.max_staleness.unwrap_or(config.max_staleness),
            statement_timeout: Some(global.query_timeout).filter(|time| !time.is_zero()),
        };
        let engine = Engine::new(cloud.clone(), Arc::clone(&catalog), settings)?;
        Ok(Session { console, config, cloud, catalog, engine, cache_ttl, disk })
    }

    /// Writes what is to be kept: answers on disk, the bundle of a recording.
    pub(crate) fn finish(&self) -> Result<(), Failed> {
        self.cloud.finish_cache().iter().for_each(|notice| self.console.notice(notice));
        Ok(self.cloud.finish_recording()?)
    }
}

/// The embedded tables and those of the configuration's folders.
pub(crate) fn catalog(config: &Config) -> Result<Catalog, Failed> {
    let mut catalog = Catalog::embedded();
    for folder in &config.tables {
        catalog.add_folder(folder)?;
    }
    catalog.check_added(&ModelShapes)?;
    Ok(catalog)
}

/// The embedded controls and benchmarks, those of the configuration's folders, and mods with these variables (`name=value`).
pub(crate) fn library(config: &Config, vars: &[String]) -> Result<Library, Failed> {
    let mut library = Library::embedded();
    let mods = mods::folders()?;
    let values = if mods.is_empty() { Vec::new() } else { mods::values(vars)? };
    library.load_content(&config.controls, &mods, &values)?;
    Ok(library)
}

/// Is the folder of a file there? Asked before long work whose result would be lost.
pub(crate) fn writable_place(path: &Path) -> Result<(), Failed> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Failed::new(Exit::Io, format!("cannot write {}: it is a folder", path.display())));
    }
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Failed::new(Exit::Io, format!("cannot write {}: {} is not a folder", path.display(), folder.display()))),
        Err(error) => Err(Failed::file("write", path, &error)),
    }
}
