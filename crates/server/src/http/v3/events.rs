//! Events, their updates and deletion.
//!
//! A refusal here has stored nothing, because the client answers a refusal by sending the same rows again as CSV.

use std::collections::HashSet;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use driftline_core::Result;
use driftline_fiddler_api::v3::{
    DeleteEvents, EnvironmentType, Publish, Published, Source, Started,
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::views;
use crate::domain::catalog::Documents;
use crate::domain::ingest::{Mapping, Unnamed, check_files, event_batch};
use crate::domain::jobs::{self, JOB, Job, Status};
use crate::domain::objects::{self, Model};
use crate::domain::work::{Events, Files, Work};
use crate::domain::{error, files, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal_with};

const PUBLISH: &str = "Publish events";
const DELETE: &str = "Delete events";
/// Says that a request is sent once more.
const RETRY: &str = "x-fiddler-client-retry";
const MOST_DELETED: usize = 10_000;
const LONGEST_NAME: usize = 255;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v3/events", post(insert).patch(update).delete(delete))
}

async fn insert(
    State(app): State<App>,
    headers: HeaderMap,
    Payload(body): Payload<Publish>,
) -> Answer {
    receive(app, headers, body, false).await
}

async fn update(
    State(app): State<App>,
    headers: HeaderMap,
    Payload(body): Payload<Publish>,
) -> Answer {
    receive(app, headers, body, true).await
}

async fn receive(app: App, headers: HeaderMap, body: Publish, update: bool) -> Answer {
    let retry = headers.contains_key(RETRY);
    app.blocking(move |app| {
        let model = app
            .catalog
            .read(|documents| objects::model(documents, body.model_id))?;
        let environment = environment(body.env_type, body.env_name)?;
        if update && environment.is_some() {
            return Err(error::invalid("rows of pre-production cannot be changed"));
        }
        match body.source {
            Source::File { file_id } => from_file(app, &model, environment, file_id, update),
            Source::Events { .. } if environment.is_some() => Err(error::invalid(
                "rows of pre-production come as a file, not as a list of events",
            )),
            Source::Events { events } => from_list(app, &model, &events, update, retry),
        }
    })
    .await
}

/// The pre-production environment that is named; `None` for production.
fn environment(kind: EnvironmentType, name: Option<String>) -> Result<Option<String>> {
    if kind == EnvironmentType::Production {
        return Ok(None);
    }
    let name = name.unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let message = format!(
            "pre-production needs an env_name of 1 to {LONGEST_NAME} bytes without control characters"
        );
        return Err(error::invalid(message));
    }
    Ok(Some(name))
}

/// The same file, published once more in the same way, is the same job.
fn from_file(
    app: &App,
    model: &Model,
    environment: Option<String>,
    file: Uuid,
    update: bool,
) -> Result<Response> {
    let verb = if update { "update" } else { "insert" };
    let place = environment.as_deref().unwrap_or_default();
    let key = format!("{verb}/{}/{file}/{place}", model.id);
    let earlier = |documents: &Documents<'_>| -> Result<Option<Job>> {
        let there: Option<Job> = documents.by_key(JOB, &key)?;
        Ok(there.filter(|job| job.status != Status::Failure))
    };
    if let Some(job) = app.catalog.read(earlier)? {
        return Ok(accepted(&job));
    }
    let files = Files {
        model: model.id,
        files: vec![file],
        environment: environment.clone(),
        id_column: None,
        timestamp_column: None,
    };
    let checked = app
        .catalog
        .read(|documents| files::whole(&app.uploads, documents, file))
        .and_then(|()| check_files(&app.uploads, model, &files, update));
    let work = match update {
        true => Work::Update(files),
        false => Work::Publish(files),
    };
    let job = app.catalog.change(|documents| {
        // The same request, sent twice, may have been accepted meanwhile, and its job may have used the file up.
        if let Some(job) = earlier(documents)? {
            return Ok(job);
        }
        checked?;
        files::whole(&app.uploads, documents, file)?;
        if let Some(name) = &environment {
            objects::ensure_baseline(documents, model.id, name)?;
        }
        jobs::submit(documents, PUBLISH, Some(&key), &work)
    })?;
    Ok(accepted(&job))
}

fn accepted(job: &Job) -> Response {
    normal_with(StatusCode::ACCEPTED, Published::file(views::job_of(job)))
}

/// Events are rows before they are accepted, so that what is wrong with one is said now.
fn from_list(
    app: &App,
    model: &Model,
    events: &[Map<String, Value>],
    update: bool,
    retry: bool,
) -> Result<Response> {
    let text = serde_json::to_vec(events).map_err(error::internal)?;
    let digest = Sha256::new()
        .chain_update([u8::from(update)])
        .chain_update(model.id)
        .chain_update(text)
        .finalize();
    let request = Uuid::new_v5(&model.id, &digest);
    let key = format!("events/{request}");
    let there: Option<Job> = app.catalog.read(|documents| documents.by_key(JOB, &key))?;
    // The answer to the first try was lost; that it was given is known by its job.
    let (job, fresh) = match there {
        Some(job) if retry => (job.id, false),
        _ => (Uuid::new_v4(), true),
    };
    let mapping = Mapping {
        model: model.monitored()?,
        environment: None,
        unnamed: Unnamed::Hashed(job),
        arrival: Timestamp::now().as_millisecond(),
    };
    let (ids, work) = if update {
        let batch = event_batch(events, &mapping.update_columns())?;
        mapping.check_update(&batch.schema())?;
        let updates = mapping.updates(&batch, 0)?;
        let ids = updates
            .iter()
            .map(|update| update.event_id.clone())
            .collect();
        (
            ids,
            Work::Change {
                model: model.id,
                updates,
            },
        )
    } else {
        let batch = event_batch(events, &mapping.columns())?;
        mapping.check(&batch.schema())?;
        let rows = driftline_rows::check(&mapping.rows(&batch, 0)?)?;
        let ids: Vec<String> = rows
            .event_ids()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        let file = Uuid::new_v4();
        if fresh {
            app.uploads.write_rows(file, rows.batch())?;
        }
        (
            ids,
            Work::Append {
                model: model.id,
                file,
            },
        )
    };
    if fresh {
        let accepted = app.catalog.change(|documents| {
            documents.release_key(JOB, &key)?;
            jobs::submit_as(documents, job, PUBLISH, Some(&key), &work)
        });
        if let Err(error) = accepted {
            for file in work.uploads() {
                app.uploads.remove(file)?;
            }
            return Err(error);
        }
    }
    Ok(normal_with(StatusCode::ACCEPTED, Published::events(ids)))
}

async fn delete(State(app): State<App>, Payload(body): Payload<DeleteEvents>) -> Answer {
    app.blocking(move |app| {
        let model = body.model_id;
        let ids = body.event_ids.into_value().filter(|ids| !ids.is_empty());
        if ids.as_ref().is_some_and(|ids| ids.len() > MOST_DELETED) {
            let message = format!("event_ids is not a list of at most {MOST_DELETED} texts");
            return Err(error::invalid(message));
        }
        let ids = ids.map(HashSet::from_iter);
        let times = match body.time_range.get() {
            None => None,
            Some(range) => {
                let start = times::moment(&range.start_time)?.as_millisecond();
                Some(start..times::moment(&range.end_time)?.as_millisecond())
            }
        };
        let events = match (ids, times) {
            (Some(ids), None) => Events::Ids(ids),
            (None, Some(times)) if times.start < times.end => Events::Times(times),
            (None, Some(_)) => {
                return Err(error::invalid("time_range ends before it starts"));
            }
            _ => {
                return Err(error::invalid("either event_ids or a time_range is needed"));
            }
        };
        let job = app.catalog.change(|documents| {
            objects::model(documents, model)?;
            jobs::submit(documents, DELETE, None, &Work::Delete { model, events })
        })?;
        let job = views::job_of(&job);
        Ok(normal_with(StatusCode::ACCEPTED, Started { job }))
    })
    .await
}
