//! Operations and shapes that specs rely on, and names that must not pass.

use super::*;

const ACCOUNTS: &str = "GET /subscriptions/{}/providers/Microsoft.Storage/storageAccounts";
const ACCOUNT: &str = "GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}";

fn arm(name: &str) -> Operation {
    operation("arm", name).unwrap_or_else(|| panic!("{name}"))
}

/// The shape at the end of a path; `[]` goes into lists.
fn walk(api: &str, from: Option<String>, path: &str) -> Shape {
    let mut at = from.unwrap();
    for part in path.split('.') {
        let (name, list) = part.strip_suffix("[]").map_or((part, false), |p| (p, true));
        at = match shape(api, &at).unwrap_or_else(|| panic!("{at}")) {
            Shape::Structure(members) => members.into_iter().find(|(m, _)| m == name).unwrap_or_else(|| panic!("{at} has no {name}")).1,
            Shape::Map(of) => of,
            other => panic!("{name} in {other:?}"),
        };
        if list {
            let Some(Shape::List(of)) = shape(api, &at) else { panic!("{at} is no list") };
            at = of;
        }
    }
    shape(api, &at).unwrap()
}

#[test]
fn answers_of_each_version_resolve() {
    let list = arm(ACCOUNTS);
    assert!(list.pages());
    assert!(list.versions().contains(&"2023-05-01"), "{:?}", list.versions());
    assert!(list.versions().is_sorted_by(|a, b| a > b));
    for version in list.versions() {
        let at = |path| walk("arm", list.output(Some(version)), path);
        assert_eq!(at("value[].properties.keyCreationTime.key1"), Shape::Timestamp, "{version}");
        assert_eq!(at("value[].properties.keyPolicy.keyExpirationPeriodInDays"), Shape::Int, "{version}");
        assert_eq!(at("value[].properties.allowSharedKeyAccess"), Shape::Bool, "{version}");
        assert_eq!(at("value[].tags.any"), Shape::Text, "{version}");
        assert_eq!(at("nextLink"), Shape::Text, "{version}");
    }
    assert_eq!(list.output(Some("1999-01-01")), None);
    let log = arm("GET /subscriptions/{}/providers/Microsoft.Insights/eventtypes/management/values");
    assert_eq!(log.versions(), ["2015-04-01"]);
    assert_eq!(walk("arm", log.output(None), "value[].operationName.value"), Shape::Text);
    assert_eq!(walk("arm", log.output(None), "value[].eventTimestamp"), Shape::Timestamp);
}

#[test]
fn paths_are_compared_as_the_resource_manager_does() {
    let same = arm(&ACCOUNT.to_ascii_lowercase().replacen("get", "GET", 1));
    assert_eq!(same.name(), ACCOUNT);
    // A constant where a version has a placeholder; both versions are found.
    let blob = arm("GET /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/blobServices/default");
    assert!(blob.versions().len() > 1 && blob.versions().contains(&"2023-05-01"), "{:?}", blob.versions());
    // Any scope.
    for scope in ["/{}", "/subscriptions/{}", "/subscriptions/{}/resourceGroups/{}", "/{}/blobServices/default", ""] {
        let settings = arm(&format!("GET {scope}/providers/Microsoft.Insights/diagnosticSettings"));
        assert!(settings.versions().contains(&"2021-05-01-preview"), "{scope}");
        let output = settings.output(Some("2021-05-01-preview"));
        assert_eq!(walk("arm", output, "value[].properties.logs[].retentionPolicy.days"), Shape::Int, "{scope}");
    }
    // Of a subscription's settings, one operation says this and the general one that: an answer may have the members of both.
    let settings = arm("GET /subscriptions/{}/providers/Microsoft.Insights/diagnosticSettings").output(Some("2021-05-01-preview"));
    for (path, kind) in [("metrics[].enabled", Shape::Bool), ("logs[].enabled", Shape::Bool), ("workspaceId", Shape::Text)] {
        assert_eq!(walk("arm", settings.clone(), &format!("value[].properties.{path}")), kind, "{path}");
    }
    // The rest of a path behind a resource's id.
    let containers = arm("GET /{}/blobServices/default/containers");
    assert_eq!(walk("arm", containers.output(Some("2023-05-01")), "value[].properties.publicAccess"), Shape::Text);
}

#[test]
fn parameters_and_bodies() {
    let Some(Shape::Structure(members)) = shape("arm", &arm(ACCOUNT).parameters()) else { panic!() };
    assert_eq!(members, [("$expand".to_owned(), "storage/s".to_owned())]);
    let graph = arm("POST /providers/Microsoft.ResourceGraph/resources");
    assert_eq!(walk("arm", graph.body(), "options.$top"), Shape::Int);
    assert_eq!(walk("arm", graph.output(None), "data"), Shape::Any);
    let keys = arm("POST /subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys");
    assert_eq!(walk("arm", keys.output(None), "keys[].permissions"), Shape::Text);
    let clauses = filter_clauses("arm", "GET /subscriptions/{}/providers/microsoft.insights/eventtypes/management/values").unwrap();
    assert!(clauses.iter().any(|c| c == "resourceUri eq"), "{clauses:?}");
    assert_eq!(filter_clauses("arm", ACCOUNTS), None);
}

#[test]
fn the_data_plane_is_written_by_hand() {
    for api in ["blob", "queue", "table"] {
        let properties = operation(api, "GET {}?restype=service&comp=properties").unwrap();
        assert_eq!(walk(api, properties.output(None), "Logging.RetentionPolicy.Days"), Shape::Text, "{api}");
    }
}

#[test]
fn what_is_not_known_is_said_with_the_nearest() {
    for (name, hint) in [
        ("GET /subscriptions/{}/providers/Microsoft.Storage/storageAcounts", Some(ACCOUNTS)),
        ("GET /subscriptions/{}/provider/Microsoft.Storage/storageAccounts", None),
        ("GET /subscriptions/{}/providers/Microsoft.Storge/storageAccounts", Some("microsoft.storage")),
        ("GET /{}/providers/Microsoft.Insights/diagnosticSetings", Some("GET /{}/providers/Microsoft.Insights/diagnosticSettings")),
        ("GET /{}/blobServces/default/containers", None),
        ("POST /subscriptions/{}/providers/Microsoft.Storage/storageAccounts", None),
    ] {
        let (message, found) = unknown("arm", name).unwrap_or_else(|| panic!("{name}"));
        assert!(message.contains("there is no provider") || message == format!("arm has no operation `{name}`"), "{message}");
        assert_eq!(found, hint.map(|h| format!("did you mean {h}?")), "{name}");
    }
    let queue = unknown("queue", "GET {}?restype=service&comp=propertis").unwrap();
    assert_eq!(queue.1.as_deref(), Some("did you mean GET {}?restype=service&comp=properties?"));
    for (api, name) in [
        ("arm", ACCOUNTS),
        ("arm", "GET /{}"),
        ("arm", "GET /{}/providers/Microsoft.Insights/diagnosticSettings"),
        ("arm", "GET /{}/privateEndpointConnections"),
        ("arm", "GET /subscriptions/{}/providers/Contoso.NotCovered/things"),
        ("graph", "GET /users"),
    ] {
        assert_eq!(unknown(api, name), None, "{api} {name}");
    }
}
