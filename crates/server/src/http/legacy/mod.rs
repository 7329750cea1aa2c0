//! Routes of `fiddler-client` 1 and 2.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `names` | names in paths, and which generation asks |
//! | `handshake` | what a client asks first |
//! | `projects` | projects |
//! | `uploads` | files, whole and in parts |
//! | `datasets` | data sets, which come before models |
//! | `info` | a model's `info`, and the definition that it means |
//! | `models` | models, and what client 1 calls after adding one |
//! | `events` | events and their updates |
//! | `baselines` | baselines |
//! | `alerts` | alert rules |
//! | `jobs` | jobs |

mod alerts;
mod baselines;
pub(crate) mod datasets;
mod events;
mod handshake;
mod info;
mod jobs;
mod models;
mod names;
mod projects;
mod uploads;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::App;
use crate::http::envelope::{Answer, ApiError, normal_with};

/// The one organisation.
const ORGANIZATION: &str = "driftline";

/// All of them, behind the token.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(handshake::routes())
        .merge(projects::routes())
        .merge(uploads::routes())
        .merge(datasets::routes())
        .merge(models::routes())
        .merge(events::routes())
        .merge(baselines::routes())
        .merge(alerts::routes())
        .merge(jobs::routes())
}

/// The query of a list.
#[derive(Debug, Deserialize)]
struct InProject {
    project_name: String,
}

/// A body that may be encoded twice: a string that holds JSON.
///
/// # Errors
/// 400 if what it holds is no object.
fn decoded(body: Value) -> Answer<Value> {
    let body = match &body {
        Value::String(text) => serde_json::from_str(text).map_err(|cause| {
            ApiError::bad_request(format!("the text in the body is not JSON: {cause}"))
        })?,
        _ => body,
    };
    if !body.is_object() {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    }
    Ok(body)
}

/// The answer to what will be done later.
fn accepted(data: Value) -> Response {
    normal_with(StatusCode::ACCEPTED, data)
}

/// A text that a body must have.
fn required<'a>(body: &'a Value, name: &str) -> Answer<&'a str> {
    body[name]
        .as_str()
        .ok_or_else(|| ApiError::bad_request(format!("the body has no text `{name}`")))
}
