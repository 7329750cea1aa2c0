//! Files on their way in: written as they arrive, with flat memory, and kept once they are whole.
//!
//! `<store>/.driftline/uploads/<id>` is a whole file, `<id>.<number>` a part of one, `….partial` one that is being
//! received.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use driftline_core::{Error, Result};
use driftline_rows::create_folder;
use driftline_rows::durable::{is_temporary, sync_folder};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::App;
use crate::envelope::{Answer, ApiError};
use crate::limits;

const PARTIAL: &str = ".partial";
/// Files that nobody used for this long are removed at the start of the server.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder of uploads.
#[derive(Debug)]
pub struct Uploads {
    folder: PathBuf,
}

impl Uploads {
    /// Opens the folder, and removes what was half received or long forgotten, but not what is `needed`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, needed: &HashSet<Uuid>) -> Result<Self> {
        create_folder(folder)?;
        let failed = |e| Error::io("read the folder of uploads", folder, e);
        for entry in folder.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.parse().is_ok_and(|id| needed.contains(&id)) {
                continue;
            }
            let half = name.ends_with(PARTIAL) || is_temporary(&name);
            let changed = entry.metadata().and_then(|about| about.modified());
            let age = SystemTime::now().duration_since(changed.map_err(failed)?);
            if half || age.is_ok_and(|age| age > ABANDONED) {
                std::fs::remove_file(&path)
                    .map_err(|e| Error::io("remove a leftover", &path, e))?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where the file with this id is, once it is whole.
    pub fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn part(&self, id: Uuid, number: u32) -> PathBuf {
        self.folder.join(format!("{id}.{number}"))
    }

    /// Puts the parts of a file together, in this order, and removes them. Blocks. A second call with the file in place
    /// changes nothing.
    ///
    /// # Errors
    /// 400 if a part is missing, 413 if the whole is too large.
    pub fn join(&self, id: Uuid, parts: &[u32], most: u64) -> Answer<u64> {
        let whole = self.path(id);
        if let Ok(there) = whole.metadata() {
            return Ok(there.len());
        }
        let partial = self.folder.join(format!("{id}{PARTIAL}"));
        let joined = self.append_parts(id, parts, most, &partial);
        let size = match joined {
            Ok(size) => size,
            Err(error) => {
                remove(&partial)?;
                return Err(error);
            }
        };
        std::fs::rename(&partial, &whole)
            .and_then(|()| sync_folder(&self.folder))
            .map_err(disk)?;
        self.remove_parts(id)?;
        Ok(size)
    }

    fn append_parts(&self, id: Uuid, parts: &[u32], most: u64, to: &Path) -> Answer<u64> {
        let mut file = File::create(to).map_err(disk)?;
        let mut size = 0;
        for number in parts {
            let mut part = match File::open(self.part(id, *number)) {
                Ok(part) => part.take(most - size + 1),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let message = format!("part {number} of the file was not uploaded");
                    return Err(ApiError::bad_request(message));
                }
                Err(e) => return Err(disk(e)),
            };
            size += io::copy(&mut part, &mut file).map_err(disk)?;
            if size > most {
                return Err(ApiError::too_large(most));
            }
        }
        file.flush().and_then(|()| file.sync_all()).map_err(disk)?;
        Ok(size)
    }

    /// Removes a file and its parts; those that are not there are no error. Blocks.
    pub fn remove(&self, id: Uuid) -> Answer<()> {
        remove(&self.path(id))?;
        self.remove_parts(id)
    }

    fn remove_parts(&self, id: Uuid) -> Answer<()> {
        let prefix = format!("{id}.");
        for entry in self.folder.read_dir().map_err(disk)? {
            let entry = entry.map_err(disk)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A file that is being received. Dropped before [`finish`](Self::finish), nothing of it stays.
#[derive(Debug)]
pub struct Incoming {
    file: Option<tokio::fs::File>,
    partial: PathBuf,
    place: PathBuf,
    bytes: u64,
    most: u64,
}

impl Incoming {
    /// A new file of at most `most` bytes that will be the file `id`.
    pub async fn whole(app: &App, id: Uuid, most: u64) -> Answer<Self> {
        Self::create(app.uploads.path(id), most).await
    }

    /// A new file of at most `most` bytes that will be a part of the file `id`.
    pub async fn part(app: &App, id: Uuid, number: u32, most: u64) -> Answer<Self> {
        Self::create(app.uploads.part(id, number), most).await
    }

    async fn create(place: PathBuf, most: u64) -> Answer<Self> {
        // Two clients may send the same part at the same time.
        let partial = place.with_file_name(format!("{}{PARTIAL}", Uuid::new_v4()));
        let file = tokio::fs::File::create(&partial).await.map_err(disk)?;
        Ok(Self {
            file: Some(file),
            partial,
            place,
            bytes: 0,
            most,
        })
    }

    /// Makes it a part of the file `id` after all.
    pub(crate) fn become_part(&mut self, app: &App, id: Uuid, number: u32) {
        self.place = app.uploads.part(id, number);
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// 413 beyond the limit, 503 if the disk is full.
    pub async fn write(&mut self, bytes: &Bytes) -> Answer<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            return Err(ApiError::too_large(self.most));
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(disk),
            None => Ok(()),
        }
    }

    /// Has the file survive a crash under its own name, and returns its size.
    pub async fn finish(mut self, app: &App) -> Answer<u64> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(disk)?;
            file.sync_all().await.map_err(disk)?;
        }
        tokio::fs::rename(&self.partial, &self.place)
            .await
            .map_err(disk)?;
        let bytes = self.bytes;
        app.observed.uploaded_bytes.inc_by(bytes);
        app.blocking(|app| sync_folder(&app.uploads.folder).map_err(disk))
            .await?;
        Ok(bytes)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After `finish` there is no such file any more.
        let _best_effort = std::fs::remove_file(&self.partial);
    }
}

/// Receives a body that is nothing but the file.
pub async fn receive(app: &App, body: Body, mut into: Incoming) -> Answer<u64> {
    let _turn = turn(app).await?;
    let all = async {
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|_| ApiError::bad_request("the body ended before it was whole"))?;
            if let Ok(bytes) = frame.into_data() {
                into.write(&bytes).await?;
            }
        }
        into.finish(app).await
    };
    tokio::time::timeout(app.limits.upload, all)
        .await
        .map_err(|_| limits::slow())?
}

/// Waits until a file may be received: there are not more of them at a time than [`Limits`](crate::limits::Limits) says.
pub(crate) async fn turn(app: &App) -> Answer<tokio::sync::SemaphorePermit<'_>> {
    app.limits
        .uploads
        .acquire()
        .await
        .map_err(ApiError::internal)
}

fn remove(path: &Path) -> Answer<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk(e)),
        _ => Ok(()),
    }
}

/// What a client is told when the disk does not take or give a file.
pub(crate) fn disk(cause: io::Error) -> ApiError {
    tracing::error!(%cause, "the folder of uploads failed");
    ApiError::unavailable("the server's disk is full or fails at the moment")
}
