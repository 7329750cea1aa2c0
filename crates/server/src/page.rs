//! The web page and what it reads.

use axum::Router;

use crate::App;

/// The page and its assets, which hold no data and need no token.
pub fn shell_routes() -> Router<App> {
    Router::new()
}

/// What the page reads, behind the token.
pub fn data_routes() -> Router<App> {
    Router::new()
}
