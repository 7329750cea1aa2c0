//! Ids and texts, in paths and bodies.

use driftline_core::Result;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::error;

/// The id in a path. One that is no UUID belongs to nothing.
pub(crate) fn id(text: &str, what: &str) -> Result<Uuid> {
    text.parse().map_err(|_| error::not_found(what))
}

/// An id in a body.
pub(super) fn id_in(body: &Value, name: &str) -> Result<Uuid> {
    let text = text_in(body, name)?;
    text.parse()
        .map_err(|_| error::invalid(format!("`{name}` is not a UUID: {text:?}")))
}

/// A text that a body must have.
pub(super) fn text_in<'a>(body: &'a Value, name: &str) -> Result<&'a str> {
    body[name]
        .as_str()
        .ok_or_else(|| error::invalid(format!("the body has no text `{name}`")))
}
