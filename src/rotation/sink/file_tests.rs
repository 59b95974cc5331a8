//! Files in folders of their own: modes, links, crashes between the steps, names that want to be elsewhere; gpg with a key made here.

use super::super::template::tests::label;
use super::super::text::{Spec, parse};
use super::*;
use crate::Secret;
use std::os::unix::fs::symlink;

const CANARY: &str = "CANARYwJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAM";

fn sink(text: &str) -> File {
    match parse(text).unwrap() {
        Spec::File { path, recipients } => File::new(path, recipients),
        other => panic!("{other:?}"),
    }
}

fn delivery(owner: &str) -> Delivery {
    let document = serde_json::json!({"aws_access_key_id": "AKIANEW", "aws_secret_access_key": CANARY, "user_name": owner});
    Delivery { label: label(owner), document: Secret::new(document.to_string()) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_hidden_first_and_then_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{user}}.json", folder.path().display()));
    let delivery = delivery("alice");
    let label = &delivery.label;
    sink.check(label).await.unwrap();
    assert!(names(folder.path()).is_empty(), "a check changes nothing");
    assert_eq!(sink.standing(label).await.unwrap(), Standing::Absent);
    assert!(sink.publish(&delivery).await.unwrap_err().to_string().contains("was not stored before"));
    for _ in 0..2 {
        sink.store(&delivery).await.unwrap();
        assert_eq!(sink.standing(label).await.unwrap(), Standing::Stored);
    }
    let hidden = names(folder.path());
    assert!(hidden.len() == 1 && hidden[0].starts_with(".alice.json.") && hidden[0].ends_with(".new"), "{hidden:?}");
    assert!(!hidden[0].contains("CANARY"));
    for _ in 0..2 {
        sink.publish(&delivery).await.unwrap();
        assert_eq!(sink.standing(label).await.unwrap(), Standing::Current);
    }
    assert_eq!(names(folder.path()), ["alice.json"]);
    let path = folder.path().join("alice.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), delivery.document.expose());
    for _ in 0..2 {
        sink.withdraw(label).await.unwrap();
        assert_eq!(sink.standing(label).await.unwrap(), Standing::Absent);
    }
    assert!(names(folder.path()).is_empty());
    assert!(!format!("{sink:?} {delivery:?}").contains("CANARY"));
}

#[tokio::test]
async fn what_is_stored_and_not_published_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{user}}.json", folder.path().display()));
    sink.store(&delivery("alice")).await.unwrap();
    sink.withdraw(&label("alice")).await.unwrap();
    assert!(names(folder.path()).is_empty());
    fs::remove_dir(folder.path()).unwrap();
    sink.withdraw(&label("alice")).await.unwrap();
}

#[tokio::test]
async fn nothing_is_ever_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{user}}.json", folder.path().display()));
    let path = folder.path().join("alice.json");
    let target = folder.path().join("target");
    let in_the_way: [&dyn Fn(); 3] =
        [&|| fs::write(&path, "theirs").unwrap(), &|| symlink(&target, &path).unwrap(), &|| fs::create_dir(&path).unwrap()];
    for make in in_the_way {
        sink.store(&delivery("alice")).await.unwrap();
        make();
        let e = sink.check(&label("alice")).await.unwrap_err().to_string();
        assert!(e.contains("exists, and a file is never replaced"), "{e}");
        let e = sink.publish(&delivery("alice")).await.unwrap_err().to_string();
        assert!(e.contains("has appeared meanwhile"), "{e}");
        sink.withdraw(&label("alice")).await.unwrap();
        assert_eq!(names(folder.path()), ["alice.json"], "theirs stays, ours is gone");
        assert!(!target.exists());
        if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
}

/// A link under the hidden name, laid by somebody who guessed it, is removed and not written through.
#[tokio::test]
async fn a_link_in_the_way_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{user}}.json", folder.path().display()));
    let stolen = folder.path().join("stolen");
    symlink(&stolen, sink.places(&label("alice")).unwrap().hidden).unwrap();
    sink.store(&delivery("alice")).await.unwrap();
    assert!(!stolen.exists());
}

/// Killed between linking the new name and removing the old one.
#[tokio::test]
async fn both_names_of_one_file_are_a_published_one() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{user}}.json", folder.path().display()));
    let delivery = delivery("alice");
    sink.store(&delivery).await.unwrap();
    let places = sink.places(&delivery.label).unwrap();
    fs::hard_link(&places.hidden, &places.path).unwrap();
    assert_eq!(sink.standing(&delivery.label).await.unwrap(), Standing::Current);
    sink.publish(&delivery).await.unwrap();
    assert_eq!(names(folder.path()), ["alice.json"]);
    fs::hard_link(&places.path, &places.hidden).unwrap();
    sink.withdraw(&delivery.label).await.unwrap();
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let sink = sink(&format!("file:{}/{{user}}", inner.display()));
    for (owner, name) in [
        ("../up", "..%2Fup"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("first.last@x+y=z,w", "first.last@x+y=z,w"),
        ("ü", "%C3%BC"),
        ("a\0b", "a%00b"),
    ] {
        let delivery = delivery(owner);
        sink.check(&delivery.label).await.unwrap();
        sink.store(&delivery).await.unwrap();
        sink.publish(&delivery).await.unwrap();
        assert_eq!(names(&inner), [name], "{owner}");
        sink.withdraw(&delivery.label).await.unwrap();
    }
    assert_eq!(names(folder.path()), ["inner"]);
}

#[tokio::test]
async fn folders_that_are_not_there_or_anybodys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    let at = |path: &Path| sink(&format!("file:{}/x", path.display()));
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let e = at(&open).check(&label("a")).await.unwrap_err().to_string();
    assert!(e.contains("everybody may write to"), "{e}");
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    at(&open).check(&label("a")).await.unwrap();
    let e = at(&folder.path().join("missing")).check(&label("a")).await.unwrap_err().to_string();
    assert!(e.contains("missing: No such file"), "{e}");
    fs::write(folder.path().join("plain"), "").unwrap();
    assert!(at(&folder.path().join("plain")).check(&label("a")).await.is_err());
}

/// Before there is a key its id is not known; what is checked then must be a file all the same, and one per user.
#[tokio::test]
async fn a_sink_is_checked_before_there_is_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&format!("file:{}/{{key_id}}", folder.path().display()));
    let none = Label { key: String::new(), generation: String::new(), ..label("alice") };
    sink.check(&none).await.unwrap();
    let other = Label { owner: "bob".into(), owner_id: "AIDABOB".into(), ..none.clone() };
    assert_ne!(sink.place(&none).unwrap(), sink.place(&other).unwrap());
}

#[tokio::test]
async fn a_place_is_an_absolute_path() {
    let mut sink = sink("file:~/k/{user}.json");
    sink.home = Some("/home/me".into());
    assert_eq!(sink.place(&label("a/b")).unwrap().unwrap(), "file /home/me/k/a%2Fb.json");
    sink.home = None;
    assert!(sink.place(&label("a")).unwrap_err().to_string().contains("HOME is not set"));
}

/// A key ring of this test, or nothing where gpg is not installed.
fn gpg_home() -> Option<tempfile::TempDir> {
    let home = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("gpg")
        .args([
            "--homedir",
            home.path().to_str()?,
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "assay <assay@example>",
            "default",
            "default",
            "never",
        ])
        .output();
    made.ok().filter(|m| m.status.success()).map(|_| home)
}

/// Run in a process of its own, whose GNUPGHOME is that of a test.
#[tokio::test]
#[ignore = "part of gpg_encrypts_for_a_key_it_knows"]
async fn inside_gpg() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let unknown = sink(&format!("file:{at}/x?gpg=nobody@example"));
    let e = unknown.check(&label("alice")).await.unwrap_err().to_string();
    assert!(e.contains("gpg has no key of nobody@example"), "{e}");
    let sink = sink(&format!("file:{at}/{{user}}.gpg?gpg=assay@example"));
    let delivery = delivery("alice");
    sink.check(&delivery.label).await.unwrap();
    sink.store(&delivery).await.unwrap();
    assert_eq!(sink.standing(&delivery.label).await.unwrap(), Standing::Stored);
    sink.publish(&delivery).await.unwrap();
    assert_eq!(sink.standing(&delivery.label).await.unwrap(), Standing::Unknown, "its name does not say of which key it is");
    let path = folder.path().join("alice.gpg");
    let encrypted = fs::read(&path).unwrap();
    assert!(!encrypted.windows(6).any(|w| w == b"CANARY"));
    let opened = std::process::Command::new("gpg").args(["--batch", "--quiet", "--decrypt"]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8(opened.stdout).unwrap(), delivery.document.expose());
    assert!(sink.withdraw(&delivery.label).await.unwrap_err().to_string().contains("remove it yourself"));
}

#[test]
fn gpg_encrypts_for_a_key_it_knows() {
    let Some(home) = gpg_home() else {
        assert!(std::env::var_os("CI").is_none(), "gpg is needed where everything is tested");
        return;
    };
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "sink::file::tests::inside_gpg"])
        .env("GNUPGHOME", home.path())
        .output()
        .unwrap();
    let _ = std::process::Command::new("gpgconf").args(["--homedir"]).arg(home.path()).args(["--kill", "all"]).output();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

/// `age` as far as we use it, in a folder that is first in PATH.
#[tokio::test]
#[ignore = "part of age_is_given_the_secret_on_its_input"]
async fn inside_age() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let sink = sink(&format!("file:{at}/{{key_id}}.age?age=age1good&age=age1also"));
    let delivery = delivery("alice");
    sink.check(&delivery.label).await.unwrap();
    sink.store(&delivery).await.unwrap();
    sink.publish(&delivery).await.unwrap();
    assert_eq!(sink.standing(&delivery.label).await.unwrap(), Standing::Current, "its name says of which key it is");
    let stored = fs::read_to_string(folder.path().join("AKIANEW.age")).unwrap();
    assert!(stored.starts_with("age --recipient age1good --recipient age1also\n") && !stored.contains("CANARY"), "{stored}");
    sink.withdraw(&delivery.label).await.unwrap();
    assert!(names(folder.path()).is_empty());
    let refused = self::sink(&format!("file:{at}/x?age=age1bad"));
    let e = refused.check(&label("alice")).await.unwrap_err().to_string();
    assert!(e.contains("age cannot encrypt for age1bad: it ended with status 1: unknown recipient"), "{e}");
    let through = self::sink(&format!("file:{at}/x?age=age1plain"));
    let e = through.store(&delivery).await.unwrap_err().to_string();
    assert!(e.contains("gave back nothing that is encrypted") && !e.contains("CANARY"), "{e}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn age_is_given_the_secret_on_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\ncase \"$*\" in *bad*) echo unknown recipient >&2; exit 1;; *plain*) cat; exit 0;; esac\necho age \"$@\"; base64 | rev\n";
    let age = folder.path().join("age");
    fs::write(&age, script).unwrap();
    fs::set_permissions(&age, Permissions::from_mode(0o755)).unwrap();
    let path =
        std::env::join_paths([folder.path().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())))
            .unwrap();
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "sink::file::tests::inside_age"])
        .env("PATH", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}
