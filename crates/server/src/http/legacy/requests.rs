//! What requests of these clients have in common.

use axum::http::StatusCode;
use axum::response::Response;
use driftline_core::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::error;
use crate::http::envelope::normal_with;

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct InProject {
    pub(super) project_name: String,
}

/// A body that may be encoded twice: a string that holds JSON.
///
/// # Errors
/// `InvalidData` if what it holds is no object.
pub(super) fn decoded(body: Value) -> Result<Value> {
    let body = match &body {
        Value::String(text) => serde_json::from_str(text).map_err(|cause| {
            error::invalid(format!("the text in the body is not JSON: {cause}"))
        })?,
        _ => body,
    };
    if !body.is_object() {
        return Err(error::invalid("the body is not a JSON object"));
    }
    Ok(body)
}

/// The answer to what will be done later.
pub(super) fn accepted(data: Value) -> Response {
    normal_with(StatusCode::ACCEPTED, data)
}

/// A text that a body must have.
pub(super) fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str> {
    body[name]
        .as_str()
        .ok_or_else(|| error::invalid(format!("the body has no text `{name}`")))
}
