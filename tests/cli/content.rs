//! `list`, `show`, `--dry-run`, help and completions: what ships in the binary.

use super::Place;

#[test]
fn help_and_version_go_to_stdout() {
    let place = Place::new();
    assert!(place.run(&["--version"]).out().starts_with("assay "));
    for args in [&["--help"][..], &["query", "--help"], &["run", "benchmark", "--help"], &["benchmark", "run", "--help"], &["show", "-h"]] {
        let text = place.run(args).out();
        assert!(text.contains("Example"), "{args:?}");
    }
}

#[test]
fn lists_come_in_every_format() {
    let place = Place::new();
    let tables = place.run(&["list", "tables", "--output", "csv"]).out();
    assert!(tables.starts_with("table,about\n") && tables.contains("\naws_iam_access_key,"), "{tables}");
    let names: Vec<&str> = tables.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
    assert!(names.is_sorted());
    let json: serde_json::Value = serde_json::from_str(&place.run(&["list", "benchmarks", "--output", "json"]).out()).unwrap();
    assert_eq!(json["rows"][0]["benchmark"], "cis_v200");
    assert_eq!(json["rows"][0]["controls"], "64");
    assert!(place.run(&["list", "queries", "-o", "csv"]).out().contains("iam_user_access_key_age_90,max_age_days=90,"));
    assert!(place.run(&["list", "controls", "-o", "jsonl"]).out().contains("{\"control\":\"aws_root_mfa\","));
    assert_eq!(
        place.run(&["list", "connections", "-o", "csv"]).out(),
        "connection,cloud,kind,members,default\naws,aws,connection,,yes\nazure,azure,connection,,yes\n"
    );
}

#[test]
fn every_table_can_be_shown() {
    let place = Place::new();
    let names = place.run(&["list", "tables", "-o", "csv", "--no-color"]).out();
    for name in names.lines().skip(1).map(|l| l.split(',').next().unwrap()) {
        let text = place.run(&["show", name]).out();
        let owner = if name.starts_with("azure_") { "cloud_environment" } else { "account_id" };
        assert!(text.starts_with(&format!("{name}\n")) && text.contains("\nColumns\n") && text.contains(owner), "{text}");
    }
    let text = place.run(&["show", "aws_iam_access_key"]).out();
    assert!(text.contains("iam.ListAccessKeys") && text.contains("user_name  =, in"), "{text}");
    assert!(text.contains("iam.GetAccessKeyLastUsed  for access_key_last_used_date"), "{text}");
}

#[test]
fn controls_and_benchmarks_can_be_shown() {
    let place = Place::new();
    for id in ["cis_v200_1_14", "control.cis_v200_1_14", "aws_compliance.control.cis_v200_1_14"] {
        let text = place.run(&["show", id]).out();
        assert!(text.contains("Item:      1.14") && text.contains("max_age_days") && text.contains("from\n"), "{text}");
    }
    let tree = place.run(&["show", "cis_v200"]).out();
    assert!(tree.contains("\n  cis_v200_1_14  ") && tree.contains("(not implemented)"), "{tree}");
}

#[test]
fn a_dry_run_lists_and_runs_nothing() {
    let place = Place::new();
    let done = place.run(&["benchmark", "run", "aws_compliance.benchmark.cis_v200", "--dry-run", "-o", "csv"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.out.lines().count(), 65);
    assert!(done.out.contains("\ncis_v200_1_14,1.14,medium,iam_user_access_key_age_90,"), "{}", done.out);
    let some = place.run(&["run", "benchmark", "cis_v200", "--dry-run", "-o", "csv", "--where", "severity = 'critical'"]);
    assert!(some.out.lines().skip(1).all(|l| l.contains(",critical,")) && some.out.lines().count() > 1, "{}", some.out);
}

#[test]
fn completion_scripts_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell]).out().contains("benchmark"), "{shell}");
    }
}
