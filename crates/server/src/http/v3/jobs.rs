//! Jobs.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::fields::id;
use super::views;
use crate::domain::error;
use crate::domain::jobs::{JOB, Job};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v3/jobs/{id}", get(one))
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Job")?;
        let job: Option<Job> = app.catalog.read(|documents| documents.get(JOB, id))?;
        let job = job.ok_or_else(|| error::not_found("Job"))?;
        Ok(normal(views::job(&job)))
    })
    .await
}
