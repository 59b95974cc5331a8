//! The binary from outside, without any cloud: exit codes, stdout, stderr. What needs a backend is in `tests/judge`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails its test")]

mod bad_input;
mod content;
mod mods;
mod query;
mod secrets;
mod shell;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of one test, gone with it; home and working directory of what runs.
struct Place(PathBuf);

/// What a run gave.
#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// The binary, with nothing of the caller's environment but PATH, and nothing that answers for a cloud.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command
            .args(args)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.0)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], stdin: &str) -> Done {
        finish(self.command(args), stdin)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn finish(mut command: Command, stdin: &str) -> Done {
    use std::io::Write;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever needs no input may have ended before it came.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    Done::of(child.wait_with_output().unwrap())
}

impl Done {
    fn of(output: Output) -> Done {
        Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A success with nothing on stderr.
    fn out(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    /// A failure: this code, one `error:` line with this text, nothing on stdout.
    fn fails(&self, code: i32, says: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().filter(|l| l.starts_with("error: ")).count(), 1, "{self:?}");
        assert!(self.err.contains(says), "{says:?} is not in {self:?}");
        assert_eq!(self.out, "");
        assert!(!self.err.contains('\x1b'), "colours without a terminal: {self:?}");
    }
}
