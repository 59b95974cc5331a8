//! `assay query` over statements that need no cloud.

use super::{Done, Place, finish};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn statements_come_from_anywhere() {
    let place = Place::new();
    assert_eq!(place.run(&["query", "select 1 as a"]).out(), " a\n---\n 1\n(1 row)\n");
    place.write("two.sql", "-- two\nselect 1 as a; select 'b;c' as b;");
    assert_eq!(place.run(&["query", "two.sql", "select 3 as c", "-o", "csv"]).out(), "a\n1\nb\nb;c\nc\n3\n");
    assert_eq!(place.run_with(&["query", "-", "-o", "csv"], "select 1 as a;").out(), "a\n1\n");
    assert_eq!(place.run_with(&["query", "-o", "csv"], "select 2 as a").out(), "a\n2\n");
}

#[test]
fn values_have_their_postgresql_text() {
    let place = Place::new();
    let sql = "select true as b, null::text as n, timestamptz '2024-03-05 10:00:00.5+00' as t, '{\"bb\":1, \"a\":[1,2]}'::jsonb as j, 0.5::float8 as f";
    assert_eq!(
        place.run(&["query", sql, "-o", "csv"]).out(),
        "b,n,t,j,f\ntrue,,2024-03-05 10:00:00.5+00,\"{\"\"a\"\": [1, 2], \"\"bb\"\": 1}\",0.5\n"
    );
    let json: serde_json::Value = serde_json::from_str(&place.run(&["query", sql, "-o", "json"]).out()).unwrap();
    assert_eq!(
        json["rows"],
        serde_json::json!([{"b": true, "n": null, "t": "2024-03-05T10:00:00.5Z", "j": {"a": [1, 2], "bb": 1}, "f": 0.5}])
    );
    assert_eq!(json["columns"][2], serde_json::json!({"name": "t", "data_type": "timestamptz"}));
}

#[test]
fn arguments_are_bound_and_typed() {
    let place = Place::new();
    let bound = |sql: &str, args: &[&str]| {
        let args: Vec<&str> = args.iter().flat_map(|a| ["--arg", a]).collect();
        place.run(&[&["query", sql, "-o", "csv", "--header", "false"], args.as_slice()].concat()).out()
    };
    assert_eq!(bound("select $n + 1", &["n=41"]), "42\n");
    assert_eq!(bound("select $who", &["who=x' or 'a'='a"]), "x' or 'a'='a\n");
    assert_eq!(bound("select $1 || $2", &["a", "b"]), "ab\n");
}

#[test]
fn looks() {
    let place = Place::new();
    let sql = "select 1 as a, 'x' as b";
    assert_eq!(place.run(&["query", sql, "-o", "csv", "--separator", "\\t", "--header", "false"]).out(), "1\tx\n");
    assert_eq!(place.run(&["query", sql, "-o", "jsonl"]).out(), "{\"a\":1,\"b\":\"x\"}\n");
    assert_eq!(place.run(&["query", sql, "-o", "line"]).out(), "-[ RECORD 1 ]\na | 1\nb | x\n");
    assert_eq!(place.run(&["query", sql, "-o", "none"]).out(), "");
    let timed = place.run(&["query", sql, "-o", "none", "--timing"]);
    assert!(timed.err.starts_with("Time: ") && timed.err.ends_with("Rows: 1. Calls: 0, cache hits: 0.\n"), "{timed:?}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new();
    let mut command = place.command(&["query", "select * from generate_series(1, 200000)", "-o", "csv"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str(), first.as_str()), (Some(0), "", "generate_series\n"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_query_at_once() {
    let place = Place::new();
    let endless = "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t";
    let mut command = place.command(&["--progress", "always", "query", endless, "-o", "json"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // The first sign of progress says that it runs.
    let mut sign = [0];
    stderr.read_exact(&mut sign).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut err = String::new();
    stderr.read_to_string(&mut err).unwrap();
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{done:?} {err}");
    assert!(err.contains("error: interrupted after 0 rows: the result is incomplete"), "{err}");
    let document: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(document["metadata"]["complete"], false);
}

#[test]
fn the_configuration_is_found_upward() {
    let place = Place::new();
    place.write("assay.yaml", "connections:\n  prod: { cloud: aws, profile: p }\n  all: { aggregate: [prod] }\ndefault: [prod]\n");
    std::fs::create_dir_all(place.0.join("a/b")).unwrap();
    let mut command = place.command(&["list", "connections", "-o", "csv"]);
    command.current_dir(place.0.join("a/b"));
    let done = finish(command, "");
    assert_eq!(done.out, "connection,cloud,kind,members,default\nall,,aggregate,prod,\nprod,aws,connection,,yes\n", "{done:?}");
}
