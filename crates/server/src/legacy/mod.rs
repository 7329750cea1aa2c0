//! Routes of `fiddler-client` 1 and 2.

use axum::Router;

use crate::App;

/// All of them, behind the token.
pub fn routes() -> Router<App> {
    Router::new()
}
