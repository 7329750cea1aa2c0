//! Files on their way in: written as they arrive, with flat memory, and kept once they are whole.
//!
//! `<store>/.driftline/uploads/<id>` is a whole file, `<id>.<number>` a part of one, `….partial` one that is being
//! received.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arrow_array::RecordBatch;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use driftline_core::{Error, Result};
use driftline_rows::create_folder;
use driftline_rows::durable::{is_temporary, sync_folder};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::App;
use crate::http::envelope::{Answer, ApiError};
use crate::http::limits;

const PARTIAL: &str = ".partial";

/// The folder of uploads.
#[derive(Debug)]
pub struct Uploads {
    folder: PathBuf,
    /// Bytes of all files there, those that are being received among them.
    bytes: AtomicU64,
    /// Bytes that they may have together.
    most: u64,
    /// Files whose parts are being put together.
    joining: Mutex<HashSet<Uuid>>,
    joined: Condvar,
    /// Names in the folder change one at a time, so that `bytes` stays right.
    names: Mutex<()>,
}

/// A file in the folder, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// A whole file, or a part of one.
    Upload(Uuid),
    /// A file that is being received, or was when the process ended.
    Half,
    /// A file that the server did not make.
    Foreign,
}

impl Name {
    pub(crate) fn of(name: &str) -> Self {
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        if name.ends_with(PARTIAL) || is_temporary(name) {
            Self::Half
        } else {
            stem.parse().map_or(Self::Foreign, Self::Upload)
        }
    }
}

impl Uploads {
    /// Opens the folder, and removes what was half received. The files may have `most` bytes together.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, most: u64) -> Result<Self> {
        create_folder(folder)?;
        let failed = |e| Error::io("read the folder of uploads", folder, e);
        let mut bytes = 0;
        for entry in folder.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if Name::of(&entry.file_name().to_string_lossy()) == Name::Half {
                let path = entry.path();
                std::fs::remove_file(&path)
                    .map_err(|e| Error::io("remove a leftover", &path, e))?;
            } else {
                bytes += entry.metadata().map_err(failed)?.len();
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            bytes: AtomicU64::new(bytes),
            most,
            joining: Mutex::default(),
            joined: Condvar::new(),
            names: Mutex::default(),
        })
    }

    /// Where the file with this id is, once it is whole.
    pub fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn part(&self, id: Uuid, number: u32) -> PathBuf {
        self.folder.join(format!("{id}.{number}"))
    }

    /// A name that no other file has, for one that is not whole yet.
    fn partial(&self) -> PathBuf {
        self.folder.join(format!("{}{PARTIAL}", Uuid::new_v4()))
    }

    /// Puts the parts of a file together, in this order, and removes them. Blocks. The file appears under its name
    /// whole and synced. A call for a file that is being put together waits for it, and one with the file in place
    /// changes nothing.
    ///
    /// # Errors
    /// 400 if a part is missing, 413 if the whole is too large, 507 if there is no room for it.
    pub fn join(&self, id: Uuid, parts: &[u32], most: u64) -> Answer<u64> {
        let _alone = self.alone(id);
        let whole = self.path(id);
        if let Ok(there) = whole.metadata() {
            return Ok(there.len());
        }
        let partial = self.partial();
        let mut size = 0;
        let joined = self
            .append_parts(id, parts, most, &partial, &mut size)
            .and_then(|()| self.rename(&partial, &whole).map_err(disk));
        if let Err(error) = joined {
            self.release(size);
            // Left behind, it is removed when it is old.
            let _best_effort = std::fs::remove_file(&partial);
            return Err(error);
        }
        sync_folder(&self.folder).map_err(disk)?;
        self.remove_parts(id)?;
        Ok(size)
    }

    /// Writes the parts to a new file. `size` is what it has so far, for which room was taken.
    fn append_parts(
        &self,
        id: Uuid,
        parts: &[u32],
        most: u64,
        to: &Path,
        size: &mut u64,
    ) -> Answer<()> {
        let mut file = File::create(to).map_err(disk)?;
        for number in parts {
            let mut part = match File::open(self.part(id, *number)) {
                Ok(part) => part,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let message = format!("part {number} of the file was not uploaded");
                    return Err(ApiError::bad_request(message));
                }
                Err(e) => return Err(disk(e)),
            };
            let length = part.metadata().map_err(disk)?.len();
            if length > most - *size {
                return Err(ApiError::too_large(most));
            }
            self.reserve(length)?;
            *size += length;
            let copied = io::copy(&mut (&mut part).take(length), &mut file).map_err(disk)?;
            if copied != length {
                return Err(disk(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        file.flush().and_then(|()| file.sync_all()).map_err(disk)?;
        let written = file.metadata().map_err(disk)?.len();
        if written != *size {
            return Err(disk(io::ErrorKind::WriteZero.into()));
        }
        Ok(())
    }

    /// Waits until no other thread puts the file together.
    fn alone(&self, id: Uuid) -> Alone<'_> {
        let joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let mut joining = self
            .joined
            .wait_while(joining, |joining| joining.contains(&id))
            .unwrap_or_else(PoisonError::into_inner);
        joining.insert(id);
        Alone { uploads: self, id }
    }

    /// Keeps rows as the file `id`. Blocks.
    ///
    /// # Errors
    /// 507 if there is no room for more.
    pub(crate) fn write_rows(&self, id: Uuid, rows: &RecordBatch) -> Answer<()> {
        self.reserve(0)?;
        let path = self.path(id);
        driftline_rows::write(&path, rows)?;
        let bytes = path.metadata().map_err(disk)?.len();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Removes a whole file; one that is not there is no error. Blocks.
    pub(crate) fn remove(&self, id: Uuid) -> Answer<()> {
        self.unlink(&self.path(id))
    }

    /// Removes the parts of a file. Blocks.
    pub(crate) fn remove_parts(&self, id: Uuid) -> Answer<()> {
        let prefix = format!("{id}.");
        for entry in self.folder.read_dir().map_err(disk)? {
            let entry = entry.map_err(disk)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                self.unlink(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Ids of uploads none of whose files changed for `age`; other files of that age are removed. Blocks.
    pub(crate) fn abandoned(&self, age: Duration) -> Answer<Vec<Uuid>> {
        let now = SystemTime::now();
        let mut old = HashMap::new();
        for entry in self.folder.read_dir().map_err(disk)? {
            let entry = entry.map_err(disk)?;
            let changed = match entry.metadata().and_then(|about| about.modified()) {
                Ok(changed) => changed,
                // A job may have been done meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(disk(e)),
            };
            let is_old = now.duration_since(changed).is_ok_and(|since| since > age);
            match Name::of(&entry.file_name().to_string_lossy()) {
                Name::Upload(id) => *old.entry(id).or_insert(true) &= is_old,
                _ if is_old => self.unlink(&entry.path())?,
                _ => {}
            }
        }
        old.retain(|_, is_old| *is_old);
        Ok(old.into_keys().collect())
    }

    /// Takes room for so many more bytes.
    fn reserve(&self, bytes: u64) -> Answer<()> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.most {
            return Ok(());
        }
        self.release(bytes);
        let message = format!(
            "the server keeps {before} bytes of uploads, and at most {}; wait for the jobs that read them, or delete \
             data sets",
            self.most
        );
        Err(ApiError::of_status(
            StatusCode::INSUFFICIENT_STORAGE,
            message,
        ))
    }

    fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives a file its name in place of the one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = to.metadata().map_or(0, |there| there.len());
        std::fs::rename(from, to)?;
        self.release(replaced);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> Answer<()> {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = path.metadata().map_or(0, |there| there.len());
        match std::fs::remove_file(path) {
            Ok(()) => self.release(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(disk(e)),
        }
        Ok(())
    }
}

/// Of all threads, only the holder puts a file together.
struct Alone<'a> {
    uploads: &'a Uploads,
    id: Uuid,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let uploads = self.uploads;
        let joining = uploads.joining.lock();
        joining
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        uploads.joined.notify_all();
    }
}

/// A file that is being received. Dropped before [`finish`](Self::finish), nothing of it stays.
#[derive(Debug)]
pub struct Incoming {
    app: App,
    file: Option<tokio::fs::File>,
    partial: PathBuf,
    place: PathBuf,
    bytes: u64,
    most: u64,
    kept: bool,
}

impl Incoming {
    /// A new file of at most `most` bytes that will be the file `id`.
    pub async fn whole(app: &App, id: Uuid, most: u64) -> Answer<Self> {
        Self::create(app, app.uploads.path(id), most).await
    }

    /// A new file of at most `most` bytes that will be a part of the file `id`.
    pub async fn part(app: &App, id: Uuid, number: u32, most: u64) -> Answer<Self> {
        Self::create(app, app.uploads.part(id, number), most).await
    }

    async fn create(app: &App, place: PathBuf, most: u64) -> Answer<Self> {
        // Two clients may send the same part at the same time.
        let partial = app.uploads.partial();
        let file = tokio::fs::File::create(&partial).await.map_err(disk)?;
        Ok(Self {
            app: app.clone(),
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
        self.place = self.app.uploads.part(id, number);
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// 413 beyond the limit of a file, 507 beyond that of all uploads, 503 if the disk is full.
    pub async fn write(&mut self, bytes: &Bytes) -> Answer<()> {
        let count = bytes.len() as u64;
        if count > self.most - self.bytes {
            return Err(ApiError::too_large(self.most));
        }
        self.app.uploads.reserve(count)?;
        self.bytes += count;
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(disk),
            None => Ok(()),
        }
    }

    /// Has the file survive a crash under its own name, and returns its size.
    pub async fn finish(mut self) -> Answer<u64> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(disk)?;
            file.sync_all().await.map_err(disk)?;
        }
        let app = self.app.clone();
        app.blocking(move |app| {
            app.uploads
                .rename(&self.partial, &self.place)
                .map_err(disk)?;
            self.kept = true;
            sync_folder(&app.uploads.folder).map_err(disk)?;
            app.observed.uploaded_bytes.inc_by(self.bytes);
            Ok(self.bytes)
        })
        .await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            self.app.uploads.release(self.bytes);
            let _best_effort = std::fs::remove_file(&self.partial);
        }
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
        into.finish().await
    };
    tokio::time::timeout(app.limits.upload, all)
        .await
        .map_err(|_| limits::slow())?
}

/// Waits until a file may be received: there are not more of them at a time than [`Limits`](crate::http::limits::Limits) says.
pub(crate) async fn turn(app: &App) -> Answer<tokio::sync::SemaphorePermit<'_>> {
    app.limits
        .uploads
        .acquire()
        .await
        .map_err(ApiError::internal)
}

/// What a client is told when the disk does not take or give a file.
pub(crate) fn disk(cause: io::Error) -> ApiError {
    tracing::error!(%cause, "the folder of uploads failed");
    ApiError::unavailable("the server's disk is full or fails at the moment")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1 << 30;

    fn uploads(folder: &Path, most: u64) -> Uploads {
        Uploads::open(folder, most).unwrap()
    }

    #[test]
    fn a_file_that_many_complete_at_once_is_whole_for_each_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = uploads(folder.path(), MOST);
        for round in 0..40 {
            let id = Uuid::from_u128(round);
            let part = vec![b'a'; 100_000];
            for number in 1..=8 {
                std::fs::write(uploads.part(id, number), &part).unwrap();
            }
            let parts: Vec<u32> = (1..=8).collect();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        assert_eq!(uploads.join(id, &parts, MOST), Ok(800_000));
                        assert_eq!(uploads.path(id).metadata().unwrap().len(), 800_000);
                    });
                }
            });
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 40);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_goes_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (name, bytes) in [(format!("{id}.1"), 300), (format!("{other}.1"), 300)] {
            std::fs::write(folder.path().join(name), vec![b'a'; bytes]).unwrap();
        }
        std::fs::write(folder.path().join("x.partial"), [b'a'; 900]).unwrap();
        let uploads = uploads(folder.path(), 1_000);
        assert_eq!(uploads.join(id, &[1], 299).unwrap_err().status, 413);
        assert_eq!(uploads.join(id, &[1], 1_000), Ok(300));
        assert_eq!(uploads.join(other, &[1], 1_000), Ok(300));
        let left = |uploads: &Uploads| uploads.bytes.load(Ordering::Relaxed);
        assert_eq!(left(&uploads), 600);
        uploads.reserve(400).unwrap();
        let refused = uploads.reserve(1).unwrap_err();
        assert_eq!(refused.status, 507, "{refused:?}");
        assert!(refused.message.contains("at most 1000"), "{refused:?}");
        uploads.remove(id).unwrap();
        uploads.reserve(300).unwrap();
        uploads.release(700);
        uploads.remove(other).unwrap();
        uploads.remove(other).unwrap();
        assert_eq!(left(&uploads), 0);
    }

    #[test]
    fn an_upload_is_abandoned_when_all_its_files_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = uploads(folder.path(), MOST);
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let past = SystemTime::now() - Duration::from_secs(100);
        for (name, is_old) in [
            (old.to_string(), true),
            (format!("{old}.1"), true),
            (format!("{new}.1"), true),
            (format!("{new}.2"), false),
            ("x.partial".to_owned(), true),
            ("y.partial".to_owned(), false),
            ("foreign".to_owned(), true),
        ] {
            let file = File::create(folder.path().join(name)).unwrap();
            if is_old {
                file.set_modified(past).unwrap();
            }
        }
        let age = Duration::from_secs(50);
        assert_eq!(uploads.abandoned(age), Ok(vec![old]));
        uploads.remove(old).unwrap();
        uploads.remove_parts(old).unwrap();
        let mut left: Vec<_> = folder
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                format!("{new}.1"),
                format!("{new}.2"),
                "y.partial".to_owned()
            ]
        );
    }
}
