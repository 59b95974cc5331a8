//! Programs that get a secret on their standard input: found beforehand, started without a shell, with no secret in their arguments or their
//! environment, and with a time limit. Refuses to show what they print if it may hold a part of the secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use zeroize::{Zeroize, Zeroizing};

/// More output than this is nobody's answer.
const MOST_OUTPUT: u64 = 1 << 20;
/// The longest message of a program that is passed on.
const LONGEST_MESSAGE: usize = 300;
/// As many characters of a secret in a row are a part of it.
const WINDOW: usize = 6;

/// Parts of the names of variables that hold secrets.
const SECRET_NAMES: &[&str] = &[
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "ACCESS_KEY",
    "ACCOUNT_KEY",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "CONNECTION_STRING",
    "IDENTITY_HEADER",
];

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    /// Variables it may have although their names look secret.
    env: Vec<String>,
    limit: Duration,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    /// May hold anything.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

impl Program {
    /// Finds a program as a shell would: by its path, or in the folders of `PATH`.
    ///
    /// # Errors
    /// It is not there, or cannot be executed.
    pub(crate) fn find(name: &str) -> Result<PathBuf, String> {
        Program::find_in(name, std::env::var_os("PATH"))
    }

    pub(crate) fn find_in(name: &str, folders: Option<OsString>) -> Result<PathBuf, String> {
        if name.contains('/') {
            return executable(Path::new(name)).map(|()| PathBuf::from(name)).map_err(|why| format!("the program {name} {why}"));
        }
        let mut found = None;
        for folder in std::env::split_paths(&folders.unwrap_or_default()).filter(|f| f.is_absolute()) {
            let path = folder.join(name);
            match executable(&path) {
                Ok(()) => return Ok(path),
                Err(why) if path.is_file() => found = found.or(Some(format!("the program {} {why}", path.display()))),
                Err(_) => {}
            }
        }
        Err(found.unwrap_or_else(|| format!("there is no program {name} in the folders of PATH")))
    }

    pub(crate) fn new(path: PathBuf, arguments: Vec<String>, env: Vec<String>, limit: Duration) -> Program {
        Program { path, arguments, env, limit }
    }

    /// Runs it with this on its standard input.
    ///
    /// # Errors
    /// One line without anything that the program printed.
    pub(crate) async fn run(&self, input: &str) -> Result<Output, String> {
        let name = self.path.display();
        let mut command = tokio::process::Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(environment(&self.env, std::env::vars_os()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let work = async {
            let give = async {
                let Some(mut stdin) = stdin else { return Err(io::Error::other("it has no standard input")) };
                stdin.write_all(input.as_bytes()).await?;
                stdin.shutdown().await
            };
            let (given, stdout, stderr, status) = tokio::join!(give, read(stdout), read(stderr), child.wait());
            (given, stdout, stderr, status)
        };
        let done = tokio::time::timeout(self.limit, work).await;
        let Ok((given, stdout, stderr, status)) = done else {
            // Dropping it kills it; waiting for that leaves no zombie.
            let _ = child.kill().await;
            return Err(format!(
                "{name} did not end within {} s and was killed: whether it stored the secret is not known",
                self.limit.as_secs()
            ));
        };
        let status = status.map_err(|e| format!("{name} cannot be waited for: {e}"))?;
        let output =
            Output { status, stdout: stdout.map_err(|e| format!("{name}: {e}"))?, stderr: stderr.map_err(|e| format!("{name}: {e}"))? };
        match given {
            // A program that fails may close its input early; its status says more.
            Err(e) if output.status.success() => Err(format!("{name} ended well, but did not read its standard input to the end: {e}")),
            _ => Ok(output),
        }
    }
}

impl Output {
    /// Why it failed: its status, and its own words where they hold nothing of the secret.
    pub(crate) fn reason(&self, secrets: &[&str]) -> String {
        let status = match self.status.code() {
            Some(code) => format!("it ended with status {code}"),
            None => "it was ended by a signal".to_owned(),
        };
        match message(&self.stderr, secrets) {
            Ok(text) if text.is_empty() => status,
            Ok(text) => format!("{status}: {text}"),
            Err(()) => format!("{status}; what it printed is not shown: it may hold parts of the secret"),
        }
    }
}

/// The last line of what a program printed, or nothing if any of it looks like a part of a secret in whatever coding.
fn message(printed: &[u8], secrets: &[&str]) -> Result<String, ()> {
    let text = Zeroizing::new(String::from_utf8_lossy(printed).into_owned());
    if secrets.iter().any(|secret| holds(&text, secret)) {
        return Err(());
    }
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    Ok(line.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect())
}

/// Does the text hold a part of the secret: as it is, reversed, in base64 or in hexadecimal, with whatever between its characters?
fn holds(text: &str, secret: &str) -> bool {
    let plain: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect());
    let mut forms: Vec<Zeroizing<String>> = vec![
        Zeroizing::new(secret.to_owned()),
        Zeroizing::new(secret.chars().rev().collect()),
        Zeroizing::new(secret.bytes().map(|b| format!("{b:02x}")).collect()),
    ];
    for skipped in 0..3.min(secret.len()) {
        let Some(rest) = secret.as_bytes().get(skipped..) else { continue };
        forms.extend([STANDARD.encode(rest), STANDARD_NO_PAD.encode(rest), URL_SAFE.encode(rest)].map(Zeroizing::new));
    }
    forms.iter().any(|form| {
        let form: Zeroizing<Vec<u8>> =
            Zeroizing::new(form.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).collect());
        let short = form.len() < WINDOW;
        let mut windows = form.windows(WINDOW.min(form.len()).max(1));
        !form.is_empty() && windows.any(|w| std::str::from_utf8(w).is_ok_and(|w| plain.contains(w))) && (!short || !plain.is_empty())
    })
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::new());
    let Some(from) = from else { return Ok(out) };
    let mut from = from.take(MOST_OUTPUT + 1);
    let mut part = [0; 8192];
    loop {
        let n = from.read(&mut part).await?;
        if n == 0 {
            break;
        }
        // Growing leaves no copy behind.
        let mut grown = Zeroizing::new(Vec::with_capacity(out.len() + n));
        grown.extend_from_slice(&out);
        grown.extend_from_slice(part.get(..n).unwrap_or_default());
        out = grown;
    }
    part.zeroize();
    match out.len() as u64 > MOST_OUTPUT {
        true => Err(io::Error::other("it prints more than a megabyte")),
        false => Ok(out),
    }
}

fn executable(path: &Path) -> Result<(), &'static str> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Err(_) => Err("does not exist"),
        Ok(found) if !found.is_file() => Err("is no file"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Err("cannot be executed"),
        Ok(_) => Ok(()),
    }
}

/// The variables that a program gets: none whose name looks secret, but for those that it was given by name.
fn environment(given: &[String], all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let keep = |name: &OsString| match name.to_str() {
        Some(name) if given.iter().any(|g| g == name) => true,
        Some(name) => !SECRET_NAMES.iter().any(|part| name.to_ascii_uppercase().contains(part)),
        None => false,
    };
    all.filter(|(name, _)| keep(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[test]
    fn no_part_of_a_secret_is_passed_on() {
        let reversed: String = SECRET.chars().rev().collect();
        let hex: String = SECRET.bytes().map(|b| format!("{b:02X} ")).collect();
        for leak in [
            SECRET.to_owned(),
            SECRET.to_ascii_lowercase(),
            SECRET[3..11].to_owned(),
            SECRET.replace('/', "%2F"),
            SECRET.chars().map(|c| format!("{c} ")).collect(),
            reversed,
            hex,
            STANDARD.encode(SECRET),
            STANDARD.encode(format!("x{SECRET}")),
            STANDARD.encode(format!("xy{SECRET}")),
            URL_SAFE.encode(SECRET),
        ] {
            let printed = format!("cannot store {leak} there\n");
            assert_eq!(message(printed.as_bytes(), &[SECRET]), Err(()), "{leak}");
        }
        for (printed, shown) in [
            ("", ""),
            ("one\n\n  permission denied on path secret/alice \n \n", "permission denied on path secret/alice"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
        ] {
            assert_eq!(message(printed.as_bytes(), &[SECRET]).as_deref(), Ok(shown));
        }
        assert_eq!(message("x".repeat(999).as_bytes(), &[SECRET]).unwrap().len(), LONGEST_MESSAGE);
        assert!(holds("it is abc!", "abc") && !holds("nothing", "abc") && !holds("anything", ""));
    }

    #[test]
    fn a_program_gets_no_secret_variables() {
        let all = [
            ("PATH", true),
            ("HOME", true),
            ("AWS_PROFILE", true),
            ("AWS_ACCESS_KEY_ID", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("AWS_SESSION_TOKEN", false),
            ("AZURE_CLIENT_SECRET", false),
            ("AZURE_CLIENT_CERTIFICATE_PASSWORD", false),
            ("IDENTITY_HEADER", false),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", false),
            ("PGPASSWORD", false),
            ("vault_token", false),
            ("GIVEN_TOKEN", true),
        ];
        let kept = environment(&["GIVEN_TOKEN".to_owned()], all.iter().map(|(name, _)| ((*name).into(), "x".into())));
        for (name, stays) in all {
            assert_eq!(kept.iter().any(|(n, _)| n == name), stays, "{name}");
        }
    }

    #[test]
    fn programs_are_found_before_they_are_needed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
        let path = Some(folder.path().as_os_str().to_owned());
        for (name, why) in [
            ("nowhere-to-be-found", "there is no program nowhere-to-be-found in the folders of PATH"),
            ("plain", "cannot be executed"),
            ("/nowhere/x", "does not exist"),
            ("/", "is no file"),
        ] {
            let e = Program::find_in(name, path.clone()).unwrap_err();
            assert!(e.contains(why), "{name}: {e}");
        }
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Program::find_in("plain", path).unwrap(), plain);
        // A folder relative to wherever we are is no place to take programs from.
        assert!(Program::find_in("plain", Some(".".into())).is_err());
    }
}
