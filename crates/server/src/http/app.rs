//! The router, and what every handler is given.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::IntoResponse;
use driftline_fiddler_api::parse;
use driftline_report::Pictures;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

use crate::domain::catalog::{Catalog, Documents};
use crate::domain::ingest::Sinks;
use crate::domain::jobs::Jobs;
use crate::domain::queries::Counts;
use crate::domain::uploads::Uploads;
use crate::http::auth::{self, Token};
use crate::http::envelope::{self, Answer, ApiError};
use crate::http::health::{self, Health};
use crate::http::limits::{self, Limits};
use crate::http::observe::{self, Observed};
use crate::http::{alerts, legacy, page, queries, v3};

/// What handlers share. A clone is the same thing.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// The parts of an [`App`].
#[derive(Debug)]
pub struct Shared {
    /// The store's folder.
    pub store: PathBuf,
    /// Documents.
    pub catalog: Catalog,
    /// Files on their way in.
    pub uploads: Uploads,
    /// Writers of models.
    pub sinks: Sinks,
    /// The queue's worker.
    pub jobs: Jobs,
    /// What opens the server.
    pub token: Token,
    /// The id of the one organisation, by which clients tell this store from others.
    pub organization: Uuid,
    /// How much and how slowly.
    pub limits: Limits,
    /// Models whose rows were counted.
    pub counts: Counts,
    /// Counters.
    pub observed: Observed,
    /// Whether the server can do its work.
    pub health: Health,
    /// Pictures that may be shown.
    pub pictures: Pictures,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Runs `work`, which may block, outside of the threads that serve connections.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app))
            .await
            .map_err(ApiError::internal)?
    }

    /// Changes documents in one transaction, and wakes the worker for what was queued in it. Blocks.
    pub fn change<T>(&self, body: impl FnOnce(&Documents<'_>) -> Answer<T>) -> Answer<T> {
        let value = self.catalog.change(body)?;
        self.jobs.wake();
        Ok(value)
    }

    /// Every route, behind the layers that all of them need.
    pub fn router(&self) -> Router {
        let guarded = Router::new()
            .merge(v3::routes())
            .merge(legacy::routes())
            .merge(queries::routes())
            .merge(alerts::routes())
            .merge(page::data_routes())
            .merge(observe::routes())
            .route_layer(from_fn(observe::route))
            .fallback(|| async { ApiError::not_found("Route") })
            .method_not_allowed_fallback(|| async {
                ApiError::of_status(
                    axum::http::StatusCode::METHOD_NOT_ALLOWED,
                    "this route has no such method",
                )
            })
            .layer(from_fn_with_state(self.clone(), auth::required));
        Router::new()
            .merge(page::shell_routes())
            .merge(health::routes())
            .route_layer(from_fn(observe::route))
            .fallback_service(guarded.with_state(self.clone()))
            .layer(CatchPanicLayer::custom(|_| {
                ApiError::internal("a handler panicked").into_response()
            }))
            .layer(map_response(envelope::enveloped))
            .layer(from_fn_with_state(self.clone(), limits::body_progress))
            .layer(from_fn_with_state(self.clone(), observe::access))
            .with_state(self.clone())
    }
}

/// A JSON body in the form that a route takes, whatever its content type says. Empty is `null`.
#[derive(Debug)]
pub struct Payload<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        read(json(request, app).await?).map(Self)
    }
}

/// A JSON body. Empty is `null`.
pub(crate) async fn json(request: Request, app: &App) -> Answer<Value> {
    let bytes = limits::whole_body(request, &app.limits).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|cause| ApiError::bad_request(format!("the body is not JSON: {cause}")))
}

/// A body in the form that a route takes.
///
/// # Errors
/// 400 naming the field that is missing or has another form.
pub(crate) fn read<T: DeserializeOwned>(body: Value) -> Answer<T> {
    if !body.is_object() {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    }
    parse(body).map_err(|mismatch| ApiError::bad_request(format!("the body {mismatch}")))
}
