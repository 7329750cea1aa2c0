//! The schema of a sample.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use driftline_fiddler_api::v3::Infer;
use serde_json::Value;

use crate::domain::ingest::{Question, infer};
use crate::domain::{error, files};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

const MAX_CARDINALITY: usize = 1_000;
const MOST_CARDINALITY: usize = 100_000;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v3/model-factory", post(make))
}

/// Without a `sample_size` all rows are looked at, so that the clusters are those that `driftline drift` finds on them.
async fn make(State(app): State<App>, Payload(body): Payload<Infer>) -> Answer {
    let number = |name: &str, given: Option<u64>, most: usize| match given {
        None => Ok(None),
        Some(number) if number >= 1 && number <= most as u64 => Ok(Some(number as usize)),
        Some(number) => {
            let message = format!("{name} is {number}, not a number from 1 to {most}");
            Err(error::invalid(message))
        }
    };
    let (cardinality, rows) = (body.max_cardinality, body.sample_size);
    let cardinality = number("max_cardinality", cardinality, MOST_CARDINALITY)?;
    let question = Question {
        spec: match body.spec {
            Some(spec) => serde_json::to_value(spec).map_err(error::internal)?,
            None => Value::Null,
        },
        max_cardinality: cardinality.unwrap_or(MAX_CARDINALITY),
        rows: number("sample_size", rows, usize::MAX)?,
    };
    let id = body.file_id;
    let _turn = app
        .limits
        .inferences
        .acquire()
        .await
        .map_err(error::internal)?;
    app.blocking(move |app| {
        app.catalog
            .read(|documents| files::whole(&app.uploads, documents, id))?;
        Ok(normal(infer(&app.uploads.path(id), &question)?))
    })
    .await
}
