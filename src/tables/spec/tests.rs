//! The examples load, and every bad spec is refused with its place and a hint.

use crate::{KeyOp, ScopeKind, Table};

/// The documents of the commented example, by table.
fn examples() -> Vec<Table> {
    include_str!("../_example.yaml")
        .split("\n---\n")
        .map(|text| {
            let name = text.lines().find_map(|l| l.strip_prefix("table: ")).unwrap().split(' ').next().unwrap();
            Table::load(&format!("{name}.yaml"), text).unwrap_or_else(|e| panic!("{e}"))
        })
        .collect()
}

#[test]
fn the_examples_load() {
    let tables = examples();
    let names: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "aws_iam_access_key",
            "aws_iam_user",
            "aws_ec2_instance",
            "aws_ecs_task",
            "aws_iam_credential_report",
            "aws_account_alternate_contact",
            "azure_storage_container",
            "azure_key_vault_event",
            "aws_iam_key_count"
        ]
    );
    let keys = &tables[0];
    assert_eq!((keys.scope, keys.service.as_deref()), (ScopeKind::Account, None));
    assert_eq!(keys.keys[0].ops, [KeyOp::Eq, KeyOp::In]);
    assert_eq!(keys.columns[6].about, "N/A for keys that were never used.");
    let last: Vec<&str> = keys.columns[9..].iter().map(|c| c.name.as_str()).collect();
    assert_eq!(last, ["partition", "region", "account_id", "_ctx", "sp_connection_name", "sp_ctx"]);
    let calls = keys.calls();
    assert_eq!(calls[0], ("iam.ListUsers".into(), vec![]));
    assert_eq!(calls[2].0, "iam.GetAccessKeyLastUsed");
    assert_eq!(calls[2].1, ["access_key_last_used_date", "access_key_last_used_service", "access_key_last_used_region"]);
    assert!(tables[1].columns[tables[1].column("login_profile").unwrap()].secret);
    assert_eq!(tables[2].service.as_deref(), Some("ec2"));
    let containers = &tables[6];
    assert_eq!((containers.scope, &*containers.provider, &containers.service), (ScopeKind::Subscription, "azure", &None));
    let last: Vec<&str> = containers.columns[13..].iter().map(|c| c.name.as_str()).collect();
    assert_eq!(last, ["cloud_environment", "subscription_id", "_ctx", "sp_connection_name", "sp_ctx"]);
    assert_eq!(
        containers.calls()[3..5],
        [
            ("queue GET {}?restype=service&comp=properties".into(), vec!["queue_logging".to_owned()]),
            ("arm POST /providers/Microsoft.ResourceGraph/resources".into(), vec!["authorizations".to_owned()])
        ]
    );
    let secrets: Vec<String> = containers.secret_members().iter().map(|m| format!("{} {} {}", m.service, m.operation, m.path)).collect();
    assert_eq!(secrets, ["arm POST /{}/listKeys keys"]);
    assert_eq!(tables[7].keys[0].ops, [KeyOp::Range]);
    let view = tables.last().unwrap();
    assert!(view.view.as_deref().is_some_and(|v| v.starts_with("select")) && view.columns.len() == 2);
    assert!(view.plan(&crate::Request::default()).unwrap_err().0.contains("is a view"));
}

/// A good spec whose parts the cases replace.
const GOOD: &str = "\
table: t
about: Things.
scope: account
rows:
  - call: iam.ListUsers
    each: Users
    as: user
    unless: user_name
  - call: iam.ListAccessKeys
    in: { UserName: user.UserName }
    each: AccessKeyMetadata
also:
  used:
    call: iam.GetAccessKeyLastUsed
    in: { AccessKeyId: AccessKeyId }
keys:
  user_name: { to: ListAccessKeys.UserName }
columns:
  user_name: text
  last: timestamp <- used.AccessKeyLastUsed.LastUsedDate
";

#[test]
fn bad_specs_are_refused_with_place_and_hint() {
    Table::load("t.yaml", GOOD).unwrap();
    let mut wrong = Vec::new();
    for (from, to, want) in [
        ("table: t", "table: T", "1:8: `T` is not a table name (lower-case letters, digits and _)"),
        ("table: t", "table: u", "1:8: table u in a file called t.yaml (a file is named after its table)"),
        ("about: Things.\n", "", "1:1: `about` is missing"),
        (
            "scope: account",
            "scope: global",
            "3:8: unknown scope `global` (account (asked once, at the partition's home region) or region (asked in every region))",
        ),
        (
            "scope: account",
            "scope: tenant",
            "3:8: scope tenant in a table of aws (account (asked once, at the partition's home region) or region (asked in every region))",
        ),
        (
            "call: iam.ListAccessKeys",
            "call: arm GET /x",
            "9:11: `arm GET /x` is a call of azure in a table of aws (one table asks one cloud)",
        ),
        ("each: Users", "each: Users\n    api: 2020-01-01", "7:5: `api` belongs to calls of azure"),
        ("scope: account", "scop: account", "3:1: unknown key `scop` in a table (did you mean scope?)"),
        (
            "scope: account",
            "zzz: account",
            "3:1: unknown key `zzz` in a table (known: table, about, scope, service, get, rows, also, keys, secret, columns, view, summaries)",
        ),
        ("scope: account", "scope: account\nscope: region", "4:1: `scope` is given twice"),
        (
            "about: Things.",
            "about: a: b",
            "2:9: not YAML: mapping values are not allowed in this context (a value with `: ` or ` #` in it needs quotes, and so does one with a comma or bracket inside { } or [ ])",
        ),
        ("about: Things.", "about: &x Things.\nsecret: [*x]", "3:10: YAML tags and aliases have no meaning here (write the value out)"),
        ("call: iam.ListUsers", "call: ListUsers", "5:11: `ListUsers` is not a call (written service.Operation: iam.ListUsers)"),
        (
            "    each: Users\n",
            "",
            "5:5: `each` is missing: which member of the answer of iam.ListUsers has the rows? (`.` is the answer itself as one row)",
        ),
        ("as: user\n", "as: region\n", "7:9: the name `region` is taken (choose another name)"),
        ("as: user\n", "as: used\n", "7:9: the name `used` is taken"),
        ("unless: user_name", "unless: user_nme", "8:13: `user_nme` is not a key column of this table (did you mean user_name?)"),
        (
            "each: AccessKeyMetadata",
            "each: AccessKeyMetadata\n    unless: user_name",
            "12:13: the last link cannot have `unless` (it makes the rows)",
        ),
        ("in: { UserName: user.UserName }", "in: { UserName: usr.UserName( }", "10:21: `usr.UserName(` is not JMESPath"),
        ("each: Users", "each: Users\n    in: { PathPrefix: /x/ }", "7:23: `/x/` is not JMESPath"),
        (
            "each: Users",
            "each: Users\n    in: { PathPrefix: root }",
            "7:23: unknown name `root` (there is no row here; a constant is written in single quotes: 'root')",
        ),
        ("AccessKeyId: AccessKeyId }", "AccessKeyId: lowr(AccessKeyId) }", "15:24: unknown function lowr() (did you mean lower()?)"),
        ("AccessKeyId: AccessKeyId }", "AccessKeyId: used.Id }", "13:3: `used` needs its own answer"),
        ("    in: { AccessKeyId: AccessKeyId }\n", "    nul: [X]\n", "15:5: unknown key `nul` in a further call (did you mean null?)"),
        ("    in: { AccessKeyId: AccessKeyId }\n", "    take: A\n    each: B\n", "16:11: a further call has `take` or `each`, not both"),
        ("used.AccessKeyLastUsed.LastUsedDate", "CreateDate", "13:3: no column needs `used` (remove it, or name it in a source)"),
        (
            "as: user\n    unless: user_name\n",
            "as: user\n    unless: user_name\n    until: \"true = true\"\n",
            "9:12: `true = true` is not JMESPath",
        ),
        ("each: Users", "each: Users\n    every: 2s", "7:12: `every` and `at_most` belong to `until`"),
        ("each: Users", "each: Users\n    until: Done\n    every: 2", "8:12: `2` is not a time (written 500ms, 2s or 5m)"),
        ("each: Users", "each: Users\n    decode: [zip]", "7:14: unknown decoding `zip` (base64, csv or json)"),
        ("each: Users", "each: Users\n    else: { call: iam.ListUsers }", "7:11: `else` without `on`"),
        (
            "to: ListAccessKeys.UserName",
            "to: ListAccessKey.UserName",
            "17:20: `rows` has no call ListAccessKey (did you mean ListAccessKeys?)",
        ),
        ("to: ListAccessKeys.UserName", "to: ListUsers.PathPrefix", "8:13: without this link nothing asks for user_name"),
        (
            "to: ListAccessKeys.UserName",
            "to: { like: ListAccessKeys.UserName }",
            "17:22: unknown operator `like` (=, prefix, >, >=, <, <=)",
        ),
        ("to: ListAccessKeys.UserName", "ops: [=, prefix], to: ListAccessKeys.UserName", "17:25: `prefix` has no target in `to:`"),
        (
            "  user_name: { to: ListAccessKeys.UserName }",
            "  user_nam: { to: ListAccessKeys.UserName }",
            "8:13: `user_name` is not a key column of this table (did you mean user_nam?)",
        ),
        ("keys:\n", "keys:\n  lst: {}\n", "17:3: key column `lst` is not a column (did you mean last?)"),
        (
            "keys:\n",
            "keys:\n  last: {}\n",
            "17:3: key column `last` reaches no request (give it `to:`, or use it in the `in:` of `get` or as key.name)",
        ),
        (
            "    as: user\n    unless: user_name\n  - call: iam.ListAccessKeys\n    in: { UserName: user.UserName }",
            "  - call: iam.ListAccessKeys\n    in: { UserName: key.user_name }",
            "8:11: UserName has no value when a query gives no user_name (write `required: true` at the key column, or an alternative: key.x || …)",
        ),
        ("user_name: text\n", "user_name: string\n", "19:14: unknown type `string` (write text)"),
        (
            "user_name: text\n",
            "user_name: text UserName\n",
            "19:14: unknown type `text UserName` (a column is written `type` or `type <- source`)",
        ),
        ("user_name: text\n", "user_name: text <-\n", "19:14: nothing stands behind `<-`"),
        ("user_name: text\n", "UserName: text\n", "19:3: `UserName` is not a column name (lower-case letters, digits and _)"),
        ("user_name: text\n", "user_name: { from: X }\n", "19:3: column user_name has no type"),
        ("user_name: text\n", "user_name: text\n  user_name: int\n", "20:3: `user_name` is given twice"),
        ("user_name: text\n", "user_name: text <- 'arn:{partition'\n", "19:14: template 'arn:{partition' has a brace that is not closed"),
        (
            "also:\n",
            "secret: [user_name]\nalso:\n",
            "20:3: secret column user_name has no source of its own (name the member, so that recordings can leave it out: type <- Member)",
        ),
        ("also:\n", "secret: [lst]\nalso:\n", "12:10: secret column `lst` does not exist (did you mean last?)"),
        ("scope: account", "view: select 1", "4:1: `rows` has no meaning in a view"),
        ("table: t", "--- \ntable: t\n---\nx: 1\n", "3:1: a second document in the file (one file holds one table)"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let source = GOOD.replacen(from, to, 1);
        let error = Table::load("t.yaml", &source).expect_err(to).to_string();
        if !error.starts_with(&format!("t.yaml:{want}")) {
            wrong.push(format!("{to}\n  {error}\n  {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Table::load("t.yaml", "").unwrap_err().to_string(), "t.yaml: the file is empty (see src/tables/_example.yaml)");
}

/// The same for Azure.
const AZURE: &str = "\
table: azure_t
about: Things.
scope: subscription
rows:
  - call: arm GET /subscriptions/{subscription_id}/vaults
    api: 2020-01-01
    each: value
    as: vault
  - call: arm GET /{vault.id}/things
    api: 2020-01-01-preview
    as: things
    in: { $top: 5 }
    filter: [\"name eq '{vault.name}'\"]
    only_one: [name, kind]
    each: value
    where: name != 'x'
    fold: { by: id, order: at }
also:
  used: { call: \"arm GET /{id}/used\", api: 2020-01-01, take: x }
keys:
  kind: { to: \"things.$filter[kind eq]\" }
  at: { to: { \">=\": \"things.$filter[at ge]\" }, keep: 90d }
columns:
  kind: text
  at: timestamp
  used: text <- used
";

#[test]
fn bad_azure_specs_are_refused_with_place_and_hint() {
    Table::load("azure_t.yaml", AZURE).unwrap();
    let scopes = "(subscription (asked in every subscription) or tenant (asked once))";
    let mut wrong = Vec::new();
    for (from, to, want) in [
        ("scope: subscription", "scope: region", format!("3:8: scope region in a table of azure {scopes}")),
        ("scope: subscription", "scope: management_group", format!("3:8: unknown scope `management_group` {scopes}")),
        (
            "scope: subscription",
            "scope: tenant",
            "5:11: unknown name `subscription_id` (there is no row here; a constant is written in single quotes: 'subscription_id')".into(),
        ),
        ("arm GET /{vault.id}/things", "iam.ListUsers", "9:11: `iam.ListUsers` is a call of aws in a table of azure (one table asks one cloud)".into()),
        ("arm GET /subscriptions", "arm /subscriptions", "5:11: `arm /subscriptions/{subscription_id}/vaults` is not a call (written arm GET /path/{value})".into()),
        ("arm GET /subscriptions", "arm.Get /subscriptions", "5:11: `arm.Get /subscriptions/{subscription_id}/vaults` is not a call (written arm GET /path/{value})".into()),
        ("arm GET /subscriptions", "arm DELETE /subscriptions", "5:11: `DELETE` is no method of a call that reads (GET or POST)".into()),
        ("arm GET /subscriptions", "arm GET subscriptions", "5:11: a path begins with `/` (written arm GET /subscriptions/{subscription_id}/…)".into()),
        ("arm GET /subscriptions", "blob GET /subscriptions", "5:11: a call of the storage data plane begins with the address of the account (written blob GET {properties.primaryEndpoints.blob}/{container}?restype=container)".into()),
        ("/vaults\n", "/vaults%20\n", "5:11: `/vaults%20` cannot stand in a path (what varies is written {in braces})".into()),
        ("/{vault.id}/things", "/{vault.id/things", "9:11: template '/{vault.id/things' has a brace that is not closed".into()),
        ("/{vault.id}/things", "/{vault.id}/things?name={vault.name}", "9:11: `?name={vault.name}` in a path has to be constant (written ?name=value&…; what varies goes into `in:`)".into()),
        ("    api: 2020-01-01\n", "", "5:5: `api` is missing: the version of the API (written api: 2023-05-01)".into()),
        ("api: 2020-01-01\n", "api: v2\n", "6:10: `v2` is no version of an API (a date: 2023-05-01, 2021-05-01-preview)".into()),
        ("    api: 2020-01-01\n    each", "    api: 2020-01-01\n    region: 'x'\n    each", "7:13: `region` belongs to calls of aws".into()),
        ("in: { $top: 5 }", "body: { a: 5 }", "12:11: a GET has no `body` (query parameters go into `in:`)".into()),
        ("name eq '{vault.name}'", "{vault.name}", "13:14: `{vault.name}` is no clause of a filter (written \"property eq '{value}'\")".into()),
        ("[name, kind]", "[name, knd]", "14:22: no clause of `$filter` is about `knd` (did you mean kind?)".into()),
        ("where: name != 'x'", "where: used == 'x' =", "16:12: `used == 'x' =` is not JMESPath".into()),
        ("by: id, order: at", "by: id", "17:11: `fold` has no `order`".into()),
        ("    as: vault\n", "    as: vault\n    fold: { by: id, order: at }\n", "9:11: only the last link has `fold` (it makes the rows)".into()),
        ("    as: vault\n", "    as: now\n", "8:9: the name `now` is taken (choose another name)".into()),
        ("things.$filter[kind eq]", "thing.$filter[kind eq]", "21:15: `rows` has no call thing (did you mean things?)".into()),
        ("things.$filter[kind eq]", "things.$filter[kind]", "21:15: `things.$filter[kind]` is no request parameter (written name.parameter or name.$filter[property eq], where `as: name` names the call)".into()),
        ("things.$filter[kind eq]", "things.$top[kind eq]", "21:15: `things.$top[kind eq]` is no request parameter".into()),
        ("keep: 90d", "keep: 3 months", "22:54: `3 months` is not a time (written 90d, 12h or 15m)".into()),
        (">=", "<=", "22:54: `keep` without a target for `>=` (to: { \">=\": … })".into()),
        ("  at: timestamp", "  at: text", "22:54: `keep` on at, which is no timestamp".into()),
    ] {
        assert!(AZURE.contains(from), "{from}");
        let source = AZURE.replacen(from, to, 1);
        let error = Table::load("azure_t.yaml", &source).map(|_| String::from("no error")).unwrap_or_else(|e| e.to_string());
        if !error.starts_with(&format!("azure_t.yaml:{want}")) {
            wrong.push(format!("{to}\n  {error}\n  {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (call, want) in [
        ("arg resources", "5:11: `arg resources` is not a call (written arg \"resources | where …\")"),
        ("arg \"\"", "5:11: `arg \"\"` is not a call (written arg \"resources | where …\")"),
        ("arg \"resources\"\n    in: { a: 5 }", "6:5: a query of the Resource Graph has no `in` (conditions stand in the query)"),
        ("graph GET /users\n    api: v2", "6:10: `v2` is no version of Graph (v1.0 or beta)"),
    ] {
        let source =
            format!("table: azure_t\nabout: x\nscope: tenant\nrows:\n  - call: {call}\n    each: value\ncolumns: {{ id: text }}\n");
        assert_eq!(Table::load("azure_t.yaml", &source).unwrap_err().to_string(), format!("azure_t.yaml:{want}"));
    }
}

#[test]
fn batches_hide_their_parents() {
    let source = "\
table: t
about: Tasks.
scope: region
rows:
  - { call: ecs.ListTasks, each: taskArns, as: task }
  - { call: ecs.DescribeTasks, in: { tasks: \"batch(task, 100)\" }, each: tasks }
columns:
  arn: text <- task
";
    let error = Table::load("t.yaml", source).unwrap_err().to_string();
    assert_eq!(
        error,
        "t.yaml:8:8: `task` is read behind a batch (rows of a batch do not know which id they belong to; read it from the answer)"
    );
    for bad in ["batch(task)", "batch(task, 0)", "batch(task, x)"] {
        let error = Table::load("t.yaml", &source.replace("batch(task, 100)", bad)).unwrap_err().to_string();
        assert_eq!(error, format!("t.yaml:6:45: `{bad}` is not a batch (written batch(expression, 100))"));
    }
}
