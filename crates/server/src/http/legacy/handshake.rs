//! What clients 1 and 2 ask first.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use driftline_fiddler_api::Empty;
use driftline_fiddler_api::legacy::SupportedFeatures;
use driftline_fiddler_api::v2::ServerInfo;
use serde_json::Map;

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
    rpc(SupportedFeatures {
        features: Map::new(),
        server_version: FIDDLER_VERSION.to_owned(),
        enable_fiddler_v2: true,
    })
}

async fn info() -> Response {
    normal(ServerInfo {
        feature_flags: Map::new(),
        server_version: FIDDLER_VERSION.to_owned(),
    })
}

/// Any client that comes this far is served.
async fn compatibility() -> Response {
    normal(Empty {})
}
