//! What a client asks first.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use driftline_fiddler_api::Empty;
use driftline_fiddler_api::v3::ServerInfo;
use serde_json::Map;

use super::views;
use crate::http::app::App;
use crate::http::envelope::{FIDDLER_VERSION, normal};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/server-info", get(server))
        .route("/v3/version-compatibility", get(compatibility))
}

async fn server(State(app): State<App>) -> Response {
    normal(ServerInfo {
        feature_flags: Map::new(),
        server_version: FIDDLER_VERSION.to_owned(),
        organization: views::organization(&app),
    })
}

/// Any client that comes this far is served.
async fn compatibility() -> Response {
    normal(Empty {})
}
