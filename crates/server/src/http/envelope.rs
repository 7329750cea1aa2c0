//! Answers in the form that Fiddler's clients read.

use axum::Json;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use driftline_core::{Error, ErrorKind};
use driftline_fiddler_api::{Call, Envelope, Page, Refusal};
use serde::Serialize;

/// What handlers return.
pub type Answer<T = Response> = Result<T, ApiError>;

/// One object, with status 200.
pub fn normal(data: impl Serialize) -> Response {
    normal_with(StatusCode::OK, data)
}

/// One object, with another status.
pub fn normal_with(status: StatusCode, data: impl Serialize) -> Response {
    (status, Json(Envelope::normal(data))).into_response()
}

/// A list, with status 200.
pub fn paginated(page: Page<impl Serialize>) -> Response {
    Json(Envelope::paginated(page)).into_response()
}

/// The answer of a v1 call (`/<verb>/<organisation>/…`).
pub fn rpc(result: impl Serialize) -> Response {
    Json(Call::success(result)).into_response()
}

/// A refusal or a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Word for programs.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
        }
    }

    /// 400: the request can never succeed as it is.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: no token, or a wrong one.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Invalid token")
    }

    /// 404; `what` is a word with a capital, as in `Project`.
    pub fn not_found(what: &str) -> Self {
        let message = format!("{what} not found for the given identifier");
        Self::new(StatusCode::NOT_FOUND, "ObjectNotFound", message)
    }

    /// 409: the name is taken, or what is there disagrees.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// 413: the body is larger than the server takes.
    pub fn too_large(limit: u64) -> Self {
        let message = format!("the body is larger than {limit} bytes, the most that is taken here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    }

    /// 501: Fiddler has it, this server does not. Clients do not try again.
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("{what} is not offered by driftline's local server");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// 503: it may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
    }

    /// 500: a defect of this server. The cause goes to the log, not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "the server failed; its log says why",
        )
    }

    /// The answer for a status that some other layer chose.
    pub fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        let reason = match status {
            StatusCode::NOT_FOUND => "ObjectNotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::PAYLOAD_TOO_LARGE => "PayloadTooLarge",
            StatusCode::REQUEST_TIMEOUT => "Timeout",
            StatusCode::INSUFFICIENT_STORAGE => "InsufficientStorage",
            status if status.is_client_error() => "BadRequest",
            _ => "InternalError",
        };
        Self::new(status, reason, message)
    }

    /// The body of the answer.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(self.status.as_u16(), self.reason, &self.message)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidConfig | ErrorKind::InvalidData => {
                Self::bad_request(error.to_string())
            }
            ErrorKind::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "ObjectNotFound", error.to_string())
            }
            ErrorKind::Unsupported => Self::new(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                error.to_string(),
            ),
            ErrorKind::Resource | ErrorKind::Unavailable | ErrorKind::Interrupted => {
                tracing::error!(%error, "temporary failure");
                Self::unavailable(error.message())
            }
            _ => Self::internal(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.refusal())).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of the body is still on its way, so that nothing can follow it.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// Puts errors that other layers answered as text (a path that is not UTF-8, a method that is not there) into the
/// envelope. A layer for `axum::middleware::map_response`.
pub async fn enveloped(response: Response) -> Response {
    let status = response.status();
    let typed = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().get(CONTENT_TYPE).is_some_and(typed)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    const LONGEST: usize = 4096;
    let text = axum::body::to_bytes(body, LONGEST)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let message = match text.trim() {
        "" => status.canonical_reason().unwrap_or("refused"),
        text => text,
    };
    let refused = ApiError::of_status(status, message).into_response();
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, refused.into_body())
}
