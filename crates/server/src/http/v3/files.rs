//! Uploads, whole and in parts.

use axum::Router;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::routing::post;
use driftline_fiddler_api::v3::{
    File, FileStatus, FileType, FinishFile, Part, SentPart, StartFile,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::views;
use crate::App;
use crate::domain::catalog::{Documents, Kind};
use crate::domain::ingest::Format;
use crate::domain::times;
use crate::domain::uploads::{Incoming, turn};
use crate::http::app::Payload;
use crate::http::envelope::{Answer, ApiError, normal};
use crate::http::limits;

/// Uploads that this client made.
pub(crate) const FILE: Kind = Kind("file");
const MOST_PARTS: u32 = 1_000;
const LONGEST_NAME: usize = 1_024;
const LONGEST_FIELD: usize = 1_024;

/// Where an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    /// Its parts arrive.
    Initiated,
    /// It is whole.
    Successful,
}

/// An upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Upload {
    id: Uuid,
    filename: String,
    status: Status,
    parquet: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Upload {
    fn new(id: Uuid, filename: String, status: Status) -> Self {
        let now = Timestamp::now();
        Self {
            id,
            filename,
            status,
            parquet: false,
            created_at: now,
            updated_at: now,
        }
    }

    fn object(&self) -> File {
        File {
            id: self.id,
            filename: self.filename.clone(),
            status: match self.status {
                Status::Initiated => FileStatus::Initiated,
                Status::Successful => FileStatus::Successful,
            },
            kind: match self.parquet {
                true => FileType::Parquet,
                false => FileType::Csv,
            },
            created_at: times::text(self.created_at),
            updated_at: times::text(self.updated_at),
            created_by: views::user(),
            updated_by: views::user(),
        }
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

fn known(documents: &Documents<'_>, id: Uuid) -> Answer<Upload> {
    documents
        .get(FILE, id)?
        .ok_or_else(|| ApiError::not_found("File"))
}

/// Forgets uploads that were used up or given up before a moment.
pub(crate) fn forget_old(app: &App, documents: &Documents<'_>, before: Timestamp) -> Answer<()> {
    let all: Vec<Upload> = documents.list(FILE)?;
    let old = all.iter().filter(|upload| upload.updated_at < before);
    for upload in old.filter(|upload| !app.uploads.path(upload.id).is_file()) {
        documents.delete(FILE, upload.id)?;
    }
    Ok(())
}

/// Whether the text of a document is an upload.
pub(crate) fn check_document(body: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<Upload>(body).map(drop)
}

/// The upload with this id, whole. Asked in the transaction that accepts a job for it, the file stays until the job is
/// done.
///
/// # Errors
/// 404 without one, 400 if it is not whole, or was used and removed.
pub(super) fn whole(app: &App, documents: &Documents<'_>, id: Uuid) -> Answer<()> {
    if known(documents, id)?.status != Status::Successful {
        return Err(ApiError::bad_request(
            "the upload of this file was not completed",
        ));
    }
    if !app.uploads.path(id).is_file() {
        return Err(ApiError::bad_request(
            "this file was published or removed already; upload it again",
        ));
    }
    Ok(())
}

async fn upload(State(app): State<App>, form: Multipart) -> Answer {
    let id = Uuid::new_v4();
    let into = Incoming::whole(&app, id, app.limits.upload_bytes).await?;
    let (received, form) = read(&app, form, into).await?;
    received.finish().await?;
    app.blocking(move |app| {
        let mut upload = Upload::new(id, form.filename, Status::Successful);
        upload.parquet = Format::of(&app.uploads.path(id))? == Format::Parquet;
        app.change(|documents| documents.insert(FILE, id, None, &upload))?;
        Ok(normal(upload.object()))
    })
    .await
}

async fn init(State(app): State<App>, Payload(body): Payload<StartFile>) -> Answer {
    app.blocking(move |app| {
        let filename = checked_name(&body.filename)?;
        let upload = Upload::new(Uuid::new_v4(), filename, Status::Initiated);
        app.change(|documents| documents.insert(FILE, upload.id, None, &upload))?;
        Ok(normal(upload.object()))
    })
    .await
}

async fn part(State(app): State<App>, form: Multipart) -> Answer {
    // The file may come before the fields that say which part it is.
    let into = Incoming::whole(&app, Uuid::new_v4(), app.limits.upload_bytes).await?;
    let (mut received, form) = read(&app, form, into).await?;
    let (Some(id), Some(number)) = (form.file_id, form.part_number) else {
        return Err(ApiError::bad_request(
            "a part needs the fields file_id and part_number",
        ));
    };
    app.blocking(move |app| {
        let upload: Option<Upload> = app.catalog.read(|documents| documents.get(FILE, id))?;
        match upload {
            None => Err(ApiError::not_found("File")),
            Some(upload) if upload.status == Status::Initiated => Ok(()),
            Some(_) => Err(ApiError::bad_request("this file is whole already")),
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
        let upload = app.catalog.read(|documents| known(documents, id))?;
        if upload.status == Status::Successful {
            return Ok(normal(upload.object()));
        }
        let parts = numbers(&body.parts)?;
        let joined = app.uploads.join(id, &parts, app.limits.upload_bytes);
        let upload = app.change(|documents| {
            let mut upload = known(documents, id)?;
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
        Ok(normal(upload.object()))
    })
    .await
}

/// Numbers of parts, ascending; each must be answered with the id that it was given.
fn numbers(parts: &[Part]) -> Answer<Vec<u32>> {
    let refuse = || {
        let message =
            format!("parts is not a list of numbers from 1 to {MOST_PARTS} with their ids");
        ApiError::bad_request(message)
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
        return Err(ApiError::bad_request("a part is listed twice"));
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
    let _turn = turn(app).await?;
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
                    let refuse = |_| ApiError::bad_request("file_id is not a UUID");
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
                        ApiError::bad_request(message)
                    };
                    fields.part_number = Some(number.ok_or_else(refuse)?);
                }
                _ => {
                    return Err(ApiError::bad_request(
                        "the form has a field that is not known",
                    ));
                }
            }
        }
        if !found {
            return Err(ApiError::bad_request("the form has no field `file`"));
        }
        Ok((into, fields))
    };
    tokio::time::timeout(app.limits.upload, all)
        .await
        .map_err(|_| limits::slow())?
}

async fn short(mut field: axum::extract::multipart::Field<'_>) -> Answer<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > LONGEST_FIELD {
            return Err(ApiError::bad_request("a field of the form is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("a field of the form is not text"))
}

/// The name of a file is shown to people, and is never a name in a file system.
fn checked_name(name: &str) -> Answer<String> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let message =
            format!("a file name has at most {LONGEST_NAME} bytes and no control characters");
        return Err(ApiError::bad_request(message));
    }
    Ok(name.to_owned())
}

fn broken(cause: MultipartError) -> ApiError {
    ApiError::bad_request(format!("the form is broken: {cause}"))
}
