//! Uploads, whole and in parts.

use axum::Router;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::routing::post;
use driftline_core::{Error, Result};
use driftline_fiddler_api::v3::{
    File, FileStatus, FileType, FinishFile, Part, SentPart, StartFile,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::views;
use crate::domain::files::{self, FILE, Status, Upload};
use crate::domain::ingest::Format;
use crate::domain::uploads::Incoming;
use crate::domain::{error, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::limits;
use crate::http::receive::turn;

const MOST_PARTS: u32 = 1_000;
const LONGEST_NAME: usize = 1_024;
const LONGEST_FIELD: usize = 1_024;

fn object(upload: &Upload) -> File {
    File {
        id: upload.id,
        filename: upload.filename.clone(),
        status: match upload.status {
            Status::Initiated => FileStatus::Initiated,
            Status::Successful => FileStatus::Successful,
        },
        kind: match upload.parquet {
            true => FileType::Parquet,
            false => FileType::Csv,
        },
        created_at: times::text(upload.created_at),
        updated_at: times::text(upload.updated_at),
        created_by: views::user(),
        updated_by: views::user(),
    }
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/files/upload", post(upload))
        .route("/v3/files/multipart-init", post(init))
        .route("/v3/files/multipart-upload", post(part))
        .route("/v3/files/multipart-complete", post(complete))
        // Uploads have limits of their own.
        .layer(DefaultBodyLimit::disable())
}

async fn upload(State(app): State<App>, form: Multipart) -> Answer {
    let id = Uuid::new_v4();
    let into = Incoming::whole(&app.uploads, id, app.limits.upload_bytes).await?;
    let (received, form) = read(&app, form, into).await?;
    received.finish().await?;
    app.blocking(move |app| {
        let mut upload = Upload::new(id, form.filename, Status::Successful);
        upload.parquet = Format::of(&app.uploads.path(id))? == Format::Parquet;
        app.catalog
            .change(|documents| documents.insert(FILE, id, None, &upload))?;
        Ok(normal(object(&upload)))
    })
    .await
}

async fn init(State(app): State<App>, Payload(body): Payload<StartFile>) -> Answer {
    app.blocking(move |app| {
        let filename = checked_name(&body.filename)?;
        let upload = Upload::new(Uuid::new_v4(), filename, Status::Initiated);
        app.catalog
            .change(|documents| documents.insert(FILE, upload.id, None, &upload))?;
        Ok(normal(object(&upload)))
    })
    .await
}

async fn part(State(app): State<App>, form: Multipart) -> Answer {
    // The file may come before the fields that say which part it is.
    let into = Incoming::whole(&app.uploads, Uuid::new_v4(), app.limits.upload_bytes).await?;
    let (mut received, form) = read(&app, form, into).await?;
    let (Some(id), Some(number)) = (form.file_id, form.part_number) else {
        return Err(error::invalid("a part needs the fields file_id and part_number").into());
    };
    app.blocking(move |app| {
        let upload: Option<Upload> = app.catalog.read(|documents| documents.get(FILE, id))?;
        match upload {
            None => Err(error::not_found("File")),
            Some(upload) if upload.status == Status::Initiated => Ok(()),
            Some(_) => Err(error::invalid("this file is whole already")),
        }
    })
    .await?;
    received.become_part(id, number);
    received.finish().await?;
    Ok(normal(SentPart {
        part_id: number.into(),
    }))
}

async fn complete(State(app): State<App>, Payload(body): Payload<FinishFile>) -> Answer {
    app.blocking(move |app| {
        let id = body.file_id;
        let upload = app.catalog.read(|documents| files::known(documents, id))?;
        if upload.status == Status::Successful {
            return Ok(normal(object(&upload)));
        }
        let parts = numbers(&body.parts)?;
        let joined = app.uploads.join(id, &parts, app.limits.upload_bytes);
        let upload = app.catalog.change(|documents| {
            let mut upload = files::known(documents, id)?;
            // The same request, sent twice, may have completed it, and a job may have used it up since.
            if upload.status == Status::Initiated {
                joined?;
                upload.status = Status::Successful;
                upload.parquet = Format::of(&app.uploads.path(id))? == Format::Parquet;
                upload.updated_at = Timestamp::now();
                documents.replace(FILE, id, &upload)?;
            }
            Ok(upload)
        })?;
        Ok(normal(object(&upload)))
    })
    .await
}

/// Numbers of parts, ascending; each must be answered with the id that it was given.
fn numbers(parts: &[Part]) -> Result<Vec<u32>> {
    let refuse = || {
        let message =
            format!("parts is not a list of numbers from 1 to {MOST_PARTS} with their ids");
        error::invalid(message)
    };
    if parts.is_empty() {
        return Err(refuse());
    }
    let mut numbers = Vec::new();
    for part in parts {
        match u32::try_from(part.number) {
            Ok(number @ 1..=MOST_PARTS) if part.id == number => numbers.push(number),
            _ => return Err(refuse()),
        }
    }
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(error::invalid("a part is listed twice"));
    }
    Ok(numbers)
}

/// The fields of a form, besides the file.
#[derive(Debug, Default)]
struct Form {
    filename: String,
    file_id: Option<Uuid>,
    part_number: Option<u32>,
}

async fn read(app: &App, mut form: Multipart, mut into: Incoming) -> Answer<(Incoming, Form)> {
    let _turn = turn(&app.limits).await?;
    let all = async {
        let mut fields = Form::default();
        let mut found = false;
        while let Some(mut field) = form.next_field().await.map_err(broken)? {
            match field.name() {
                Some("file") if !found => {
                    found = true;
                    fields.filename = checked_name(field.file_name().unwrap_or("file"))?;
                    while let Some(bytes) = field.chunk().await.map_err(broken)? {
                        into.write(&bytes).await?;
                    }
                }
                Some("file_id") => {
                    let text = short(field).await?;
                    let refuse = |_| error::invalid("file_id is not a UUID");
                    fields.file_id = Some(text.parse().map_err(refuse)?);
                }
                Some("part_number") => {
                    let text = short(field).await?;
                    let number = text
                        .parse()
                        .ok()
                        .filter(|number| (1..=MOST_PARTS).contains(number));
                    let refuse = || {
                        let message = format!("part_number is not a number from 1 to {MOST_PARTS}");
                        error::invalid(message)
                    };
                    fields.part_number = Some(number.ok_or_else(refuse)?);
                }
                _ => {
                    return Err(error::invalid("the form has a field that is not known").into());
                }
            }
        }
        if !found {
            return Err(error::invalid("the form has no field `file`").into());
        }
        Ok((into, fields))
    };
    tokio::time::timeout(app.limits.upload, all)
        .await
        .map_err(|_| limits::slow())?
}

async fn short(mut field: axum::extract::multipart::Field<'_>) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > LONGEST_FIELD {
            return Err(error::invalid("a field of the form is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| error::invalid("a field of the form is not text"))
}

/// The name of a file is shown to people, and is never a name in a file system.
fn checked_name(name: &str) -> Result<String> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let message =
            format!("a file name has at most {LONGEST_NAME} bytes and no control characters");
        return Err(error::invalid(message));
    }
    Ok(name.to_owned())
}

fn broken(cause: MultipartError) -> Error {
    error::invalid(format!("the form is broken: {cause}"))
}
