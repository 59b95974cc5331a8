//! Typing errors against a small model.

use super::{Member, Shape, Shapes};
use crate::Table;

struct Model;

impl Shapes for Model {
    fn allowed(&self, service: &str, operation: &str) -> Result<(), (String, Option<String>)> {
        match (service, operation) {
            ("arm", "GET /accounts" | "GET /{}/things" | "POST /{}/query") => Ok(()),
            ("iam", "ListUsers" | "ListKeys" | "GetUsed" | "Generate" | "Describe") => Ok(()),
            _ => Err((format!("{service} has no operation {operation}"), Some("did you mean ListUsers?".into()))),
        }
    }

    fn input(&self, _: &str, operation: &str) -> Option<String> {
        if operation == "POST /{}/query" {
            return None;
        }
        (operation != "Generate").then(|| format!("{operation}In"))
    }

    fn output(&self, _: &str, operation: &str) -> Option<String> {
        if operation == "POST /{}/query" {
            return None;
        }
        Some(format!("{operation}Out"))
    }

    fn shape(&self, _: &str, name: &str) -> Option<Shape> {
        let members =
            |all: &[(&str, &str)]| Shape::Structure(all.iter().map(|(n, s)| Member { name: (*n).into(), shape: (*s).into() }).collect());
        Some(match name {
            "GET /accountsIn" | "GET /{}/thingsIn" => members(&[("$top", "Int"), ("$filter", "Text")]),
            "GET /accountsOut" | "GET /{}/thingsOut" => members(&[("value", "Resources"), ("nextLink", "Text")]),
            "POST /{}/queryBody" => members(&[("query", "Text")]),
            "Resources" => Shape::List("Resource".into()),
            "Resource" => members(&[("id", "Text"), ("name", "Text"), ("tags", "Labels"), ("properties", "Properties")]),
            "Properties" => members(&[("creationTime", "Time"), ("allowSharedKeyAccess", "Bool"), ("ipRules", "Texts")]),
            "ListUsersIn" => members(&[("PathPrefix", "Text")]),
            "ListUsersOut" => members(&[("Users", "Users")]),
            "ListKeysIn" => members(&[("UserName", "Text"), ("Kinds", "Texts"), ("Filters", "Filters"), ("Max", "Int")]),
            "ListKeysOut" => members(&[("Keys", "Keys"), ("Account", "Text")]),
            "GetUsedIn" => members(&[("Id", "Text")]),
            "GetUsedOut" => members(&[("Used", "Used")]),
            "DescribeIn" => members(&[("Ids", "Texts")]),
            "DescribeOut" => members(&[("Users", "Users")]),
            "GenerateOut" => members(&[("State", "Text")]),
            "Users" => Shape::List("User".into()),
            "User" => members(&[("UserName", "Text"), ("Tags", "Tags"), ("Labels", "Labels")]),
            "Keys" => Shape::List("Key".into()),
            "Key" => {
                members(&[("Id", "Text"), ("CreateDate", "Time"), ("Size", "Int"), ("Active", "Bool"), ("Tags", "Tags"), ("Used", "Used")])
            }
            "Used" => members(&[("Last", "Time"), ("Region", "Text")]),
            "Tags" => Shape::List("Tag".into()),
            "Tag" => members(&[("Key", "Text"), ("Value", "Text")]),
            "Filters" => Shape::List("Filter".into()),
            "Filter" => members(&[("Name", "Text"), ("Values", "Texts")]),
            "Texts" => Shape::List("Text".into()),
            "Labels" => Shape::Map("Text".into()),
            "Text" => Shape::Text,
            "Time" => Shape::Timestamp,
            "Int" => Shape::Int,
            "Bool" => Shape::Bool,
            _ => return None,
        })
    }

    fn error_codes(&self, service: &str, _: &str) -> Vec<String> {
        if service == "arm" { Vec::new() } else { vec!["NoSuchEntity".into()] }
    }

    fn api_versions(&self, service: &str, operation: &str) -> Vec<String> {
        match (service, operation) {
            ("arm", "GET /accounts") => vec!["2023-05-01".into(), "2024-01-01".into()],
            _ => Vec::new(),
        }
    }

    fn body(&self, service: &str, operation: &str) -> Option<String> {
        (service == "arm").then(|| format!("{operation}Body"))
    }
}

const GOOD: &str = "\
table: t
about: Things.
scope: account
rows:
  - { call: iam.ListUsers, each: Users, as: user, none: [NoSuchEntity] }
  - { call: iam.ListKeys, in: { UserName: user.UserName, Kinds: ['a'], Max: 5 }, each: Keys }
also:
  used: { call: iam.GetUsed, in: { Id: Id }, take: Used, null: [NoSuchEntity, AccessDenied] }
keys:
  id: { to: ListKeys.UserName }
  size: { to: \"ListKeys.Filters[size]\" }
  kind: { to: \"ListKeys.Kinds[]\" }
columns:
  id: text
  create_date: timestamp
  size: int
  kind: text <- Used.Region || 'none'
  active: bool
  young: bool <- Size < `3` && !Active
  last: timestamp <- used.
  where: text <- used.Region
  account: text <- parent.Account
  name: text <- user.UserName
  label: text <- user.Labels.x
  first: text <- Tags[0].Value
  names: jsonb <- Tags[?Value=='a'].Key
  pairs: \"jsonb <- Tags[].{K: Key, V: Value}\"
  tags: jsonb <- tags(Tags)
  count: int <- length(Tags)
  aka: jsonb <- ['arn:{account_id}:{Id}']
";

fn check(source: &str) -> Vec<String> {
    let file = if source.contains("azure_t") { "azure_t.yaml" } else { "t.yaml" };
    let table = Table::load(file, source).unwrap_or_else(|e| panic!("{e}"));
    table.check(file, &Model).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_spec_has_no_errors() {
    assert_eq!(check(GOOD), Vec::<String>::new());
}

#[test]
fn typing_errors_are_found_with_place_and_hint() {
    let mut wrong = Vec::new();
    for (from, to, want) in [
        ("iam.ListUsers,", "iam.ListUser,", "5:13: iam has no operation ListUser (did you mean ListUsers?)"),
        ("each: Users,", "each: User,", "5:34: each: iam ListUsersOut has no member `User` (did you mean Users?)"),
        ("none: [NoSuchEntity]", "none: [NoSuchEntiti]", "5:58: iam.ListUsers has no error `NoSuchEntiti` (did you mean NoSuchEntity?)"),
        ("in: { UserName:", "in: { UserNme:", "6:33: iam.ListKeys has no input `UserNme` (did you mean UserName?)"),
        ("user.UserName, Kinds", "user.UsrName, Kinds", "6:33: UserName: iam User has no member `UsrName` (did you mean UserName?)"),
        ("user.UserName, Kinds", "user.Tags, Kinds", "6:33: UserName: it takes one value"),
        ("Kinds: ['a']", "Kinds: 'a'", "6:58: Kinds: it takes a list: write [value]"),
        ("Max: 5", "Max: 'five'", "6:72: Max: its type is another one"),
        ("take: Used", "take: Usd", "8:52: take: iam GetUsedOut has no member `Usd` (did you mean Used?)"),
        ("to: ListKeys.UserName", "to: ListKeys.UsrName", "10:13: iam.ListKeys has no input `UsrName` (did you mean UserName?)"),
        ("to: ListKeys.UserName", "to: \"ListKeys.UserName[]\"", "10:13: UserName: it takes no list (written Operation.Member)"),
        ("\"ListKeys.Kinds[]\"", "ListKeys.Kinds", "12:15: Kinds: it takes a list (written Operation.Member[])"),
        ("Filters[size]", "Kinds[size]", "11:15: Kinds: its elements have no Name and Values (not a list of filters)"),
        ("  active: bool\n", "  actve: bool\n", "18:3: column actve: iam Key has no member `actve` (did you mean Active?)"),
        ("  active: bool\n", "  active: int\n", "18:3: column active: a boolean does not fit bigint"),
        ("  size: int\n", "  size: bool\n", "16:3: column size: a number does not fit boolean"),
        ("tags: jsonb <- tags(Tags)", "tags: text <- Tags", "28:9: column tags: a list or an object does not fit text"),
        ("Size < `3`", "Siz < `3`", "19:10: column young: iam Key has no member `Siz` (did you mean Size?)"),
        ("last: timestamp <- used.\n", "lst: timestamp <- used.\n", "20:8: column lst: iam Used has no member `lst` (did you mean Last?)"),
        ("used.Region\n", "used.Regin\n", "21:10: column where: iam Used has no member `Regin` (did you mean Region?)"),
        ("parent.Account", "parent.Acount", "22:12: column account: iam ListKeysOut has no member `Acount` (did you mean Account?)"),
        (
            "Tags[0].Value",
            "Tags.Value",
            "25:10: column first: `Value` is read from a list (go through it with [], or take an element with [0])",
        ),
        ("Tags[?Value=='a'].Key", "Tags[?Valu=='a'].Key", "26:10: column names: iam Tag has no member `Valu` (did you mean Value?)"),
        ("V: Value}", "V: Valu}", "27:10: column pairs: iam Tag has no member `Valu` (did you mean Value?)"),
        ("length(Tags)", "length(Tgs)", "29:10: column count: iam Key has no member `Tgs` (did you mean Tags?)"),
        ("{Id}']", "{Ids}']", "30:8: column aka: iam Key has no member `Ids` (did you mean Id?)"),
        ("each: Keys }", "each: \"Keys[].Tags[].Key[]\" }", "6:88: each: not a list"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let found = check(&GOOD.replacen(from, to, 1));
        if !found.iter().any(|e| *e == format!("t.yaml:{want}")) {
            wrong.push(format!("{to}\n  {found:#?}\n  {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const SUMMARY: &str = "\
table: t
about: Users.
scope: account
rows:
  - { call: iam.ListUsers, each: Users }
columns:
  user_name: text
  tags: jsonb
  last: timestamp <- Labels.last
summaries:
  - source: report
    staleness: 4h
    rows:
      - call: iam.Describe
        in: { Ids: ['a'] }
        make: { on: [NoSuchEntity], call: iam.Generate, until: State == 'COMPLETE' }
        as_of: Users[0].Labels.at
        each: Users
      - values: \"[{name: UserName, tags: Tags}]\"
        where: name != 'x'
    columns:
      user_name: name
      tags: tags
";

#[test]
fn typing_errors_in_summaries_are_found() {
    assert_eq!(check(SUMMARY), [] as [&str; 0]);
    for (from, to, want) in [
        ("iam.Describe", "iam.Descripe", "iam has no operation Descripe"),
        ("in: { Ids", "in: { Idz", "iam.Describe has no input `Idz`"),
        ("[NoSuchEntity]", "[NoSuchEntiti]", "iam.Describe has no error `NoSuchEntiti`"),
        ("State == ", "Stat == ", "until: iam GenerateOut has no member `Stat`"),
        ("Users[0]", "Usrs[0]", "as_of: iam DescribeOut has no member `Usrs`"),
        ("name: UserName", "name: UsrName", "values: iam User has no member `UsrName`"),
        // What is as in the table is read from the summary's rows.
        (
            "      - values: \"[{name: UserName, tags: Tags}]\"\n        where: name != 'x'\n    columns:\n      user_name: name\n      tags: tags\n",
            "    columns:\n      user_name:\n      last: Labls.last\n",
            "column last: iam User has no member `Labls`",
        ),
    ] {
        assert_eq!(SUMMARY.matches(from).count(), 1, "{from}");
        let found = check(&SUMMARY.replace(from, to));
        assert!(found.iter().any(|e| e.contains(want)), "{to}: {found:?}");
    }
}

#[test]
fn calls_with_paths() {
    let source = "\
table: azure_t
about: Things.
scope: subscription
rows:
  - { call: arm GET /accounts, api: 2023-05-01, in: { $top: 5 }, each: value, as: account, where: properties.allowSharedKeyAccess }
  - call: arm GET /{account.id}/things
    api: 2020-01-01
    filter: [\"name eq '{account.name}'\"]
    each: value
    none: [ResourceNotFound]
    fold: { by: id, order: properties.creationTime }
also:
  query: { call: \"arm POST /{id}/query\", api: 2020-01-01, body: { query: name }, take: data.x }
keys:
  name: { to: \"account.$filter[name eq]\" }
columns:
  id: text
  name: text
  creation_time: timestamp
  allow_shared_key_access: bool
  begun: timestamp <- fold[0].properties.creationTime
  known: text <- query
  age: int <- days(properties.creationTime, now)
  group: text <- resource_group(id)
";
    assert_eq!(check(source), Vec::<String>::new());
    let mut wrong = Vec::new();
    for (from, to, want) in [
        ("GET /accounts", "GET /account", "5:13: arm has no operation GET /account (did you mean ListUsers?)"),
        ("2023-05-01", "2022-05-01", "5:37: arm GET /accounts has no version 2022-05-01 (versions: 2023-05-01, 2024-01-01)"),
        ("$top: 5", "$tp: 5", "5:55: arm GET /accounts has no parameter `$tp` (did you mean $top?)"),
        ("$top: 5", "$top: 'x'", "5:55: $top: its type is another one"),
        (
            "where: properties.allow",
            "where: properties.alow",
            "5:99: where: arm Properties has no member `alowSharedKeyAccess` (did you mean allowSharedKeyAccess?)",
        ),
        ("/{account.id}", "/{account.ident}", "6:11: arm Resource has no member `ident`"),
        ("/{account.id}", "/{account.tags}", "6:11: a list or an object stands in a path or a clause"),
        ("'{account.name}'", "'{account.nme}'", "8:14: arm Resource has no member `nme` (did you mean name?)"),
        ("[ResourceNotFound]", "[ResourceNotFond]", "10:12: arm GET /{}/things has no error `ResourceNotFond`"),
        (
            "order: properties.creationTime",
            "order: properties.creatonTime",
            "11:28: fold: arm Properties has no member `creatonTime` (did you mean creationTime?)",
        ),
        ("{ query: name }", "{ qury: name }", "13:67: arm POST /{}/queryBody has no member `qury` (did you mean query?)"),
        (
            "  creation_time: timestamp",
            "  creation_tme: timestamp",
            "19:3: column creation_tme: arm Properties has no member `creation_tme` (did you mean creationTime?)",
        ),
        ("_access: bool", "_access: timestamp", "20:3: column allow_shared_key_access: a boolean does not fit timestamp with time zone"),
        ("fold[0].properties.creationTime", "fold[0].creationTime", "21:10: column begun: arm Resource has no member `creationTime`"),
        ("age: int", "age: bool", "23:8: column age: a number does not fit boolean"),
    ] {
        assert!(source.contains(from), "{from}");
        let found = check(&source.replacen(from, to, 1));
        if !found.iter().any(|e| e.starts_with(&format!("azure_t.yaml:{want}"))) {
            wrong.push(format!("{to}\n  {found:#?}\n  {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn batches_polls_and_elements() {
    let source = "\
table: t
about: Things.
scope: account
rows:
  - { call: iam.Generate, until: State == 'DONE', each: . }
  - { call: iam.ListUsers, each: Users, as: user }
  - { call: iam.Describe, in: { Ids: \"batch(user.UserName, 10)\" }, each: Users }
also:
  used: { per: Tags, call: iam.GetUsed, in: { Id: item.Value } }
columns:
  user_name: text
  used: jsonb <- used[].Used.Region
";
    assert_eq!(check(source), Vec::<String>::new());
    for (from, to, want) in [
        ("State == 'DONE'", "Stat == 'DONE'", "5:34: until: iam GenerateOut has no member `Stat` (did you mean State?)"),
        ("item.Value", "item.Valu", "9:47: Id: iam Tag has no member `Valu` (did you mean Value?)"),
        ("per: Tags", "per: UserName", "9:16: per: not a list"),
        ("Used.Region", "Used.Regin", "12:9: column used: iam Used has no member `Regin` (did you mean Region?)"),
    ] {
        let found = check(&source.replacen(from, to, 1));
        assert!(found.iter().any(|e| *e == format!("t.yaml:{want}")), "{to}\n  {found:#?}\n  {want}");
    }
}
