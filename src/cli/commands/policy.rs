//! `assay policy`: the least that statements, controls and benchmarks need: an IAM policy, an Azure role, permissions of Microsoft Graph.

use crate::args::{Global, PolicyArgs, PolicyFormat};
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::session::Session;
use crate::targets::{self, Target};
use assay_cloud::Permission;
use assay_engine::Asked;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Where a role can be assigned when no subscription is configured by its id: to be replaced.
const NO_SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// Prints the policy of all targets together. Calls nothing and needs no credentials.
pub(crate) async fn exec(global: &Global, console: Console, args: &PolicyArgs) -> Result<Exit, Failed> {
    let found = targets::resolve(global, console, &args.target)?;
    let session = Session::showing(global, console, args.show_secrets, None).await?;
    let (targets, notes) = targets::plannable(&session, found).await?;
    let asked: Vec<Asked<'_>> = targets.iter().map(Target::asked).collect();
    let needed = session.engine.operations(&asked).await?;
    let permissions = needed.permissions();
    let text = match args.output {
        PolicyFormat::Text => permissions.iter().map(|p| format!("{}\n", p.name())).collect(),
        PolicyFormat::Json => format!("{:#}\n", document(&permissions, &session.cloud.named_subscriptions())),
    };
    io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()).map_err(|e| Failed::stdout(&e))?;
    notes.iter().for_each(|note| console.notice(note));
    if permissions.is_empty() {
        console.notice("this calls nothing that takes a permission");
    }
    if permissions.iter().any(|p| p.name() == "sts:AssumeRole") {
        console.notice(
            "the credentials that assay is started with need organizations:ListAccounts and sts:AssumeRole; the role they assume, the rest",
        );
    }
    Ok(Exit::Ok)
}

/// One document where one cloud is asked; else one for each.
fn document(permissions: &[Permission], subscriptions: &[String]) -> Value {
    let mut parts = Map::new();
    let of =
        |pick: &dyn Fn(&Permission) -> bool| -> BTreeSet<&str> { permissions.iter().filter(|p| pick(p)).map(Permission::name).collect() };
    let (iam, azure, graph) =
        (of(&|p| matches!(p, Permission::Iam(_))), of(&|p| matches!(p, Permission::Azure(_))), of(&|p| matches!(p, Permission::Graph(_))));
    if !iam.is_empty() || permissions.is_empty() {
        parts.insert("aws".to_owned(), iam_policy(&iam));
    }
    if !azure.is_empty() {
        parts.insert("azure".to_owned(), azure_role(&azure, subscriptions));
    }
    if !graph.is_empty() {
        parts.insert("graph".to_owned(), json!(graph));
    }
    match parts.len() {
        1 => parts.into_iter().next().map(|(_, only)| only).unwrap_or_default(),
        _ => Value::Object(parts),
    }
}

/// One statement a service. Source: IAM User Guide, "Grammar of the IAM JSON policy language".
fn iam_policy(actions: &BTreeSet<&str>) -> Value {
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for action in actions {
        services.entry(action.split(':').next().unwrap_or_default()).or_default().push(action);
    }
    let statement = |(service, actions): (&str, Vec<&str>)| {
        // A statement's id has letters and digits.
        let sid: String = service.split('-').map(capitalised).collect();
        json!({"Sid": format!("AssayReads{sid}"), "Effect": "Allow", "Action": actions, "Resource": "*"})
    };
    json!({"Version": "2012-10-17", "Statement": services.into_iter().map(statement).collect::<Vec<_>>()})
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars().filter(char::is_ascii_alphanumeric);
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// For `az role definition create --role-definition`. Source: "Azure custom roles".
fn azure_role(actions: &BTreeSet<&str>, subscriptions: &[String]) -> Value {
    let none = [NO_SUBSCRIPTION.to_owned()];
    let subscriptions = if subscriptions.is_empty() { &none[..] } else { subscriptions };
    let scopes: Vec<String> = subscriptions.iter().map(|id| format!("/subscriptions/{id}")).collect();
    json!({
        "Name": "assay reader", "IsCustom": true, "Description": "What assay reads, and nothing else.", "Actions": actions, "NotActions": [],
        "DataActions": [], "NotDataActions": [], "AssignableScopes": scopes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iam(name: &str) -> Permission {
        Permission::Iam(name.to_owned())
    }

    #[test]
    fn one_statement_a_service_in_order() {
        let policy = document(&[iam("iam:ListUsers"), iam("access-analyzer:ListAnalyzers"), iam("iam:GetUser")], &[]);
        assert_eq!(policy["Version"], "2012-10-17");
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements[0]["Sid"], "AssayReadsAccessAnalyzer");
        assert_eq!(statements[1]["Action"], json!(["iam:GetUser", "iam:ListUsers"]));
        assert_eq!(document(&[], &[]), json!({"Version": "2012-10-17", "Statement": []}));
    }

    #[test]
    fn several_clouds_have_a_document_each() {
        let azure = Permission::Azure("Microsoft.Storage/storageAccounts/read".into());
        let role = document(std::slice::from_ref(&azure), &["11111111-1111-1111-1111-111111111111".into()]);
        assert_eq!(role["AssignableScopes"], json!(["/subscriptions/11111111-1111-1111-1111-111111111111"]));
        assert_eq!(role["Actions"], json!(["Microsoft.Storage/storageAccounts/read"]));
        let both = document(&[iam("iam:ListUsers"), azure, Permission::Graph("User.Read.All".into())], &[]);
        assert_eq!(both.as_object().unwrap().keys().collect::<Vec<_>>(), ["aws", "azure", "graph"]);
        assert_eq!(both["azure"]["AssignableScopes"], json!([format!("/subscriptions/{NO_SUBSCRIPTION}")]));
    }
}
