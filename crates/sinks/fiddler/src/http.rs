//! The client: one place that sends, waits, repeats and gives up.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, Result};
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Body as RawBody, Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{self, Failed, OPERATION};
use crate::config::{Patience, Settings};
use crate::connection::{broke_off, certificates, deepest, unreachable};
use crate::pace::{Quota, Stop, backoff};
use crate::request::{Body, Request};
use crate::token::Token;

/// The slowest upload that is waited for, in bytes a second.
const SLOWEST: u64 = 128 << 10;
/// Bytes of an answer that are read; the largest real one holds the centroids of a model.
const LONGEST_ANSWER: u64 = 64 << 20;
const RETRY_HEADER: &str = "x-fiddler-client-retry";

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

    /// Sends the request until it is answered for good, and reads what `data` is in the answer.
    pub(crate) fn send<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, Failed> {
        Ok(answer::data(self.answered(request)?)?)
    }

    /// What passes (no connection, 408, 429, 5xx but 501, half an answer, what is not JSON) is repeated after a random
    /// wait that grows, or after what `Retry-After` asks for, until the patience has ended.
    fn answered(&self, request: &Request<'_>) -> Result<Value, Failed> {
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
        let response = with_body(builder, &request.body)?
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

fn with_body(builder: RequestBuilder, body: &Body<'_>) -> Result<RequestBuilder> {
    Ok(match body {
        Body::Nothing => builder,
        Body::Json(text) => builder
            .header(CONTENT_TYPE, "application/json")
            .body(text.clone()),
        Body::Raw(piece) => builder
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(RawBody::sized(piece.open()?, piece.bytes)),
        Body::Form {
            file,
            file_name,
            texts,
        } => {
            let part = Part::reader_with_length(file.open()?, file.bytes)
                .file_name((*file_name).to_owned());
            let form = Form::new().part("file", part);
            let form = texts
                .iter()
                .fold(form, |form, (name, text)| form.text(*name, text.clone()));
            builder.multipart(form)
        }
    })
}
