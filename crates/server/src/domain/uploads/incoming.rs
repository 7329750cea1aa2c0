//! A file that is being received.

use std::path::PathBuf;
use std::sync::Arc;

use driftline_core::Result;
use driftline_rows::durable::sync_folder;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::folder::Uploads;
use crate::domain::error::{self, disk};

/// A file that is being received. Dropped before [`finish`](Self::finish), nothing of it stays.
#[derive(Debug)]
pub struct Incoming {
    uploads: Arc<Uploads>,
    file: Option<tokio::fs::File>,
    partial: PathBuf,
    place: PathBuf,
    bytes: u64,
    most: u64,
    kept: bool,
}

impl Incoming {
    /// A new file of at most `most` bytes that will be the file `id`.
    pub async fn whole(uploads: &Arc<Uploads>, id: Uuid, most: u64) -> Result<Self> {
        Self::create(uploads, uploads.path(id), most).await
    }

    /// A new file of at most `most` bytes that will be a part of the file `id`.
    pub async fn part(uploads: &Arc<Uploads>, id: Uuid, number: u32, most: u64) -> Result<Self> {
        Self::create(uploads, uploads.part(id, number), most).await
    }

    async fn create(uploads: &Arc<Uploads>, place: PathBuf, most: u64) -> Result<Self> {
        // Two clients may send the same part at the same time.
        let partial = uploads.partial();
        let file = tokio::fs::File::create(&partial).await.map_err(disk)?;
        Ok(Self {
            uploads: Arc::clone(uploads),
            file: Some(file),
            partial,
            place,
            bytes: 0,
            most,
            kept: false,
        })
    }

    /// Makes it a part of the file `id` after all.
    pub(crate) fn become_part(&mut self, id: Uuid, number: u32) {
        self.place = self.uploads.part(id, number);
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// `LimitExceeded` beyond the limit of a file or that of all uploads, `Resource` if the disk is full.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let count = bytes.len() as u64;
        if count > self.most - self.bytes {
            return Err(error::too_large(self.most));
        }
        self.uploads.reserve(count)?;
        self.bytes += count;
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(disk),
            None => Ok(()),
        }
    }

    /// Has the file survive a crash under its own name, and returns its size.
    pub async fn finish(mut self) -> Result<u64> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(disk)?;
            file.sync_all().await.map_err(disk)?;
        }
        let kept = tokio::task::spawn_blocking(move || {
            self.uploads
                .rename(&self.partial, &self.place)
                .map_err(disk)?;
            self.kept = true;
            sync_folder(&self.uploads.folder).map_err(disk)?;
            self.uploads.received.inc_by(self.bytes);
            Ok(self.bytes)
        });
        kept.await.map_err(error::internal)?
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            self.uploads.release(self.bytes);
            let _best_effort = std::fs::remove_file(&self.partial);
        }
    }
}
