//! One attempt to download, from nothing or from where the last one ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE,
};

use crate::Artifact;
use crate::download::{DownloadProgress, MIRROR, OPERATION, Patience, remove, with_suffix, wrong};

/// How every pointer of git LFS begins.
const POINTER: &str = "version https://git-lfs";
/// Bytes that are looked at to say what was sent instead of the artifact.
const LOOK: u64 = 512;

/// How an attempt ended, if not in an error that a retry cannot cure.
pub(crate) enum Attempt {
    /// All bytes are there; `resumed` if some were from an earlier attempt.
    Whole { resumed: bool },
    /// It may be continued.
    Broken(Error),
}

/// A client for one address.
pub(crate) struct Http {
    client: Client,
    url: reqwest::Url,
}

impl Http {
    pub(crate) fn new(url: &str, patience: Patience) -> Result<Self> {
        // Fails if a provider is installed, and then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let refuse = |message: &str, e: reqwest::Error| {
            Error::new(ErrorKind::InvalidConfig, OPERATION, message).because(e.without_url())
        };
        let url = reqwest::Url::parse(url).map_err(|e| {
            Error::new(ErrorKind::InvalidConfig, OPERATION, "this is no address")
                .with("url", url)
                .because(e)
                .remedy(format!("correct {}", MIRROR))
        })?;
        // In the blocking client the timeout is that of each wait: for the answer, and for every read.
        let mut builder = Client::builder()
            .user_agent(concat!("driftline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.stall);
        // A mirror on this machine is never behind a proxy.
        if matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|e| refuse("no client could be made for downloads", e))?;
        Ok(Self { client, url })
    }

    /// Continues `part`, or starts it.
    pub(crate) fn attempt(
        &self,
        artifact: &Artifact,
        part: &Path,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Attempt> {
        let tag_path = tag_of(part);
        let mut have = fs::metadata(part).map_or(0, |metadata| metadata.len());
        if have == artifact.size {
            return Ok(Attempt::Whole { resumed: true });
        }
        if have > artifact.size {
            discard(part)?;
            have = 0;
        }
        // Nothing may be packed on the way: ranges and sizes are those of the file.
        let mut request = self
            .client
            .get(self.url.clone())
            .header(ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Ok(tag) = fs::read_to_string(&tag_path) {
                request = request.header(IF_RANGE, tag);
            }
        }
        let mut response = match request.send() {
            Ok(response) => response,
            Err(e) => return Ok(Attempt::Broken(unreachable_server(e))),
        };
        let status = response.status();
        let resumed = status == StatusCode::PARTIAL_CONTENT
            && have > 0
            && starts_at(response.headers()) == Some(have);
        if status == StatusCode::RANGE_NOT_SATISFIABLE
            || (status == StatusCode::PARTIAL_CONTENT && !resumed)
        {
            discard(part)?;
            return Ok(Attempt::Broken(refused(status)));
        }
        if !status.is_success() {
            let error = refused(status);
            return if status.is_server_error()
                || matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                ) {
                Ok(Attempt::Broken(error))
            } else {
                Err(error)
            };
        }
        if !resumed {
            have = 0;
        }
        let announced = response
            .content_length()
            .map(|length| have.saturating_add(length));
        if is_html(response.headers()) || announced.is_some_and(|total| total != artifact.size) {
            let mut start = Vec::new();
            // What cannot be read is described by its headers alone.
            let _ = response.by_ref().take(LOOK).read_to_end(&mut start);
            discard(part)?;
            return Err(something_else(
                artifact,
                &start,
                response.headers(),
                announced,
            ));
        }
        // The part is cut before the new tag is kept, so that a tag never belongs to older bytes.
        let file = open(part, resumed)?;
        if !resumed {
            keep_tag(&tag_path, response.headers())?;
        }
        let ended = copy(&mut response, file, part, artifact, have, progress)?;
        if let Some(error) = ended {
            return Ok(Attempt::Broken(error));
        }
        let size = fs::metadata(part)
            .map_err(|e| Error::io("read the download", part, e))?
            .len();
        if size != artifact.size {
            let mut start = Vec::new();
            File::open(part)
                .and_then(|file| file.take(LOOK).read_to_end(&mut start))
                .map_err(|e| Error::io("read the download", part, e))?;
            discard(part)?;
            return Err(something_else(
                artifact,
                &start,
                response.headers(),
                Some(size),
            ));
        }
        remove(&tag_path)?;
        Ok(Attempt::Whole { resumed })
    }
}

/// Where the tag of a part is kept.
fn tag_of(part: &Path) -> PathBuf {
    with_suffix(part, ".etag")
}

/// Removes a part that is of no use, and its tag.
pub(crate) fn discard(part: &Path) -> Result<()> {
    remove(part)?;
    remove(&tag_of(part))
}

/// Appends the body to the file, at most a byte more than the artifact has; gives the error if the body broke off.
fn copy(
    response: &mut Response,
    mut file: File,
    part: &Path,
    artifact: &Artifact,
    mut received: u64,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<Option<Error>> {
    let total = artifact.size;
    progress(DownloadProgress { received, total });
    let mut buffer = vec![0; 1 << 16];
    while received <= total {
        let read = match response.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let message = format!("the download broke off after {received} of {total} bytes");
                return Ok(Some(
                    Error::new(ErrorKind::Unavailable, OPERATION, message)
                        .because(e)
                        .retryable()
                        .remedy("run the same command again; it continues where it ended"),
                ));
            }
        };
        file.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(|e| Error::io("write the download", part, e))?;
        received += read as u64;
        progress(DownloadProgress {
            received: received.min(total),
            total,
        });
    }
    Ok(None)
}

fn open(part: &Path, append: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    if append {
        options.append(true);
    } else {
        options.write(true).create(true).truncate(true);
    }
    options
        .open(part)
        .map_err(|e| Error::io("write the download", part, e))
}

/// A weak tag does not promise the same bytes.
fn keep_tag(path: &Path, headers: &HeaderMap) -> Result<()> {
    match headers.get(ETAG).and_then(|tag| tag.to_str().ok()) {
        Some(tag) if tag.starts_with('"') => {
            fs::write(path, tag).map_err(|e| Error::io("write the download", path, e))
        }
        _ => remove(path),
    }
}

/// First byte of `bytes 100-199/200`.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}

fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

fn something_else(
    artifact: &Artifact,
    start: &[u8],
    headers: &HeaderMap,
    size: Option<u64>,
) -> Error {
    let text = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    let size = size.map_or_else(|| "unknown".to_owned(), |size| size.to_string());
    let found = if text.starts_with(POINTER) {
        format!("{size}: a pointer of git LFS instead of the file")
    } else if is_html(headers) || text.starts_with("<!doctype html") || text.starts_with("<html") {
        format!("{size}: an HTML page instead of the file")
    } else {
        size
    };
    wrong("size in bytes", artifact.size, found)
}

fn refused(status: StatusCode) -> Error {
    let error = Error::new(
        ErrorKind::Unavailable,
        OPERATION,
        format!("the server answered {status}"),
    )
    .remedy(format!(
        "try again later, or set {} to the address of a folder that has it",
        MIRROR
    ));
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        error
    } else {
        error.retryable()
    }
}

fn unreachable_server(e: reqwest::Error) -> Error {
    // The outer text repeats the address; what happened is at the bottom of the chain.
    let mut cause: &dyn std::error::Error = &e;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    Error::new(
        ErrorKind::Unavailable,
        OPERATION,
        "the server does not answer",
    )
    .because(cause)
    .retryable()
    .remedy("check the network and its proxy, and run the same command again")
}
