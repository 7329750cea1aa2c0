//! The outbox of one model: what it is for, and whether the server has had anything of it.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_rows::{EventIds, create_folder};

use super::place::{DATABASE, REPAIRED, SEGMENTS, is_empty, is_lost};
use super::segments::name_segment;
use crate::batch::Kind;
use crate::database::Database;

/// Noted once every known id names the segment that brought it.
const IDS_NAME_SEGMENTS: &str = "ids name segments";
/// The outbox of one model.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) folder: PathBuf,
    pub(super) db: Database,
    /// Whether a commit has failed, so that files may lie in the folder of segments that no row names.
    pub(super) is_unsettled: bool,
}

impl Outbox {
    /// Opens the outbox in `folder`, or makes it, and removes files that a killed process left over.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        create_folder(&folder.join(SEGMENTS))?;
        let repaired = folder.join(REPAIRED);
        if repaired.exists() {
            let message = "the repair of the outbox was interrupted";
            return Err(
                Error::new(ErrorKind::InvalidData, "open the outbox", message)
                    .with("file", repaired.display())
                    .remedy("run `driftline store repair`, which completes the repair"),
            );
        }
        let database = folder.join(DATABASE);
        // In this order: another process may be making both.
        if !is_empty(&folder.join(SEGMENTS))? && is_lost(&database) {
            let message = "the outbox has rows, but its database is missing";
            return Err(
                Error::new(ErrorKind::InvalidData, "open the outbox", message)
                    .with("file", database.display())
                    .remedy("run `driftline store repair`, which rebuilds it from the rows"),
            );
        }
        let db = Database::open(&database)?;
        driftline_rows::durable::sync_folder(folder)
            .map_err(|e| Error::io("open the outbox", folder, e))?;
        let mut outbox = Self {
            folder: folder.to_owned(),
            db,
            is_unsettled: false,
        };
        outbox.have_ids_name_segments()?;
        match outbox.remove_leftovers() {
            // On a full disk what is there can still be delivered.
            Err(error) if error.kind() == ErrorKind::Resource => {
                log::warn!("files that no row names stay in the outbox: {error}");
                outbox.is_unsettled = true;
            }
            removed => removed?,
        }
        Ok(outbox)
    }

    /// Notes which segments brought the ids in an outbox of an earlier driftline.
    fn have_ids_name_segments(&mut self) -> Result<()> {
        if self.db.fact(IDS_NAME_SEGMENTS)?.is_some() {
            return Ok(());
        }
        let folder = self.folder.join(SEGMENTS);
        self.db.transaction(|transaction, fail| {
            let segments: Vec<(i64, i64, String)> = transaction
                .prepare("SELECT seq, kind, file FROM segments WHERE file IS NOT NULL")
                .and_then(|mut query| {
                    let rows =
                        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                    rows?.collect()
                })
                .map_err(fail)?;
            for (seq, kind, file) in segments {
                // One that is damaged already is found when it is to be sent.
                let Ok(ids) = EventIds::open(&folder.join(file)) else {
                    continue;
                };
                for ids in ids.map_while(Result::ok) {
                    name_segment(transaction, kind, ids.iter().flatten(), seq).map_err(fail)?;
                }
            }
            transaction
                .execute(
                    "INSERT OR IGNORE INTO facts (name, value) VALUES (?1, 'yes')",
                    [IDS_NAME_SEGMENTS],
                )
                .map_err(fail)?;
            Ok(())
        })?;
        Ok(())
    }

    /// Where it is.
    pub(crate) fn location(&self) -> &Path {
        &self.folder
    }

    /// Notes what the rows are for.
    pub(crate) fn note_monitor(&mut self, monitor: &MonitorSpec) -> Result<()> {
        let text = serde_json::to_string(monitor).map_err(|cause| {
            let message = "the monitor cannot be written";
            Error::new(ErrorKind::Internal, "open the outbox", message).because(cause)
        })?;
        self.db.note("monitor", &text)
    }

    /// What the rows are for, once that was noted.
    pub(crate) fn monitor(&self) -> Result<Option<MonitorSpec>> {
        let Some(text) = self.db.fact("monitor")? else {
            return Ok(None);
        };
        let damaged = |cause| {
            let message = "its description of the monitor is damaged";
            Error::new(ErrorKind::InvalidData, "read the outbox", message)
                .with("file", self.folder.join(DATABASE).display())
                .because(cause)
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Binds the outbox to a server; event ids that one server has say nothing about another.
    ///
    /// # Errors
    /// `InvalidConfig` if it has accepted rows for another server.
    pub(crate) fn bind(&mut self, server: &str) -> Result<()> {
        match self.db.fact("server")? {
            Some(bound) if bound != server && self.has_accepted_anything()? => Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the outbox",
                format!("its rows are for {bound}, not for {server}"),
            )
            .with("outbox", self.folder.display())
            .remedy(
                "give `sink.store` another folder for another server, or remove the outbox to send everything again",
            )),
            Some(bound) if bound == server => Ok(()),
            _ => self.db.note("server", server),
        }
    }

    /// Whether rows were ever accepted here.
    fn has_accepted_anything(&self) -> Result<bool> {
        let known = self.db.first("SELECT 1 FROM known", [], |_| Ok(()))?;
        Ok(known.is_some())
    }

    /// Whether the server once had rows of this kind.
    pub(crate) fn has_delivered(&self, kind: Kind) -> Result<bool> {
        Ok(self.db.fact(&delivered_fact(kind))?.is_some())
    }

    /// Whether the server once had rows of any kind.
    pub(crate) fn has_delivered_anything(&self) -> Result<bool> {
        Ok(self.has_delivered(Kind::Baseline)? || self.has_delivered(Kind::Events)?)
    }

    /// Rows and labels that wait.
    pub(crate) fn queued(&self) -> Result<u64> {
        let sql = "SELECT COALESCE(SUM(rows), 0) FROM segments";
        Ok(self.db.first(sql, [], |row| row.get(0))?.unwrap_or(0))
    }
}

/// The name of the fact that the server has had rows of this kind.
pub(super) fn delivered_fact(kind: Kind) -> String {
    format!("delivered {}", kind.name())
}
