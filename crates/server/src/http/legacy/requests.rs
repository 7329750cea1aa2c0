//! What requests of these clients have in common.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use driftline_core::Result;
use driftline_fiddler_api::{Field, parse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::error;
use crate::http::app::{App, json, read};
use crate::http::envelope::{Answer, ApiError, normal_with};

/// The query of a list.
#[derive(Debug, Deserialize)]
pub(super) struct InProject {
    pub(super) project_name: String,
}

/// A body in the form that a route takes, which may be encoded twice: a string that holds JSON.
pub(super) struct Decoded<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Decoded<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        let body = match json(request, app).await? {
            Value::String(text) => serde_json::from_str(&text).map_err(|cause| {
                error::invalid(format!("the text in the body is not JSON: {cause}"))
            })?,
            body => body,
        };
        Ok(Self(read(body)?))
    }
}

/// The answer to what will be done later.
pub(super) fn accepted(data: impl Serialize) -> Response {
    normal_with(StatusCode::ACCEPTED, data)
}

/// A field that a body must have for what it asks.
pub(super) fn needed<T>(field: Field<T>, name: &str) -> Result<T> {
    field
        .into_value()
        .ok_or_else(|| error::invalid(format!("the body has no `{name}`")))
}

/// What the catalog keeps of what a client said.
pub(super) fn kept(said: &impl Serialize) -> Result<Value> {
    serde_json::to_value(said).map_err(error::internal)
}

/// What the catalog kept.
pub(super) fn recalled<T: DeserializeOwned>(kept: &Value) -> Result<T> {
    parse(kept.clone()).map_err(error::internal)
}
