//! `assay mod`: installs Powerpipe mods from folders and repositories, lists, updates and removes them.

use crate::args::ModVerb;
use crate::commands::list;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::fetch::Source;
use crate::mods::{self, Locked, Store};
use crate::output::Look;
use assay_compliance::{ContentError, Library, ModFolder, ModInfo, read_mod};
use assay_engine::EngineError;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Runs one of the verbs.
pub(crate) fn exec(console: Console, verb: &ModVerb) -> Result<Exit, Failed> {
    match verb {
        ModVerb::Install { sources } => install(console, sources),
        ModVerb::List { output } => {
            let rows = rows()?;
            let look = Look { format: *output, header: true, separator: b',', color: console.color_stdout };
            list::print(look, &["mod", "version", "controls", "benchmarks", "queries", "source", "folder"], &rows)?;
            Ok(Exit::Ok)
        }
        ModVerb::Update { names } => update(console, names),
        ModVerb::Uninstall { names } => uninstall(console, names),
    }
}

fn install(console: Console, sources: &[String]) -> Result<Exit, Failed> {
    let store = Store::current()?;
    let mut wanted: VecDeque<Source> = sources.iter().map(|s| Source::parse(s)).collect::<Result<_, _>>()?;
    if sources.is_empty() {
        let here = Path::new(".");
        if !mods::is_mod(here) {
            return Err(Failed::new(Exit::Usage, "there is nothing to install")
                .hint("give a folder or a git URL, or go to the folder of a mod to install what it requires"));
        }
        wanted.extend(requirements(&store, &read_mod(here)?)?);
        if wanted.is_empty() {
            console.note("everything the mod requires is installed");
        }
    }
    fetch_all(console, &store, wanted)?;
    Ok(Exit::Ok)
}

/// Installs mods and what they require.
fn fetch_all(console: Console, store: &Store, mut wanted: VecDeque<Source>) -> Result<(), Failed> {
    let mut done = BTreeSet::new();
    while let Some(source) = wanted.pop_front() {
        if !done.insert(source.place()) {
            continue;
        }
        let about = fetch(console, store, &source)?;
        let beside = if let Source::Folder(folder) = &source { mods::beside(folder) } else { Vec::new() };
        wanted.extend(requirements(store, &about)?.into_iter().map(|required| from_beside(required, &beside)));
    }
    Ok(())
}

/// A repository that Powerpipe has brought already need not be brought again.
fn from_beside(required: Source, beside: &[ModFolder]) -> Source {
    let Source::Git { url, .. } = &required else { return required };
    let bare = |source: &str| source.rsplit_once('@').map_or(source, |(place, _)| place).trim_end_matches(".git").to_owned();
    let wanted = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches(".git");
    match beside.iter().find(|m| m.source.as_deref().is_some_and(|s| bare(s) == wanted)) {
        Some(found) => Source::Beside { folder: found.folder.clone(), url: url.clone() },
        None => required,
    }
}

/// What a mod requires and the store does not have.
fn requirements(store: &Store, about: &ModInfo) -> Result<Vec<Source>, Failed> {
    let installed = store.locked()?;
    let mut out = Vec::new();
    for required in &about.requires {
        let version = if required.version == "*" { "" } else { &required.version };
        let text = if version.is_empty() { required.source.clone() } else { format!("{}@{version}", required.source) };
        let source = Source::parse(&text)?;
        if !installed.iter().any(|m| m.source == source.place()) {
            out.push(source);
        }
    }
    Ok(out)
}

/// Brings one mod, checks it, and puts it in the place of an older one.
fn fetch(console: Console, store: &Store, source: &Source) -> Result<ModInfo, Failed> {
    std::fs::create_dir_all(&store.folder).map_err(|e| Failed::file("create", &store.folder, &e))?;
    let fresh = Scratch(store.folder.join(format!(".new-{}", std::process::id())));
    fresh.clear()?;
    console.status(&format!("getting {}", source.place()));
    let fetched = source.fetch(&fresh.0);
    console.status("");
    let fetched = fetched?;
    check(console, store, &fresh.0)?;
    let about = read_mod(&fresh.0)?;
    if !mods::is_name(&about.name) {
        return Err(Failed::new(Exit::Content, format!("a mod cannot be called '{}'", about.name)));
    }
    if let Some(other) = store.locked()?.into_iter().find(|m| m.name == about.name && m.source != source.place()) {
        return Err(Failed::new(Exit::Content, format!("mod {} is installed from {}", other.name, other.source))
            .hint(format!("remove it first: `assay mod uninstall {}`", other.name)));
    }
    let place = store.of(&about.name);
    let old = Scratch(store.folder.join(format!(".old-{}", std::process::id())));
    old.clear()?;
    if place.exists() {
        std::fs::rename(&place, &old.0).map_err(|e| Failed::file("replace", &place, &e))?;
    }
    std::fs::rename(&fresh.0, &place).map_err(|e| Failed::file("create", &place, &e))?;
    let (version, commit) = (fetched.version, fetched.commit);
    let entry = Locked { name: about.name.clone(), source: source.place(), requested: source.requested().to_owned(), version, commit };
    console.note(&format!("installed {} in {}", described(&about, &entry), place.display()));
    store.remember(entry)?;
    about.notice.iter().for_each(|n| console.notice(n));
    Ok(ModInfo { folder: place, ..about })
}

/// Looks a mod over: what is wrong with it is said at once, and errors end the installation.
fn check(console: Console, store: &Store, folder: &Path) -> Result<(), Failed> {
    let mut folders = vec![ModFolder { folder: folder.to_owned(), source: None }];
    for entry in store.locked()? {
        let other = store.of(&entry.name);
        if mods::is_mod(&other) {
            folders.push(ModFolder { folder: other, source: Some(entry.source) });
        }
    }
    let syntax = |sql: &str| match assay_engine::check_syntax(sql) {
        Err(EngineError::Sql { message, at, .. }) => Err((at, message)),
        Err(other) => Err((None, other.to_string())),
        Ok(()) => Ok(()),
    };
    // Installed ones that are bad by now do not keep another from being installed.
    let library = Library::embedded();
    let checked = library.check_mod(&folders, &syntax).or_else(|_| library.check_mod(&folders[..1], &syntax))?;
    // Files are named as they are in the mod, not where they lie for the moment.
    let root = format!("{}/", folder.display());
    checked.warnings.iter().for_each(|w| console.warning(&w.replace(&root, "")));
    if checked.errors.is_empty() {
        return Ok(());
    }
    let shown = |text: &str| text.replace(&root, "");
    let errors = checked.errors.into_iter().map(|e| ContentError {
        file: shown(&e.file),
        hint: e.hint.as_deref().map(shown),
        message: shown(&e.message),
        ..e
    });
    Err(Failed::several(errors.collect()))
}

fn described(about: &ModInfo, entry: &Locked) -> String {
    let version = shown_version(entry);
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    format!("{}{version} ({} controls, {} benchmarks)", about.name, about.controls, about.benchmarks)
}

fn shown_version(entry: &Locked) -> String {
    let short: String = entry.commit.chars().take(12).collect();
    match (entry.version.as_str(), short.as_str()) {
        ("", short) => short.to_owned(),
        (version, _) => version.to_owned(),
    }
}

fn update(console: Console, names: &[String]) -> Result<Exit, Failed> {
    let store = Store::current()?;
    let mut wanted = VecDeque::new();
    for entry in chosen(&store, names)? {
        let text = if entry.requested.is_empty() { entry.source.clone() } else { format!("{}@{}", entry.source, entry.requested) };
        wanted.push_back(Source::parse(&text)?);
    }
    if wanted.is_empty() {
        console.note("no mods are installed");
    }
    fetch_all(console, &store, wanted)?;
    Ok(Exit::Ok)
}

fn uninstall(console: Console, names: &[String]) -> Result<Exit, Failed> {
    let store = Store::current()?;
    for entry in chosen(&store, names)? {
        let folder = store.of(&entry.name);
        store.forget(&entry.name)?;
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Failed::file("remove", &folder, &e)),
            _ => console.note(&format!("removed {}", entry.name)),
        }
    }
    Ok(Exit::Ok)
}

/// The entries of these names; without names all.
fn chosen(store: &Store, names: &[String]) -> Result<Vec<Locked>, Failed> {
    let installed = store.locked()?;
    if names.is_empty() {
        return Ok(installed);
    }
    names
        .iter()
        .map(|name| {
            installed.iter().find(|m| m.name == *name).cloned().ok_or_else(|| {
                let known: Vec<&str> = installed.iter().map(|m| m.name.as_str()).collect();
                let hint =
                    if known.is_empty() { "no mods are installed here".to_owned() } else { format!("installed: {}", known.join(", ")) };
                Failed::new(Exit::Content, format!("mod '{name}' is not installed in {}", store.folder.display())).hint(hint)
            })
        })
        .collect()
}

/// All mods that commands see, also the one of the working directory.
fn rows() -> Result<Vec<Vec<String>>, Failed> {
    let folders = mods::folders()?;
    let locked: Vec<Locked> = Store::all().iter().map(Store::locked).collect::<Result<Vec<_>, _>>()?.concat();
    let mut rows = Vec::new();
    for ModFolder { folder, .. } in folders {
        let about = read_mod(&folder)?;
        let entry = locked.iter().find(|m| folder.ends_with(Path::new("mods").join(&m.name)));
        let (version, source) = entry.map(|m| (shown_version(m), m.source.clone())).unwrap_or_default();
        rows.push(vec![
            about.name,
            version,
            about.controls.to_string(),
            about.benchmarks.to_string(),
            about.queries.to_string(),
            source,
            folder.display().to_string(),
        ]);
    }
    Ok(rows)
}

/// What should be said about the mods of a library.
pub(crate) fn notices(console: Console, library: &Library) {
    library.mods().notices.iter().for_each(|n| console.notice(n));
}

/// A folder that is gone when it goes out of scope.
struct Scratch(PathBuf);

impl Scratch {
    fn clear(&self) -> Result<(), Failed> {
        match std::fs::remove_dir_all(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failed::file("remove", &self.0, &e)),
            _ => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
