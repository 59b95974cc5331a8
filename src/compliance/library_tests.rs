//! What is in the binary is valid; what users add is checked at load.

use super::*;

const CONTROL: &str = "control: c1\ntitle: T\nseverity: high\nparams: {days: {default: 90, min: 1}}\nsql: select $days\n";
const SHARING: &str = "control: c2\ntitle: T2\nquery: c1\nparams: {days: {default: 30}}\n";
const BENCHMARK: &str = "benchmark: b\ntitle: B\nframework: fw\nchildren:\n- id: b_1\n  title: One\n  children:\n  - {id: b_1_1, control: c1, item: 1.1}\n- c2\n";

fn library(files: &[(&str, &str)]) -> Result<Library, ContentError> {
    let mut library = Library::default();
    library.load_texts(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))?;
    Ok(library)
}

fn good() -> Library {
    library(&[("c1.yaml", CONTROL), ("c2.yaml", SHARING), ("b.yaml", BENCHMARK)]).unwrap()
}

#[test]
fn everything_in_the_binary_is_valid() {
    let library = Library::embedded();
    let problems: Vec<String> = library.check().iter().map(|e| format!("{e} ({})", e.hint.as_deref().unwrap_or(""))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let Item::Group(root) = library.find("cis_v200").unwrap() else { panic!("cis_v200 is not a benchmark") };
    assert!(root.is_file);
    let plan = library.plan(&crate::Request::new(TargetKind::Benchmark, ["aws_compliance.benchmark.cis_v200"])).unwrap();
    assert_eq!(plan.root.controls().len(), 64);
}

#[test]
fn the_seed_control_says_what_it_is() {
    let library = Library::embedded();
    let plan = library.plan(&crate::Request::new(TargetKind::Control, ["aws_compliance.control.cis_v200_1_14"])).unwrap();
    let leaf = plan.root.controls()[0];
    assert_eq!(leaf.query, "iam_user_access_key_age_90");
    for (tag, want) in [
        ("cis", "true"),
        ("cis_version", "v2.0.0"),
        ("cis_section_id", "1"),
        ("cis_item_id", "1.14"),
        ("cis_level", "1"),
        ("cis_type", "automated"),
        ("service", "AWS/IAM"),
    ] {
        assert_eq!(leaf.tags.get(tag).map(String::as_str), Some(want), "{tag}");
    }
    let args = &plan.evaluations[0].named;
    assert_eq!((args[0].name.as_str(), &args[0].value), ("max_age_days", &90.into()));
    assert!(leaf.documentation.contains("aws iam"));
}

#[test]
fn the_storage_key_benchmark_says_what_it_is() {
    let library = Library::embedded();
    let plan = library.plan(&crate::Request::new(TargetKind::Benchmark, ["azure_compliance.benchmark.conformity_azure_storage"])).unwrap();
    let controls = plan.root.controls();
    assert_eq!(controls[0].id, "StorageAccounts-002");
    assert_eq!((controls.len(), plan.evaluations.len()), (4, 4));
    for control in &controls {
        assert_eq!(control.severity, crate::Severity::Medium, "{}", control.id);
        for (tag, want) in [("risk", "Medium"), ("cisazure", "true"), ("cbp", "true"), ("service", "Azure/Storage")] {
            assert_eq!(control.tags.get(tag).map(String::as_str), Some(want), "{} {tag}", control.id);
        }
        for part in ["## What is checked", "## How to check by hand", "## How to fix it", "## What can break"] {
            assert!(control.documentation.contains(part), "{} {part}", control.id);
        }
    }
    for evaluation in &plan.evaluations {
        assert_eq!((evaluation.named[0].name.as_str(), &evaluation.named[0].value), ("max_age_days", &90.into()));
        assert!(!evaluation.sql.contains("access_keys"), "key values are never read");
    }
    let mut request = crate::Request::new(TargetKind::Control, ["StorageAccounts-002"]);
    request.args = vec!["max_age_days=91".to_owned()];
    let refused = library.plan(&request).unwrap_err();
    assert!(refused.hint().unwrap().contains("azure_storage_account_key_age"), "{refused}");
    request.ids = vec!["azure_storage_account_key_age".to_owned()];
    assert!(library.plan(&request).is_ok());
}

#[test]
fn the_examples_are_valid() {
    let control = include_str!("../../controls/_example.yaml").to_owned();
    let benchmark = include_str!("../../benchmarks/_example.yaml").replace("some_other_benchmark", "iam_user_access_key_example");
    let library = library(&[("iam_user_access_key_example.yaml", &control), ("cis_example.yaml", &benchmark)]).unwrap();
    let Item::Leaf(leaf) = library.find("cis_example_1_14").unwrap() else { panic!("no leaf") };
    let want = [
        ("category", "compliance"),
        ("cis", "true"),
        ("cis_item_id", "1.14"),
        ("cis_level", "1"),
        ("cis_section_id", "1"),
        ("cis_type", "automated"),
        ("cis_version", "v2.0.0"),
        ("topic", "identity"),
    ];
    assert_eq!(leaf.tags, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[test]
fn finds_every_spelling() {
    let library = good();
    for (id, want) in [
        ("c1", "control c1"),
        ("control.c1", "control c1"),
        ("query.c1", "control c1"),
        ("aws_compliance.control.b_1_1", "leaf b_1_1"),
        ("azure_compliance.control.b_1_1", "leaf b_1_1"),
        ("b", "group b"),
        ("benchmark.b_1", "group b_1"),
        ("aws_compliance.benchmark.b", "group b"),
        ("c11", "no control or benchmark has the id 'c11' / did you mean 'c1'?"),
        ("control.zzz", "no control has the id 'zzz' / see `assay list benchmarks` and `assay list controls`"),
        ("control.b", "'b' is a benchmark / use `assay run benchmark b`"),
        ("benchmark.c1", "'c1' is a control / use `assay run control c1`"),
        (
            "other.control.c1",
            "there is no mod 'other' / install it: `assay mod install SOURCE`; our own content answers to aws_compliance and azure_compliance, or to the bare id",
        ),
        ("thing.c1", "'thing' is not a kind of id / use control.<id>, benchmark.<id> or query.<id>"),
        ("a.b.c.d", "'a.b.c.d' is not an id / for example cis_v200_1_14 or control.cis_v200_1_14"),
        ("", "no control or benchmark has the id '' / see `assay list benchmarks` and `assay list controls`"),
    ] {
        let got = match library.find(id) {
            Ok(Item::Control(c)) => format!("control {}", c.id),
            Ok(Item::Leaf(l)) => format!("leaf {}", l.id),
            Ok(Item::Group(g)) => format!("group {}", g.id),
            Err(e) => format!("{e} / {}", e.hint().unwrap_or("")),
        };
        assert_eq!(got, want, "{id}");
    }
}

#[test]
fn named_queries_share_sql_and_override_defaults() {
    let library = good();
    let q = library.query("c2").unwrap();
    assert_eq!(
        (q.name.as_str(), &*q.sql, q.params[0].default.clone(), q.params[0].min),
        ("c1", "select $days", Some(30.into()), Some(1.0))
    );
    assert_eq!(library.query("b_1_1").unwrap().params[0].default, Some(90.into()));
    assert!(library.query("b").unwrap_err().to_string().contains("is a benchmark, not a query"));
}

#[test]
fn roots_and_lists_are_sorted() {
    let library = good();
    assert_eq!(library.control_ids(), ["c1", "c2"]);
    assert_eq!(library.benchmarks().unwrap().iter().map(|g| g.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(library.leaves().unwrap().len(), 1);
}

#[test]
fn refuses_content_that_does_not_fit_together() {
    let b = |children: &str| format!("benchmark: b\ntitle: B\nchildren:\n{children}");
    /// Files, message, hint.
    type Case<'a> = (Vec<(&'a str, String)>, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (vec![("x/c1.yaml", CONTROL.into()), ("y/c1.yaml", CONTROL.into())], "y/c1.yaml:1:1: the id 'c1' is taken", "x/c1.yaml has it"),
        (vec![("c2.yaml", SHARING.into())], "c2.yaml:3:8: there is no query 'c1'", ""),
        (
            vec![("c1.yaml", CONTROL.into()), ("c2.yaml", SHARING.replace("days", "day"))],
            "c2.yaml:1:1: query 'c1' has no parameter 'day'",
            "did you mean 'days'?",
        ),
        (
            vec![("c1.yaml", CONTROL.into()), ("c2.yaml", SHARING.replace("30", "x"))],
            "c2.yaml:1:1: 'days' must be a whole number, not \"x\"",
            "",
        ),
        (vec![("c1.yaml", CONTROL.into()), ("c2.yaml", SHARING.replace("30", "0"))], "c2.yaml:1:1: 0 is less than 1", ""),
        (
            vec![("c1.yaml", CONTROL.into()), ("c2.yaml", SHARING.into()), ("c3.yaml", "control: c3\ntitle: x\nquery: c2".into())],
            "c3.yaml:3:8: query 'c2' has no SQL of its own",
            "name the control that has it",
        ),
        (vec![("b.yaml", b("- nope"))], "b.yaml:4:3: nothing has the id 'nope'", ""),
        (vec![("c1.yaml", CONTROL.into()), ("b.yaml", b("- c11"))], "b.yaml:4:3: nothing has the id 'c11'", "did you mean 'c1'?"),
        (vec![("b.yaml", b("- {id: l, title: t, control: nope}"))], "b.yaml:4:30: there is no control 'nope'", "leave `control:` out"),
        (vec![("b.yaml", b("- {id: l}"))], "b.yaml:4:8: leaf 'l' has neither a control nor a title", "add `title:`"),
        (vec![("b.yaml", b("- {id: l, title: t}\n- {id: l, title: t}"))], "b.yaml:5:8: the id 'l' is taken", "b.yaml:4 has it"),
        (vec![("c1.yaml", CONTROL.into()), ("b.yaml", b("- {id: c1, title: t}"))], "b.yaml:4:8: the id 'c1' is taken", "a control has it"),
        (
            vec![("c1.yaml", CONTROL.into()), ("b.yaml", b("- {id: l, control: c1, args: {day: 1}}"))],
            "b.yaml:4:8: control 'c1' has no parameter 'day'",
            "did you mean 'days'?",
        ),
        (
            vec![("c1.yaml", CONTROL.into()), ("b.yaml", b("- {id: l, control: c1, args: {days: x}}"))],
            "b.yaml:4:8: 'days' must be a whole number",
            "",
        ),
        (vec![("b.yaml", b("- b"))], "b.yaml:4:3: 'b' contains itself", "b → b"),
        (
            vec![("b.yaml", b("- d")), ("d.yaml", "benchmark: d\ntitle: D\nchildren:\n- id: g\n  title: g\n  children: [b]\n".into())],
            "d.yaml:6:14: 'b' contains itself",
            "b → d → g → b",
        ),
    ];
    for (files, message, hint) in cases {
        let mut library = Library::default();
        let got = library.load_texts(files.iter().map(|(p, t)| ((*p).to_owned(), t.clone()))).unwrap_err();
        assert!(got.to_string().starts_with(message), "{files:?} gave {got}");
        assert!(got.hint.clone().unwrap_or_default().contains(hint), "{files:?} gave hint {:?}", got.hint);
    }
}

#[test]
fn loads_folders_without_what_begins_with_an_underscore() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("aws/iam")).unwrap();
    for (path, text) in
        [("aws/iam/c1.yaml", CONTROL), ("b.yaml", "benchmark: b\ntitle: B\nchildren: [c1]"), ("_x.yaml", "broken: ["), ("notes.txt", "x")]
    {
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    let mut library = Library::default();
    assert_eq!(library.load_folder(folder.path()).unwrap(), 2);
    assert_eq!(library.control_ids(), ["c1"]);
    let missing = Library::default().load_folder(&folder.path().join("nope")).unwrap_err();
    assert!(matches!(missing, LoadError::Io { .. }), "{missing}");
}
