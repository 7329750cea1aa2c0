//! A file of JSON lines that only grows.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use driftline_plugin_sdk::core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

/// An open file; no other process has it open in this way.
pub(crate) struct Lines {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Lines {
    /// Opens or makes the file and hands every line on, each of which is a `what`; a last line without its end is cut off.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        what: &str,
        mut consume: impl FnMut(T),
    ) -> Result<Self> {
        let io = |cause| Error::io("open sink", path, cause);
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(path);
        let file = file.map_err(io)?;
        file.lock().map_err(io)?;
        let mut length = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            consume(serde_json::from_slice(&line).map_err(|cause| {
                Error::new(
                    ErrorKind::InvalidData,
                    "open sink",
                    format!("line {number} is no {what}"),
                )
                .with("file", path.display())
                .because(cause)
            })?);
            length += read as u64;
        }
        let opened = Self {
            path: path.to_owned(),
            file,
            length,
        };
        opened.cut()?;
        Ok(opened)
    }

    /// Takes away what follows the whole lines.
    fn cut(&self) -> Result<()> {
        let io = |cause| Error::io("write rows", &self.path, cause);
        if self.file.metadata().map_err(io)?.len() > self.length {
            self.file.set_len(self.length).map_err(io)?;
        }
        Ok(())
    }

    /// Appends whole lines; they are on the disk when this returns, or none of them is.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(lines))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(cause) => {
                // A part of a batch would be taken for lines that were acknowledged.
                self.cut()?;
                Err(Error::io("write rows", &self.path, cause))
            }
        }
    }
}
