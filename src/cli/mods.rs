//! Where mods are: the store of a project or of the user with its lock file, and the mod in the working directory.
//! Refuses: what is in a mod.

use crate::dirs;
use crate::exit::{Exit, Failed};
use crate::export;
use assay_compliance::{ModFolder, ModValue, read_mod_values};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The lock file of a store.
const LOCK: &str = "lock.json";

/// Mods that Powerpipe installed are this many folders below `.powerpipe/mods` at most.
const VENDORED_DEPTH: usize = 6;

/// A mod as the lock file remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locked {
    /// Its name, which is also its folder's.
    pub(crate) name: String,
    /// A folder or a URL, without the version.
    pub(crate) source: String,
    /// The version that was asked for; empty: the newest.
    #[serde(default)]
    pub(crate) requested: String,
    /// The tag or branch that was taken; empty for a folder.
    #[serde(default)]
    pub(crate) version: String,
    /// The commit; empty for a folder.
    #[serde(default)]
    pub(crate) commit: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct LockFile {
    mods: Vec<Locked>,
}

/// A folder of installed mods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) folder: PathBuf,
}

impl Store {
    /// The store new mods go to: the project's, else the user's.
    pub(crate) fn current() -> Result<Store, Failed> {
        let here = std::env::current_dir().map_err(|e| Failed::file("read", Path::new("."), &e))?;
        project(&here).map(Store::of_project).or_else(Store::of_user).ok_or_else(|| {
            Failed::new(Exit::Io, "there is no place for mods").hint("set HOME or XDG_DATA_HOME, or make a folder .assay here")
        })
    }

    fn of_project(folder: &Path) -> Store {
        Store { folder: folder.join(".assay/mods") }
    }

    fn of_user() -> Option<Store> {
        Some(Store { folder: dirs::data()?.join("mods") })
    }

    /// Stores in the order they are searched.
    pub(crate) fn all() -> Vec<Store> {
        let here = std::env::current_dir().ok();
        let mut stores: Vec<Store> = here.as_deref().and_then(project).map(Store::of_project).into_iter().collect();
        stores.extend(Store::of_user());
        stores
    }

    /// The folder of a mod.
    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What is installed, by name.
    pub(crate) fn locked(&self) -> Result<Vec<Locked>, Failed> {
        let path = self.folder.join(LOCK);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Failed::file("read", &path, &e)),
        };
        let file: LockFile = serde_json::from_str(&text).map_err(|e| bad_lock(&path, e.line(), e.column()))?;
        // The name becomes a path.
        if file.mods.iter().any(|m| !is_name(&m.name)) {
            return Err(bad_lock(&path, 1, 1));
        }
        Ok(file.mods)
    }

    /// Remembers a mod, in place of another of that name.
    pub(crate) fn remember(&self, entry: Locked) -> Result<(), Failed> {
        let mut mods = self.locked()?;
        mods.retain(|m| m.name != entry.name);
        mods.push(entry);
        self.write(mods)
    }

    /// Forgets a mod.
    pub(crate) fn forget(&self, name: &str) -> Result<(), Failed> {
        let mut mods = self.locked()?;
        mods.retain(|m| m.name != name);
        self.write(mods)
    }

    fn write(&self, mut mods: Vec<Locked>) -> Result<(), Failed> {
        mods.sort_by(|a, b| a.name.cmp(&b.name));
        let mut text = serde_json::to_string_pretty(&LockFile { mods }).map_err(|e| Failed::internal(&e.to_string()))?;
        text.push('\n');
        export::write(&self.folder.join(LOCK), text.as_bytes())
    }
}

fn bad_lock(path: &Path, line: usize, column: usize) -> Failed {
    Failed::new(Exit::Content, format!("{}:{line}:{column}: this is no list of installed mods", path.display()))
        .hint("remove the file and install the mods again")
}

/// Can it be a mod's name, and so a folder's?
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') && !name.starts_with('-')
}

/// The nearest folder upward that is a project: it has a configuration, a folder `.assay` or a mod.
fn project(start: &Path) -> Option<&Path> {
    let marks = |dir: &Path| dir.join("assay.yaml").is_file() || dir.join(".assay").is_dir() || is_mod(dir);
    start.ancestors().find(|dir| marks(dir))
}

/// Is there a mod in this folder?
pub(crate) fn is_mod(folder: &Path) -> bool {
    ["mod.pp", "mod.sp"].iter().any(|name| folder.join(name).is_file())
}

/// All folders of mods that commands see: the one of the working directory with what Powerpipe installed for it, then the stores.
pub(crate) fn folders() -> Result<Vec<ModFolder>, Failed> {
    let mut out = Vec::new();
    let here = Path::new(".");
    if is_mod(here) {
        out.push(ModFolder { folder: std::env::current_dir().map_err(|e| Failed::file("read", here, &e))?, source: None });
        out.extend(beside(here));
    }
    let mut seen = BTreeSet::new();
    for store in Store::all() {
        for entry in store.locked()? {
            let folder = store.of(&entry.name);
            if !is_mod(&folder) {
                return Err(Failed::new(Exit::Content, format!("mod {} is not in {}", entry.name, folder.display()))
                    .hint(format!("install it again: `assay mod update {0}`, or forget it: `assay mod uninstall {0}`", entry.name)));
            }
            if seen.insert(entry.name) {
                out.push(ModFolder { folder, source: Some(entry.source) });
            }
        }
    }
    Ok(out)
}

/// What Powerpipe installed for the mod in a folder.
pub(crate) fn beside(folder: &Path) -> Vec<ModFolder> {
    let mut out = Vec::new();
    for hidden in [".powerpipe/mods", ".steampipe/mods"] {
        vendored_below(&folder.join(hidden), Path::new(""), VENDORED_DEPTH, &mut out);
    }
    out
}

fn vendored_below(root: &Path, below: &Path, depth: usize, out: &mut Vec<ModFolder>) {
    let folder = root.join(below);
    if is_mod(&folder) {
        out.push(ModFolder { folder, source: Some(below.display().to_string()) });
        return;
    }
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    let mut names: Vec<_> = entries.flatten().filter(|e| e.path().is_dir()).map(|e| e.file_name()).collect();
    names.sort();
    if depth > 0 {
        names.iter().for_each(|name| vendored_below(root, &below.join(name), depth - 1, out));
    }
}

/// Values for the variables of mods, the later wins: environment, files in the working directory, command line.
pub(crate) fn values(vars: &[String]) -> Result<Vec<ModValue>, Failed> {
    let mut out = Vec::new();
    for prefix in ["SP_VAR_", "PP_VAR_"] {
        let mut found: Vec<ModValue> = std::env::vars_os()
            .filter_map(|(k, v)| {
                let (key, text) = (k.into_string().ok()?, v.into_string().ok()?);
                let name = key.strip_prefix(prefix)?.to_owned();
                Some(ModValue { name, text, origin: key })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        out.extend(found);
    }
    for (main, suffix) in [("steampipe.spvars", ".auto.spvars"), ("powerpipe.ppvars", ".auto.ppvars")] {
        let mut names: Vec<String> = std::fs::read_dir(".")
            .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        names.retain(|name| name == main || name.ends_with(suffix));
        // The file with the fixed name comes first.
        names.sort_by_key(|name| (name != main, name.clone()));
        for name in names {
            out.extend(read_mod_values(Path::new(&name))?);
        }
    }
    for var in vars {
        // What is not name=value is refused where a run is planned.
        if let Some((name, text)) = var.split_once('=') {
            out.push(ModValue { name: name.trim().to_owned(), text: text.to_owned(), origin: "--var".to_owned() });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_keeps_its_order_and_refuses_paths() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store { folder: dir.path().to_owned() };
        assert_eq!(store.locked().unwrap(), []);
        let entry = |name: &str, version: &str| Locked {
            name: name.into(),
            source: "https://example.com/x.git".into(),
            requested: String::new(),
            version: version.into(),
            commit: String::new(),
        };
        store.remember(entry("b", "v1")).unwrap();
        store.remember(entry("a", "v1")).unwrap();
        store.remember(entry("b", "v2")).unwrap();
        assert_eq!(store.locked().unwrap(), [entry("a", "v1"), entry("b", "v2")]);
        store.forget("a").unwrap();
        assert_eq!(store.locked().unwrap(), [entry("b", "v2")]);
        for text in ["{", "{\"mods\":[{\"name\":\"../x\",\"source\":\"y\"}]}"] {
            std::fs::write(dir.path().join(LOCK), text).unwrap();
            assert_eq!(store.locked().unwrap_err().exit, Exit::Content, "{text}");
        }
    }

    #[test]
    fn a_project_is_the_nearest_folder_with_a_mark() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join("assay.yaml"), "").unwrap();
        assert_eq!(project(&deep), Some(root.path()));
        std::fs::write(root.path().join("a/mod.pp"), "").unwrap();
        assert_eq!(project(&deep), Some(root.path().join("a").as_path()));
        std::fs::create_dir(deep.join(".assay")).unwrap();
        assert_eq!(project(&deep), Some(deep.as_path()));
    }
}
