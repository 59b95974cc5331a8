//! Answers of the Resource Manager, read for what they say and no more.

use super::*;

const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/stone";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn an_account_is_read_and_what_is_missing_stays_unknown() {
    let answer = json!({"id": ID.to_uppercase(), "tags": {"assay:rotate": "never"}, "properties": {
        "keyCreationTime": {"key1": "2026-01-02T03:04:05.1234567Z", "key2": null}, "keyPolicy": {"keyExpirationPeriodInDays": 30}}});
    let account = live_account(ID, &answer).unwrap();
    assert_eq!((account.key1_created, account.key2_created), (Some(at("2026-01-02T03:04:05.1234567Z")), None));
    assert_eq!((account.allow_shared_key, account.expiration_days), (true, Some(30)));
    assert_eq!(account.tags["assay:rotate"], "never");
    let with = |properties: Value| live_account(ID, &json!({"id": ID, "properties": properties}));
    assert!(with(json!({"allowSharedKeyAccess": null, "keyPolicy": null})).unwrap().allow_shared_key);
    assert!(!with(json!({"allowSharedKeyAccess": false})).unwrap().allow_shared_key);
    for (answer, why) in [
        (json!({}), "has no id"),
        (json!({"id": ID}), "has no properties"),
        (json!({"id": format!("{ID}2"), "properties": {}}), "is about"),
        (json!({"id": ID, "properties": {"allowSharedKeyAccess": "no"}}), "neither true nor false"),
        (json!({"id": ID, "properties": {"keyCreationTime": {"key1": "yesterday"}}}), "is no time"),
    ] {
        assert!(live_account(ID, &answer).unwrap_err().contains(why), "{answer}");
    }
}

#[test]
fn locks_hold_for_what_is_inside() {
    let lock = |scope: &str, level: &str| json!({"id": format!("{scope}/providers/Microsoft.Authorization/locks/l"), "name": "l", "properties": {"level": level}});
    for (scope, level, holds) in [
        (ID, "ReadOnly", true),
        ("/subscriptions/s", "ReadOnly", true),
        ("/subscriptions/s/resourcegroups/G", "readonly", true),
        (ID, "CanNotDelete", false),
        (ID, "SomethingNew", true),
        ("/subscriptions/s/resourceGroups/gg", "ReadOnly", false),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/ston", "ReadOnly", false),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/stone/blobServices/default", "ReadOnly", false),
    ] {
        assert_eq!(holding(&[lock(scope, level)], ID).unwrap().len(), usize::from(holds), "{scope} {level}");
    }
    assert_eq!(holding(&[lock("/subscriptions/s/resourceGroups/g", "ReadOnly")], ID).unwrap(), ["l on the resource group"]);
    for bad in [json!({"name": "l"}), json!({"id": format!("{ID}/providers/Microsoft.Authorization/locks/l"), "name": "l"})] {
        assert!(holding(&[bad], ID).is_err());
    }
}

#[test]
fn only_what_surely_needs_no_key_is_left_out_of_the_count() {
    let series = |kind: Value, totals: Value| {
        let dimension = json!({"name": {"value": "authentication"}, "value": kind});
        json!({"metadatavalues": [dimension], "data": totals})
    };
    let answer = |series: Value| json!({"value": [{"errorCode": "Success", "timeseries": series}]});
    let two = json!([{"timeStamp": "t", "total": 1.0}, {"timeStamp": "t"}, {"timeStamp": "t", "total": 1.0}]);
    for (kind, expected) in
        [("AccountKey", 2), ("SAS", 2), ("Kerberos", 2), ("", 2), ("OAuth", 0), ("oauth", 0), ("Anonymous", 0), ("AnonymousPreflight", 0)]
    {
        assert_eq!(count_keyed(&answer(json!([series(json!(kind), two.clone())]))), Ok(expected), "{kind}");
    }
    assert_eq!(count_keyed(&answer(json!([{"data": two}]))), Ok(2), "without the dimension nobody knows");
    assert_eq!(count_keyed(&answer(json!([]))), Ok(0), "no series: no request");
    for (bad, why) in [
        (json!({"value": []}), "no metric"),
        (json!({}), "no metric"),
        (json!({"value": [{"timeseries": null}]}), "no series"),
        (json!({"value": [{"errorCode": "Throttled", "timeseries": []}]}), "could not be read: Throttled"),
        (answer(json!([series(json!("SAS"), json!([{"total": "many"}]))])), "no number"),
    ] {
        assert!(count_keyed(&bad).unwrap_err().contains(why), "{bad}");
    }
}

#[test]
fn an_event_counts_if_it_is_this_accounts_and_succeeded() {
    let event = |operation: &str, status: &str, id: &str, time: &str| json!({"operationName": {"value": operation}, "status": {"value": status}, "resourceId": id, "eventTimestamp": time});
    let since = at("2026-01-01T00:00:00Z");
    for (event, counts) in [
        (event(REGENERATE, "Succeeded", ID, "2026-01-01T00:00:01.1234567Z"), true),
        (event(&REGENERATE.to_uppercase(), "succeeded", &ID.to_uppercase(), "2026-01-01T00:00:00Z"), true),
        (event(REGENERATE, "Started", ID, "2026-01-01T00:00:01Z"), false),
        (event(REGENERATE, "Failed", ID, "2026-01-01T00:00:01Z"), false),
        (event(REGENERATE, "Succeeded", "/subscriptions/s/x", "2026-01-01T00:00:01Z"), false),
        (event("Microsoft.Storage/storageAccounts/listKeys/action", "Succeeded", ID, "2026-01-01T00:00:01Z"), false),
        (event(REGENERATE, "Succeeded", ID, "2025-12-31T23:59:59Z"), false),
    ] {
        assert_eq!(first_success(std::slice::from_ref(&event), ID, since).unwrap().is_some(), counts, "{event}");
    }
    let both = [event(REGENERATE, "Succeeded", ID, "2026-01-03T00:00:00Z"), event(REGENERATE, "Succeeded", ID, "2026-01-02T00:00:00Z")];
    assert_eq!(first_success(&both, ID, since).unwrap(), Some(at("2026-01-02T00:00:00Z")));
}
