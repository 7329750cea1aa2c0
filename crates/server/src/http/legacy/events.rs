//! Events of clients 1 and 2: by uploaded files, or one by one.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use driftline_core::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::names::split;
use super::requests::{accepted, decoded};
use super::{models, uploads};
use crate::domain::error;
use crate::domain::ingest::{Mapping, Unnamed, check_files, event_batch};
use crate::domain::jobs;
use crate::domain::objects::Model;
use crate::domain::work::{Files, Work};
use crate::http::app::{App, Payload};
use crate::http::envelope::Answer;

/// Columns that an event gets for the id and the time that came beside it.
const ID: &str = "__fiddler_id";
const TIME: &str = "__fiddler_time";

/// How a client may say that times are written. All of them are told from the values.
const FORMATS: [&str; 5] = [
    "infer",
    "epoch milliseconds",
    "epoch seconds",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%f%Z %z",
];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/events/{names}/ingest", post(ingest))
        .route("/v2/events/{names}/ingest/event", post(one))
}

async fn ingest(
    State(app): State<App>,
    Path(names): Path<String>,
    Payload(body): Payload,
) -> Answer {
    let body = decoded(body)?;
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        check_format(&body)?;
        let update = body["is_update"] == true;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let model = app
            .catalog
            .read(|documents| models::find(documents, project, name))?;
        let files = Files {
            model: model.id,
            files: uploads::named(app, &body)?,
            environment: None,
            id_column: text("id_field"),
            // An update has no time, whatever it says.
            timestamp_column: text("timestamp_field").filter(|_| !update),
        };
        check_files(&app.uploads, &model, &files, update)?;
        let work = match update {
            true => Work::Update(files),
            false => Work::Publish(files),
        };
        let job = app.catalog.change(|documents| {
            // The last job that named them may be done by now.
            uploads::named(app, &body)?;
            jobs::submit(documents, "Publish events", None, &work)
        })?;
        Ok(accepted(json!({"job_uuid": job.id, "status": 202})))
    })
    .await
}

async fn one(State(app): State<App>, Path(names): Path<String>, Payload(body): Payload) -> Answer {
    let body = decoded(body)?;
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        check_format(&body)?;
        let model = app
            .catalog
            .read(|documents| models::find(documents, project, name))?;
        let (id, work) = match body["is_update"] == true {
            true => update(&model, &body)?,
            false => event(app, &model, &body)?,
        };
        let job = app
            .catalog
            .change(|documents| jobs::submit(documents, "Publish event", None, &work))?;
        Ok(accepted(json!({
            ID: id,
            "message": "Event received",
            "job_uuid": job.id,
        })))
    })
    .await
}

/// The event of a body with its id and its time in columns of their own, and how its columns are to be read.
fn told(model: &Model, body: &Value, new_id: Option<Uuid>) -> Result<(String, Value, Mapping)> {
    let mut event = body["event"].clone();
    if !event.is_object() {
        return Err(error::invalid("event is not an object"));
    }
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let field = body["id_field"].as_str().map(|field| &event[field]);
    let id = text(&body["event_id"])
        .or_else(|| field.and_then(text))
        .or_else(|| new_id.map(|id| id.to_string()))
        .ok_or_else(|| error::invalid("an update needs an event_id"))?;
    event[ID] = json!(id);
    let mut monitored = model.monitored()?;
    monitored.event_id = Some(ID.to_owned());
    if let Some(time) = text(&body["event_timestamp"]) {
        event[TIME] = json!(time);
        monitored.timestamp = Some(TIME.to_owned());
    }
    let mapping = Mapping {
        model: monitored,
        environment: None,
        unnamed: Unnamed::Numbered(model.id),
        arrival: Timestamp::now().as_millisecond(),
    };
    Ok((id, json!([event]), mapping))
}

fn update(model: &Model, body: &Value) -> Result<(String, Work)> {
    let (id, events, mapping) = told(model, body, None)?;
    let batch = event_batch(&events, &mapping.update_columns())?;
    let updates = mapping.updates(&batch, 0)?;
    let model = model.id;
    Ok((id, Work::Change { model, updates }))
}

/// The row of an event is checked and kept before the client hears of it.
fn event(app: &App, model: &Model, body: &Value) -> Result<(String, Work)> {
    let file = Uuid::new_v4();
    let (id, events, mapping) = told(model, body, Some(file))?;
    let batch = event_batch(&events, &mapping.columns())?;
    mapping.check(&batch.schema())?;
    let rows = driftline_rows::check(&mapping.rows(&batch, 0)?)?;
    app.uploads.write_rows(file, rows.batch())?;
    let model = model.id;
    Ok((id, Work::Append { model, file }))
}

fn check_format(body: &Value) -> Result<()> {
    match &body["timestamp_format"] {
        Value::Null => Ok(()),
        Value::String(format) if FORMATS.contains(&format.as_str()) => Ok(()),
        other => Err(error::invalid(format!(
            "timestamp_format is {other}, not one of {}",
            FORMATS.join(", ")
        ))),
    }
}
