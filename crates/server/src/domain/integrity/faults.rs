//! What is wrong with the entries of the database.

use std::collections::HashSet;
use std::path::Path;

use driftline_core::{Finding, Result};
use rusqlite::Connection;
use serde::de::{DeserializeOwned, IgnoredAny};
use uuid::Uuid;

use super::damage::{finding, read_only, repaired, unread};
use crate::domain::alerts::{ALERT_RECORD, ALERT_RULE, Record, Rule};
use crate::domain::catalog::{
    Documents, Kind, Queued, Unreadable, bytes_of, check_format, format_of, text_of,
};
use crate::domain::datasets::{DATASET, Dataset};
use crate::domain::error::{self, told};
use crate::domain::files::{FILE, Upload};
use crate::domain::jobs::{self, JOB, Job};
use crate::domain::layout::Layout;
use crate::domain::objects::{
    BASELINE, Baseline, ENVIRONMENT, Environment, MODEL, Model, PROJECT, Project,
};
use crate::domain::work::Work;

/// Something in a database that SQLite can read.
pub(super) enum Fault {
    /// A document that is not what its kind should be.
    Document {
        kind: String,
        id: String,
        problem: String,
    },
    /// Work that cannot be read.
    Work(Unreadable),
    /// Work that reads an upload which is not there.
    Upload { job: Uuid, upload: Uuid },
    /// A data set with a file that is not there.
    Dataset { name: String, file: Uuid },
    /// What an earlier repair, or the server, has set aside.
    Aside {
        source: String,
        id: String,
        problem: String,
        at: String,
    },
}

impl Fault {
    pub(super) fn finding(&self, database: &Path) -> Finding {
        match self {
            Self::Document { kind, id, problem } => {
                let problem = format!("the document {id} of kind {kind} cannot be read: {problem}");
                let repair = "it goes to the table `aside`; rows of the store stay as they are";
                finding(database, &problem, repair, Some(0))
            }
            Self::Work(entry) => {
                let job = entry
                    .job
                    .map_or_else(|| "unknown".to_owned(), |job| job.to_string());
                let problem = format!("queue, job {job}: {}", entry.problem);
                let repair = "it goes to the table `aside`, and its job fails";
                finding(database, &problem, repair, None)
            }
            Self::Upload { job, upload } => {
                let problem = format!("queue, job {job}: its upload {upload} is not there");
                let repair = "the job fails; upload and publish the file again";
                finding(database, &problem, repair, None)
            }
            Self::Dataset { name, file } => {
                let problem = format!("the file {file} of the data set `{name}` is not there");
                let repair = "none; delete the data set and upload it again";
                finding(database, &problem, repair, Some(0))
            }
            Self::Aside {
                source,
                id,
                problem,
                at,
            } => {
                let problem = format!("{source} {id} was set aside on {at}: {problem}");
                repaired(finding(
                    database,
                    &problem,
                    "its bytes are in the table `aside`",
                    None,
                ))
            }
        }
    }

    /// Repairs it and says whether it could.
    pub(super) fn repair(&self, documents: &Documents<'_>) -> Result<bool> {
        match self {
            Self::Document { kind, id, problem } => {
                documents.set_document_aside(kind, id, problem)?;
            }
            Self::Work(entry) => jobs::set_aside(documents, entry)?,
            Self::Upload { job, upload } => {
                documents.dequeue(*job)?;
                let message = format!("the upload {upload} is not there; upload it again");
                let missing = told(&error::invalid(message));
                jobs::end(documents, *job, Err(missing))?;
            }
            Self::Dataset { .. } | Self::Aside { .. } => return Ok(false),
        }
        Ok(true)
    }

    /// Whether uploads may be needed by what cannot be read.
    pub(super) fn hides_uploads(&self) -> bool {
        match self {
            Self::Document { kind, .. } => kind == DATASET.0,
            Self::Work(_) => true,
            _ => false,
        }
    }

    /// The id of the document that it is about.
    fn document(&self) -> Option<String> {
        match self {
            Self::Document { id, .. } => Some(id.clone()),
            _ => None,
        }
    }
}

/// What is wrong with the entries of the database, and the uploads that entries name.
pub(super) fn faults(place: &Layout) -> Result<(Vec<Fault>, HashSet<Uuid>)> {
    let failed = |cause: rusqlite::Error| unread(&place.database, cause);
    let connection = read_only(&place.database).map_err(failed)?;
    check_format(format_of(&connection).map_err(failed)?, &place.database)?;
    let mut faults = unreadable_documents(&connection).map_err(failed)?;
    let bad: HashSet<String> = faults.iter().filter_map(Fault::document).collect();
    let mut owned: HashSet<Uuid> = HashSet::new();
    let there = |upload: Uuid| place.uploads.join(upload.to_string()).is_file();

    let mut statement = connection
        .prepare("SELECT id, body FROM document WHERE kind IN (?1, ?2)")
        .map_err(failed)?;
    let rows = statement
        .query_map([FILE.0, DATASET.0], |row| {
            Ok((text_of(row, 0), bytes_of(row, 1)))
        })
        .map_err(failed)?;
    for row in rows {
        let (id, body) = row.map_err(failed)?;
        owned.extend(id.parse::<Uuid>());
        if let Ok(dataset) = serde_json::from_slice::<Dataset>(&body)
            && !bad.contains(&id)
        {
            for file in dataset.files {
                owned.insert(file);
                if !there(file) {
                    let name = format!("{}/{}", dataset.project, dataset.name);
                    faults.push(Fault::Dataset { name, file });
                }
            }
        }
    }
    let queue = Documents::of(&connection)
        .queued::<Work>()
        .map_err(|error| unread(&place.database, told(&error).message))?;
    for entry in queue {
        match entry {
            Queued::Unreadable(entry) => faults.push(Fault::Work(entry)),
            Queued::Work(job, work) => {
                let uploads = work.uploads();
                owned.extend(&uploads);
                if let Some(upload) = uploads.into_iter().find(|upload| !there(*upload)) {
                    faults.push(Fault::Upload { job, upload });
                }
            }
        }
    }
    faults.extend(aside(&connection).map_err(failed)?);
    Ok((faults, owned))
}

fn unreadable_documents(connection: &Connection) -> rusqlite::Result<Vec<Fault>> {
    let mut statement = connection.prepare("SELECT kind, id, body FROM document ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut faults = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, id) = (text_of(row, 0), text_of(row, 1));
        if let Err(cause) = read(&kind, &bytes_of(row, 2)) {
            let problem = cause.to_string();
            faults.push(Fault::Document { kind, id, problem });
        }
    }
    Ok(faults)
}

/// Reads a document as the server would.
fn read(kind: &str, body: &[u8]) -> serde_json::Result<()> {
    fn of<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<()> {
        serde_json::from_slice::<T>(body).map(drop)
    }
    type Read = fn(&[u8]) -> serde_json::Result<()>;
    let kinds: [(Kind, Read); 9] = [
        (JOB, of::<Job>),
        (PROJECT, of::<Project>),
        (MODEL, of::<Model>),
        (ENVIRONMENT, of::<Environment>),
        (BASELINE, of::<Baseline>),
        (DATASET, of::<Dataset>),
        (ALERT_RULE, of::<Rule>),
        (ALERT_RECORD, of::<Record>),
        (FILE, of::<Upload>),
    ];
    let found = kinds.iter().find(|(known, _)| known.0 == kind);
    found.map_or(of::<IgnoredAny> as Read, |(_, read)| *read)(body)
}

fn aside(connection: &Connection) -> rusqlite::Result<Vec<Fault>> {
    // Databases of the first format have no such table.
    let there: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'aside')",
        [],
        |row| row.get(0),
    )?;
    if !there {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT source, id, problem, at FROM aside ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        Ok(Fault::Aside {
            source: text_of(row, 0),
            id: text_of(row, 1),
            problem: text_of(row, 2),
            at: text_of(row, 3),
        })
    })?;
    rows.collect()
}
