//! Every embedded spec against the models, and against the published names and types of columns.

use super::ModelShapes;
use assay_cloud::azure::model as azure;
use assay_tables::{Catalog, ColumnType, Shapes, Table};
use serde_json::Value;

#[test]
fn every_spec_agrees_with_the_models() {
    let catalog = Catalog::embedded();
    let mut wrong = Vec::new();
    for name in catalog.names() {
        let table = catalog.table(name).unwrap().unwrap();
        wrong.extend(table.check(&catalog.file(name).unwrap(), &ModelShapes).iter().map(ToString::to_string));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The index behind a summary of many subscriptions picks a version of the API by itself.
#[test]
fn summaries_of_many_subscriptions_agree_with_every_later_version() {
    let catalog = Catalog::embedded();
    let (mut wrong, mut tables) = (Vec::new(), 0);
    for name in catalog.names() {
        let table = catalog.table(name).unwrap().unwrap();
        tables += usize::from(table.summaries().any(|summary| summary.shared_calls() > 0));
        wrong.extend(table.drifts(&ModelShapes).into_iter().map(|column| format!("{name}: {column}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tables, 9);
    // The rows of azure_storage_account_key are made by hand, so that nothing is known of their types: they read this, and columns of the account.
    let spec = include_str!("../../tables/azure/storage/azure_storage_account.yaml");
    let more = spec.replacen("  key_policy: jsonb\n", "  key_policy: jsonb\n  key_times: jsonb <- properties.keyCreationTime\n", 1);
    assert_ne!(more, spec);
    assert_eq!(Table::load("azure_storage_account.yaml", &more).unwrap().drifts(&ModelShapes), [] as [&str; 0]);
    // Later versions have more of a machine's disks than the table asks for.
    let spec = include_str!("../../tables/azure/compute/azure_compute_virtual_machine.yaml");
    let more =
        Table::load("azure_compute_virtual_machine.yaml", &spec.replacen("data_disks, security_profile]", "security_profile]", 1)).unwrap();
    let found = more.drifts(&ModelShapes);
    assert!(!found.is_empty() && found.iter().all(|column| column.starts_with("data_disks (")), "{found:?}");
}

/// The embedded specs name nothing of Azure that the models do not cover: specs of others may.
#[test]
fn every_call_of_azure_is_in_the_models() {
    let catalog = Catalog::embedded();
    let mut wrong = Vec::new();
    let mut calls = 0;
    for name in catalog.names() {
        let table = catalog.table(name).unwrap().unwrap();
        for (call, _) in table.calls() {
            let Some((api, operation)) = call.split_once(' ').filter(|(api, _)| assay_cloud::azure::is_api(api)) else { continue };
            calls += 1;
            if operation != "GET /{}" && azure::operation(api, operation).is_none() {
                wrong.push(format!("{name}: {call}"));
            }
        }
    }
    assert!(calls >= 40, "{calls}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const ACCOUNTS: &str = "\
table: azure_t
about: Things.
scope: subscription
rows:
  - { call: 'arm GET /subscriptions/{subscription_id}/providers/Microsoft.Storage/storageAccounts', api: 2023-05-01, each: value, as: account }
  - call: arm GET /subscriptions/{subscription_id}/resourceGroups/{resource_group(account.id)}/providers/Microsoft.Storage/storageAccounts/{account.name}/blobServices/default/containers
    api: 2023-05-01
    in: { $maxpagesize: 5000 }
    each: value
    none: [ResourceNotFound]
also:
  settings: { call: 'arm GET /{id}/providers/Microsoft.Insights/diagnosticSettings', api: 2021-05-01-preview, each: value }
  log:
    call: arm GET /subscriptions/{subscription_id}/providers/Microsoft.Insights/eventtypes/management/values
    api: 2015-04-01
    filter: [\"eventTimestamp ge '2026-01-01'\", \"resourceUri eq '{id}'\"]
    each: value
  queue: { call: 'queue GET {account.properties.primaryEndpoints.queue}?restype=service&comp=properties', api: 2021-12-02, take: Logging }
columns:
  name: text
  public_access: text
  key1: timestamp <- account.properties.keyCreationTime.key1
  days: int <- account.properties.keyPolicy.keyExpirationPeriodInDays
  shared: bool <- account.properties.allowSharedKeyAccess
  settings: jsonb <- settings[].properties.logs
  callers: jsonb <- log[].caller
  reads: bool <- queue.Read
";

#[test]
fn mistakes_in_specs_of_azure_are_found() {
    let check = |source: &str| {
        let table = Table::load("azure_t.yaml", source).unwrap_or_else(|e| panic!("{e}"));
        table.check("azure_t.yaml", &ModelShapes).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(check(ACCOUNTS), Vec::<String>::new());
    let mut wrong = Vec::new();
    for (from, to, want) in [
        (
            "Microsoft.Storage/storageAccounts'",
            "Microsoft.Storage/storageAcounts'",
            "did you mean GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts?",
        ),
        ("Microsoft.Storage/storageAccounts'", "Microsoft.Storge/storageAccounts'", "did you mean microsoft.storage?"),
        ("api: 2023-05-01, each", "api: 2023-05-02, each", "has no version 2023-05-02 (versions: "),
        ("containers\n", "container\n", "arm has no operation"),
        ("$maxpagesize", "$top", "has no parameter `$top`"),
        ("5000", "[5000]", "$maxpagesize: it takes one value"),
        ("each: value, as", "each: values, as", "has no member `values` (did you mean value?)"),
        ("ResourceNotFound]", "ResourceNotFund]", "has no error `ResourceNotFund` (did you mean ResourceNotFound?)"),
        ("resourceUri eq", "resourceId eq", "has no clause `resourceId eq …`"),
        ("eventTimestamp ge", "eventTimestamp gt", "has no clause `eventTimestamp gt …` (did you mean `eventTimestamp ge`?)"),
        ("public_access", "public_acces", "has no member `public_acces`"),
        ("keyCreationTime.key1", "keyCreationTime.key3", "has no member `key3`"),
        ("keyPolicy.key", "keyPolicies.key", "has no member `keyPolicies` (did you mean keyPolicy?)"),
        ("shared: bool", "shared: timestamp", "a boolean does not fit timestamp"),
        ("key1: timestamp", "key1: bool", "a timestamp does not fit boolean"),
        ("properties.logs", "properties.logging", "has no member `logging`"),
        ("log[].caller", "log[].callers", "has no member `callers` (did you mean caller?)"),
        ("queue.Read", "queue.read", "has no member `read` (did you mean Read?)"),
        ("comp=properties", "comp=propertis", ""),
        ("account.name", "account.nme", "has no member `nme`"),
    ] {
        assert!(ACCOUNTS.contains(from), "{from}");
        let found = check(&ACCOUNTS.replacen(from, to, 1));
        if !found.iter().any(|e| e.contains(want)) {
            wrong.push(format!("{to}\n  {found:#?}\n  {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_reads_are_allowed_and_outputs_are_those_of_the_version() {
    let list = "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts";
    assert_eq!(ModelShapes.allowed("arm", list), Ok(()));
    for write in [
        "DELETE /subscriptions/{}/resourcegroups/{}",
        "POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/regenerateKey",
    ] {
        assert!(ModelShapes.allowed("arm", write).is_err(), "{write}");
    }
    let versions = ModelShapes.api_versions("arm", list);
    assert!(versions.iter().any(|v| v == "2023-05-01"), "{versions:?}");
    let outputs: Vec<_> = versions.iter().map(|v| ModelShapes.output_of("arm", list, v).unwrap()).collect();
    assert!(outputs.iter().any(|o| *o != outputs[0]), "{outputs:?}");
    assert_eq!(ModelShapes.output("arm", "GET /{}"), None);
    assert!(ModelShapes.api_versions("queue", "GET {}?restype=service&comp=properties").is_empty());
    assert!(ModelShapes.body("arm", "POST /providers/Microsoft.ResourceGraph/resources").is_some());
}

/// Columns whose type is on purpose another one than the published one: table, column, ours.
const OTHER_TYPES: [(&str, &str, ColumnType); 0] = [];

/// Published columns that are left out on purpose: only those who may read secrets would get them.
const LEFT_OUT: [(&str, &str); 4] = [
    ("azure_key_vault_secret", "kid"),
    ("azure_key_vault_secret", "managed"),
    ("azure_key_vault_secret", "recovery_level"),
    ("azure_key_vault_secret", "value"),
];

#[test]
fn columns_have_the_published_names_and_types() {
    let Some(folder) = std::env::var_os("ASSAY_SHARED") else {
        println!("skipped: ASSAY_SHARED is not set to a folder with reference/aws-tables.json and azure-tables.json");
        return;
    };
    let read = |cloud: &str| -> Value {
        let path = std::path::Path::new(&folder).join(format!("reference/{cloud}-tables.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (aws, azure) = (read("aws"), read("azure"));
    let catalog = Catalog::embedded();
    let mut wrong = Vec::new();
    for name in catalog.names() {
        let Some(columns) = [&aws, &azure].into_iter().find_map(|published| published[name]["columns"].as_object()) else { continue };
        let table = catalog.table(name).unwrap().unwrap();
        for (column, text) in columns {
            let ty = text.as_str().unwrap().split(" <- ").next().unwrap();
            let want = match OTHER_TYPES.iter().find(|(t, c, _)| *t == name && c == column) {
                Some((.., ours)) => *ours,
                None => match ty {
                    "string" | "ltree" => ColumnType::Text,
                    "json" => ColumnType::Jsonb,
                    "int" => ColumnType::Int,
                    "double" => ColumnType::Double,
                    "bool" => ColumnType::Bool,
                    "timestamp" => ColumnType::Timestamp,
                    "ipaddr" => ColumnType::Inet,
                    "cidr" => ColumnType::Cidr,
                    other => panic!("unknown published type {other}"),
                },
            };
            match table.column_type(column) {
                None if LEFT_OUT.contains(&(name, column.as_str())) => {}
                None => wrong.push(format!("{name}.{column} is missing")),
                Some(_) if LEFT_OUT.contains(&(name, column.as_str())) => wrong.push(format!("{name}.{column} is not left out")),
                Some(got) if got != want => wrong.push(format!("{name}.{column}: {got:?}, published {want:?}")),
                Some(_) => {}
            }
        }
        let of_provider: &[&str] = match table.provider.as_str() {
            "azure" => &["cloud_environment", table.account_column()],
            _ => &["partition", "region", "account_id"],
        };
        for column in of_provider.iter().chain(&["_ctx", "sp_connection_name", "sp_ctx"]) {
            if table.column(column).is_none() {
                wrong.push(format!("{name}.{column} is missing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
