//! Fingerprints that depend on content, never on where it lies.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use driftline_core::{Error, Result};
use sha2::{Digest, Sha256};

/// Collects what a fingerprint is made of; each part goes in with its length, so that no two lists are the same.
#[derive(Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn part(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// 64 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// Hex sha256 of `bytes`.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Hex sha256 of the content of a file.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let io = |e| Error::io("read images", path, e);
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).map_err(io)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hex::encode(hash.finalize()));
        };
        hash.update(bytes);
    }
}
