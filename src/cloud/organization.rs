//! The member accounts of an AWS organization, each reached through a role of the same name.

use crate::caller::{OnBehalf, Target};
use crate::connection::{OrganizationConfig, bad_answer};
use crate::credentials::Login;
use crate::registry::Globs;
use crate::{Account, CloudError, listing};
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lists the active accounts, by id, without the excluded ones. The account that asks keeps its own credentials, the others are entered
/// through the role; neither is checked here, so a member that refuses the role fails when it is read, and alone.
pub(crate) async fn member_accounts(own: Arc<Account>, organization: OrganizationConfig) -> Result<Vec<Arc<Account>>, CloudError> {
    let exclude = Globs::read(&format!("connections.{}.organization.exclude", own.connection), &organization.exclude)?;
    let identity = own.identity().await?;
    let mut members = Vec::new();
    for (id, name) in list_accounts(&own).await? {
        if exclude.excludes(&id) || exclude.excludes(&name) {
            continue;
        }
        let key: Arc<str> = format!("{}/{id}", own.connection).into();
        let login = if *id == *identity.account_id {
            own.login.clone()
        } else {
            let arn = format!("arn:{}:iam::{id}:role/{}", identity.partition, organization.role);
            Arc::new(Login::role(key.clone(), &own.login, arn, None))
        };
        members.push(Arc::new(Account {
            connection: own.connection.clone(),
            key,
            login,
            wanted: own.wanted.clone(),
            caller: own.caller.clone(),
        }));
    }
    Ok(members)
}

/// Ids and names of the active accounts, by id.
async fn list_accounts(own: &Arc<Account>) -> Result<Vec<(String, String)>, CloudError> {
    let (service, operation) = ("organizations", "ListAccounts");
    let region = own.home_region();
    let who = OnBehalf { login: &own.login, connection: &own.connection };
    let mut stream = listing::pages(&own.caller, Target { who, region: &region, service, operation }, json!({}), &own.caller.tally);
    let mut accounts = Vec::new();
    while let Some(page) = stream.next().await {
        let page = page?;
        let Some(listed) = page.get("Accounts").and_then(Value::as_array) else {
            return Err(bad_answer(service, operation, &own.login, &own.connection, "the answer has no list of accounts"));
        };
        for account in listed {
            // `State` replaces `Status`; either may be missing.
            let state = account.get("State").or_else(|| account.get("Status")).and_then(Value::as_str);
            if let (Some("ACTIVE"), Some(id)) = (state, account["Id"].as_str()) {
                accounts.push((id.to_owned(), account["Name"].as_str().unwrap_or_default().to_owned()));
            }
        }
    }
    accounts.sort_unstable();
    Ok(accounts)
}
