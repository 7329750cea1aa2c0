//! `server.db` and uploads, checked and repaired.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `salvage` | what can still be read of a damaged database, in a new one |
//!
//! Nothing that cannot be read is thrown away: entries go to the table `aside`, a damaged database stays beside the new
//! one. A repair that was interrupted goes on when it is called again.

mod salvage;

use std::collections::HashSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use driftline_core::{Error, ErrorKind, Finding, Result};
use rusqlite::{Connection, OpenFlags};
use serde::de::{DeserializeOwned, IgnoredAny};
use uuid::Uuid;

use crate::domain::alerts::{ALERT_RECORD, ALERT_RULE, Record, Rule};
use crate::domain::catalog::{
    Catalog, Documents, Kind, Queued, Unreadable, bytes_of, salvaged, text_of,
};
use crate::domain::ingest::Work;
use crate::domain::jobs::{self, JOB, Job};
use crate::domain::objects::{
    BASELINE, Baseline, ENVIRONMENT, Environment, MODEL, Model, PROJECT, Project,
};
use crate::domain::uploads::Name;
use crate::http::envelope::{Answer, ApiError};
use crate::http::legacy::datasets::{DATASET, Dataset};
use crate::http::limits::Retention;
use crate::http::serve::{DATABASE, FOLDER, LOCK, UPLOADS, lock};
use crate::http::v3::files;

/// Says what is wrong with the server's database and uploads in the store. A server may run meanwhile.
///
/// # Errors
/// `Resource` if a file cannot be read for another reason than damage; `Unsupported` for a database of a later driftline.
pub fn check(store: &Path) -> Result<Vec<Finding>> {
    let place = Place::of(store);
    if salvaged(&place.database).exists() {
        return Ok(vec![place.interrupted()]);
    }
    if !place.database.exists() {
        return Ok(Vec::new());
    }
    let mut findings: Vec<Finding> = damage(&place.database)?
        .iter()
        .map(|line| place.finding(line, SALVAGED, None))
        .collect();
    if findings.is_empty() {
        let (faults, owned) = faults(&place)?;
        findings.extend(faults.iter().map(|fault| fault.finding(&place)));
        for path in unowned(&place, &owned)? {
            findings.push(upload_finding(path));
        }
    }
    Ok(findings)
}

/// Repairs what [`check`] finds, and says what was done. No server may run.
///
/// # Errors
/// `Resource` if a server has the store, or a file cannot be written; what was repaired until then stays repaired.
pub fn repair(store: &Path) -> Result<Vec<Finding>> {
    let place = Place::of(store);
    if !place.folder.exists() {
        return Ok(Vec::new());
    }
    let _lock = lock(&place.folder.join(LOCK))?;
    let mut done = Vec::new();
    if salvage::finish(&place.database)? {
        done.push(repaired(place.interrupted()));
    }
    if !place.database.exists() {
        return Ok(done);
    }
    let damage = damage(&place.database)?;
    if !damage.is_empty() {
        salvage::salvage(&place.database)?;
        for line in damage {
            done.push(repaired(place.finding(&line, SALVAGED, None)));
        }
    }
    let catalog = Catalog::open(&place.database)?;
    let (faults, owned) = faults(&place)?;
    let told = done.is_empty() && !faults.iter().any(Fault::hides_uploads);
    for fault in faults {
        let is_done = catalog
            .change(|documents| fault.repair(documents))
            .map_err(|error| {
                let message = error.message;
                Error::new(ErrorKind::Resource, "repair the server's database", message)
                    .with("file", place.database.display())
            })?;
        let mut finding = fault.finding(&place);
        finding.repaired |= is_done;
        done.push(finding);
    }
    // What cannot be read may have named uploads; they are left to the server, which removes them when they are old.
    let unowned = if told {
        unowned(&place, &owned)?
    } else {
        Vec::new()
    };
    for path in unowned {
        std::fs::remove_file(&path).map_err(|e| Error::io("remove an upload", &path, e))?;
        done.push(repaired(upload_finding(path)));
    }
    Ok(done)
}

const SALVAGED: &str =
    "what can be read goes into a new database, the old one stays beside it as server.db.damaged-1";

fn repaired(finding: Finding) -> Finding {
    Finding {
        repaired: true,
        ..finding
    }
}

/// Where the server's files are.
struct Place {
    folder: PathBuf,
    database: PathBuf,
    uploads: PathBuf,
}

impl Place {
    fn of(store: &Path) -> Self {
        let folder = store.join(FOLDER);
        Self {
            database: folder.join(DATABASE),
            uploads: folder.join(UPLOADS),
            folder,
        }
    }

    fn interrupted(&self) -> Finding {
        let problem = "a repair was interrupted; until it ends no server starts";
        self.finding(problem, "it is ended", Some(0))
    }

    /// A finding about the database.
    fn finding(&self, problem: &str, repair: &str, rows_lost: Option<u64>) -> Finding {
        Finding {
            path: self.database.clone(),
            problem: problem.to_owned(),
            rows_lost,
            repair: repair.to_owned(),
            repaired: false,
        }
    }
}

/// Something in a database that SQLite can read.
enum Fault {
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
    fn finding(&self, place: &Place) -> Finding {
        match self {
            Self::Document { kind, id, problem } => {
                let problem = format!("the document {id} of kind {kind} cannot be read: {problem}");
                let repair = "it goes to the table `aside`; rows of the store stay as they are";
                place.finding(&problem, repair, Some(0))
            }
            Self::Work(entry) => {
                let job = entry
                    .job
                    .map_or_else(|| "unknown".to_owned(), |job| job.to_string());
                let problem = format!("queue, job {job}: {}", entry.problem);
                let repair = "it goes to the table `aside`, and its job fails";
                place.finding(&problem, repair, None)
            }
            Self::Upload { job, upload } => {
                let problem = format!("queue, job {job}: its upload {upload} is not there");
                let repair = "the job fails; upload and publish the file again";
                place.finding(&problem, repair, None)
            }
            Self::Dataset { name, file } => {
                let problem = format!("the file {file} of the data set `{name}` is not there");
                let repair = "none; delete the data set and upload it again";
                place.finding(&problem, repair, Some(0))
            }
            Self::Aside {
                source,
                id,
                problem,
                at,
            } => {
                let problem = format!("{source} {id} was set aside on {at}: {problem}");
                repaired(place.finding(&problem, "its bytes are in the table `aside`", None))
            }
        }
    }

    /// Repairs it and says whether it could.
    fn repair(&self, documents: &Documents<'_>) -> Answer<bool> {
        match self {
            Self::Document { kind, id, problem } => {
                documents.set_document_aside(kind, id, problem)?;
            }
            Self::Work(entry) => jobs::set_aside(documents, entry)?,
            Self::Upload { job, upload } => {
                documents.dequeue(*job)?;
                let message = format!("the upload {upload} is not there; upload it again");
                jobs::end(documents, *job, Err(ApiError::bad_request(message)))?;
            }
            Self::Dataset { .. } | Self::Aside { .. } => return Ok(false),
        }
        Ok(true)
    }
}

/// What SQLite itself finds wrong with a database.
fn damage(database: &Path) -> Result<Vec<String>> {
    let opened = read_only(database);
    if let Ok(connection) = &opened
        && let Ok(format) = format_of(connection)
    {
        Catalog::check_format(format, database)?;
    }
    let found = opened.and_then(|connection| {
        let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
        let lines = statement.query_map([], |row| Ok(text_of(row, 0)))?;
        lines.collect::<rusqlite::Result<Vec<_>>>()
    });
    match found {
        Ok(mut lines) => {
            lines.retain(|line| line != "ok");
            Ok(lines)
        }
        Err(cause) if salvage::is_damage(&cause) => Ok(vec![cause.to_string()]),
        Err(cause) => Err(unread(database, cause)),
    }
}

fn read_only(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

fn format_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn unread(database: &Path, cause: impl Display) -> Error {
    let message = format!("the database cannot be read: {cause}");
    Error::new(ErrorKind::Resource, "check the server's database", message)
        .with("file", database.display())
}

/// What is wrong with the entries of the database, and the uploads that entries name.
fn faults(place: &Place) -> Result<(Vec<Fault>, HashSet<Uuid>)> {
    let failed = |cause: rusqlite::Error| unread(&place.database, cause);
    let connection = read_only(&place.database).map_err(failed)?;
    Catalog::check_format(format_of(&connection).map_err(failed)?, &place.database)?;
    let mut faults = unreadable_documents(&connection).map_err(failed)?;
    let bad: HashSet<String> = faults.iter().filter_map(Fault::document).collect();
    let mut owned: HashSet<Uuid> = HashSet::new();
    let there = |upload: Uuid| place.uploads.join(upload.to_string()).is_file();

    let mut statement = connection
        .prepare("SELECT id, body FROM document WHERE kind IN (?1, ?2)")
        .map_err(failed)?;
    let rows = statement
        .query_map([files::FILE.0, DATASET.0], |row| {
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
        .map_err(|error| unread(&place.database, error.message))?;
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

impl Fault {
    /// Whether uploads may be needed by what cannot be read.
    fn hides_uploads(&self) -> bool {
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
        (files::FILE, files::check_document),
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

/// Files among the uploads that nothing names and that have not changed for as long as a server keeps them.
fn unowned(place: &Place, owned: &HashSet<Uuid>) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("check the folder of uploads", &place.uploads, e);
    // Their clients may still be about to name them.
    let patience = Retention::default().uploads_for;
    let mut found = Vec::new();
    if !place.uploads.exists() {
        return Ok(found);
    }
    for entry in place.uploads.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let named = match Name::of(&entry.file_name().to_string_lossy()) {
            Name::Upload(id) => owned.contains(&id),
            Name::Half => false,
            Name::Foreign => true,
        };
        let changed = entry.metadata().and_then(|about| about.modified());
        let age = changed
            .ok()
            .and_then(|changed| SystemTime::now().duration_since(changed).ok());
        if !named && age.is_some_and(|age| age > patience) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn upload_finding(path: PathBuf) -> Finding {
    Finding {
        path,
        problem: "no document, data set or job names this upload".to_owned(),
        rows_lost: Some(0),
        repair: "it is removed; it was never published".to_owned(),
        repaired: false,
    }
}
