//! The folder that artifacts are kept in.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
#[cfg(feature = "download")]
use std::thread;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use etcetera::{BaseStrategy, choose_base_strategy};

use crate::Artifact;
use crate::artifact::sha256;
#[cfg(feature = "download")]
use crate::http::{Attempt, Http, discard};

const OPERATION: &str = "fetch";

/// The variable with the address of a folder that artifacts come from instead of their own addresses.
pub const MIRROR: &str = "DRIFTLINE__FETCH__MIRROR";

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there, those of an earlier, interrupted download included.
    pub received: u64,
    /// Size of the artifact in bytes.
    pub total: u64,
}

/// How long to wait for a server, and how often to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest time until a connection stands.
    pub connect: Duration,
    /// Longest time without a byte.
    pub stall: Duration,
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failed attempt; it doubles after each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            attempts: 6,
            pause: Duration::from_secs(1),
        }
    }
}

/// A folder of downloaded artifacts.
///
/// # Behavior
/// - An artifact that is there and has the right checksum is not downloaded again.
/// - A file has its final name only when size and checksum are right.
/// - An interrupted download is continued by the next call, in this process or another.
/// - Of several processes that want the same artifact one downloads, the others wait for it.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    mirror: Option<String>,
    patience: Patience,
}

impl Cache {
    /// The user's cache, `$XDG_CACHE_HOME/driftline`, with the mirror that [`MIRROR`] names, if it is set.
    ///
    /// # Errors
    /// `NotFound` when the user has no home folder.
    pub fn open() -> Result<Self> {
        let strategy = choose_base_strategy().map_err(|e| {
            Error::new(
                ErrorKind::NotFound,
                OPERATION,
                "the user's cache folder is not known",
            )
            .because(e)
            .remedy("set HOME or XDG_CACHE_HOME")
        })?;
        let mut cache = Self::at(strategy.cache_dir().join("driftline"));
        cache.mirror = std::env::var(MIRROR).ok().filter(|url| !url.is_empty());
        Ok(cache)
    }

    /// A cache in a folder, which is made when something is fetched.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            mirror: None,
            patience: Patience::default(),
        }
    }

    /// Downloads from `<mirror>/<file name>` instead of the addresses of the artifacts.
    #[must_use]
    pub fn with_mirror(mut self, mirror: impl Into<String>) -> Self {
        self.mirror = Some(mirror.into());
        self
    }

    /// Waits and retries like this.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The folder of the cache.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an artifact is, or will be.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        self.folder.join(artifact.file_name)
    }

    /// The path of an artifact, after it was downloaded if need be.
    ///
    /// # Errors
    /// `Unavailable` when the server does not answer, breaks off or refuses; `InvalidData` when what it sends is not
    /// the artifact, with what was expected and found; `Resource` when the cache cannot be written.
    pub fn fetch(
        &self,
        artifact: &Artifact,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf> {
        let path = self.path(artifact);
        fs::create_dir_all(&self.folder)
            .map_err(|e| Error::io("make the cache", &self.folder, e))?;
        let _lock = lock(&with_suffix(&path, ".lock"))?;
        if path.is_file() {
            match verify(artifact, &path)? {
                Ok(()) => return Ok(path),
                Err(_) => remove(&path)?,
            }
        }
        let url = match &self.mirror {
            Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), artifact.file_name),
            None => artifact.url.to_owned(),
        };
        let part = with_suffix(&path, ".part");
        self.download(artifact, &url, &part, progress)
            .map_err(|error| error.with("artifact", artifact.name).with("url", &url))?;
        File::open(&part)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|e| Error::io("keep the download", &path, e))?;
        Ok(path)
    }

    /// Fills `part` until it is the artifact.
    #[cfg(feature = "download")]
    fn download(
        &self,
        artifact: &Artifact,
        url: &str,
        part: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let http = Http::new(url, self.patience)?;
        let mut pause = self.patience.pause;
        let mut attempt = 1;
        loop {
            let error = match http.attempt(artifact, part, progress)? {
                Attempt::Whole { resumed } => match verify(artifact, part)? {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        discard(part)?;
                        // The first half may have been that of another file.
                        if !resumed {
                            return Err(error);
                        }
                        error
                    }
                },
                Attempt::Broken(error) => error,
            };
            if attempt >= self.patience.attempts {
                return Err(error.with("attempts", attempt));
            }
            thread::sleep(pause);
            pause = pause.saturating_mul(2);
            attempt += 1;
        }
    }

    /// Says that this program cannot.
    #[cfg(not(feature = "download"))]
    fn download(
        &self,
        _: &Artifact,
        _: &str,
        part: &Path,
        _: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let error = Error::new(
            ErrorKind::Unsupported,
            OPERATION,
            "this program was built without downloads",
        );
        Err(error.remedy(format!(
            "build it with the feature `download`, or put the file where {} belongs",
            part.with_extension("").display()
        )))
    }
}

/// Waits until no other process downloads the same artifact. The kernel releases the lock when a process ends.
fn lock(path: &Path) -> Result<File> {
    let failed = |e| Error::io("lock the cache", path, e);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// The inner error says what is wrong with the file, the outer that it could not be read.
fn verify(artifact: &Artifact, path: &Path) -> Result<Result<()>> {
    let failed = |e| Error::io("read the download", path, e);
    let size = fs::metadata(path).map_err(failed)?.len();
    if size != artifact.size {
        return Ok(Err(wrong("size in bytes", artifact.size, size)));
    }
    let found = sha256(path).map_err(failed)?;
    Ok(if found == artifact.sha256 {
        Ok(())
    } else {
        Err(wrong("sha256", artifact.sha256, &found))
    })
}

/// The server sent something else.
pub(crate) fn wrong(
    what: &str,
    expected: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        OPERATION,
        format!(
            "what the server sent is not the artifact: expected {what} {expected}, found {found}"
        ),
    )
    .remedy(format!(
        "try again later, or set {MIRROR} to the address of a folder that has it"
    ))
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove a bad download", path, e))
        }
        _ => Ok(()),
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
