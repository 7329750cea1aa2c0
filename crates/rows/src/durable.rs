//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use driftline_core::{Error, ErrorKind, Result};

const LEFTOVER_PREFIX: &str = ".driftline-";
const LEFTOVER_SUFFIX: &str = ".tmp";

/// Whether `file_name` is one that this module gives to a file that is still being written. Such a file is a leftover
/// if no process writes in its folder; it may be removed then.
pub fn is_temporary(file_name: &str) -> bool {
    file_name.starts_with(LEFTOVER_PREFIX) && file_name.ends_with(LEFTOVER_SUFFIX)
}

/// Writes `bytes` to `path`: a reader sees the whole old file or the whole new one, and once this returns the new one
/// survives a crash.
///
/// # Errors
/// `Resource` or `NotFound` naming `path`; what was at `path` is as it was.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = resolve(path)?;
    let mut staged = Staged::create(folder_of(&target)).map_err(|e| failed(path, e))?;
    staged
        .write_all(bytes)
        .and_then(|()| staged.commit(&target))
        .map_err(|e| failed(path, e))
}

/// Makes a folder and the folders above it, and has their names survive a crash. One that exists is left alone.
///
/// # Errors
/// `Resource` naming the folder that could not be made.
pub fn create_folder(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = folder_of(path);
    create_folder(parent)?;
    match fs::create_dir(path) {
        Ok(()) => {}
        // Another process may have been quicker.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::new(
                ErrorKind::Resource,
                "create folder",
                "there is a file where a folder should be",
            )
            .with("file", path.display())
            .remedy("remove or rename the file, or choose another folder"));
        }
        Err(e) => return Err(Error::io("create folder", path, e)),
    }
    sync_folder(parent).map_err(|e| Error::io("create folder", parent, e))
}

/// Has the names in a folder survive a crash.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened; elsewhere the file system orders renames itself.
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The place that a rename to `path` must name: links are followed, and what is not a file (a folder, a device) is
/// refused before any work is done.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => fs::canonicalize(path).map_err(|e| failed(path, e)),
        Ok(_) => Err(Error::new(
            ErrorKind::InvalidConfig,
            "write file",
            "this place is taken by something that is not a file",
        )
        .with("file", path.display())
        .remedy("give the name of a file")),
        Err(_) if path.file_name().is_none() => Err(Error::new(
            ErrorKind::InvalidConfig,
            "write file",
            "this is not the name of a file",
        )
        .with("file", path.display())),
        Err(_) => Ok(path.to_owned()),
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::io("write file", path, source)
}

/// A file under a temporary name; it disappears unless it is committed.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    committed: bool,
}

impl Staged {
    /// A new, empty file in `folder`, hidden, under a name that nobody else uses.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let pid = std::process::id();
            let path = folder.join(format!("{LEFTOVER_PREFIX}{pid}-{count}{LEFTOVER_SUFFIX}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        path,
                        committed: false,
                    });
                }
                // Left by a killed process, or made by one with the same pid in another container.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Syncs the file, gives it its final name in the same folder, and syncs the folder.
    pub(crate) fn commit(self, path: &Path) -> io::Result<()> {
        self.rename(path)?;
        sync_folder(folder_of(path))
    }

    /// Syncs the file and gives it its final name in the same folder; the name may be lost in a crash.
    pub(crate) fn rename(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.committed = true;
        Ok(())
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here, and the name says that the file is a leftover.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn what_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::create(folder.path()).unwrap();
        let during = names(folder.path());
        assert_eq!(during.len(), 1);
        assert!(is_temporary(&during[0]), "{during:?}");
        drop(staged);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_leftover_with_our_own_name_is_stepped_over() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        for count in 0..64 {
            let name = format!("{LEFTOVER_PREFIX}{pid}-{count}{LEFTOVER_SUFFIX}");
            fs::write(folder.path().join(name), b"old").unwrap();
        }
        write_atomic(&folder.path().join("a"), b"new").unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"new");
        assert_eq!(names(folder.path()).len(), 65);
    }

    #[test]
    fn what_is_not_a_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(folder.path(), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("not a file"), "{error}");
        let missing = folder.path().join("no/such/file");
        let error = write_atomic(&missing, b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn folders_are_made_in_depth_and_a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(folder.path().join("file"), b"").unwrap();
        let error = create_folder(&folder.path().join("file/under")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a file where a folder should be"),
            "{error}"
        );
    }
}
