//! Secret columns from outside: nothing shows one unless it is named and asked for, and controls never see one.

use super::Place;

const SPEC: &str = "table: aws_mine\nabout: Mine.\nscope: account\nrows:\n  - { call: iam.ListUsers, each: Users }\n\
    also:\n  profile: { call: iam.GetLoginProfile, in: { UserName: UserName }, take: LoginProfile }\n\
    secret: [pass]\ncolumns:\n  name: text <- UserName\n  pass: text <- profile.UserName\n";

const CONTROL: &str = "control: pass_is_set\ntitle: A control that reads a secret\ndescription: It must not.\nseverity: low\nservice: AWS/IAM\n\n\
    sql: |\n  select name as resource, 'ok' as status, pass as reason from aws_mine\n";

/// A place with the table and the control.
fn place() -> Place {
    let place = Place::new();
    place.write("assay.yaml", "connections: { prod: { cloud: aws } }\ntables: [specs]\ncontrols: [rules]\n");
    place.write("specs/aws_mine.yaml", SPEC);
    place.write("rules/pass_is_set.yaml", CONTROL);
    place
}

#[test]
fn a_named_secret_needs_the_flag() {
    let place = place();
    let hidden = place.run(&["query", "select name, pass from aws_mine"]);
    hidden.fails(65, "line 1, column 14: column \"pass\" of aws_mine is secret");
    assert!(hidden.err.contains("hint: only `assay query --show-secrets`"), "{hidden:?}");
    // With it the statement is a good one, which then lacks credentials.
    place.run(&["query", "--show-secrets", "select name, pass from aws_mine"]).fails(69, "credential");
    place.run(&["query", "select * from aws_mine"]).fails(69, "credential");
}

#[test]
fn the_shell_has_a_switch() {
    let place = place();
    place.run_with(&[], "select pass from aws_mine;\n").fails(65, "is secret");
    place.run_with(&[], ".secrets on\nselect pass from aws_mine;\n").fails(69, "credential");
    place.run_with(&["--show-secrets"], "select pass from aws_mine;\n").fails(69, "credential");
    place.run_with(&["--show-secrets"], ".secrets off\nselect pass from aws_mine;\n").fails(65, "is secret");
    assert_eq!(place.run_with(&[], ".secrets on\n.search_path prod\n.secrets\n").err, "on\n");
    assert!(place.run_with(&[], ".inspect aws_mine\n").out().contains("(secret: named with --show-secrets or .secrets on only"));
    let columns = "select column_name from assay_columns where table_name = 'aws_mine' and secret";
    assert_eq!(place.run(&["query", columns, "-o", "csv", "--header", "false"]).out(), "pass\n");
    assert!(place.run(&["show", "aws_mine"]).out().contains("never in select *"));
}

#[test]
fn controls_never_see_one() {
    let place = place();
    place.run(&["run", "control", "pass_is_set", "--show-secrets"]).fails(64, "--show-secrets");
    place.run(&["--show-secrets", "run", "control", "pass_is_set"]).fails(64, "--show-secrets");
    let done = place.run(&["run", "control", "pass_is_set", "-o", "json"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.out.contains("column \\\"pass\\\" of aws_mine is secret"), "{done:?}");
}

#[test]
fn a_table_is_asked_on_connections_of_its_cloud_only() {
    let place = place();
    place.write("assay.yaml", "connections: { prod: { cloud: aws } }\n");
    let done = place.run(&["query", "select name, cloud, kind from assay_connections", "-o", "csv", "--header", "false"]);
    assert_eq!(done.out(), "prod,aws,account\n");
}

#[test]
fn memory_has_a_limit() {
    let place = place();
    let sql = "select count(*) from (select repeat('x', 1000) || n as t from generate_series(1, 20000) n group by 1) s";
    let done = place.run(&["--memory-limit", "4MiB", "query", sql]);
    done.fails(65, "out of memory");
    assert!(done.err.contains("--memory-limit"), "{done:?}");
    place.run(&["--memory-limit", "lots", "query", "select 1"]).fails(64, "is not a size");
}
