//! A command that takes the secret on its standard input, run once when the secret is to become the current one. Refuses a shell, words that
//! would be taken for options, and programs that are not there.

use super::program::Program;
use super::template::Template;
use super::{Delivery, Label, Sink, SinkError, Standing, other};
use crate::Secret;
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

/// A command has this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A sink that is a command.
#[derive(Debug)]
pub(crate) struct Command {
    words: Vec<Template>,
    env: Vec<String>,
    limit: Duration,
}

impl Command {
    pub(crate) fn new(words: Vec<Template>, env: Vec<String>) -> Command {
        Command { words, env, limit: LIMIT }
    }

    /// The program and its arguments for a label.
    fn program(&self, label: &Label) -> Result<Program, SinkError> {
        let (program, arguments) = self.words.split_first().ok_or_else(|| other("the command names no program"))?;
        let path = Program::find(program.literal().unwrap_or_default()).map_err(other)?;
        let mut filled = Vec::new();
        for word in arguments {
            let text = word.fill(label, str::to_owned);
            if word.begins_filled() && text.starts_with('-') {
                return Err(other(format!(
                    "the argument `{}` would be taken for an option: write something before the placeholder",
                    text.escape_debug()
                )));
            }
            if text.contains('\0') {
                return Err(other("an argument cannot hold a zero byte"));
            }
            filled.push(text);
        }
        Ok(Program::new(path, filled, self.env.clone(), self.limit))
    }
}

/// The values of a document that are secret; of anything but a document, all of it.
pub(super) fn secrets_of(document: &Secret) -> Vec<Secret> {
    const NAMES: [&str; 3] = ["aws_secret_access_key", "key", "connection_string"];
    let Ok(Value::Object(members)) = serde_json::from_str(document.expose()) else { return vec![document.clone()] };
    let mut secrets = Vec::new();
    for (name, value) in members {
        match value {
            Value::String(text) if NAMES.contains(&name.as_str()) => secrets.push(Secret::new(text)),
            mut harmless => crate::secret::wipe(&mut harmless),
        }
    }
    if secrets.is_empty() { vec![document.clone()] } else { secrets }
}

#[async_trait]
impl Sink for Command {
    fn place(&self, _: &Label) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn check(&self, label: &Label) -> Result<(), SinkError> {
        self.program(&label.foreseen()).map(|_| ())
    }

    /// A command has no place for a secret that is not current yet.
    async fn store(&self, delivery: &Delivery) -> Result<(), SinkError> {
        self.check(&delivery.label).await
    }

    async fn publish(&self, delivery: &Delivery) -> Result<(), SinkError> {
        let output = self.program(&delivery.label)?.run(delivery.document.expose()).await.map_err(other)?;
        if output.status.success() {
            return Ok(());
        }
        let secrets = secrets_of(&delivery.document);
        let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        Err(other(format!("the command failed: {}", output.reason(&secrets))))
    }

    /// Nobody knows how.
    async fn withdraw(&self, _: &Label) -> Result<(), SinkError> {
        Ok(())
    }

    async fn standing(&self, _: &Label) -> Result<Standing, SinkError> {
        Ok(Standing::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::label;
    use super::super::text::{Spec, parse};
    use super::*;

    const CANARY: &str = "CANARYwJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAM";

    fn command(text: &str) -> Command {
        match parse(text).unwrap() {
            Spec::Command { words, env } => Command::new(words, env),
            other => panic!("{other:?}"),
        }
    }

    fn delivery(owner: &str) -> Delivery {
        let document = serde_json::json!({"aws_access_key_id": "AKIANEW", "aws_secret_access_key": CANARY, "user_name": owner});
        Delivery { label: label(owner), document: Secret::new(document.to_string()) }
    }

    #[tokio::test]
    async fn the_secret_arrives_on_standard_input_and_words_stay_words() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let sink = command(&format!(
            "command:/bin/sh -c 'cat > {at}/in; printf \"%s|\" \"$@\" > {at}/args; env > {at}/env' sh {{user}} x{{key_id}} 'a b'"
        ));
        let delivery = delivery("al ice; $(touch x) `y` '\"");
        sink.check(&delivery.label).await.unwrap();
        sink.store(&delivery).await.unwrap();
        assert!(!folder.path().join("in").exists(), "nothing runs before it is published");
        sink.publish(&delivery).await.unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("in"), delivery.document.expose());
        assert_eq!(read("args"), "al ice; $(touch x) `y` '\"|xAKIANEW|a b|");
        assert!(!read("env").contains("CANARY"));
        assert_eq!((sink.standing(&delivery.label).await.unwrap(), sink.place(&delivery.label).unwrap()), (Standing::Unknown, None));
        sink.withdraw(&delivery.label).await.unwrap();
    }

    /// While the command runs, nobody who looks at the processes sees the secret.
    #[tokio::test]
    async fn the_secret_is_in_no_argument() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        // It looks at its parent, at itself and at its children, while it has the secret in its hands.
        let script = format!(
            "read -r secret; for p in $PPID $$ $(cat /proc/$PPID/task/*/children); do cat /proc/$p/cmdline /proc/$p/environ; done > {} 2>/dev/null; true",
            seen.display()
        );
        let sink = command(&format!("command:/bin/sh -c {}", shlex::try_quote(&script).unwrap()));
        let delivery = delivery("alice");
        let line = Delivery { document: Secret::new(format!("{}\n", delivery.document.expose())), ..delivery };
        sink.publish(&line).await.unwrap();
        let seen = std::fs::read(seen).unwrap();
        let text = String::from_utf8_lossy(&seen);
        assert!(text.contains("read -r secret") && text.contains("PATH="), "it saw the processes: {text}");
        assert!(!text.contains("CANARY"), "{text}");
    }

    #[tokio::test]
    async fn what_a_command_prints_is_shown_without_the_secret() {
        for (script, message) in [
            ("cat >/dev/null; echo 'permission denied' >&2; exit 3", "the command failed: it ended with status 3: permission denied"),
            ("cat >&2; exit 1", "it ended with status 1; what it printed is not shown"),
            ("base64 >&2; exit 1", "what it printed is not shown"),
            ("cat; exit 9", "the command failed: it ended with status 9"),
            ("exit 4", "it ended with status 4"),
            ("kill -9 $$", "it was ended by a signal"),
        ] {
            let sink = command(&format!("command:/bin/sh -c {}", shlex::try_quote(script).unwrap()));
            let e = sink.publish(&delivery("alice")).await.unwrap_err();
            assert!(e.to_string().contains(message), "{script}: {e}");
            assert!(!format!("{e} {e:?} {sink:?} {:?}", delivery("alice")).contains("CANARY"), "{e:?}");
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("late");
        let mut sink = command(&format!("command:/bin/sh -c 'cat >/dev/null; sleep 30; touch {}'", mark.display()));
        sink.limit = Duration::from_millis(200);
        let e = sink.publish(&delivery("alice")).await.unwrap_err().to_string();
        assert!(e.contains("did not end within") && e.contains("whether it stored the secret is not known"), "{e}");
        assert!(!mark.exists());
    }

    #[tokio::test]
    async fn what_cannot_work_is_found_out_before() {
        for (text, owner, message) in [
            ("command:no-such-program-here x", "alice", "there is no program no-such-program-here"),
            ("command:/etc/passwd x", "alice", "cannot be executed"),
            ("command:/bin/cat {user}", "-rf", "`-rf` would be taken for an option"),
            ("command:/bin/cat a{user}", "\0", "zero byte"),
        ] {
            let e = command(text).check(&label(owner)).await.unwrap_err().to_string();
            assert!(e.contains(message), "{text}: {e}");
        }
        command("command:/bin/cat --name={user}").check(&label("-rf")).await.unwrap();
    }

    #[test]
    fn the_secret_parts_of_a_document_are_known() {
        let secrets =
            |text: &str| -> Vec<String> { secrets_of(&Secret::new(text.to_owned())).iter().map(|s| s.expose().to_owned()).collect() };
        assert_eq!(secrets(r#"{"aws_access_key_id":"a","aws_secret_access_key":"b"}"#), ["b"]);
        assert_eq!(secrets(r#"{"account_name":"a","key":"b","connection_string":"c"}"#), ["b", "c"]);
        assert_eq!(secrets("plain"), ["plain"]);
        assert_eq!(secrets("{}"), ["{}"]);
    }
}
