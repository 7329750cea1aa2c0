//! Requests: one place that sends, waits, repeats and gives up.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, Result};
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Body as RawBody, Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Url, redirect};
use serde_json::Value;

use crate::answer::{self, Failed};
use crate::config::{Patience, Settings};
use crate::pace::{Quota, Stop, backoff};
use crate::token::Token;

const OPERATION: &str = "ask Fiddler";
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST: u64 = 128 << 10;
/// Bytes of an answer that are read; the largest real one holds the centroids of a model.
const LONGEST_ANSWER: u64 = 64 << 20;
const RETRY_HEADER: &str = "x-fiddler-client-retry";

/// A stretch of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) path: &'a Path,
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

impl Piece<'_> {
    fn open(&self) -> Result<std::io::Take<File>> {
        let open = || -> std::io::Result<_> {
            let mut file = File::open(self.path)?;
            file.seek(SeekFrom::Start(self.start))?;
            Ok(file.take(self.bytes))
        };
        open().map_err(|e| Error::io("read the upload", self.path, e))
    }
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    Nothing,
    Json(&'a Value),
    /// The bytes themselves.
    Raw(Piece<'a>),
    /// A form with the part `file` and text parts.
    Form {
        file: Piece<'a>,
        file_name: &'a str,
        texts: &'a [(&'static str, String)],
    },
}

impl Body<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Body::Nothing | Body::Json(_) => 0,
            Body::Raw(piece) | Body::Form { file: piece, .. } => piece.bytes,
        }
    }
}

/// One request, to be sent as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Body<'a>,
    answer: Option<Duration>,
}

impl<'a> Request<'a> {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: Body::Nothing,
            answer: None,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::POST, path).carrying(body)
    }

    pub(crate) fn put(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::PUT, path).carrying(body)
    }

    pub(crate) fn patch(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::PATCH, path).carrying(body)
    }

    fn carrying(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Waits this long for an answer if that is longer than usual: the server has to compute.
    pub(crate) fn answer_within(mut self, answer: Duration) -> Self {
        self.answer = Some(answer);
        self
    }
}

/// A client for one server.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    url: Url,
    token: Token,
    headers: HeaderMap,
    patience: Patience,
    /// None for a server on this machine.
    quotas: Option<Mutex<Quotas>>,
    stop: Stop,
    /// Whether the server has answered as Fiddler does.
    known: AtomicBool,
}

#[derive(Debug)]
struct Quotas {
    reads: Quota,
    writes: Quota,
}

impl Http {
    /// `headers` go with every request.
    pub(crate) fn new(
        settings: &Settings,
        headers: &[(&'static str, &'static str)],
        stop: Stop,
    ) -> Result<Self> {
        // Fails if a provider is installed, and then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("driftline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.patience.connect)
            .timeout(settings.patience.answer)
            .redirect(redirect::Policy::none());
        if settings.loopback {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let client = builder.build().map_err(|cause| {
            let message = "no client could be made for the server";
            Error::new(ErrorKind::InvalidConfig, OPERATION, message).because(deepest(&cause))
        })?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let mut bearer = HeaderValue::from_str(&settings.token.bearer()).map_err(|cause| {
            let message = "the token cannot be sent";
            Error::new(ErrorKind::InvalidConfig, OPERATION, message).because(cause.to_string())
        })?;
        bearer.set_sensitive(true);
        all.insert(AUTHORIZATION, bearer);
        Ok(Self {
            client,
            url: settings.url.clone(),
            token: settings.token.clone(),
            headers: all,
            patience: settings.patience,
            quotas: (!settings.loopback).then(|| {
                Mutex::new(Quotas {
                    reads: Quota::reads(),
                    writes: Quota::writes(),
                })
            }),
            stop,
            known: false.into(),
        })
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Waits, or returns `Interrupted`.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<()> {
        self.stop.sleep(duration)
    }

    /// Sends the request until it is answered for good, and returns what `data` is in the answer.
    ///
    /// What passes (no connection, 408, 429, 5xx but 501, half an answer, what is not JSON) is repeated after a random
    /// wait that grows, or after what `Retry-After` asks for, until the patience has ended.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Value, Failed> {
        let known = self.known.load(Ordering::Relaxed);
        let patience = if known {
            self.patience.retry
        } else {
            self.patience.handshake
        };
        let start = Instant::now();
        let mut attempt = 0;
        loop {
            self.wait_for_quota(&request.method)?;
            let mut failed = match self.attempt(request, attempt) {
                Ok(data) => {
                    self.known.store(true, Ordering::Relaxed);
                    return Ok(data);
                }
                Err(failed) => failed,
            };
            // A stranger that answers with a page or garbage is not Fiddler, however often it is asked.
            let stranger = !known && failed.status.is_some_and(|status| status.is_success());
            if !failed.passing || stranger {
                return Err(failed);
            }
            attempt += 1;
            let wait = failed.retry_after.unwrap_or_default().max(backoff(attempt));
            if start.elapsed() + wait > patience {
                failed.error = failed
                    .error
                    .with("request", format!("{} {}", request.method, request.path))
                    .with("attempts", attempt)
                    .retryable();
                if let Some(asked) = failed.retry_after {
                    failed.error = failed
                        .error
                        .with("retry_after", format!("{}s", asked.as_secs()));
                }
                return Err(failed);
            }
            log::debug!(
                "{} {}: {}; again in {} ms",
                request.method,
                request.path,
                failed.error,
                wait.as_millis()
            );
            self.stop.sleep(wait)?;
        }
    }

    fn wait_for_quota(&self, method: &Method) -> Result<()> {
        self.stop.check()?;
        let Some(quotas) = &self.quotas else {
            return Ok(());
        };
        let wait = {
            let mut quotas = quotas.lock().unwrap_or_else(PoisonError::into_inner);
            let quota = if *method == Method::GET {
                &mut quotas.reads
            } else {
                &mut quotas.writes
            };
            quota.book(Instant::now())
        };
        self.stop.sleep(wait)
    }

    fn attempt(&self, request: &Request<'_>, attempt: u32) -> Result<Value, Failed> {
        let mut url = self.url.clone();
        url.set_path(&request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let bytes = request.body.bytes();
        let answer = request.answer.map_or(self.patience.answer, |longer| {
            longer.max(self.patience.answer)
        });
        let mut builder = self
            .client
            .request(request.method.clone(), url)
            .headers(self.headers.clone())
            .timeout(answer + Duration::from_secs(bytes / SLOWEST));
        if attempt > 0 {
            // The server's only hint that it may have seen this before.
            builder = builder.header(RETRY_HEADER, attempt);
        }
        let response = with_body(builder, request.body)?
            .send()
            .map_err(|cause| unreachable(&cause))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        response
            .take(LONGEST_ANSWER)
            .read_to_end(&mut body)
            .map_err(broke_off)?;
        answer::read(status, &headers, &body, &self.token)
    }
}

fn with_body(builder: RequestBuilder, body: Body<'_>) -> Result<RequestBuilder> {
    Ok(match body {
        Body::Nothing => builder,
        Body::Json(value) => builder.json(value),
        Body::Raw(piece) => builder
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(RawBody::sized(piece.open()?, piece.bytes)),
        Body::Form {
            file,
            file_name,
            texts,
        } => {
            let part =
                Part::reader_with_length(file.open()?, file.bytes).file_name(file_name.to_owned());
            let form = Form::new().part("file", part);
            let form = texts
                .iter()
                .fold(form, |form, (name, text)| form.text(*name, text.clone()));
            builder.multipart(form)
        }
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read the CA file", path, e))?;
    let found = Certificate::from_pem_bundle(&bytes)
        .map_err(|cause| deepest(&cause))
        .and_then(|found| match found.len() {
            0 => Err("it has none".to_owned()),
            _ => Ok(found),
        });
    found.map_err(|cause| {
        let message = "the CA file does not hold certificates";
        Error::new(ErrorKind::InvalidConfig, OPERATION, message)
            .with("file", path.display())
            .because(cause)
            .remedy("give a file in PEM form, beginning with -----BEGIN CERTIFICATE-----")
    })
}

/// The cause at the bottom of the chain: the texts above it repeat the address.
fn deepest(cause: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = cause;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// What rustls says about the connection, if it is at fault.
fn tls_fault(cause: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(cause);
    while let Some(cause) = next {
        if let Some(fault) = cause.downcast_ref::<rustls::Error>() {
            return Some(fault);
        }
        // The chain steps over what an I/O error holds, which may be another I/O error.
        let held = cause.downcast_ref::<std::io::Error>();
        let held = held.and_then(std::io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => cause.source(),
        };
    }
    None
}

fn unreachable(cause: &reqwest::Error) -> Failed {
    let fault = tls_fault(cause);
    let distrusted = matches!(fault, Some(rustls::Error::InvalidCertificate(_)));
    let (message, remedy) = if distrusted {
        (
            "the server's certificate is not trusted",
            "give the certificate of your own authority as `ca_file`, if the server is the right one",
        )
    } else if fault.is_some() {
        (
            "no encrypted connection could be made",
            "check whether `url` should begin with http:// or https://, and the proxy",
        )
    } else if cause.is_timeout() && !cause.is_connect() {
        (
            "the server did not answer in time",
            "try again later, or raise `answer_seconds`",
        )
    } else if cause.is_connect() {
        (
            "the server cannot be reached",
            "check `url`, the network and its proxy",
        )
    } else {
        (
            "the connection broke off before the answer",
            "try again later; check the network and its proxy",
        )
    };
    Failed {
        status: None,
        passing: !distrusted,
        retry_after: None,
        error: Error::new(ErrorKind::Unavailable, OPERATION, message)
            .because(fault.map_or_else(|| deepest(cause), ToString::to_string))
            .remedy(remedy),
    }
}

fn broke_off(cause: std::io::Error) -> Failed {
    let message = "the connection broke off in the middle of the answer";
    Failed {
        status: None,
        passing: true,
        retry_after: None,
        error: Error::new(ErrorKind::Unavailable, OPERATION, message)
            .because(cause)
            .remedy("try again later; check the network and its proxy"),
    }
}
