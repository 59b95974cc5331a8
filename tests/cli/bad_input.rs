//! Bad input gets one clear error and the right exit code.

use super::Place;

#[test]
fn usage() {
    let place = Place::new();
    for args in [
        &["querry"][..],
        &["query", "select 1", "--output", "papyrus"],
        &["run", "control"],
        &["--demo", "--replay", "x", "query", "select 1"],
        &["query", "--cache-ttl", "soon", "select 1"],
        &["run", "control", "cis_v200_1_14", "--export", "report.xyz"],
        &["list", "everything"],
    ] {
        let done = place.run(args);
        assert_eq!((done.code, done.out.as_str()), (64, ""), "{args:?}: {done:?}");
        assert!(done.err.starts_with("error: "), "{done:?}");
    }
}

#[test]
fn statements() {
    let place = Place::new();
    for (sql, says) in [
        ("select 1 +", "syntax error"),
        ("selec 1", "error: line 1, column 1: syntax error"),
        ("select 1;\n\n select * from aws_iam_acces_key", "aws_iam_access_key"),
        ("select user_nam from aws_iam_access_key", "user_name"),
        ("select 1 / 0", "division by zero"),
        ("select 'x'::int", "x"),
        ("select $who", "$who"),
        ("create table x (a int)", "read"),
        ("copy (select 1) to '/tmp/x.csv'", "read"),
        ("no_such_query", "no_such_query"),
        ("-- nothing", "no statement"),
    ] {
        let done = place.run(&["query", "--", sql]);
        assert_eq!(done.code, 65, "{sql}: {done:?}");
        assert!(done.err.starts_with("error: ") && done.err.contains(says), "{sql}: {done:?}");
    }
    place.run(&["query", "select 1", "--arg", "a=1", "--arg", "a=2"]).fails(65, "argument a is given twice");
}

#[test]
fn places_in_files_are_named() {
    let place = Place::new();
    place.write("report.sql", "select 1 as a;\n\n  selec 2;\n");
    let done = place.run(&["query", "report.sql", "-o", "csv"]);
    assert_eq!((done.code, done.out.as_str()), (65, "a\n1\n"));
    assert!(done.err.starts_with("error: report.sql:3:3: syntax error"), "{}", done.err);
}

#[test]
fn files() {
    let place = Place::new();
    place.run(&["query", "none.sql"]).fails(74, "cannot read none.sql: no such file or directory");
    place.run(&["--config", "none.yaml", "list", "tables"]).fails(74, "cannot read none.yaml");
    place.run(&["--replay", "none.bundle", "query", "select 1"]).fails(74, "none.bundle");
    place.run(&["--record", "no/such/x.bundle", "query", "select 1"]).fails(74, "no/such/x.bundle");
    place.run(&["run", "control", "cis_v200_1_14", "--export", "no/such/report.csv"]).fails(74, "no/such/report.csv");
    place.write("junk.bundle", "junk");
    place.run(&["--replay", "junk.bundle", "query", "select 1"]).fails(65, "junk.bundle");
}

#[test]
fn configurations() {
    let place = Place::new();
    for (text, says) in [
        ("connections:\n  prod: { cloud: aws, regoins: [eu-west-1] }\n", "assay.yaml:2:"),
        ("conections: {}\n", "assay.yaml:1:1: unknown field `conections`"),
        ("connections: [\n", "assay.yaml:"),
        ("connections:\n  all: { aggregate: [nothing] }\n", "nothing"),
        ("tables: [no_such_folder]\n", "no_such_folder"),
        (
            "limits: { aws: { \"iam:ListUser\": { rate: 5 } } }\n",
            "`limits.aws.iam:ListUser`: iam has no operation `ListUser`; did you mean `ListUsers`?",
        ),
        ("limits: { aws: { imm: { rate: 5 } } }\n", "`limits.aws.imm`: there is no AWS service `imm`"),
        ("limits: { azure: { \"arm:reads\": { rate: 5 } } }\n", "`limits.azure.arm:reads`: limits of Azure are those of an API"),
    ] {
        place.write("assay.yaml", text);
        let done = place.run(&["query", "select 1"]);
        assert!([65, 74].contains(&done.code), "{text}: {done:?}");
        assert!(done.err.starts_with("error: ") && done.err.contains(says), "{text}: {done:?}");
    }
    place.write("assay.yaml", "connections:\n  prod: { cloud: aws, profile: x }\n");
    place.run(&["--connection", "prd", "query", "select 1"]).fails(65, "prd");
}

#[test]
fn a_users_spec_is_checked() {
    let place = Place::new();
    place.write("assay.yaml", "tables: [specs]\n");
    place.write("specs/aws_mine.yaml", "table: aws_mine\nabout: Mine.\nnonsense: 1\n");
    let done = place.run(&["list", "tables"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.err.contains("aws_mine.yaml:"), "{done:?}");
}

#[test]
fn no_credentials() {
    let place = Place::new();
    place.run(&["query", "select name from aws_iam_user"]).fails(69, "credential");
    let done = place.run(&["doctor"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(done.out.contains("configuration: none found"), "{done:?}");
    assert!(done.err.contains("no connection works"), "{done:?}");
}

#[test]
fn unknown_ids_get_a_suggestion() {
    let place = Place::new();
    place.run(&["run", "control", "cis_v200_1_144"]).fails(65, "cis_v200_1_14");
    place.run(&["show", "aws_iam_acces_key"]).fails(65, "did you mean 'aws_iam_access_key'?");
    place.run(&["run", "benchmark", "cis_v200", "--tag", "nonsense"]).fails(65, "nonsense");
    place.run(&["run", "control", "cis_v200_1_14", "--arg", "max_age_dayz=1"]).fails(65, "max_age_days");
}
