//! Files that no row names: what a killed process or a failed commit left behind.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use driftline_core::{Error, Result};

use super::place::SEGMENTS;
use super::segments::remove_files;
use super::state::Outbox;
use crate::database::Unfinished;

impl Outbox {
    /// What a failed transaction comes to that has written files: they go with it, unless it may still have lasted.
    pub(super) fn without(&mut self, written: &[PathBuf], unfinished: Unfinished) -> Error {
        match unfinished {
            Unfinished::Undone(error) => {
                remove_files(written);
                error
            }
            Unfinished::Uncertain(error) => {
                self.settle();
                error
            }
        }
    }

    /// Removes the files of a commit that failed, once it is certain that it has not lasted.
    fn settle(&mut self) {
        let settled = self.remove_leftovers();
        self.is_unsettled = settled.is_err();
        if let Err(error) = settled {
            log::warn!("files that no row may name stay in the outbox: {error}");
        }
    }

    /// Removes what a killed process or a failed commit left in the folder of segments.
    pub(super) fn remove_leftovers(&mut self) -> Result<()> {
        let folder = self.folder.join(SEGMENTS);
        // Who writes a segment holds the transaction, so nobody is writing one now.
        let leftovers = self.db.transaction(|transaction, fail| {
            let mut leftovers = Vec::new();
            let listed: HashSet<String> = transaction
                .prepare("SELECT file FROM segments WHERE file IS NOT NULL")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(fail)?;
            let read = |e| Error::io("list the outbox", &folder, e);
            for entry in fs::read_dir(&folder).map_err(read)? {
                let entry = entry.map_err(read)?;
                let name = entry.file_name();
                if !name.to_str().is_some_and(|name| listed.contains(name)) {
                    leftovers.push(entry.path());
                }
            }
            if !leftovers.is_empty() {
                // A commit that has failed may lie in the log all the same, and last after a crash. What is written
                // now takes its place there, so that nothing names these files any more.
                let sql = "INSERT INTO facts (name, value) VALUES ('settled', ?1)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                let once = uuid::Uuid::new_v4().to_string();
                transaction.execute(sql, [once]).map_err(fail)?;
            }
            Ok(leftovers)
        })?;
        remove_files(&leftovers);
        Ok(())
    }
}
