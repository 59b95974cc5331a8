//! Azure's resource ids: `/subscriptions/…/resourceGroups/…/providers/Namespace/type/name/…`. Their case means nothing, and APIs differ in it.

use super::{Function, Gives, text_of};
use serde_json::{Value, json};

pub(super) const RESOURCE_GROUP: Function = Function {
    name: "resource_group",
    usage: "resource_group(id)",
    args: 1..=1,
    gives: Gives::Text,
    call: |a| Ok(part("resource_group", a[0], "resourceGroups")?.map_or(Value::Null, |name| Value::String(name.to_lowercase()))),
};

pub(super) const ID_PART: Function =
    Function { name: "id_part", usage: "id_part(id, 'vaults')", args: 2..=2, gives: Gives::Text, call: id_part };

pub(super) const RESOURCE_IDS: Function =
    Function { name: "resource_ids", usage: "resource_ids(id)", args: 1..=1, gives: Gives::Json, call: resource_ids };

/// The part that stands behind another one.
fn part<'v>(function: &str, id: &'v Value, before: &str) -> Result<Option<&'v str>, String> {
    let Some(id) = text_of(function, id)? else { return Ok(None) };
    let mut parts = id.split('/').skip_while(|p| !p.eq_ignore_ascii_case(before));
    Ok(parts.nth(1).filter(|p| !p.is_empty()))
}

fn id_part(args: &[&Value]) -> Result<Value, String> {
    let Some(before) = text_of("id_part", args[1])? else { return Ok(Value::Null) };
    Ok(part("id_part", args[0], before)?.map_or(Value::Null, Value::from))
}

fn resource_ids(args: &[&Value]) -> Result<Value, String> {
    let Some(id) = text_of("resource_ids", args[0])? else { return Ok(Value::Null) };
    let lower = id.to_lowercase();
    Ok(if lower == id { json!([id]) } else { json!([id, lower]) })
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn parts_of_ids() {
        let id = "/subscriptions/S-1/resourcegroups/RG-Prod/providers/Microsoft.KeyVault/vaults/v1/keys/K";
        for (name, args, want) in [
            ("resource_group", vec![json!(id)], Ok(json!("rg-prod"))),
            ("resource_group", vec![json!("/subscriptions/S-1")], Ok(json!(null))),
            ("resource_group", vec![json!("/subscriptions/S-1/resourceGroups/")], Ok(json!(null))),
            ("resource_group", vec![json!(null)], Ok(json!(null))),
            ("resource_group", vec![json!(1)], Err("resource_group() takes a text".to_owned())),
            ("id_part", vec![json!(id), json!("Vaults")], Ok(json!("v1"))),
            ("id_part", vec![json!(id), json!("keys")], Ok(json!("K"))),
            ("id_part", vec![json!(id), json!("secrets")], Ok(json!(null))),
            ("id_part", vec![json!(id), json!("K")], Ok(json!(null))),
            ("id_part", vec![json!(id), json!(null)], Ok(json!(null))),
            ("resource_ids", vec![json!("/a/B")], Ok(json!(["/a/B", "/a/b"]))),
            ("resource_ids", vec![json!("/a/b")], Ok(json!(["/a/b"]))),
            ("resource_ids", vec![json!(null)], Ok(json!(null))),
        ] {
            assert_eq!(call(name, &args), want, "{name}{args:?}");
        }
    }
}
