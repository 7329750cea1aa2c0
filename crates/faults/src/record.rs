//! The log of a trace: one record for each operation that changed a file.

use std::io;
use std::path::{Path, PathBuf};

/// What was done to a file below the traced folder. Paths are relative to it; the folder itself is the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A file was made.
    Create(PathBuf),
    /// Bytes were written at an offset.
    Write {
        /// The file.
        path: PathBuf,
        /// Where the bytes begin.
        at: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A file was given this length.
    Truncate {
        /// The file.
        path: PathBuf,
        /// Its length now.
        length: u64,
    },
    /// A file's bytes, or a folder's names, were synced.
    Sync(PathBuf),
    /// A name was moved.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// A file was given a second name.
    Link {
        /// The first name.
        from: PathBuf,
        /// The second name.
        to: PathBuf,
    },
    /// A name of a file was removed.
    Unlink(PathBuf),
    /// A folder was made.
    MakeFolder(PathBuf),
    /// An empty folder was removed.
    RemoveFolder(PathBuf),
    /// What the traced program, or whoever talks to it, noted: an acknowledgement, for example.
    Mark(String),
    /// A call was made to fail; the text says which.
    Fault(String),
}

const CREATE: u8 = 1;
const WRITE: u8 = 2;
const TRUNCATE: u8 = 3;
const SYNC: u8 = 4;
const RENAME: u8 = 5;
const LINK: u8 = 6;
const UNLINK: u8 = 7;
const MAKE_FOLDER: u8 = 8;
const REMOVE_FOLDER: u8 = 9;
const MARK: u8 = 10;
const FAULT: u8 = 11;

impl Operation {
    /// The record: its length, a tag, a number, and two fields with their lengths.
    pub fn encode(&self) -> Vec<u8> {
        let (tag, number, first, second): (u8, u64, &[u8], &[u8]) = match self {
            Self::Create(path) => (CREATE, 0, bytes_of(path), &[]),
            Self::Write { path, at, bytes } => (WRITE, *at, bytes_of(path), bytes),
            Self::Truncate { path, length } => (TRUNCATE, *length, bytes_of(path), &[]),
            Self::Sync(path) => (SYNC, 0, bytes_of(path), &[]),
            Self::Rename { from, to } => (RENAME, 0, bytes_of(from), bytes_of(to)),
            Self::Link { from, to } => (LINK, 0, bytes_of(from), bytes_of(to)),
            Self::Unlink(path) => (UNLINK, 0, bytes_of(path), &[]),
            Self::MakeFolder(path) => (MAKE_FOLDER, 0, bytes_of(path), &[]),
            Self::RemoveFolder(path) => (REMOVE_FOLDER, 0, bytes_of(path), &[]),
            Self::Mark(text) => (MARK, 0, text.as_bytes(), &[]),
            Self::Fault(text) => (FAULT, 0, text.as_bytes(), &[]),
        };
        let mut record = Vec::with_capacity(25 + first.len() + second.len());
        record.extend((first.len() as u64).to_le_bytes());
        record.extend((second.len() as u64).to_le_bytes());
        record.extend(number.to_le_bytes());
        record.push(tag);
        record.extend(first);
        record.extend(second);
        record
    }

    /// Takes the next record off `log`; `None` at its end, or where a killed process left half a record.
    pub fn decode(log: &mut &[u8]) -> Option<Self> {
        let mut rest = *log;
        let first = take_number(&mut rest)?;
        let second = take_number(&mut rest)?;
        let number = take_number(&mut rest)?;
        let tag = *take(&mut rest, 1)?.first()?;
        let first = take(&mut rest, first)?;
        let second = take(&mut rest, second)?;
        *log = rest;
        let text = || String::from_utf8_lossy(first).into_owned();
        Some(match tag {
            CREATE => Self::Create(path_of(first)),
            WRITE => Self::Write {
                path: path_of(first),
                at: number,
                bytes: second.to_vec(),
            },
            TRUNCATE => Self::Truncate {
                path: path_of(first),
                length: number,
            },
            SYNC => Self::Sync(path_of(first)),
            RENAME => Self::Rename {
                from: path_of(first),
                to: path_of(second),
            },
            LINK => Self::Link {
                from: path_of(first),
                to: path_of(second),
            },
            UNLINK => Self::Unlink(path_of(first)),
            MAKE_FOLDER => Self::MakeFolder(path_of(first)),
            REMOVE_FOLDER => Self::RemoveFolder(path_of(first)),
            MARK => Self::Mark(text()),
            FAULT => Self::Fault(text()),
            _ => return None,
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(count).ok()?)?;
    *rest = left;
    Some(taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let bytes = take(rest, 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn bytes_of(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// All operations of a log, in their order.
///
/// # Errors
/// Those of the file system.
pub fn read(log: &Path) -> io::Result<Vec<Operation>> {
    let bytes = std::fs::read(log)?;
    let mut rest = bytes.as_slice();
    Ok(std::iter::from_fn(|| Operation::decode(&mut rest)).collect())
}

/// Notes something in a log, from whichever process.
///
/// # Errors
/// Those of the file system.
pub fn mark(log: &Path, text: impl Into<String>) -> io::Result<()> {
    let record = Operation::Mark(text.into()).encode();
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    // One call, so that records of several processes do not mix.
    io::Write::write_all(&mut file, &record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_half_a_record_is_the_end() {
        let all = [
            Operation::Create("a".into()),
            Operation::Write {
                path: "a".into(),
                at: 7,
                bytes: vec![0, 1, 255],
            },
            Operation::Truncate {
                path: "a".into(),
                length: 3,
            },
            Operation::Sync(PathBuf::new()),
            Operation::Rename {
                from: "a".into(),
                to: "b/c".into(),
            },
            Operation::Link {
                from: "a".into(),
                to: "d".into(),
            },
            Operation::Unlink("d".into()),
            Operation::MakeFolder("b".into()),
            Operation::RemoveFolder("b".into()),
            Operation::Mark("ack 1".to_owned()),
            Operation::Fault("write".to_owned()),
        ];
        let log: Vec<u8> = all.iter().flat_map(Operation::encode).collect();
        let decoded = |mut log: &[u8]| -> Vec<Operation> {
            std::iter::from_fn(|| Operation::decode(&mut log)).collect()
        };
        assert_eq!(decoded(&log), all);
        assert_eq!(decoded(&log[..log.len() - 1]), all[..all.len() - 1]);
    }
}
