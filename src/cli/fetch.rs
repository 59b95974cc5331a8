//! Brings the files of a mod: copies a folder, or clones with the `git` program. Chooses versions among a repository's tags.

use crate::exit::{Exit, Failed};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a mod comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A folder.
    Folder(PathBuf),
    /// A repository and the version asked for; empty: the newest.
    Git { url: String, version: String },
    /// A repository's files as Powerpipe put them beside the mod that requires them.
    Beside { folder: PathBuf, url: String },
}

/// What was brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The tag or branch; empty for a folder.
    pub(crate) version: String,
    /// The commit; empty for a folder.
    pub(crate) commit: String,
}

impl Source {
    /// Reads `path`, `https://…[@version]`, `git@host:path[@version]` or `host.tld/path[@version]`.
    pub(crate) fn parse(text: &str) -> Result<Source, Failed> {
        let usage = |message: String| Failed::new(Exit::Usage, message).hint("give a folder, or a git URL with @version");
        if text.is_empty() || text.starts_with('-') {
            return Err(usage(format!("'{text}' is not the place of a mod")));
        }
        let path = Path::new(text);
        if path.is_dir() {
            let folder = path.canonicalize().map_err(|e| Failed::file("read", path, &e))?;
            return Ok(Source::Folder(folder));
        }
        // The last '@' belongs to the version if nothing of a path follows it.
        let (place, version) = match text.rsplit_once('@') {
            Some((place, version)) if !version.contains(['/', ':']) && !place.is_empty() => (place, version),
            _ => (text, ""),
        };
        if version.starts_with('-') {
            return Err(usage(format!("'{version}' is not a version")));
        }
        if Path::new(place).is_dir() {
            return Err(usage("a folder has no versions".to_owned()));
        }
        let host = place.split('/').next().unwrap_or_default();
        let url = if place.contains("://") || (host.contains('@') && place.contains(':')) {
            place.to_owned()
        } else if host.contains('.') && !host.starts_with('.') && place.contains('/') {
            format!("https://{place}")
        } else {
            return Err(Failed::new(Exit::Io, format!("there is no folder '{place}'")).hint("give a folder, or a git URL with @version"));
        };
        Ok(Source::Git { url, version: version.to_owned() })
    }

    /// As the lock file keeps it.
    pub(crate) fn place(&self) -> String {
        match self {
            Source::Folder(path) => path.display().to_string(),
            Source::Git { url, .. } | Source::Beside { url, .. } => url.clone(),
        }
    }

    /// The version asked for.
    pub(crate) fn requested(&self) -> &str {
        match self {
            Source::Folder(_) | Source::Beside { .. } => "",
            Source::Git { version, .. } => version,
        }
    }

    /// Puts the files into `to`, which does not exist yet.
    pub(crate) fn fetch(&self, to: &Path) -> Result<Fetched, Failed> {
        match self {
            Source::Folder(from) | Source::Beside { folder: from, .. } => copy(from, to).map(|()| Fetched::default()),
            Source::Git { url, version } => clone(url, version, to),
        }
    }
}

/// Copies a folder without what is hidden; links are left out, for they may lead anywhere.
fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(to).map_err(|e| Failed::file("create", to, &e))?;
    let entries = std::fs::read_dir(from).map_err(|e| Failed::file("read", from, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Failed::file("read", from, &e))?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type().map_err(|e| Failed::file("read", &source, &e))?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target).map_err(|e| Failed::file("copy", &source, &e))?;
        }
    }
    Ok(())
}

fn clone(url: &str, version: &str, to: &Path) -> Result<Fetched, Failed> {
    let named = name_of(url, version)?;
    let target = to.display().to_string();
    match &named {
        Some(name) => {
            git(&["clone", "--quiet", "--depth", "1", "--branch", name, "--", url, &target], url)?;
        }
        None if version.is_empty() => {
            git(&["clone", "--quiet", "--depth", "1", "--", url, &target], url)?;
        }
        // Neither a tag nor a branch: a commit, which is found only in the whole history.
        None => {
            git(&["clone", "--quiet", "--no-checkout", "--", url, &target], url)?;
            git(&["-C", &target, "checkout", "--quiet", "--detach", version], url).map_err(|_| {
                Failed::new(Exit::Content, format!("{url} has no version '{version}'"))
                    .hint("give a tag, a branch, a commit, or a range such as ^1.2")
            })?;
        }
    }
    let commit = git(&["-C", &target, "rev-parse", "HEAD"], url)?.trim().to_owned();
    let hidden = to.join(".git");
    std::fs::remove_dir_all(&hidden).map_err(|e| Failed::file("remove", &hidden, &e))?;
    Ok(Fetched { version: named.unwrap_or_default(), commit })
}

/// The tag or branch to take.
fn name_of(url: &str, version: &str) -> Result<Option<String>, Failed> {
    let listed = git(&["ls-remote", "--quiet", "--tags", "--heads", "--", url], url)?;
    let names = |kind: &'static str| {
        let refs = listed.lines().filter_map(move |l| l.split_whitespace().nth(1)?.strip_prefix(kind));
        refs.filter(|name| !name.ends_with("^{}")).map(str::to_owned).collect::<Vec<String>>()
    };
    let (tags, heads) = (names("refs/tags/"), names("refs/heads/"));
    if !version.is_empty() && version != "*" && version != "latest" {
        let prefixed = format!("v{version}");
        if let Some(exact) = [version, &prefixed].into_iter().find(|v| tags.iter().chain(&heads).any(|t| t == v)) {
            return Ok(Some(exact.to_owned()));
        }
    }
    let Some(range) = Range::parse(version) else { return Ok(None) };
    let fitting = tags.iter().filter_map(|t| Some((Version::parse(t)?, t))).filter(|(v, _)| range.allows(v));
    let best = fitting.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, t)| t.clone());
    match best {
        None if !version.is_empty() && version != "*" && version != "latest" && !version.chars().all(|c| c.is_ascii_hexdigit()) => {
            Err(Failed::new(Exit::Content, format!("{url} has no version '{version}'")).hint(match tags.last() {
                Some(tag) => format!("it has {} tags, such as {tag}", tags.len()),
                None => "it has no tags; give a branch or a commit".to_owned(),
            }))
        }
        best => Ok(best),
    }
}

/// Runs git without asking anybody anything, and over transports that only transport.
fn git(args: &[&str], url: &str) -> Result<String, Failed> {
    let done = Command::new("git")
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            Failed::new(Exit::Unavailable, format!("cannot run git: {}", crate::exit::io_text(&e))).hint("install git, or give a folder")
        })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&done.stderr);
    let why = text.lines().rev().find_map(|l| l.strip_prefix("fatal: ").or_else(|| l.strip_prefix("error: "))).unwrap_or("git failed");
    Err(Failed::new(Exit::Unavailable, format!("cannot get {url}: {why}"))
        .hint("check the URL, the network and your access with `git ls-remote`"))
}

/// A version of three numbers and what follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    /// How many were written.
    written: usize,
    pre: String,
}

impl Version {
    fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, pre) = text.split_once('+').map_or(text, |(t, _)| t).split_once('-').unwrap_or((text, ""));
        let mut numbers = [0; 3];
        let mut written = 0;
        for part in text.split('+').next()?.split('.') {
            *numbers.get_mut(written)? = part.parse().ok()?;
            written += 1;
        }
        Some(Version { numbers, written, pre: pre.to_owned() })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        // A release comes after its previews.
        let key = |v: &Version| (v.numbers, v.pre.is_empty());
        key(self).cmp(&key(other)).then_with(|| self.pre.cmp(&other.pre))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Conditions that all must hold: `^1.2`, `~1.2`, `>=1.0 <2`, `1`, `1.x`, `*`.
#[derive(Debug)]
struct Range(Vec<(&'static str, Version)>);

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let mut conditions = Vec::new();
        for part in text.split([',', ' ']).filter(|p| !matches!(*p, "" | "*" | "latest")) {
            let operator = [">=", "<=", "^", "~", ">", "<", "="].into_iter().find(|o| part.starts_with(o)).unwrap_or("");
            let number = part.strip_prefix(operator)?.trim_end_matches(".x").trim_end_matches(".*");
            conditions.push((operator, Version::parse(number)?));
        }
        Some(Range(conditions))
    }

    fn allows(&self, v: &Version) -> bool {
        let names_preview = self.0.iter().any(|(_, c)| !c.pre.is_empty());
        (v.pre.is_empty() || names_preview) && self.0.iter().all(|(operator, c)| one(operator, c, v))
    }
}

fn one(operator: &str, c: &Version, v: &Version) -> bool {
    let same = |n: usize| c.numbers[..n] == v.numbers[..n];
    match operator {
        ">=" => v >= c,
        ">" => v > c,
        "<=" => v <= c || same(c.written),
        "<" => v < c,
        // The first number that is not zero stays.
        "^" => v >= c && same(c.numbers.iter().position(|n| *n > 0).map_or(c.written, |i| i + 1).min(3)),
        "~" => v >= c && same(c.written.clamp(1, 2)),
        _ => same(c.written) && (c.written < 3 || c.pre == v.pre),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_versions() {
        let git = |url: &str, version: &str| Source::Git { url: url.into(), version: version.into() };
        for (text, want) in [
            ("https://example.com/a/b.git", git("https://example.com/a/b.git", "")),
            ("https://example.com/a/b@v1.2", git("https://example.com/a/b", "v1.2")),
            ("https://user@example.com/a/b", git("https://user@example.com/a/b", "")),
            ("git@example.com:a/b.git@^1", git("git@example.com:a/b.git", "^1")),
            ("git@example.com:a/b.git", git("git@example.com:a/b.git", "")),
            ("github.com/a/b@main", git("https://github.com/a/b", "main")),
            ("file:///x/y.git@v1", git("file:///x/y.git", "v1")),
        ] {
            assert_eq!(Source::parse(text).unwrap(), want, "{text}");
        }
        for (text, exit) in [
            ("", Exit::Usage),
            ("-x", Exit::Usage),
            ("nowhere", Exit::Io),
            ("./nowhere/at/all", Exit::Io),
            ("github.com/a/b@--x", Exit::Usage),
        ] {
            assert_eq!(Source::parse(text).unwrap_err().exit, exit, "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().display().to_string();
        assert!(matches!(Source::parse(&text).unwrap(), Source::Folder(_)));
        assert_eq!(Source::parse(&format!("{text}@v1")).unwrap_err().message, "a folder has no versions");
    }

    #[test]
    fn ranges() {
        for (range, version, want) in [
            ("", "v1.2.3", true),
            ("*", "0.1", true),
            ("*", "v2.0.0-rc.1", false),
            ("1", "v1.9.9", true),
            ("1", "v2.0.0", false),
            ("v1.2", "v1.2.7", true),
            ("1.x", "v1.3.0", true),
            ("1.2.3", "v1.2.3", true),
            ("1.2.3", "v1.2.4", false),
            ("^1.2", "v1.9.0", true),
            ("^1.2", "v1.1.0", false),
            ("^1.2", "v2.0.0", false),
            ("^0.3.1", "v0.3.9", true),
            ("^0.3.1", "v0.4.0", false),
            ("~1.2.3", "v1.2.9", true),
            ("~1.2.3", "v1.3.0", false),
            (">=1.0 <2", "v1.5.0", true),
            (">=1.0, <2", "v2.0.0", false),
            ("<=1", "v1.5.0", true),
            (">=2.0.0-rc.1", "v2.0.0-rc.2", true),
        ] {
            let range_is = Range::parse(range).unwrap();
            assert_eq!(range_is.allows(&Version::parse(version).unwrap()), want, "{range} {version}");
        }
        assert!(Range::parse("main").is_none() && Version::parse("release").is_none() && Version::parse("1.2.3.4").is_none());
        assert!(Version::parse("v1.10.0") > Version::parse("v1.9.0") && Version::parse("1.0.0-rc1") < Version::parse("1.0.0"));
    }
}
