//! What an answer means: Fiddler's envelope, an error of it, or something that is not Fiddler at all.

use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use driftline_fiddler_api::{Refusal, parse};
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::token::Token;

pub(crate) const OPERATION: &str = "ask Fiddler";
/// Characters of a server's own words that are shown.
const SHOWN: usize = 500;

/// A request that did not succeed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What the server answered, if it did.
    pub(crate) status: Option<StatusCode>,
    /// Whether the same request may succeed later.
    pub(crate) passing: bool,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// What happened, in words.
    pub(crate) error: Error,
}

impl Failed {
    /// Whether the next batch would meet the same: nobody answers, the token is not accepted, or the quota is used up.
    pub(crate) fn is_of_the_server(&self) -> bool {
        self.is(&[401, 407, 429]) || (self.status.is_none() && self.passing)
    }

    /// Whether it went wrong on this side, before the server could answer.
    pub(crate) fn is_local(&self) -> bool {
        self.status.is_none() && !self.passing
    }

    /// Whether the server answered with one of these.
    pub(crate) fn is(&self, statuses: &[u16]) -> bool {
        self.status
            .is_some_and(|status| statuses.contains(&status.as_u16()))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            status: None,
            passing: false,
            retry_after: None,
            error,
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// What `data` of a successful answer is; an answer without a body gives null.
pub(crate) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    token: &Token,
) -> Result<Value, Failed> {
    let passing = is_passing(status);
    if status.is_redirection() {
        return Err(redirected(status, headers));
    }
    let html = is_html(headers, body);
    if html && status.is_success() {
        return Err(not_fiddler(status, passing, "an HTML page"));
    }
    let parsed = serde_json::from_slice::<Value>(body);
    if !status.is_success() {
        let page = html.then(|| "it came as an HTML page, perhaps of a proxy".to_owned());
        let said = parsed.ok().and_then(reason).or(page);
        let said = said.map(|said| token.redact(&said));
        return Err(Failed {
            status: Some(status),
            passing,
            retry_after: retry_after(headers, Timestamp::now()),
            error: refused(status, said),
        });
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    match parsed {
        Ok(Value::Object(mut envelope)) => Ok(envelope.remove("data").unwrap_or(Value::Null)),
        Ok(_) => Err(not_fiddler(status, true, "JSON without Fiddler's envelope")),
        Err(_) => Err(not_fiddler(status, true, "what is not JSON")),
    }
}

/// Whether a status is one of those that pass: the request itself is not at fault.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    ) || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// `data` of an answer as what it should be.
pub(crate) fn data<T: DeserializeOwned>(data: Value) -> Result<T> {
    parse(data).map_err(|mismatch| unexpected(format!("the answer {mismatch}")))
}

/// An answer that is not what Fiddler answers.
pub(crate) fn unexpected(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION, message).remedy(
        "check that `url` is a Fiddler server, and that its version is one that this driftline knows",
    )
}

/// The words in Fiddler's error envelope.
fn reason(body: Value) -> Option<String> {
    let error = parse::<Refusal>(body).ok()?.error;
    let mut text = error.message;
    for detail in error.errors {
        let detail = detail.message;
        if !detail.is_empty() && !text.contains(&detail) {
            text = format!("{text}: {detail}");
        }
    }
    let text = text.trim_start_matches(": ");
    (!text.is_empty()).then(|| shortened(text))
}

/// The start of `text`, on one line.
pub(crate) fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
        None => one_line,
    }
}

/// `Retry-After` in seconds or as an HTTP date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(time.duration_since(now)).unwrap_or(Duration::ZERO))
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let start = body.get(..body.len().min(64)).unwrap_or_default();
    let start = String::from_utf8_lossy(start)
        .trim_start()
        .to_ascii_lowercase();
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
        || start.starts_with("<!doctype html")
        || start.starts_with("<html")
}

fn refused(status: StatusCode, said: Option<String>) -> Error {
    let (kind, message, remedy) = match status {
        StatusCode::UNAUTHORIZED => (
            ErrorKind::InvalidConfig,
            "the server does not accept the token",
            "it may be mistyped or expired: make another in Settings > Credentials, and give it in FIDDLER_TOKEN, a file or the keyring",
        ),
        StatusCode::FORBIDDEN => (
            ErrorKind::InvalidConfig,
            "the token has not the right to do this",
            "ask the server's administrator for the right to write to the project",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            ErrorKind::Resource,
            "the server takes no body that large",
            "set `batch_rows` lower, or raise the limit of the server or of the proxy before it",
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => (
            ErrorKind::InvalidConfig,
            "the proxy requires authentication",
            "put name and password into HTTPS_PROXY",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            ErrorKind::Unavailable,
            "the server has had too many requests",
            "try again later",
        ),
        status if status.is_server_error() => (
            ErrorKind::Unavailable,
            "the server failed",
            "try again later",
        ),
        StatusCode::NOT_FOUND => (
            ErrorKind::NotFound,
            "the server does not have this",
            "check `url`, `api` and the names of project and model",
        ),
        _ => (
            ErrorKind::InvalidData,
            "the server refused the request",
            "what it said is above",
        ),
    };
    let error = Error::new(kind, OPERATION, message).with("status", status.as_u16());
    match said {
        Some(said) => error.because(said).remedy(remedy),
        None if kind == ErrorKind::InvalidData => error,
        None => error.remedy(remedy),
    }
}

fn not_fiddler(status: StatusCode, passing: bool, what: &str) -> Failed {
    let error = Error::new(
        ErrorKind::Unavailable,
        OPERATION,
        format!("{what} came back instead of an answer of Fiddler"),
    )
    .with("status", status.as_u16())
    .remedy("a proxy or a login page may stand between: check `url`, HTTPS_PROXY and NO_PROXY");
    Failed {
        status: Some(status),
        passing,
        retry_after: None,
        error,
    }
}

/// Redirections are not followed, so that rows and token go nowhere but to `url`.
fn redirected(status: StatusCode, headers: &HeaderMap) -> Failed {
    let target = headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let error = Error::new(
        ErrorKind::Unavailable,
        OPERATION,
        "the server sends us elsewhere instead of answering",
    )
    .with("status", status.as_u16())
    .with("to", shortened(target.unwrap_or("nowhere")))
    .remedy("set `url` to the address of Fiddler itself; a login page or proxy may stand between");
    Failed {
        status: Some(status),
        passing: false,
        retry_after: None,
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(reqwest::header::HeaderName, &str)| {
            (name.clone(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now: Timestamp = "2024-05-05T12:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 05 May 2024 12:00:30 GMT", Some(30)),
            ("Sun, 05 May 2024 11:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let found = retry_after(&headers(&[(RETRY_AFTER, text)]), now);
            assert_eq!(found, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn statuses_are_permanent_or_pass() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(
                is_passing(StatusCode::from_u16(status).unwrap()),
                "{status}"
            );
        }
        for status in [400, 401, 403, 404, 405, 409, 413, 422, 501] {
            assert!(
                !is_passing(StatusCode::from_u16(status).unwrap()),
                "{status}"
            );
        }
    }

    #[test]
    fn the_reason_is_the_servers_own_without_the_token() {
        let token = crate::token::tests::token("tok-77");
        let body = br#"{"error": {"code": 400, "message": "Bad input", "errors":
            [{"reason": "X", "message": "column `a` of tok-77\nis odd", "help": ""}]}}"#;
        let failed = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), body, &token).unwrap_err();
        let text = failed.error.to_string();
        assert!(
            text.contains("Bad input: column `a` of <token> is odd"),
            "{text}"
        );
        assert!(!failed.passing);
    }

    #[test]
    fn a_page_a_redirection_and_garbage_are_told_apart() {
        let token = crate::token::tests::token("tok-77");
        let ok = StatusCode::OK;
        let none = HeaderMap::new();
        let page = read(ok, &none, b"\n<!DOCTYPE html><p>Log in", &token).unwrap_err();
        assert!(page.error.to_string().contains("an HTML page"));
        let garbage = read(ok, &none, b"{\"data\": ", &token).unwrap_err();
        assert!(garbage.error.to_string().contains("not JSON") && garbage.passing);
        let moved = headers(&[(LOCATION, "https://login.example.com")]);
        let moved = read(StatusCode::FOUND, &moved, b"", &token).unwrap_err();
        assert!(moved.error.to_string().contains("login.example.com") && !moved.passing);
        assert_eq!(read(ok, &none, b"", &token).unwrap(), Value::Null);
        assert_eq!(read(ok, &none, b"{\"data\": 5}", &token).unwrap(), 5);
    }
}
