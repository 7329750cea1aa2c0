//! The checksum that a file carries of its own data.
//!
//! The bytes up to the end of the last row group are the data; what follows (indexes, footer) is the tail. The footer
//! holds length and sha256 of the data under [`KEY`]. The digest of the tail, which thereby stands for the whole
//! file, has no place in the file itself: stores put it into the file's name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use parquet::file::metadata::{KeyValue, ParquetMetaData};
use sha2::{Digest, Sha256};

const KEY: &str = "driftline.data";

/// Length and sha256 of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataChecksum {
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

impl DataChecksum {
    pub(crate) fn to_key_value(&self) -> KeyValue {
        let text = format!("{} sha256:{}", self.length, self.sha256);
        KeyValue::new(KEY.to_owned(), text)
    }

    /// The checksum in a footer, if the file has one; `Err` if it has one that cannot be read.
    pub(crate) fn of(metadata: &ParquetMetaData) -> Result<Option<Self>, String> {
        let pairs = metadata.file_metadata().key_value_metadata();
        let Some(pair) = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == KEY)) else {
            return Ok(None);
        };
        let text = pair.value.as_deref().unwrap_or_default();
        text.split_once(" sha256:")
            .and_then(|(length, sha256)| {
                Some(Some(Self {
                    length: length.parse().ok()?,
                    sha256: sha256.to_owned(),
                }))
            })
            .ok_or_else(|| format!("its checksum `{text}` cannot be read"))
    }

    /// Reads the data and says whether it is what was written.
    pub(crate) fn matches(&self, file: &File) -> io::Result<bool> {
        let (length, sha256) = digest_of(file, 0, self.length)?;
        Ok(length == self.length && sha256 == self.sha256)
    }

    /// Digest of what follows the data.
    pub(crate) fn tail_digest(&self, file: &File) -> io::Result<String> {
        Ok(digest_of(file, self.length, u64::MAX)?.1)
    }
}

fn digest_of(mut file: &File, start: u64, length: u64) -> io::Result<(u64, String)> {
    file.seek(SeekFrom::Start(start))?;
    let mut part = file.take(length);
    let (mut sha, mut total) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match part.read(&mut buffer)? {
            0 => break,
            n => {
                sha.update(&buffer[..n]);
                total += n as u64;
            }
        }
    }
    Ok((total, hex(sha)))
}

/// The sha256 of some bytes, in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// Lower-case hexadecimal digits of a finished hash.
pub(crate) fn hex(sha: Sha256) -> String {
    hex::encode(sha.finalize())
}
