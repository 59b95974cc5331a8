//! Reading answers that no model describes, for the other cloud: what is a web page, and XML without a shape.

pub(crate) use super::response::{Unreadable, is_html};
use serde_json::Value;

/// XML as JSON: an element with children is an object, siblings of one name are a list, text is a string, nothing is null. The root's name
/// and attributes are left out.
pub(crate) fn xml(body: &[u8]) -> Result<Value, Unreadable> {
    super::xml::read_untyped(body)
}
