//! Which calls are made for which projection and filters, and with which inputs.

use crate::run::{Facts, Row};
use crate::{CallPlan, Filter, Known, RangeOp, Request, Route, Scalar, Table};
use serde_json::{Value, json};

const KEYS: &str = "\
table: t
about: Keys.
scope: account
get:
  call: iam.GetThing
  in: { Id: \"id || split(arn, '/')[-1]\" }
rows:
  - { call: iam.ListUsers, each: Users, as: user, unless: user_name }
  - { call: iam.ListKeys, in: { UserName: user.UserName }, each: Keys }
also:
  used: { call: iam.GetUsed, in: { Id: Id } }
  place: { call: iam.GetPlace, in: { Where: used.Where }, region: used.Region }
keys:
  id: {}
  arn: {}
  user_name: { to: ListKeys.UserName }
  path: { to: { prefix: ListUsers.PathPrefix } }
  state: { to: \"ListKeys.Filters[state]\" }
  kind: { to: \"ListKeys.Kinds[]\" }
  managed: { to: ListUsers.Scope, map: { true: AWS, false: Local } }
  created: { to: { \">=\": ListKeys.From, \"<=\": ListKeys.To } }
columns:
  id: text
  arn: text
  user_name: text
  path: text
  state: text
  kind: text
  managed: bool
  created: timestamp
  last: text <- used.Last
  place: text <- place.Name
  owner: text <- user.UserId
  aka: text <- 'arn:{account_id}:{Id}'
";

#[test]
fn columns_are_known_as_early_as_their_sources() {
    let table = table();
    let known = |column: &str| table.known(table.column(column).unwrap());
    // The user's name is the input that keys are listed with, its id is the user's own.
    for (column, expected) in [
        ("user_name", Some(Known::Above(0))),
        ("owner", Some(Known::Above(0))),
        ("id", Some(Known::Row)),
        ("created", Some(Known::Row)),
        ("aka", Some(Known::Row)),
        ("last", Some(Known::Further)),
        ("place", Some(Known::Further)),
    ] {
        assert_eq!(known(column), expected, "{column}");
    }
    assert_eq!(table.further_calls(), 2);
    // A filter on the last use needs one call, the place of it two.
    let all = plan(&["last", "place"], vec![]);
    for (column, first, rest) in
        [("id", vec![], vec![vec![0], vec![1]]), ("last", vec![vec![0]], vec![vec![1]]), ("place", vec![vec![0], vec![1]], vec![])]
    {
        assert_eq!(all.waves_for(&[table.column(column).unwrap()]), (first, rest), "{column}");
    }
    let owner = [table.column("owner").unwrap()];
    let name = [table.column("user_name").unwrap()];
    let listed = plan(&["id", "owner", "user_name"], vec![]);
    assert!(listed.knows(&owner, 0, &listed.starts()[0]) && listed.knows(&name, 0, &listed.starts()[0]));
    // By key there is no row above.
    let keyed = plan(&["id"], vec![one_of("user_name", &["a"])]);
    assert!(!keyed.knows(&name, 0, &keyed.starts()[0]) && !keyed.knows(&name, 1, &keyed.starts()[0]));
}

fn table() -> Table {
    Table::load("t.yaml", KEYS).unwrap()
}

fn plan(columns: &[&str], filters: Vec<Filter>) -> CallPlan {
    let table = table();
    let projection = columns.iter().map(|c| table.column(c).unwrap()).collect();
    table.plan(&Request { projection, filters, ..Request::default() }).unwrap()
}

fn one_of(column: &str, values: &[&str]) -> Filter {
    Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
}

fn range(column: &str, op: RangeOp, value: i64) -> Filter {
    let value = Scalar::Timestamp(chrono::DateTime::from_timestamp(value, 0).unwrap());
    Filter::Range { column: column.into(), op, value }
}

/// The inputs of the calls each start begins with, under a parent.
fn inputs(plan: &CallPlan) -> Vec<(String, Value)> {
    let facts = Facts::new("c", "r");
    plan.starts()
        .iter()
        .map(|start| {
            let link = match start.route() {
                Route::Get => plan.get().unwrap(),
                Route::Links(first) => &plan.links()[first],
            };
            let ask = link.ask(start, &facts, None).unwrap().unwrap();
            (ask.operation.to_string(), ask.input)
        })
        .collect()
}

#[test]
fn only_what_the_projection_needs_is_called() {
    for (columns, operations, identity) in [
        (&["id", "created"][..], &["iam.ListUsers", "iam.ListKeys"][..], false),
        (&[], &["iam.ListUsers", "iam.ListKeys"], false),
        (&["last"], &["iam.ListUsers", "iam.ListKeys", "iam.GetUsed"], false),
        (&["place"], &["iam.ListUsers", "iam.ListKeys", "iam.GetUsed", "iam.GetPlace"], false),
        (&["aka"], &["iam.ListUsers", "iam.ListKeys"], true),
        (&["account_id"], &["iam.ListUsers", "iam.ListKeys"], true),
        (&["partition"], &["iam.ListUsers", "iam.ListKeys"], true),
        (&["region", "_ctx", "sp_connection_name", "sp_ctx"], &["iam.ListUsers", "iam.ListKeys"], false),
    ] {
        let plan = plan(columns, vec![]);
        assert_eq!(
            (plan.operations(), plan.needs_identity()),
            (operations.iter().map(|s| (*s).to_owned()).collect(), identity),
            "{columns:?}"
        );
        assert_eq!(plan.schema().fields().len(), columns.len());
    }
    let plan = plan(&["place", "id", "last"], vec![]);
    assert_eq!(plan.waves(), [vec![0], vec![1]]);
    assert_eq!((plan.affected(0), plan.affected(1)), (vec!["place".to_owned(), "last".to_owned()], vec!["place".to_owned()]));
}

#[test]
fn filters_become_parameters() {
    let list = |input: Value| vec![("ListUsers".to_owned(), input)];
    for (filters, want) in [
        (vec![one_of("user_name", &["a"])], vec![("ListKeys".to_owned(), json!({"UserName": "a"}))]),
        (
            vec![one_of("user_name", &["a", "b"])],
            vec![("ListKeys".to_owned(), json!({"UserName": "a"})), ("ListKeys".to_owned(), json!({"UserName": "b"}))],
        ),
        (vec![one_of("user_name", &["a", "b"]), one_of("user_name", &["b", "c"])], vec![("ListKeys".to_owned(), json!({"UserName": "b"}))]),
        (vec![one_of("user_name", &["a"]), one_of("user_name", &["b"])], vec![]),
        (vec![one_of("user_name", &["a", ""])], list(json!({}))),
        (
            vec![one_of("user_name", &["a"]), one_of("state", &["on", "off"])],
            vec![("ListKeys".to_owned(), json!({"UserName": "a", "Filters": [{"Name": "state", "Values": ["on", "off"]}]}))],
        ),
        (
            vec![one_of("user_name", &["a"]), one_of("kind", &["x", "y"]), one_of("state", &["on"])],
            vec![("ListKeys".to_owned(), json!({"UserName": "a", "Filters": [{"Name": "state", "Values": ["on"]}], "Kinds": ["x", "y"]}))],
        ),
        (vec![one_of("path", &["/a/"])], list(json!({"PathPrefix": "/a/"}))),
        (vec![Filter::Prefix { column: "path".into(), prefix: "/a".into() }], list(json!({"PathPrefix": "/a"}))),
        (
            vec![
                Filter::Prefix { column: "path".into(), prefix: "/a".into() },
                Filter::Prefix { column: "path".into(), prefix: "/a/b".into() },
            ],
            list(json!({"PathPrefix": "/a/b"})),
        ),
        (
            vec![
                Filter::Prefix { column: "path".into(), prefix: "/a".into() },
                Filter::Prefix { column: "path".into(), prefix: "/b".into() },
            ],
            vec![],
        ),
        (vec![Filter::OneOf { column: "managed".into(), values: vec![Scalar::Bool(true)] }], list(json!({"Scope": "AWS"}))),
        (vec![one_of("managed", &["maybe"])], list(json!({}))),
        (
            vec![
                one_of("user_name", &["a"]),
                range("created", RangeOp::Gt, 60),
                range("created", RangeOp::Le, 120),
                range("created", RangeOp::Ge, 0),
            ],
            vec![("ListKeys".to_owned(), json!({"UserName": "a", "From": "1970-01-01T00:01:00Z", "To": "1970-01-01T00:02:00Z"}))],
        ),
        (vec![range("created", RangeOp::Gt, 60), range("created", RangeOp::Lt, 30)], vec![]),
        (vec![one_of("last", &["x"])], list(json!({}))),
    ] {
        let plan = plan(&["user_name"], filters.clone());
        assert_eq!(inputs(&plan), want, "{filters:?}");
    }
}

#[test]
fn a_link_that_a_column_needs_is_not_left_out() {
    let plan = plan(&["owner"], vec![one_of("user_name", &["a"])]);
    assert_eq!(plan.starts()[0].route(), Route::Links(0));
    // The chain finds all users, but of the others nobody wants the keys.
    let facts = Facts::new("c", "r");
    let users = std::sync::Arc::new(json!({"Users": [{"UserName": "z"}, {"UserName": "a"}]}));
    let rows: Vec<Row> = plan.links()[0].rows(&users, None).unwrap();
    let asks: Vec<_> = rows.iter().map(|row| plan.links()[1].ask(&plan.starts()[0], &facts, Some(row)).unwrap().map(|a| a.input)).collect();
    assert_eq!(asks, [None, Some(json!({"UserName": "a"}))]);
}

fn texts(values: &[&str]) -> Vec<Scalar> {
    values.iter().map(|v| Scalar::Text((*v).into())).collect()
}

#[test]
fn parents_and_rows_are_left_out_by_values() {
    let facts = Facts::new("c", "r");
    let column = |name| table().column(name).unwrap();
    let mut plan = plan(&["id", "last"], vec![]);
    assert!(!plan.begins_narrow() && !plan.is_one_list() && plan.asks_per_row());
    assert!(!plan.leaves_out_parents());
    assert!(plan.keep_among(column("user_name"), &texts(&["a", "c"])));
    assert!(plan.leaves_out_parents());
    let users = std::sync::Arc::new(json!({"Users": [{"UserName": "z"}, {"UserName": "a"}, {"UserName": "c"}]}));
    let rows: Vec<Row> = plan.links()[0].rows(&users, None).unwrap();
    let start = &plan.starts()[0];
    let asked: Vec<bool> = rows.iter().map(|row| plan.links()[1].ask(start, &facts, Some(row)).unwrap().is_some()).collect();
    assert_eq!(asked, [false, true, true]);
    let keys = std::sync::Arc::new(json!({"Keys": [{"UserName": "a"}, {"UserName": "z"}, {}, {"UserName": 1}]}));
    let rows: Vec<Row> = plan.links()[1].rows(&keys, None).unwrap();
    let kept: Vec<bool> = rows.iter().map(|row| plan.belongs(row, start, &facts)).collect();
    assert_eq!(kept, [true, false, false, false]);
    // What only a further call knows, and what is no text, decides nothing.
    let mut other = self::plan(&["id", "last"], vec![]);
    assert!(!other.keep_among(column("last"), &texts(&["x"])));
    assert!(!other.keep_among(column("user_name"), &[Scalar::Int(1)]));
}

#[test]
fn combinations_that_nobody_asks_for_are_left_out() {
    let source =
        KEYS.replace("user_name: { to: ListKeys.UserName }", "user_name: { to: ListKeys.UserName }\n  owner: { to: ListKeys.Owner }");
    let table = Table::load("t.yaml", &source).unwrap();
    let filters = vec![one_of("user_name", &["a", "b"]), one_of("owner", &["x", "y"])];
    let mut plan = table.plan(&Request { projection: vec![], filters, ..Request::default() }).unwrap();
    assert_eq!(plan.starts().len(), 4);
    let columns = [table.column("user_name").unwrap(), table.column("owner").unwrap()];
    plan.keep_combinations(&columns, &[texts(&["a", "y"]), texts(&["b", "x"]), texts(&["c", "x"])]);
    let inputs: Vec<Value> = inputs(&plan).into_iter().map(|(_, input)| input).collect();
    assert_eq!(inputs, [json!({"UserName": "a", "Owner": "y"}), json!({"UserName": "b", "Owner": "x"})]);
}

#[test]
fn what_narrows_the_first_call() {
    for (filters, narrow) in [
        (vec![], false),
        (vec![one_of("user_name", &["a"])], true),
        (vec![one_of("path", &["/a/"])], true),
        (vec![one_of("state", &["on"])], false),
        (vec![one_of("id", &["a"])], true),
    ] {
        assert_eq!(plan(&["id"], filters.clone()).begins_narrow(), narrow, "{filters:?}");
    }
    assert!(!plan(&["owner"], vec![one_of("user_name", &["a"])]).begins_narrow(), "all parents are listed");
}

#[test]
fn gets_by_key() {
    for (filters, want) in [
        (vec![one_of("id", &["a", "b"])], vec!["a", "b"]),
        (vec![one_of("arn", &["arn:x/a", "arn:x/b"])], vec!["a", "b"]),
        (vec![one_of("arn", &["arn:x/a", "arn:x/b"]), one_of("id", &["a"])], vec!["a"]),
    ] {
        let plan = plan(&["id"], filters.clone());
        let got: Vec<Value> = inputs(&plan).into_iter().map(|(o, i)| json!([o, i["Id"]])).collect();
        assert_eq!(got, want.iter().map(|w| json!(["GetThing", w])).collect::<Vec<_>>(), "{filters:?}");
        assert_eq!(plan.operations(), ["iam.GetThing"]);
    }
    // What only the chain knows cannot come from the get.
    assert_eq!(plan(&["owner"], vec![one_of("id", &["a"])]).operations(), ["iam.ListUsers", "iam.ListKeys"]);
}

#[test]
fn required_keys_name_the_fix() {
    let source = KEYS.replace("user_name: { to: ListKeys.UserName }", "user_name: { to: ListKeys.UserName, required: true }");
    let table = Table::load("t.yaml", &source).unwrap();
    let error = table.plan(&Request::default()).unwrap_err().to_string();
    assert_eq!(error, "t needs user_name: add where user_name = '…' or join on it");
    assert!(table.plan(&Request { projection: vec![], filters: vec![one_of("user_name", &["a"])], ..Request::default() }).is_ok());
    let source = "table: t\nabout: x\nscope: account\nget: { call: iam.GetThing, in: { Id: \"id || split(arn, '/')[-1]\" } }\nkeys: { id: {}, arn: {} }\ncolumns: { id: text, arn: text }\n";
    let error = Table::load("t.yaml", source).unwrap().plan(&Request::default()).unwrap_err().to_string();
    assert_eq!(error, "t needs id or arn: add where id = '…' or join on it");
}

#[test]
fn filters_that_reach_nothing_are_said_to() {
    let table = table();
    for (filter, uses) in [
        (one_of("user_name", &["a"]), true),
        (one_of("id", &["a"]), true),
        (one_of("path", &["/"]), true),
        (Filter::Prefix { column: "path".into(), prefix: "/".into() }, true),
        (Filter::Prefix { column: "user_name".into(), prefix: "a".into() }, false),
        (range("created", RangeOp::Gt, 1), true),
        (range("id", RangeOp::Gt, 1), false),
        (one_of("last", &["a"]), false),
    ] {
        assert_eq!(table.uses(&filter), uses, "{filter:?}");
    }
}

#[test]
fn long_lists_are_parted() {
    let values: Vec<String> = (0..250).map(|i| i.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let plan = plan(&["id"], vec![one_of("kind", &values), one_of("user_name", &["a"])]);
    let sizes: Vec<usize> = inputs(&plan).iter().map(|(_, i)| i["Kinds"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}
