//! The router.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;

use crate::domain::error;
use crate::http::app::App;
use crate::http::auth::{self, Token};
use crate::http::envelope::{self, ApiError};
use crate::http::health::{self, Health};
use crate::http::observe::{self, Observed};
use crate::http::page::{self, Page};
use crate::http::{alerts, legacy, limits, queries, v3};

/// Every route, behind the layers that all of them need.
pub(crate) fn router(
    app: App,
    page: Page,
    token: Token,
    health: Arc<Health>,
    observed: Arc<Observed>,
) -> Router {
    let limits = Arc::clone(&app.limits);
    let guarded = Router::new()
        .merge(v3::routes())
        .merge(legacy::routes())
        .merge(queries::routes())
        .merge(alerts::routes())
        .with_state(app)
        .merge(page::data_routes().with_state(page))
        .merge(observe::routes().with_state(Arc::clone(&observed)))
        .route_layer(from_fn(observe::route))
        .fallback(|| async { ApiError::from(error::not_found("Route")) })
        .method_not_allowed_fallback(|| async {
            let message = "this route has no such method";
            ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        .layer(from_fn_with_state(token, auth::required));
    Router::new()
        .merge(page::shell_routes())
        .merge(health::routes().with_state(health))
        .route_layer(from_fn(observe::route))
        .fallback_service(guarded)
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::from(error::internal("a handler panicked")).into_response()
        }))
        .layer(map_response(envelope::enveloped))
        .layer(from_fn_with_state(limits, limits::body_progress))
        .layer(from_fn_with_state(observed, observe::access))
}
