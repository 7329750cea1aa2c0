//! The folder of uploads.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arrow_array::RecordBatch;
use driftline_core::{Error, Result};
use driftline_rows::create_folder;
use driftline_rows::durable::is_temporary;
use prometheus_client::metrics::counter::Counter;
use uuid::Uuid;

use super::joining::Joining;
use crate::domain::error::{self, disk};

const PARTIAL: &str = ".partial";

/// The folder of uploads.
#[derive(Debug)]
pub struct Uploads {
    pub(super) folder: PathBuf,
    /// Bytes of all files there, those that are being received among them.
    bytes: AtomicU64,
    /// Bytes that they may have together.
    most: u64,
    pub(super) joining: Joining,
    /// Names in the folder change one at a time, so that `bytes` stays right.
    names: Mutex<()>,
    pub(super) received: Counter,
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
            joining: Joining::default(),
            names: Mutex::default(),
            received: Counter::default(),
        })
    }

    /// Counts the bytes of files that were received whole.
    pub(crate) fn received(&self) -> Counter {
        self.received.clone()
    }

    /// Where the file with this id is, once it is whole.
    pub fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.to_string())
    }

    pub(super) fn part(&self, id: Uuid, number: u32) -> PathBuf {
        self.folder.join(format!("{id}.{number}"))
    }

    /// A name that no other file has, for one that is not whole yet.
    pub(super) fn partial(&self) -> PathBuf {
        self.folder.join(format!("{}{PARTIAL}", Uuid::new_v4()))
    }

    /// Keeps rows as the file `id`. Blocks.
    ///
    /// # Errors
    /// `LimitExceeded` if there is no room for more.
    pub(crate) fn write_rows(&self, id: Uuid, rows: &RecordBatch) -> Result<()> {
        self.reserve(0)?;
        let path = self.path(id);
        driftline_rows::write(&path, rows)?;
        let bytes = path.metadata().map_err(disk)?.len();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Removes a whole file; one that is not there is no error. Blocks.
    pub(crate) fn remove(&self, id: Uuid) -> Result<()> {
        self.unlink(&self.path(id))
    }

    /// Removes the parts of a file. Blocks.
    pub(crate) fn remove_parts(&self, id: Uuid) -> Result<()> {
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
    pub(crate) fn abandoned(&self, age: Duration) -> Result<Vec<Uuid>> {
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
    pub(super) fn reserve(&self, bytes: u64) -> Result<()> {
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
        Err(error::no_room(message))
    }

    pub(super) fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives a file its name in place of the one that has it.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = to.metadata().map_or(0, |there| there.len());
        std::fs::rename(from, to)?;
        self.release(replaced);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::domain::error::told;

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
                        assert_eq!(uploads.join(id, &parts, MOST).unwrap(), 800_000);
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
        let too_large = uploads.join(id, &[1], 299).unwrap_err();
        assert_eq!(told(&too_large).reason, "PayloadTooLarge");
        assert_eq!(uploads.join(id, &[1], 1_000).unwrap(), 300);
        assert_eq!(uploads.join(other, &[1], 1_000).unwrap(), 300);
        let left = |uploads: &Uploads| uploads.bytes.load(Ordering::Relaxed);
        assert_eq!(left(&uploads), 600);
        uploads.reserve(400).unwrap();
        let refused = uploads.reserve(1).unwrap_err();
        assert_eq!(told(&refused).reason, "InsufficientStorage", "{refused:?}");
        assert!(refused.message().contains("at most 1000"), "{refused:?}");
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
        assert_eq!(uploads.abandoned(age).unwrap(), [old]);
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
