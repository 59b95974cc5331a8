//! Rows in the making become columns.

use super::{BatchBuilder, Facts, Row, Slot};
use crate::{ColumnType, Request, Table};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use serde_json::json;
use std::sync::Arc;

const SPEC: &str = "\
table: t
about: Things.
scope: region
rows:
  - { call: ec2.ListThings, each: \"Groups[].Things[]\" }
also:
  more: { call: ec2.GetMore, in: { Id: ThingId } }
columns:
  thing_id: text
  size: int
  created_at: timestamp
  tags: jsonb <- tags(Tags)
  policy: jsonb <- document(Policy)
  owner: text <- parent.OwnerId
  arn: text <- 'arn:{partition}:x:{region}:{account_id}:{ThingId}'
  color: text <- more.
  big: bool <- Size > `10` && !Hidden
  address: inet
";

fn row(thing: serde_json::Value) -> (Table, Row) {
    let table = Table::load("t.yaml", SPEC).unwrap();
    let plan = table.plan(&Request::default()).unwrap();
    let page = Arc::new(json!({"Groups": [{"OwnerId": "o", "Things": [thing]}]}));
    let row = plan.links()[0].rows(&page, None).unwrap().remove(0);
    (table, row)
}

#[test]
fn projected_columns_only_and_in_order() {
    let (table, mut row) =
        row(json!({"ThingId": "a", "Size": "12", "CreatedAt": "2024-03-05T10:11:12Z", "Tags": [{"Key": "k", "Value": "v"}],
        "Policy": "%7B%22b%22%3A1%2C%22a%22%3A2%7D", "Address": "10.0.0.1"}));
    let all = table.columns.len();
    let plan = table.plan(&Request { projection: (0..all).rev().collect(), filters: vec![], ..Request::default() }).unwrap();
    let facts = Facts::new("conn", "eu-west-1").identity("aws", "111122223333");
    row.set(0, Slot::Known(Arc::new(json!({"Color": "red"}))));
    let start = &plan.starts()[0];
    let mut builder = BatchBuilder::new(&plan);
    assert_eq!(builder.push(&row, start, &facts), []);
    let batch = builder.finish().unwrap();
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    for (name, want) in [
        ("thing_id", "a"),
        ("tags", "{\"k\": \"v\"}"),
        ("policy", "{\"a\": 2, \"b\": 1}"),
        ("owner", "o"),
        ("arn", "arn:aws:x:eu-west-1:111122223333:a"),
        ("color", "red"),
        ("address", "10.0.0.1"),
        ("region", "eu-west-1"),
        ("_ctx", "{\"connection_name\": \"conn\"}"),
        ("sp_connection_name", "conn"),
    ] {
        assert_eq!(text(name), want, "{name}");
    }
    assert_eq!(batch.column_by_name("size").unwrap().as_primitive::<Int64Type>().value(0), 12);
    assert_eq!(batch.column_by_name("created_at").unwrap().as_primitive::<TimestampMicrosecondType>().value(0), 1_709_633_472_000_000);
    assert_eq!(batch.schema().field(0).name(), "sp_ctx");
    assert_eq!(plan.row_name(&row, start, &facts).as_deref(), Some("a"));
    assert_eq!(plan.row_region(&row, start, &facts).as_deref(), Some("eu-west-1"));
}

#[test]
fn what_does_not_fit_is_null_and_named() {
    let (table, mut row) = row(json!({"ThingId": "a", "Size": "many", "CreatedAt": true, "Tags": "x", "Policy": "{", "Address": "home"}));
    let names = ["size", "created_at", "tags", "policy", "address", "color", "thing_id", "big"];
    let projection = names.iter().map(|n| table.column(n).unwrap()).collect();
    let plan = table.plan(&Request { projection, filters: vec![], ..Request::default() }).unwrap();
    row.set(0, Slot::Unknown);
    let mut builder = BatchBuilder::new(&plan);
    let problems = builder.push(&row, &plan.starts()[0], &Facts::default());
    let problems: Vec<String> = problems.into_iter().map(|p| format!("{}: {}", p.column, p.message)).collect();
    assert_eq!(problems[..3], ["size: \"many\" is not an integer", "created_at: true is not a timestamp", "tags: tags() takes a list"]);
    assert!(problems[3].starts_with("policy: document(): not JSON: "), "{problems:?}");
    assert_eq!(problems[4..], ["address: \"home\" is not an inet"]);
    let batch = builder.finish().unwrap();
    for (i, name) in names.iter().enumerate() {
        assert_eq!(batch.column(i).is_null(0), !["thing_id", "big"].contains(name) || *name == "big", "{name}");
    }
}

#[test]
fn no_columns_still_count_rows() {
    let (table, row) = row(json!({}));
    let plan = table.plan(&Request::default()).unwrap();
    let mut builder = BatchBuilder::new(&plan);
    for _ in 0..3 {
        builder.push(&row, &plan.starts()[0], &Facts::default());
    }
    assert_eq!((builder.len(), builder.finish().unwrap().num_rows(), builder.is_empty()), (3, 3, true));
}

#[test]
fn types_have_their_names() {
    assert_eq!(ColumnType::Timestamp.sql_name(), "timestamp with time zone");
}
