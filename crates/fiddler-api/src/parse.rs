//! JSON to a type, with an error that says where.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why JSON is not what was expected, as the rest of a sentence about it: "has no `name`", "has another form in
/// `source.file_id`: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

/// Reads a type out of JSON.
///
/// # Errors
/// Names the field that is missing or has another form.
pub fn parse<T: DeserializeOwned>(json: Value) -> Result<T, Mismatch> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner().to_string();
        let missing = cause
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        Mismatch(match (path.as_str(), missing) {
            (".", Some(field)) => format!("has no `{field}`"),
            (path, Some(field)) => format!("has no `{path}.{field}`"),
            (".", None) => format!("has another form: {cause}"),
            (path, None) => format!("has another form in `{path}`: {cause}"),
        })
    })
}
