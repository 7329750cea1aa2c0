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
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use driftline_fiddler_api::{Field, parse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::http::app::{json, read};
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

/// A body in the form that a route takes, which may be encoded twice: a string that holds JSON.
struct Decoded<T>(T);

impl<T: DeserializeOwned> FromRequest<App> for Decoded<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        let body = match json(request, app).await? {
            Value::String(text) => serde_json::from_str(&text).map_err(|cause| {
                ApiError::bad_request(format!("the text in the body is not JSON: {cause}"))
            })?,
            body => body,
        };
        read(body).map(Self)
    }
}

/// The answer to what will be done later.
fn accepted(data: impl Serialize) -> Response {
    normal_with(StatusCode::ACCEPTED, data)
}

/// A field that a body must have for what it asks.
fn needed<T>(field: Field<T>, name: &str) -> Answer<T> {
    field
        .into_value()
        .ok_or_else(|| ApiError::bad_request(format!("the body has no `{name}`")))
}

/// What the catalog keeps of what a client said.
fn kept(said: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(said).map_err(ApiError::internal)
}

/// What the catalog kept.
fn recalled<T: DeserializeOwned>(kept: &Value) -> Answer<T> {
    parse(kept.clone()).map_err(ApiError::internal)
}
