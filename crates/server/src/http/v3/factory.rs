//! The schema of a sample.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;

use super::fields::id_in;
use crate::domain::error;
use crate::domain::files;
use crate::domain::ingest::{Question, infer};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

const MAX_CARDINALITY: usize = 1_000;
const MOST_CARDINALITY: usize = 100_000;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v3/model-factory", post(make))
}

/// Without a `sample_size` all rows are looked at, so that the clusters are those that `driftline drift` finds on them.
async fn make(State(app): State<App>, Payload(body): Payload) -> Answer {
    let id = id_in(&body, "file_id")?;
    let number = |name: &str, most: usize| match &body[name] {
        Value::Null => Ok(None),
        given => match given.as_u64() {
            Some(number) if number >= 1 && number <= most as u64 => Ok(Some(number as usize)),
            _ => {
                let message = format!("{name} is {given}, not a number from 1 to {most}");
                Err(error::invalid(message))
            }
        },
    };
    let question = Question {
        spec: body["spec"].clone(),
        max_cardinality: number("max_cardinality", MOST_CARDINALITY)?.unwrap_or(MAX_CARDINALITY),
        rows: number("sample_size", usize::MAX)?,
    };
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
