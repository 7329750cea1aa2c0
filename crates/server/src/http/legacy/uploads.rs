//! Files for data sets and events: in one request, or in parts.
//!
//! The name that a client is told to quote later is the id of the upload, so that two files of the same name never meet.

use std::collections::HashSet;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::routing::{post, put};
use driftline_core::Result;
use driftline_fiddler_api::v2::{Complete, Initialized, Names, Part, SentPart, Uploaded};
use serde::Deserialize;
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
        return Ok(normal(uploaded(id)));
    }
    let (Some(id), Some(number @ 1..=MOST_PARTS)) = (query.upload_id, query.part_number) else {
        let message = format!("a part needs an upload_id and a part_number from 1 to {MOST_PARTS}");
        return Err(error::invalid(message).into());
    };
    let into = Incoming::part(&app.uploads, id, number, most).await?;
    receive(&app.limits, body, into).await?;
    Ok(normal(SentPart {
        info: Part {
            tag: tag(id, number),
            number,
        },
        file_name: id.to_string().into(),
    }))
}

async fn initialize(State(app): State<App>, Path(names): Path<String>) -> Answer {
    projects::existing(&app, names).await?;
    let id = Uuid::new_v4();
    Ok(normal(Initialized {
        upload_id: id.to_string(),
        file_name: id.to_string(),
    }))
}

fn uploaded(id: Uuid) -> Uploaded {
    Uploaded {
        file_name: id.to_string(),
    }
}

#[derive(Deserialize)]
struct Whole {
    upload_id: Uuid,
}

async fn complete(
    State(app): State<App>,
    Path(names): Path<String>,
    Query(query): Query<Whole>,
    Payload(body): Payload<Complete>,
) -> Answer {
    projects::existing(&app, names).await?;
    let id = query.upload_id;
    let parts = parts(id, &body.parts)?;
    app.blocking(move |app| app.uploads.join(id, &parts, app.limits.upload_bytes))
        .await?;
    Ok(normal(uploaded(id)))
}

/// The numbers of the parts, in the order in which they make the file.
fn parts(id: Uuid, listed: &[Part]) -> Result<Vec<u32>> {
    if listed.is_empty() {
        return Err(error::invalid("parts is not a list of parts"));
    }
    let mut numbers = Vec::new();
    for part in listed {
        if part.tag != tag(id, part.number) {
            let message = format!("the part {} was not uploaded to {id}", part.number);
            return Err(error::invalid(message));
        }
        numbers.push(part.number);
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
pub(super) fn named(app: &App, names: &Names) -> Result<Vec<Uuid>> {
    let names = names.all();
    if names.is_empty() {
        return Err(error::invalid("file_name is not a list of names"));
    }
    let mut found = Vec::new();
    for name in names {
        match name.parse() {
            Ok(id) if app.uploads.path(id).is_file() => found.push(id),
            _ => {
                let message = format!("there is no uploaded file {name:?}");
                return Err(error::invalid(message));
            }
        }
    }
    Ok(found)
}
