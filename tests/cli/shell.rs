//! The shell with stdin that is no terminal: statements and meta-commands in turn. The terminal is in `tests/judge/test_shell.py`.

use super::Place;

#[test]
fn statements_and_commands() {
    let place = Place::new();
    let script = ".output csv\nselect 1 as a,\n  ';' as b;\n.header off\n.params who=x\nselect $who;\n.separator ;\nselect 1, 2;\n.exit\nselect 'not run';\n";
    assert_eq!(place.run_with(&[], script).out(), "a,b\n1,;\nx\n1;2\n");
}

#[test]
fn results_go_to_files_once() {
    let place = Place::new();
    assert_eq!(place.run_with(&[], ".output csv\n.once out.json\nselect 1 as a;\nselect 2 as b;\n").out(), "b\n2\n");
    let document: serde_json::Value = serde_json::from_str(&place.read("out.json")).unwrap();
    assert_eq!(document["rows"], serde_json::json!([{"a": 1}]));
    place.run_with(&[], ".once no/such/x.csv\n").fails(74, "no/such/x.csv");
}

#[test]
fn files_are_read_and_their_errors_placed() {
    let place = Place::new();
    place.write("a.sql", ".output csv\nselect 1 as a;\n.read b.sql\n");
    place.write("b.sql", "select 2 as b;\n\n select x;\n");
    let done = place.run_with(&[], ".read a.sql\n");
    assert_eq!((done.code, done.out.as_str()), (65, "a\n1\nb\n2\n"), "{done:?}");
    assert!(done.err.starts_with("error: a.sql:3: b.sql:3:9: "), "{done:?}");
    place.write("self.sql", ".read self.sql\n");
    let done = place.run_with(&[], ".read self.sql\n");
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.err.contains("does one read itself?"), "{done:?}");
}

#[test]
fn settings_answer_and_mistakes_stop_a_script() {
    let place = Place::new();
    let done = place.run_with(&[], ".timing\n.cache\n.cache_ttl\n.output\n.multi\n.search_path\n.cache off\n.cache\n");
    assert_eq!((done.code, done.err.as_str()), (0, "off\non\n300 s\ntable\non\naws, azure\noff\n"), "{done:?}");
    place.run_with(&[], ".nonsense\nselect 1;\n").fails(65, "there is no command .nonsense");
    place.run_with(&[], ".search_path nowhere\nselect 1;\n").fails(65, "nowhere");
    place.run_with(&[], "set max_staleness = soon;\nselect 1;\n").fails(65, "invalid value for parameter \"max_staleness\": \"soon\"");
    place.run_with(&[], "\nset max_staleness\n 4;\nselect 1;\n").fails(65, "line 3, column 2: syntax error at or near \"4\"");
    // A wrong SET fails before anything runs.
    place.run(&["query", "select 1; set nonsense = 1"]).fails(65, "unrecognized configuration parameter \"nonsense\"");
    place.run_with(&[], ".inspect aws_iam_acces_key\n").fails(65, "did you mean aws_iam_access_key?");
}

#[test]
fn tables_are_inspected() {
    let place = Place::new();
    let text = place.run_with(&[], ".inspect aws_iam_access_key\n.tables iam_ac\n.connections\n").out();
    assert!(text.contains("iam.ListAccessKeys") && text.contains(" aws_iam_account_summary ") && text.contains(" aws "), "{text}");
}

#[cfg(unix)]
#[test]
fn a_read_only_home_is_no_obstacle() {
    let place = Place::new();
    let mut command = place.command(&[]);
    command.env("HOME", "/nonexistent");
    let done = super::finish(command, "select 1 as one;\n.exit\n");
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
}
