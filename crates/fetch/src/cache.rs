//! The folder that artifacts are kept in.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
#[cfg(feature = "download")]
use std::thread;

use driftline_core::{Error, ErrorKind, Result};
use etcetera::{BaseStrategy, choose_base_strategy};

use crate::Artifact;
use crate::artifact::sha256;
use crate::download::{DownloadProgress, MIRROR, OPERATION, Patience, remove, with_suffix, wrong};
#[cfg(feature = "download")]
use crate::http::{Attempt, Http, discard};

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
        progress: &mut dyn FnMut(DownloadProgress),
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
        progress: &mut dyn FnMut(DownloadProgress),
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
        _: &mut dyn FnMut(DownloadProgress),
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
