//! What clients 1 and 2 ask first.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use crate::http::app::App;
use crate::http::envelope::{FIDDLER_VERSION, normal, rpc};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/get_supported_features/{organization}", get(features))
        .route("/v2/server-info", get(info))
        .route("/v2/version-compatibility", get(compatibility))
}

/// Client 1 asks twice.
async fn features() -> Response {
    rpc(json!({
        "features": {},
        "server_version": FIDDLER_VERSION,
        "enable_fiddler_v2": true,
    }))
}

async fn info() -> Response {
    normal(json!({"feature_flags": {}, "server_version": FIDDLER_VERSION}))
}

/// Any client that comes this far is served.
async fn compatibility() -> Response {
    normal(json!({}))
}
