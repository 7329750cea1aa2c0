//! Uploads that a client of generation 3 made, as documents. Their bytes are in [`Uploads`].

use driftline_core::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;
use crate::domain::uploads::Uploads;

/// Uploads that this client made.
pub(crate) const FILE: Kind = Kind("file");

/// Where an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    /// Its parts arrive.
    Initiated,
    /// It is whole.
    Successful,
}

/// An upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name, which is shown to people.
    pub(crate) filename: String,
    /// Where it is.
    pub(crate) status: Status,
    /// Whether it is Parquet, else it is CSV.
    pub(crate) parquet: bool,
    /// When it was begun.
    pub(crate) created_at: Timestamp,
    /// When it changed.
    pub(crate) updated_at: Timestamp,
}

impl Upload {
    /// One that begins now.
    pub(crate) fn new(id: Uuid, filename: String, status: Status) -> Self {
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
}

/// The upload with this id.
///
/// # Errors
/// `NotFound` without one.
pub(crate) fn known(documents: &Documents<'_>, id: Uuid) -> Result<Upload> {
    documents
        .get(FILE, id)?
        .ok_or_else(|| error::not_found("File"))
}

/// The upload with this id, whole. Asked in the transaction that accepts a job for it, the file stays until the job is
/// done.
///
/// # Errors
/// `NotFound` without one, `InvalidData` if it is not whole, or was used and removed.
pub(crate) fn whole(uploads: &Uploads, documents: &Documents<'_>, id: Uuid) -> Result<()> {
    if known(documents, id)?.status != Status::Successful {
        return Err(error::invalid("the upload of this file was not completed"));
    }
    if !uploads.path(id).is_file() {
        return Err(error::invalid(
            "this file was published or removed already; upload it again",
        ));
    }
    Ok(())
}

/// Forgets uploads that were used up or given up before a moment.
pub(crate) fn forget_old(
    uploads: &Uploads,
    documents: &Documents<'_>,
    before: Timestamp,
) -> Result<()> {
    let all: Vec<Upload> = documents.list(FILE)?;
    let old = all.iter().filter(|upload| upload.updated_at < before);
    for upload in old.filter(|upload| !uploads.path(upload.id).is_file()) {
        documents.delete(FILE, upload.id)?;
    }
    Ok(())
}
