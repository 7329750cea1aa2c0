//! What Fiddler has and this server does not: lists are empty, and adding to them is refused for good.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use driftline_fiddler_api::Empty;

use super::list::List;
use crate::domain::error;
use crate::http::app::App;
use crate::http::envelope::Answer;

/// The last word of a path, and what it is.
const ABSENT: [(&str, &str); 2] = [
    ("custom-metrics", "A custom metric"),
    ("segments", "A segment"),
];

pub(super) fn routes() -> Router<App> {
    let mut routes = Router::new().route(
        "/v2/webhooks",
        get(empty).post(async || refused("A webhook")),
    );
    for (path, what) in ABSENT {
        let name = what.trim_start_matches("A ");
        routes = routes
            .route(
                &format!("/v3/{path}"),
                get(empty).post(async move || refused(what)),
            )
            .route(
                &format!("/v3/{path}/{{id}}"),
                get(async move |_: Path<String>| missing(name))
                    .delete(async move |_: Path<String>| missing(name)),
            )
            .route(&format!("/v3/models/{{id}}/{path}"), get(empty));
    }
    routes
}

async fn empty(list: List) -> Answer {
    Ok(list.answer(Vec::<Empty>::new())?)
}

fn refused(what: &str) -> Answer {
    Err(error::unsupported(what).into())
}

fn missing(what: &str) -> Answer {
    Err(error::not_found(what).into())
}
