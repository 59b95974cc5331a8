//! Powerpipe mods from outside: installed from folders and repositories, listed, shown, planned and run.

use super::Place;
use serde_json::Value;
use std::process::Command;

const MOD: &str = "mod \"small\" {\n  title = \"Small\"\n}\n";

const CONTENT: &str = r#"
variable "word" {
  type    = string
  default = "fine"
}

benchmark "all" {
  title    = "Everything"
  children = [control.good, control.bad, benchmark.inner]
}

benchmark "inner" {
  title    = "Inner"
  children = [control.cis_v200_1_4]
}

control "good" {
  title    = "Good"
  severity = "low"
  sql      = "select 'a' as resource, 'ok' as status, '${var.word}' as reason"
}

control "bad" {
  title = "Bad"
  query = query.judged
  args  = { limit = 5 }
}

query "judged" {
  title = "Judged"
  sql   = <<-EOQ
    select
      'b' as resource,
      case when 7 > $1 then 'alarm' else 'ok' end as status,
      ($1 + 1) || ' ' || ($2::text[])[2] as reason,
      $3 as "limit"
  EOQ

  param "limit" {
    default = 10
  }

  param "words" {
    default = ["x", "y"]
  }

  param "flag" {
    default = true
  }
}

dashboard "overview" {
}
"#;

fn git(place: &Place, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(&place.0)
        .env("HOME", &place.0)
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A place with the mod in `source/` and no project.
fn with_mod() -> Place {
    let place = Place::new();
    place.write("source/mod.pp", MOD);
    place.write("source/deep/content.pp", CONTENT);
    place
}

#[test]
fn a_folder_is_installed_run_and_removed() {
    let place = with_mod();
    place.write("assay.yaml", "");
    let done = place.run(&["mod", "install", "./source"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("installed small (2 controls, 2 benchmarks)") && done.err.contains("read over: 1 dashboard;"), "{done:?}");
    assert!(place.0.join(".assay/mods/small/deep/content.pp").is_file());
    let lock: Value = serde_json::from_str(&place.read(".assay/mods/lock.json")).unwrap();
    assert!(lock["mods"][0]["source"].as_str().unwrap().ends_with("/source"), "{lock}");

    let listed = place.run(&["mod", "list", "-o", "csv"]).out();
    assert!(listed.contains("\nsmall,,2,2,1,"), "{listed}");
    assert!(place.run(&["list", "controls", "-o", "csv"]).out().contains("\nsmall.control.good,low,,Good,small\n"));
    assert!(
        place
            .run(&["list", "queries", "-o", "csv"])
            .out()
            .contains("\nsmall.query.judged,\"limit=10 words=[\"\"x\"\",\"\"y\"\"] flag=true\",Judged,small\n")
    );
    let roots = place.run(&["list", "benchmarks", "-o", "csv"]).out();
    assert!(roots.contains("\nsmall.benchmark.all,3,Everything,small\n") && !roots.contains("inner"), "{roots}");
    for id in ["small.query.judged", "query.judged"] {
        let text = place.run(&["show", id]).out();
        assert!(text.starts_with("Query small.query.judged\nJudged\n") && text.contains("\nSQL (small.query.judged)\n"), "{text}");
    }
    let text = place.run(&["show", "small.control.bad"]).out();
    assert!(text.contains("default 5") && text.contains("SQL (small.query.judged)"), "{text}");

    let dry = place.run(&["run", "benchmark", "small.benchmark.all", "--dry-run"]);
    assert!(
        dry.out.starts_with(
            "small.benchmark.all  Everything\n  small.control.good  Good\n  small.control.bad  Bad\n  small.benchmark.inner  Inner\n    cis_v200_1_4  "
        ),
        "{dry:?}"
    );
    assert!(dry.err.contains("mod small: read over: 1 dashboard;"), "{dry:?}");

    let run = place.run(&["run", "control", "small.control.good", "control.bad", "--var", "word=done", "--output", "json"]);
    assert_eq!(run.code, 1, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let controls = report["controls"].as_array().unwrap();
    assert_eq!(controls[0]["control_id"], "small.control.good");
    assert_eq!(controls[0]["results"][0]["reason"], "done");
    assert_eq!(controls[1]["control_id"], "small.control.bad");
    assert_eq!(controls[1]["results"][0]["reason"], "6 y");
    assert_eq!(controls[1]["results"][0]["dimensions"][0]["key"], "limit");
    let query = place.run(&["query", "small.query.judged", "--arg", "limit=9", "-o", "csv", "--demo"]);
    assert!(query.out.contains("\nb,ok,"), "{query:?}");

    let done = place.run(&["mod", "uninstall", "small"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!place.0.join(".assay/mods/small").exists());
    assert_eq!(place.run(&["show", "small.control.good"]).code, 65);
}

#[test]
fn a_repository_is_installed_by_version() {
    let place = with_mod();
    git(&place, &["init", "--quiet", "source"]);
    let commit = |text: &str, tag: &str| {
        place.write("source/extra.pp", text);
        git(&place, &["-C", "source", "add", "."]);
        git(&place, &["-C", "source", "commit", "--quiet", "-m", "x"]);
        if !tag.is_empty() {
            git(&place, &["-C", "source", "tag", tag]);
        }
    };
    let control = |name: &str| format!("control \"{name}\" {{\n  sql = \"select 1\"\n}}\n");
    commit(&control("one"), "v1.0.0");
    commit(&control("two"), "v1.1.0");
    commit(&control("three"), "v2.0.0");
    commit(&control("four"), "");
    git(&place, &["clone", "--quiet", "--bare", "source", "bare.git"]);
    let url = format!("file://{}/bare.git", place.0.display());

    let has = |name: &str| place.run(&["show", &format!("small.control.{name}")]).code == 0;
    for (version, control, shown) in [
        ("@v1.0.0", "one", "v1.0.0"),
        ("@^1.0", "two", "v1.1.0"),
        ("", "three", "v2.0.0"),
        ("@main", "four", "main"),
        ("@1.0.0", "one", "v1.0.0"),
    ] {
        let done = place.run(&["mod", "install", &format!("{url}{version}")]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(has(control), "{version}");
        let listed = place.run(&["mod", "list", "-o", "csv"]).out();
        assert!(listed.contains(&format!("\nsmall,{shown},3,2,1,{url},")), "{listed}");
    }
    // Without a project the user's folder has it.
    let lock = place.read(".local/share/assay/mods/lock.json");
    let entry: Value = serde_json::from_str::<Value>(&lock).unwrap()["mods"][0].clone();
    assert_eq!(
        (entry["requested"].as_str(), entry["version"].as_str(), entry["commit"].as_str().map(str::len)),
        (Some("1.0.0"), Some("v1.0.0"), Some(40))
    );
    let commit_id = entry["commit"].as_str().unwrap();
    assert_eq!(place.run(&["mod", "install", &format!("{url}@{commit_id}")]).code, 0);
    assert!(has("one"));

    // A newer version within the range is what an update brings.
    assert_eq!(place.run(&["mod", "install", &format!("{url}@^1")]).code, 0);
    git(&place, &["-C", "source", "push", "--quiet", "../bare.git", "HEAD:refs/tags/v1.2.0"]);
    assert!(has("two") && !has("four"));
    assert_eq!(place.run(&["mod", "update", "small"]).code, 0);
    assert!(has("four"));

    for (source, code, says) in [
        (format!("{url}@v9"), 65, "has no version 'v9'"),
        (format!("{url}x"), 69, "cannot get file://"),
        ("./nowhere".to_owned(), 74, "there is no folder './nowhere'"),
        ("deep".to_owned(), 74, "there is no folder 'deep'"),
        (format!("{}@v1", place.0.join("source").display()), 64, "a folder has no versions"),
        (place.0.join("source").display().to_string(), 65, "mod small is installed from file://"),
        (place.0.join("source/deep").display().to_string(), 65, "there is no mod in this folder"),
    ] {
        let done = place.run(&["mod", "install", &source]);
        assert!(done.code == code && done.err.contains(says), "{source}: {done:?}");
    }
    assert!(has("four"), "a failed installation leaves what was there");
    assert_eq!(place.run(&["mod", "uninstall", "nothing"]).code, 65);
    assert_eq!(place.run(&["mod", "install"]).code, 64);
}

#[test]
fn required_mods_come_along() {
    let place = Place::new();
    place.write("base/mod.pp", "mod \"base\" {\n}\n");
    place.write(
        "base/b.pp",
        "variable \"n\" {\n  default = 1\n}\ncontrol \"b\" {\n  title = \"at most ${var.n}\"\n  sql = \"select 1\"\n}\n",
    );
    git(&place, &["init", "--quiet", "base"]);
    git(&place, &["-C", "base", "add", "."]);
    git(&place, &["-C", "base", "commit", "--quiet", "-m", "x"]);
    git(&place, &["-C", "base", "tag", "v1.3"]);
    let url = format!("file://{}/base", place.0.display());
    place.write(
        "top/mod.pp",
        &format!("mod \"top\" {{\n  require {{\n    mod \"{url}\" {{\n      version = \"1\"\n      args = {{\n        n = 4\n      }}\n    }}\n  }}\n}}\n"),
    );
    place.write("top/t.pp", "benchmark \"t\" {\n  title = \"T\"\n  children = [base.control.b]\n}\n");
    let done = place.run(&["mod", "install", "./top"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("installed base v1.3"), "{done:?}");
    let dry = place.run(&["benchmark", "run", "top.benchmark.t", "--dry-run"]);
    assert_eq!(dry.out, "top.benchmark.t  T\n  base.control.b  at most 4\n");
    // The mod that requires it shows where it is.
    let mut command = place.command(&["mod", "install"]);
    let out = command.current_dir(place.0.join("top")).output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert!(place.0.join("top/.assay/mods/base/mod.pp").is_file());
}

#[test]
fn the_mod_of_the_working_directory_is_there_with_its_variables() {
    let place = Place::new();
    place.write("mod.sp", "mod \"here\" {\n}\n");
    place.write(
        "c.sp",
        "variable \"v\" {\n  type = list(string)\n}\ncontrol \"c\" {\n  title = join(\"+\", var.v)\n  sql = \"select 1\"\n}\n",
    );
    let title = |place: &Place, vars: &[(&str, &str)], args: &[&str]| {
        let mut line = vec!["run", "control", "here.control.c", "--dry-run"];
        line.extend(args);
        let out = place.command(&line).envs(vars.iter().copied()).output().unwrap();
        let (out, err) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        out.trim().strip_prefix("here.control.c  ").map_or(err, str::to_owned)
    };
    let missing = title(&place, &[], &[]);
    assert!(missing.contains("c.sp:1:1: variable 'v' of mod 'here' has no value") && missing.contains("PP_VAR_v"), "{missing}");
    let env = [("PP_VAR_v", "[\"env\"]")];
    assert_eq!(title(&place, &env, &[]), "env");
    place.write("powerpipe.ppvars", "v = [\"file\"]\n");
    assert_eq!(title(&place, &env, &[]), "file");
    place.write("more.auto.ppvars", "v = [\"auto\"]\nunknown = 1\n");
    assert_eq!(title(&place, &env, &[]), "auto");
    place.write("given.ppvars", "v = [\"given\", \"twice\"]\n");
    assert_eq!(title(&place, &env, &["--var-file", "given.ppvars"]), "given+twice");
    assert_eq!(title(&place, &env, &["--var-file", "given.ppvars", "--var", "v=[\"last\"]"]), "last");
    assert_eq!(title(&place, &env, &["--var", "here.v=[\"own\"]"]), "own");
    let wrong = title(&place, &env, &["--var", "v={}"]);
    assert!(wrong.contains("variable 'v': must be a list, not a map"), "{wrong}");
    let unknown = title(&place, &env, &["--var", "w=1"]);
    assert!(unknown.contains("no control has a parameter 'w'"), "{unknown}");

    place.write("bad.sp", "control \"d\" {\n  sql = local.nothing\n}\n");
    let bad = place.run(&["list", "controls"]);
    assert!(bad.code == 65 && bad.err.contains("bad.sp:2:9: there is no local 'nothing'"), "{bad:?}");
}
