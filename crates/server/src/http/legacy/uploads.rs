//! Files for data sets and events: in one request, or in parts.
//!
//! The name that a client is told to quote later is the id of the upload, so that two files of the same name never meet.

use std::collections::HashSet;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::routing::{post, put};
use driftline_core::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::projects;
use crate::domain::error;
use crate::domain::uploads::Incoming;
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::receive::receive;

const MOST_PARTS: u32 = 10_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/datasets/{names}/upload", put(upload))
        .route("/v2/datasets/{names}/initialize", post(initialize))
        .route("/v2/datasets/{names}/complete", post(complete))
}

/// Values as Python writes them: `False` and `True`.
#[derive(Deserialize)]
struct Upload {
    #[serde(default)]
    multipart_upload: String,
    upload_id: Option<Uuid>,
    part_number: Option<u32>,
}

async fn upload(
    State(app): State<App>,
    Path(names): Path<String>,
    Query(query): Query<Upload>,
    body: Body,
) -> Answer {
    projects::existing(&app, names).await?;
    let most = app.limits.upload_bytes;
    if !query.multipart_upload.eq_ignore_ascii_case("true") {
        let id = Uuid::new_v4();
        let into = Incoming::whole(&app.uploads, id, most).await?;
        receive(&app.limits, body, into).await?;
        return Ok(normal(json!({"file_name": id})));
    }
    let (Some(id), Some(number @ 1..=MOST_PARTS)) = (query.upload_id, query.part_number) else {
        let message = format!("a part needs an upload_id and a part_number from 1 to {MOST_PARTS}");
        return Err(error::invalid(message).into());
    };
    let into = Incoming::part(&app.uploads, id, number, most).await?;
    receive(&app.limits, body, into).await?;
    Ok(normal(json!({
        "info": {"ETag": tag(id, number), "PartNumber": number},
        "file_name": id,
    })))
}

async fn initialize(State(app): State<App>, Path(names): Path<String>) -> Answer {
    projects::existing(&app, names).await?;
    let id = Uuid::new_v4();
    Ok(normal(json!({"upload_id": id, "file_name": id})))
}

#[derive(Deserialize)]
struct Complete {
    upload_id: Uuid,
}

async fn complete(
    State(app): State<App>,
    Path(names): Path<String>,
    Query(query): Query<Complete>,
    Payload(body): Payload,
) -> Answer {
    projects::existing(&app, names).await?;
    let id = query.upload_id;
    let parts = parts(id, &body)?;
    app.blocking(move |app| app.uploads.join(id, &parts, app.limits.upload_bytes))
        .await?;
    Ok(normal(json!({"file_name": id})))
}

/// The numbers of the parts, in the order in which they make the file.
fn parts(id: Uuid, body: &Value) -> Result<Vec<u32>> {
    let listed = body["parts"].as_array().filter(|parts| !parts.is_empty());
    let listed = listed.ok_or_else(|| error::invalid("parts is not a list of parts"))?;
    let mut numbers = Vec::new();
    for part in listed {
        let number = part["PartNumber"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok());
        match number {
            Some(number) if part["ETag"] == tag(id, number) => numbers.push(number),
            _ => {
                let message = format!("the part {part} was not uploaded to {id}");
                return Err(error::invalid(message));
            }
        }
    }
    numbers.sort_unstable();
    if numbers.iter().collect::<HashSet<_>>().len() < numbers.len() {
        return Err(error::invalid("a part is listed twice"));
    }
    Ok(numbers)
}

fn tag(id: Uuid, number: u32) -> String {
    format!("{}-{number}", id.simple())
}

/// The uploads that an ingest names.
///
/// # Errors
/// `InvalidData` naming one that was not uploaded. Blocks.
pub(super) fn named(app: &App, body: &Value) -> Result<Vec<Uuid>> {
    let names = match &body["file_name"] {
        Value::Array(names) if !names.is_empty() => names.as_slice(),
        name @ Value::String(_) => std::slice::from_ref(name),
        _ => return Err(error::invalid("file_name is not a list of names")),
    };
    let mut found = Vec::new();
    for name in names {
        let id = name.as_str().and_then(|name| name.parse().ok());
        match id {
            Some(id) if app.uploads.path(id).is_file() => found.push(id),
            _ => {
                let message = format!("there is no uploaded file {name}");
                return Err(error::invalid(message));
            }
        }
    }
    Ok(found)
}
