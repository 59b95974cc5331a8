//! `assay cache`: what is kept on disk, and removing it. Asks no cloud.

use crate::args::{CacheVerb, Global};
use crate::commands::list;
use crate::config::Config;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::output::{Format, Look};
use assay_cloud::{DiskCache, StoreStatus};

/// Runs the command.
pub(crate) fn exec(global: &Global, console: Console, verb: &CacheVerb) -> Result<Exit, Failed> {
    let config = Config::load(global.config.as_deref())?;
    let place = config.cache.place()?;
    match verb {
        CacheVerb::Status { output } => {
            let on = global.disk_cache.unwrap_or(config.cache.disk);
            status(&place, on, &global.connection, *output, console)?;
        }
        CacheVerb::Clear => console.note(&cleared(&clear(&place, &global.connection)?)),
    }
    Ok(Exit::Ok)
}

fn status(place: &DiskCache, on: bool, connections: &[String], format: Format, console: Console) -> Result<(), Failed> {
    let mut stores = place.status().map_err(|e| Failed::file("read", &place.folder, &e))?;
    stores.retain(|store| connections.is_empty() || connections.contains(&store.connection));
    let rows: Vec<Vec<String>> = stores
        .iter()
        .map(|store| {
            let oldest = store.oldest.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
            vec![store.connection.clone(), store.entries.to_string(), store.bytes.to_string(), oldest, store.folder.display().to_string()]
        })
        .collect();
    let look = Look { format, header: true, separator: b',', color: console.color_stdout };
    list::print(look, &["connection", "entries", "bytes", "oldest", "path"], &rows)?;
    console.note(&settings(place, on));
    Ok(())
}

/// Is it on, how much may there be, and under which key.
pub(crate) fn settings(place: &DiskCache, on: bool) -> String {
    let on = if on { "on" } else { "off" };
    format!("disk: {on}; folder: {}; at most {} MiB a connection; key: {}", place.folder.display(), place.max_bytes >> 20, place.key_text())
}

fn clear(place: &DiskCache, connections: &[String]) -> Result<Vec<StoreStatus>, Failed> {
    place.clear(connections).map_err(|e| Failed::file("clear", &place.folder, &e))
}

fn cleared(stores: &[StoreStatus]) -> String {
    let (entries, bytes) = stores.iter().fold((0, 0), |(n, b), store| (n + store.entries, b + store.bytes));
    let answers = if entries == 1 { "1 answer".to_owned() } else { format!("{entries} answers") };
    format!("removed {answers}, {bytes} bytes")
}

/// Forgets what is kept on disk: what a command has changed in a cloud is not to be shown as it was.
pub(crate) fn forget(global: &Global, console: Console) {
    let cleared = Config::load(global.config.as_deref()).and_then(|config| config.cache.place()).and_then(|place| clear(&place, &[]));
    if let Err(failed) = cleared {
        console.warning(&format!("answers that are kept on disk may be older than the change: {failed}"));
    }
}
