//! Folders of the XDG base directory specification: where configuration, mods, history and kept answers live.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `$XDG_CONFIG_HOME/assay` or `~/.config/assay`.
pub(crate) fn config() -> Option<PathBuf> {
    base(std::env::var_os("XDG_CONFIG_HOME"), home(), ".config")
}

/// `$XDG_DATA_HOME/assay` or `~/.local/share/assay`.
pub(crate) fn data() -> Option<PathBuf> {
    base(std::env::var_os("XDG_DATA_HOME"), home(), ".local/share")
}

/// `$XDG_STATE_HOME/assay` or `~/.local/state/assay`.
pub(crate) fn state() -> Option<PathBuf> {
    base(std::env::var_os("XDG_STATE_HOME"), home(), ".local/state")
}

/// `$XDG_CACHE_HOME/assay` or `~/.cache/assay`.
pub(crate) fn cache() -> Option<PathBuf> {
    base(std::env::var_os("XDG_CACHE_HOME"), home(), ".cache")
}

/// The user's folder. One that is not there, as service accounts have it, is not made.
fn home() -> Option<OsString> {
    std::env::var_os("HOME").filter(|home| Path::new(home).is_dir())
}

/// Relative paths in XDG variables are invalid and ignored, as the specification says.
fn base(xdg: Option<OsString>, home: Option<OsString>, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|p| p.is_absolute());
    xdg.and_then(absolute).or_else(|| home.and_then(absolute).map(|h| h.join(below_home))).map(|dir| dir.join("assay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_wins_over_home_and_relative_paths_count_for_nothing() {
        let os = |s: &str| Some(OsString::from(s));
        for (xdg, home, expected) in [
            (os("/x"), os("/h"), Some("/x/assay")),
            (os("x"), os("/h"), Some("/h/.config/assay")),
            (None, os("/h"), Some("/h/.config/assay")),
            (os(""), os(""), None),
            (None, None, None),
        ] {
            assert_eq!(base(xdg, home, ".config"), expected.map(PathBuf::from));
        }
    }
}
