//! Jobs.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use crate::domain::error;
use crate::domain::jobs::{JOB, Job};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal};
use crate::http::v3::views;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v2/jobs/{id}", get(one))
}

async fn one(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.blocking(move |app| {
        let unknown = || error::not_found("Job");
        let id = id.parse().map_err(|_| unknown())?;
        let job: Option<Job> = app.catalog.read(|documents| documents.get(JOB, id))?;
        Ok(normal(views::job(&job.ok_or_else(unknown)?)))
    })
    .await
}
