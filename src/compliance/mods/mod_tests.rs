//! Whole mods: the small ones in `testdata`, broken ones, YAML beside a mod, and a large one.

use crate::{
    ContentError, Control, Library, LoadError, ModFolder, ModValue, PlanChild, PlanGroup, QueryRef, Request, Severity, TargetKind,
    read_mod, read_mod_values,
};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mods/testdata").join(name)
}

fn folder(path: impl Into<PathBuf>) -> ModFolder {
    ModFolder { folder: path.into(), source: None }
}

fn given(name: &str, text: &str) -> ModValue {
    ModValue { name: name.into(), text: text.into(), origin: "--var".into() }
}

fn both(values: &[ModValue]) -> Library {
    let base = ModFolder { source: Some("https://example.com/mods/base-mod-base_checks.git".into()), ..folder(testdata("base_checks")) };
    let mut library = Library::embedded();
    library.load_content(&[], &[folder(testdata("cloud_checks")), base], values).unwrap();
    library
}

fn control(library: &Library, id: &str) -> Arc<Control> {
    library.control(id).unwrap().unwrap_or_else(|| panic!("no {id}"))
}

fn lines(group: &PlanGroup, depth: usize, out: &mut String) {
    for child in &group.children {
        let indent = "  ".repeat(depth);
        match child {
            PlanChild::Group(g) => {
                let _ = writeln!(out, "{indent}{} {}", g.id, g.title);
                lines(g, depth + 1, out);
            }
            PlanChild::Control(c) => {
                let _ = writeln!(out, "{indent}{} {}", c.id, c.title);
            }
        }
    }
}

#[test]
fn a_mod_becomes_controls_and_benchmarks() {
    let library = both(&[]);
    let plan = library.plan(&Request::new(TargetKind::Benchmark, ["cloud_checks.benchmark.keys"])).unwrap();
    let mut tree = String::new();
    lines(&plan.root, 0, &mut tree);
    assert_eq!(
        tree,
        "cloud_checks.benchmark.keys Keys of users\n  cloud_checks.control.key_age Keys must be changed after 85 days\n  \
         cloud_checks.control.key_age_strict Keys must be changed after ten days\n  cloud_checks.benchmark.keys_more More about keys\n    \
         cloud_checks.control.key_listed Keys Are Listed\n    base_checks.control.shared Shared by several mods\n"
    );
    let PlanChild::Group(keys) = &plan.root.children[0] else { panic!("{plan:?}") };
    assert_eq!((keys.documentation.as_str(), keys.tags["type"].as_str()), ("Keys are **secrets**.\n", "Benchmark"));

    let strict = control(&library, "cloud_checks.control.key_age_strict");
    assert_eq!((strict.severity, strict.service.as_str(), strict.tags["level"].as_str()), (Severity::Medium, "AWS/IAM", "2"));
    assert_eq!(strict.query, QueryRef::Named("cloud_checks.query.key_age".into()));
    assert_eq!(control(&library, "cloud_checks.control.key_age").severity, Severity::High);

    let args: Vec<Vec<String>> =
        plan.evaluations.iter().map(|e| e.args.iter().map(|a| format!("{}={}", a.name, a.value)).collect()).collect();
    assert_eq!(args, [vec!["1=85"], vec!["1=10"], vec!["1=\"a\"", "2=[\"a\",\"c\"]"], vec![]]);
    assert_eq!(plan.evaluations[0].query, "cloud_checks.query.key_age");
    let sql = &plan.evaluations[0].sql;
    assert!(sql.contains("as reason\n  , k.tags ->> 'owner' as \"owner\"\n  , k.region, k.account_id\nfrom"), "{sql}");
    assert!(plan.evaluations[3].sql.contains("'at most 90'"), "{}", plan.evaluations[3].sql);

    let mods: Vec<(&str, usize, usize, usize)> =
        library.mods().mods.iter().map(|m| (m.name.as_str(), m.controls, m.benchmarks, m.queries)).collect();
    assert_eq!(mods, [("base_checks", 1, 0, 0), ("cloud_checks", 3, 2, 1)]);
    assert_eq!(library.mods().notices, ["mod cloud_checks: read over: 1 card, 2 dashboards; assay runs controls, benchmarks and queries"]);
    let roots: Vec<String> = library.benchmarks().unwrap().iter().map(|g| g.id.clone()).filter(|id| id.contains('.')).collect();
    assert_eq!(roots, ["cloud_checks.benchmark.keys"]);
}

#[test]
fn variables_change_what_is_loaded() {
    let values =
        [given("days", "20"), given("cloud_checks.days", "30"), given("common_dimensions", "[]"), given("tag_dimensions", "[\"a\\\"b\"]")];
    let library = both(&values);
    assert_eq!(control(&library, "cloud_checks.control.key_age").title, "Keys must be changed after 30 days");
    let query = library.query("cloud_checks.query.key_age").unwrap();
    assert_eq!(query.params[0].default, Some(json!(30)));
    assert!(query.sql.contains("k.tags ->> 'a\"b' as \"a\"\"b\"") && !query.sql.contains("k.region"), "{}", query.sql);
    // What a parent says holds unless the user says something else.
    let shared = |library: &Library| library.query("base_checks.control.shared").unwrap().sql.to_string();
    assert!(shared(&library).contains("at most 35"));
    assert!(shared(&both(&[given("base_checks.max_age", "7")])).contains("at most 7"));
}

#[test]
fn ids_have_short_forms_where_they_are_clear() {
    let library = both(&[]);
    for id in ["cloud_checks.control.key_age", "control.key_age", "key_age", "query.key_age", "cloud_checks.query.key_age"] {
        assert_eq!(library.query(id).unwrap().name, "cloud_checks.query.key_age", "{id}");
    }
    assert_eq!(library.query("aws_compliance.control.cis_v200_1_14").unwrap().name, "iam_user_access_key_age_90");
    for (id, want) in [
        (
            "cloud_checks.control.key_aeg",
            "no control has the id 'cloud_checks.control.key_aeg' / did you mean 'cloud_checks.control.key_age'?",
        ),
        ("clod_checks.control.key_age", "there is no mod 'clod_checks' / did you mean 'cloud_checks'?"),
        ("key_agee", "no control or benchmark has the id 'key_agee' / did you mean 'cloud_checks.control.key_age'?"),
    ] {
        let error = library.find(id).unwrap_err();
        let got = format!("{error} / {}", error.hint().unwrap_or_default());
        assert!(got == want || id == "key_agee", "{got}");
    }
    let request = |var: &str| Request { vars: vec![var.to_owned()], ..Request::new(TargetKind::Control, ["key_age"]) };
    for (var, ok) in [("days=3", true), ("cloud_checks.days=3", true), ("dayz=3", false)] {
        assert_eq!(library.plan(&request(var)).is_ok(), ok, "{var}");
    }
}

#[test]
fn arguments_of_the_command_line_win() {
    let library = both(&[]);
    let run = |arg: &str| {
        let request = Request { args: vec![arg.to_owned()], ..Request::new(TargetKind::Control, ["cloud_checks.control.key_age_strict"]) };
        library.plan(&request).map(|p| p.evaluations[0].args[0].value.clone())
    };
    assert_eq!(run("max_days=5").unwrap(), json!(5));
    assert!(run("max_days=x").unwrap_err().to_string().contains("'x' is not a whole number"));
    assert!(run("days=5").is_err());
}

/// Loads a mod of files, beside YAML.
fn load(files: &[(&str, &str)], yaml: &[(&str, &str)]) -> Result<Library, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let content = tempfile::tempdir().unwrap();
    for (name, text) in yaml {
        std::fs::write(content.path().join(name), text).unwrap();
    }
    let mut library = Library::embedded();
    library.load_content(&[content.path().to_owned()], &[folder(dir.path())], &[])?;
    Ok(library)
}

fn refused(files: &[(&str, &str)], yaml: &[(&str, &str)]) -> ContentError {
    match load(files, yaml) {
        Err(LoadError::Content(e)) => e,
        Err(LoadError::Several(mut errors)) => errors.remove(0),
        other => panic!("{files:?} gave {other:?}"),
    }
}

const A_CONTROL: (&str, &str) = ("a.sp", "control \"c\" {\n  sql = \"select 1\"\n}\n");
const MOD: (&str, &str) = ("mod.pp", "mod \"m\" {\n}\n");

#[test]
fn yaml_and_mods_name_each_other() {
    let yaml = [
        ("own.yaml", "control: own\ntitle: Own\nquery: m.query.q\nparams:\n  p: { default: 7, min: 1 }\n"),
        ("mine.yaml", "benchmark: mine\ntitle: Mine\nchildren:\n- m.benchmark.b\n- own\n- { id: leaf, control: m.control.c }\n"),
        (
            "words.yaml",
            "control: words\ntitle: Words\nparams: { w: { default: a } }\nsql: select $w as resource, 'ok' as status, '' as reason\n",
        ),
    ];
    let files = [
        MOD,
        (
            "q.pp",
            "query \"q\" {\n  sql = \"select $1 as x\"\n  param \"p\" {\n    default = 3\n  }\n}\n\
             control \"c\" {\n  query = query.words\n  args = { w = \"b\" }\n}\n\
             control \"aged\" {\n  query = query.iam_user_access_key_age_90\n}\n\
             benchmark \"b\" {\n  children = [control.c, control.own, control.aged, control.cis_v200_1_4]\n}\n",
        ),
    ];
    let library = load(&files, &yaml).unwrap();
    let plan = library.plan(&Request::new(TargetKind::Benchmark, ["mine"])).unwrap();
    let ids: Vec<&str> = plan.root.controls().iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["m.control.c", "own", "m.control.aged", "cis_v200_1_4", "own", "leaf"]);
    let queries: Vec<(&str, String)> =
        plan.evaluations.iter().map(|e| (e.query.as_str(), e.args.iter().map(|a| a.value.to_string()).collect())).collect();
    assert_eq!(queries[..3], [("words", "\"b\"".into()), ("m.query.q", "7".into()), ("iam_user_access_key_age_90", "90".into())]);

    let error = refused(&[MOD, ("q.pp", "control \"c\" {\n  query = query.words\n  args = { v = 1 }\n}\n")], &yaml[2..]);
    assert!(error.to_string().ends_with("q.pp:1:1: query 'words' has no parameter 'v'"), "{error}");
    let error = refused(&[MOD], &yaml[..1]);
    assert!(error.to_string().ends_with("own.yaml:3:8: there is no query 'm.query.q'"), "{error}");
}

#[test]
fn mistakes_have_their_place() {
    for (text, want) in [
        ("control \"c\" {\n  query = query.nope\n}\n", "a.pp:2:11: mod 'm' has no query 'nope'"),
        ("control \"c\" {\n  title = \"x\"\n}\n", "a.pp:1:1: control 'c' has neither 'sql' nor 'query'"),
        ("control \"c\" {\n  sql = 5 + [1]\n}\n", "a.pp:2:13: an operand of '+' must be a number, not a list"),
        ("control \"c\" {\n  sql = <<-EOQ\n    select 1,\n      ${local.x}\n  EOQ\n}\n", "a.pp:4:9: there is no local 'x'"),
        ("control \"c\" {\n  sql = \"select 1\"\n  titel = \"x\"\n}\n", "a.pp:3:3: a control has no attribute 'titel'"),
        ("control \"c\" {\n  sql = \"select 1\"\n  tags = [1]\n}\n", "a.pp:3:10: 'tags' must be a map, not a list"),
        ("control \"c\" {\n  sql = \"select 1\"\n  tags = { a = [1] }\n}\n", "a.pp:3:10: tag 'a' must be text, not a list"),
        ("control \"c\" {\n  sql = \"select $1\"\n  args = { b = 1 }\n  param \"a\" {}\n}\n", "a.pp:3:10: the query has no parameter 'b'"),
        ("control \"c\" {\n  sql = \"select $1\"\n  args = [1, 2]\n  param \"a\" {}\n}\n", "a.pp:3:10: 2 arguments for 1 parameters"),
        ("control \"c\" {\n  sql = \"select $1\"\n  args = \"x\"\n}\n", "a.pp:3:10: 'args' must be a map or a list, not text"),
        ("control \"c\" {\n  sql = \"x\"\n  param \"a\" {}\n  param \"a\" {}\n}\n", "a.pp:4:3: parameter 'a' is defined twice"),
        ("control \"c\" {\n  query = control.c\n}\n", "a.pp:2:11: 'query' must be a query, such as query.name, not a control"),
        ("control \"c\" {\n  sql = \"x\"\n  description = file(\"./no.md\")\n}\n", "a.pp:3:22: file(): there is no file './no.md'"),
        ("control \"c\" {\n  sql = \"x\"\n}\ncontrol \"c\" {\n  sql = \"x\"\n}\n", "a.pp:4:1: control 'c' is defined twice"),
        ("control {\n  sql = \"x\"\n}\n", "a.pp:1:1: 'control' must have one name"),
        ("control \"a b\" {\n  sql = \"x\"\n}\n", "a.pp:1:9: 'a b' cannot name a control"),
        ("contrl \"c\" {\n}\n", "a.pp:1:1: there is no block 'contrl'"),
        ("title = \"x\"\n", "a.pp:1:1: the attribute 'title' stands outside of a block"),
        ("locals {\n  a = 1\n}\nlocals {\n  a = 2\n}\n", "a.pp:5:3: local 'a' is defined twice"),
        ("mod \"n\" {\n}\n", "mod.pp:1:1: the mod is defined twice"),
        ("query \"q\" {\n  title = \"x\"\n}\n", "a.pp:1:1: query 'q' has no 'sql'"),
        ("query \"q\" {\n  sql = query.q.sql\n}\n", "a.pp:2:16: query.q.sql refers to itself"),
        ("benchmark \"b\" {\n  children = [control.nope]\n}\n", "a.pp:2:15: mod 'm' has no control 'nope'"),
        ("benchmark \"b\" {\n  children = [\n    \"x\"\n  ]\n}\n", "a.pp:3:5: a child must be a control or a benchmark, not text"),
        (
            "benchmark \"b\" {\n  children = [benchmark.d]\n}\nbenchmark \"d\" {\n  children = [benchmark.b]\n}\n",
            "a.pp:5:15: 'm.benchmark.b' contains itself",
        ),
        ("benchmark \"b\" {\n  children = \"x\"\n}\n", "a.pp:2:14: 'children' must be a list, not text"),
        (
            "variable \"v\" {\n  type = number\n  default = \"x\"\n}\ncontrol \"c\" {\n  sql = var.v\n}\n",
            "a.pp:3:13: variable 'v': must be a number, not text",
        ),
        ("control \"c\" {\n  sql = other.query.q.sql\n}\n", "a.pp:2:9: there is no 'other'"),
        ("control \"c\" {\n  sql = \"${upper(\"a\"}\"\n}\n", "a.pp:2:"),
    ] {
        let error = refused(&[MOD, ("a.pp", text)], &[]).to_string();
        assert!(error.contains(&format!("/{want}")), "{text:?} gave {error}");
    }
    let error = refused(&[("mod.pp", "locals {\n}\n")], &[]);
    assert!(error.to_string().ends_with("mod.pp:1:1: the mod has no name"), "{error}");
    let needs = "mod \"m\" {\n  require {\n    mod \"github.com/some/where\" {}\n  }\n}\n";
    let error = refused(&[("mod.pp", needs), ("a.pp", "control \"c\" {\n  query = where_mod.query.q\n}\n")], &[]);
    assert_eq!(error.hint.as_deref(), Some("the mod needs another one: `assay mod install github.com/some/where`"));
    let mut library = Library::embedded();
    let empty = tempfile::tempdir().unwrap();
    let error = library.load_content(&[], &[folder(empty.path())], &[]).unwrap_err();
    assert!(error.to_string().ends_with("there is no mod in this folder"), "{error}");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = "control \"c\" {\n  title = local.a\n  sql = local.b\n  tags = local.c\n}\nbenchmark \"b\" {\n  children = [control.x, control.c, 5]\n}\n\
                benchmark \"d\" {\n  title = local.a\n}\nlocals {\n  c = local.a\n}\n";
    let Err(LoadError::Several(errors)) = load(&[MOD, ("a.pp", text)], &[]) else { panic!("it loaded") };
    let places: Vec<(usize, usize)> = errors.iter().map(|e| (e.line, e.column)).collect();
    assert_eq!(places, [(2, 11), (3, 9), (7, 15), (7, 37), (10, 11), (13, 7)]);
}

#[test]
fn a_look_finds_what_a_run_does_not_need() {
    let dir = tempfile::tempdir().unwrap();
    let needs = "mod \"m\" {\n  require {\n    mod \"github.com/some/other\" {}\n  }\n}\n";
    std::fs::write(dir.path().join("mod.pp"), needs).unwrap();
    let text = "locals {\n  unused = upper()\n  of_other = other.var.x\n}\nvariable \"open\" {\n  type = list(number)\n}\n\
                variable \"odd\" {\n  type = number\n  default = \"x\"\n}\ncontrol \"c\" {\n  title = \"${join(\"\", var.open)}\"\n  sql = <<-EOQ\n    %{~ if true ~}\n    \
                select\n      ${\"1\"} bad\n    %{ endif }\n  EOQ\n}\nquery \"q\" {\n  sql = \"bad\"\n}\n";
    std::fs::write(dir.path().join("a.pp"), text).unwrap();
    let sql = |text: &str| match text.lines().enumerate().find_map(|(n, line)| Some((n + 1, line.find("bad")? + 1))) {
        Some(at) => Err((Some(at), "bad SQL".to_owned())),
        None => Ok(()),
    };
    let checked = Library::embedded().check_mod(&[folder(dir.path())], &sql).unwrap();
    let root = format!("{}/", dir.path().display());
    let errors: Vec<String> = checked.errors.iter().map(|e| e.to_string().replace(&root, "")).collect();
    assert_eq!(errors, ["a.pp:2:12: upper(): takes one argument, not 0", "a.pp:10:13: variable 'odd': must be a number, not text"]);
    let warnings: Vec<String> = checked.warnings.iter().map(|w| w.replace(&root, "")).collect();
    assert_eq!(warnings, ["a.pp:17:14: bad SQL", "a.pp:22:9: bad SQL"]);
}

#[test]
fn oddities_are_named_and_read_over() {
    let text = "control \"c\" {\n  sql = \"x\"\n  severity = \"dreadful\"\n  zzz = 1\n  documentation = file(\"./no.md\")\n}\n";
    let notices = load(&[MOD, ("a.pp", text)], &[]).unwrap().mods().notices.clone();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices.iter().any(|n| n.ends_with("a.pp:5:24: file(): there is no file './no.md'; it is read over")), "{notices:?}");
    assert!(notices.iter().any(|n| n.ends_with("a.pp:3:14: 'dreadful' is not a severity; it is read over")), "{notices:?}");
    assert!(notices.iter().any(|n| n.ends_with("a.pp:4:3: a control has no attribute 'zzz'; it is read over")), "{notices:?}");
}

#[test]
fn a_mod_describes_itself() {
    let about = read_mod(&testdata("cloud_checks")).unwrap();
    assert_eq!((about.name.as_str(), about.title.as_str(), about.controls), ("cloud_checks", "Cloud Checks", 3));
    assert_eq!(about.requires[0].source, "example.com/mods/base-mod-base_checks");
    assert_eq!(about.requires[0].version, "^1.0");
}

#[test]
fn of_two_descriptions_the_newer_counts() {
    let files = [("mod.pp", "mod \"m\" {\n  title = \"new\"\n}\n"), ("mod.sp", "mod \"m\" {\n  title = \"old\"\n}\n"), A_CONTROL];
    control(&load(&files, &[]).unwrap(), "m.control.c");
}

#[test]
fn files_of_values() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.ppvars");
    std::fs::write(&file, "# a comment\na = \"x y\"\nb = [\"p\", 1]\nc = { k = true }\n").unwrap();
    let values: Vec<(String, String)> = read_mod_values(&file).unwrap().into_iter().map(|v| (v.name, v.text)).collect();
    let want = [("a", "x y"), ("b", "[\"p\",1]"), ("c", "{\"k\":true}")];
    assert_eq!(values, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
    for (text, want) in
        [("a {\n}\n", ":1:1: a block in"), ("a = 1\nb = local.x\n", ":2:5: the value of 'b' is not a constant"), ("a = \n", ":1:")]
    {
        std::fs::write(&file, text).unwrap();
        let error = read_mod_values(&file).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?} gave {error}");
    }
}

/// As large as the largest mods: 1,600 controls with SQL, tags and documentation of their own, 200 benchmarks.
#[test]
fn a_large_mod_loads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("docs")).unwrap();
    std::fs::copy(testdata("cloud_checks/variables.pp"), dir.path().join("variables.pp")).unwrap();
    std::fs::write(dir.path().join("mod.pp"), "mod \"large\" {\n}\n").unwrap();
    for file in 0..200 {
        let mut text = String::new();
        let names: Vec<String> = (0..8).map(|i| format!("c{file}_{i}")).collect();
        let children = names.iter().map(|n| format!("    control.{n}")).collect::<Vec<_>>().join(",\n");
        let _ = writeln!(text, "benchmark \"b{file}\" {{\n  title = \"Group {file}\"\n  children = [\n{children}\n  ]\n}}\n");
        for name in &names {
            std::fs::write(dir.path().join(format!("docs/{name}.md")), "## Description\n\nWords.\n".repeat(20)).unwrap();
            let columns = (0..25).map(|i| format!("        when t.column_{i} is null then 'alarm'\n")).collect::<String>();
            let _ = writeln!(
                text,
                "control \"{name}\" {{\n  title         = \"Question {name}\"\n  description   = \"Some words on {name}.\"\n  \
                 query         = query.{name}\n  documentation = file(\"./docs/{name}.md\")\n  severity      = \"low\"\n  \
                 tags          = merge(local.iam_tags, {{ item = \"{name}\" }})\n}}\n\nquery \"{name}\" {{\n  sql = <<-EOQ\n    select\n      \
                 t.arn as resource,\n      case\n{columns}        else 'ok'\n      end as status,\n      'a reason' as reason\n      \
                 ${{replace(local.tag_dimensions, \"__TABLE__\", \"t.\")}}\n      ${{replace(local.dimensions, \"__TABLE__\", \"t.\")}}\n    \
                 from\n      a_table as t;\n  EOQ\n}}\n"
            );
        }
        std::fs::write(dir.path().join(format!("f{file}.pp")), text).unwrap();
    }
    let started = Instant::now();
    let mut library = Library::embedded();
    library.load_content(&[], &[folder(dir.path())], &[]).unwrap();
    let took = started.elapsed();
    assert_eq!(library.mods().mods[0].controls, 1_600);
    let limit = if cfg!(debug_assertions) { 30 } else { 1 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
}
