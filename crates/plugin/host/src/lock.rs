//! `plugins.lock`: the plugins that the operator trusts, by the hash of their libraries.
//!
//! It is kept by the operator and not by the plugin: a hash in the plugin's own manifest says that the file is whole,
//! not where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Version of the file's form.
const LOCK_VERSION: u32 = 1;

const REMEDY: &str =
    "look at it with `driftline plugin inspect`, then trust it with `driftline plugin trust`";

/// The plugins that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    path: PathBuf,
    /// Hex sha256 of the library, by the name of the plugin.
    trusted: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lock_version: u32,
    #[serde(default)]
    plugin: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
}

impl Lock {
    /// Reads the file at `path`; one that is not there trusts nothing.
    pub fn open(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(Error::io("read plugins.lock", path, cause)),
        };
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidConfig, "read plugins.lock", message)
                .with("file", path.display())
        };
        let mut trusted = BTreeMap::new();
        if !text.is_empty() {
            let file: File = toml::from_str(&text)
                .map_err(|cause| refuse(cause.to_string().trim_end().to_owned()))?;
            if file.lock_version != LOCK_VERSION {
                return Err(refuse(format!(
                    "lock_version is {}, and {LOCK_VERSION} is known",
                    file.lock_version
                )));
            }
            let entries = file.plugin.into_iter();
            trusted.extend(entries.map(|(name, entry)| (name, entry.sha256)));
        }
        Ok(Self {
            path: path.to_owned(),
            trusted,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a library that is not the one that was trusted, and, where everything must be trusted, one that is not in
    /// the file.
    pub fn check(&self, name: &str, sha256: &str, required: bool) -> Result<()> {
        let refuse = |message: String| {
            Err(Error::new(ErrorKind::InvalidConfig, "load plugin", message)
                .with("plugin", name)
                .with("lock", self.path.display())
                .remedy(REMEDY))
        };
        match self.trusted.get(name) {
            Some(trusted) if trusted == sha256 => Ok(()),
            Some(trusted) => refuse(format!(
                "it is not the library that was trusted: its sha256 is {sha256}, trusted is {trusted}"
            )),
            None if required => {
                refuse("it is not trusted, and plugins.require_lock is set".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Trusts the library with this hash, in the place of an earlier one of the same plugin.
    pub fn trust(&mut self, name: &str, sha256: &str) {
        self.trusted.insert(name.to_owned(), sha256.to_owned());
    }

    /// The file's new content.
    pub fn to_toml(&self) -> Result<String> {
        let entries = self.trusted.iter();
        let file = File {
            lock_version: LOCK_VERSION,
            plugin: entries
                .map(|(name, sha256)| {
                    let entry = Entry {
                        sha256: sha256.clone(),
                    };
                    (name.clone(), entry)
                })
                .collect(),
        };
        toml::to_string(&file).map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "write plugins.lock",
                "the file cannot be written",
            )
            .because(cause)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(text: &str) -> Result<Lock> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.lock");
        std::fs::write(&path, text).unwrap();
        Lock::open(&path)
    }

    #[test]
    fn what_was_trusted_is_accepted_and_nothing_else_of_that_name() {
        let mut lock = Lock::open(Path::new("/nowhere/plugins.lock")).unwrap();
        assert!(lock.check("fog", "aa", false).is_ok());
        let error = lock.check("fog", "aa", true).unwrap_err().to_string();
        assert!(error.contains("driftline plugin trust"), "{error}");
        lock.trust("fog", "aa");
        assert!(lock.check("fog", "aa", true).is_ok());
        let error = lock.check("fog", "bb", false).unwrap_err().to_string();
        assert!(
            error.contains("not the library that was trusted"),
            "{error}"
        );
    }

    #[test]
    fn the_file_is_read_as_it_is_written() {
        let mut written = lock("").unwrap();
        written.trust("fog", "aa");
        written.trust("a name with \"quotes\"", "bb");
        let read = lock(&written.to_toml().unwrap()).unwrap();
        assert_eq!(read.trusted, written.trusted);
    }

    #[test]
    fn a_broken_file_is_an_error_and_not_an_empty_one() {
        for text in ["lock_version = 2", "[plugin", "lock_version = 1\nwhat = 1"] {
            let error = lock(text).unwrap_err().to_string();
            assert!(error.contains("plugins.lock"), "{error}");
        }
    }
}
