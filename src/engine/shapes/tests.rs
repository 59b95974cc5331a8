//! Every embedded spec against the models, and against the published names and types of columns.

use super::ModelShapes;
use assay_tables::{Catalog, ColumnType, ScopeKind, Table};
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

/// Columns whose type is on purpose another one than the published one: table, column, ours.
const OTHER_TYPES: [(&str, &str, ColumnType); 0] = [];

/// Published columns that are left out on purpose: only those who may read secrets would get them.
const LEFT_OUT: [(&str, &str); 4] = [
    ("azure_key_vault_secret", "kid"),
    ("azure_key_vault_secret", "managed"),
    ("azure_key_vault_secret", "recovery_level"),
    ("azure_key_vault_secret", "value"),
];

/// Columns that every table of a cloud has.
fn common(table: &Table) -> &'static [&'static str] {
    match table.scope {
        ScopeKind::Account | ScopeKind::Region => &["partition", "region", "account_id", "_ctx", "sp_connection_name", "sp_ctx"],
        ScopeKind::Subscription => &["cloud_environment", "subscription_id", "_ctx", "sp_connection_name", "sp_ctx"],
        ScopeKind::Tenant => &["cloud_environment", "tenant_id", "_ctx", "sp_connection_name", "sp_ctx"],
    }
}

#[test]
fn columns_have_the_published_names_and_types() {
    let Some(folder) = std::env::var_os("ASSAY_SHARED") else {
        println!("skipped: ASSAY_SHARED is not set to a folder with reference/aws-tables.json and azure-tables.json");
        return;
    };
    let read = |file: &str| -> Value {
        let path = std::path::Path::new(&folder).join("reference").join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (aws, azure) = (read("aws-tables.json"), read("azure-tables.json"));
    let catalog = Catalog::embedded();
    let mut wrong = Vec::new();
    for name in catalog.names() {
        let Some(columns) = aws.get(name).or_else(|| azure.get(name)).and_then(|t| t["columns"].as_object()) else { continue };
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
        for column in common(&table) {
            if table.column(column).is_none() {
                wrong.push(format!("{name}.{column} is missing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
