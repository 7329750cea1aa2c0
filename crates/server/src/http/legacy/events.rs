//! Events of clients 1 and 2: by uploaded files, or one by one.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use driftline_core::Result;
use driftline_fiddler_api::Field;
use driftline_fiddler_api::v2::{self, Accepted, EventAccepted, Publish, Scalar};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::names::split;
use super::requests::{Decoded, accepted};
use super::{models, uploads};
use crate::domain::ingest::{Mapping, Unnamed, check_files, event_batch};
use crate::domain::objects::Model;
use crate::domain::work::{Files, Work};
use crate::domain::{error, jobs};
use crate::http::app::App;
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
    Decoded(body): Decoded<Publish>,
) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        check_format(&body.timestamp_format)?;
        let update = body.is_update == Field::Value(true);
        let model = app
            .catalog
            .read(|documents| models::find(documents, project, name))?;
        let files = Files {
            model: model.id,
            files: uploads::named(app, &body.file_name)?,
            environment: None,
            id_column: body.id_field.get().cloned(),
            // An update has no time, whatever it says.
            timestamp_column: body.timestamp_field.get().cloned().filter(|_| !update),
        };
        check_files(&app.uploads, &model, &files, update)?;
        let work = match update {
            true => Work::Update(files),
            false => Work::Publish(files),
        };
        let job = app.catalog.change(|documents| {
            // The last job that named them may be done by now.
            uploads::named(app, &body.file_name)?;
            jobs::submit(documents, "Publish events", None, &work)
        })?;
        Ok(accepted(Accepted {
            job_uuid: job.id.to_string().into(),
            status: 202.into(),
        }))
    })
    .await
}

async fn one(
    State(app): State<App>,
    Path(names): Path<String>,
    Decoded(body): Decoded<v2::Event>,
) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        check_format(&body.timestamp_format)?;
        let model = app
            .catalog
            .read(|documents| models::find(documents, project, name))?;
        let (event_id, work) = match body.is_update == Field::Value(true) {
            true => update(&model, body)?,
            false => event(app, &model, body)?,
        };
        let job = app
            .catalog
            .change(|documents| jobs::submit(documents, "Publish event", None, &work))?;
        Ok(accepted(EventAccepted {
            event_id,
            message: "Event received".to_owned(),
            job_uuid: job.id.to_string().into(),
        }))
    })
    .await
}

/// The event of a body with its id and its time in columns of their own, and how its columns are to be read.
fn told(
    model: &Model,
    body: v2::Event,
    new_id: Option<Uuid>,
) -> Result<(String, Map<String, Value>, Mapping)> {
    let mut event = body.event;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let field = body.id_field.get().and_then(|field| event.get(field));
    let id = body.event_id.get().map(Scalar::to_string);
    let id = id
        .or_else(|| field.and_then(text))
        .or_else(|| new_id.map(|id| id.to_string()))
        .ok_or_else(|| error::invalid("an update needs an event_id"))?;
    event.insert(ID.to_owned(), id.as_str().into());
    let mut monitored = model.monitored()?;
    monitored.event_id = Some(ID.to_owned());
    if let Some(time) = body.event_timestamp.get() {
        event.insert(TIME.to_owned(), time.to_string().into());
        monitored.timestamp = Some(TIME.to_owned());
    }
    let mapping = Mapping {
        model: monitored,
        environment: None,
        unnamed: Unnamed::Numbered(model.id),
        arrival: Timestamp::now().as_millisecond(),
    };
    Ok((id, event, mapping))
}

fn update(model: &Model, body: v2::Event) -> Result<(String, Work)> {
    let (id, event, mapping) = told(model, body, None)?;
    let batch = event_batch(&[event], &mapping.update_columns())?;
    let updates = mapping.updates(&batch, 0)?;
    let model = model.id;
    Ok((id, Work::Change { model, updates }))
}

/// The row of an event is checked and kept before the client hears of it.
fn event(app: &App, model: &Model, body: v2::Event) -> Result<(String, Work)> {
    let file = Uuid::new_v4();
    let (id, event, mapping) = told(model, body, Some(file))?;
    let batch = event_batch(&[event], &mapping.columns())?;
    mapping.check(&batch.schema())?;
    let rows = driftline_rows::check(&mapping.rows(&batch, 0)?)?;
    app.uploads.write_rows(file, rows.batch())?;
    let model = model.id;
    Ok((id, Work::Append { model, file }))
}

fn check_format(format: &Field<String>) -> Result<()> {
    match format.get() {
        Some(format) if !FORMATS.contains(&format.as_str()) => {
            let known = FORMATS.join(", ");
            let message = format!("timestamp_format is {format:?}, not one of {known}");
            Err(error::invalid(message))
        }
        _ => Ok(()),
    }
}
