//! What the routes of the API are given.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use driftline_core::Result;
use driftline_fiddler_api::parse;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::catalog::Catalog;
use crate::domain::error;
use crate::domain::queries::Counts;
use crate::domain::uploads::Uploads;
use crate::http::blocking::blocking;
use crate::http::envelope::{Answer, ApiError};
use crate::http::limits::{Limits, whole_body};

/// What the routes of the API share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The store's folder.
    pub(crate) store: Arc<Path>,
    /// Documents.
    pub(crate) catalog: Arc<Catalog>,
    /// Files on their way in.
    pub(crate) uploads: Arc<Uploads>,
    /// Models whose rows were counted.
    pub(crate) counts: Arc<Counts>,
    /// How much and how slowly.
    pub(crate) limits: Arc<Limits>,
    /// The id of the one organisation, by which clients tell this store from others.
    pub(crate) organization: Uuid,
}

impl App {
    /// Runs `work`, which may block, outside of the threads that serve connections.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let app = self.clone();
        blocking(move || work(&app)).await
    }
}

/// A JSON body in the form that a route takes, whatever its content type says. Empty is `null`.
#[derive(Debug)]
pub(crate) struct Payload<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        Ok(Self(read(json(request, app).await?)?))
    }
}

/// A JSON body. Empty is `null`.
pub(crate) async fn json(request: Request, app: &App) -> Answer<Value> {
    let bytes = whole_body(request, &app.limits).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|cause| error::invalid(format!("the body is not JSON: {cause}")).into())
}

/// A body in the form that a route takes.
///
/// # Errors
/// `InvalidData` naming the field that is missing or has another form.
pub(crate) fn read<T: DeserializeOwned>(body: Value) -> Result<T> {
    if !body.is_object() {
        return Err(error::invalid("the body is not a JSON object"));
    }
    parse(body).map_err(|mismatch| error::invalid(format!("the body {mismatch}")))
}
