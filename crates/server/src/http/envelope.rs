//! Answers in the form that Fiddler's clients read.

use axum::Json;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use driftline_core::{Error, ErrorKind};
use driftline_fiddler_api::{Call, Envelope, Page, Refusal};
use serde::Serialize;

use crate::domain::error::{Told, told};

/// What handlers return.
pub(crate) type Answer<T = Response> = Result<T, ApiError>;

/// The version of Fiddler that clients are told.
pub const FIDDLER_VERSION: &str = "25.2.0";

/// One object, with status 200.
pub(crate) fn normal(data: impl Serialize) -> Response {
    normal_with(StatusCode::OK, data)
}

/// One object, with another status.
pub(crate) fn normal_with(status: StatusCode, data: impl Serialize) -> Response {
    (status, Json(Envelope::normal(data))).into_response()
}

/// A list, with status 200.
pub(crate) fn paginated(page: Page<impl Serialize>) -> Response {
    Json(Envelope::paginated(page)).into_response()
}

/// The answer of a v1 call (`/<verb>/<organisation>/…`).
pub(crate) fn rpc(result: impl Serialize) -> Response {
    Json(Call::success(result)).into_response()
}

/// A refusal or a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// HTTP status.
    status: StatusCode,
    /// Word for programs.
    reason: &'static str,
    /// Sentence for people.
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
        }
    }

    /// 401: no token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Invalid token")
    }

    /// The answer for a status that some other layer chose.
    pub(crate) fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        let reason = match status {
            StatusCode::NOT_FOUND => "ObjectNotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::PAYLOAD_TOO_LARGE => "PayloadTooLarge",
            StatusCode::REQUEST_TIMEOUT => "Timeout",
            StatusCode::SERVICE_UNAVAILABLE => "Unavailable",
            StatusCode::INSUFFICIENT_STORAGE => "InsufficientStorage",
            status if status.is_client_error() => "BadRequest",
            _ => "InternalError",
        };
        Self::new(status, reason, message)
    }

    /// The body of the answer.
    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::new(self.status.as_u16(), self.reason, &self.message)
    }
}

/// The one place in which errors get a status.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidConfig | ErrorKind::InvalidData => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::LimitExceeded if error.is_retryable() => StatusCode::INSUFFICIENT_STORAGE,
            ErrorKind::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Resource | ErrorKind::Unavailable | ErrorKind::Interrupted => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let Told { reason, message } = told(&error);
        Self::new(status, reason, message)
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
pub(crate) async fn enveloped(response: Response) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error;

    #[test]
    fn each_kind_of_error_has_a_status_and_a_word() {
        let disk = std::io::Error::from(std::io::ErrorKind::StorageFull);
        for (cause, status, reason, message) in [
            (error::invalid("no"), 400, "BadRequest", "no"),
            (
                error::not_found("Model"),
                404,
                "ObjectNotFound",
                "Model not found for the given identifier",
            ),
            (error::conflict("taken"), 409, "Conflict", "taken"),
            (
                error::too_large(7),
                413,
                "PayloadTooLarge",
                "the body is larger than 7 bytes, the most that is taken here",
            ),
            (error::no_room("full"), 507, "InsufficientStorage", "full"),
            (
                error::unsupported("A segment"),
                501,
                "NotImplemented",
                "A segment is not offered by driftline's local server",
            ),
            (
                error::disk(disk),
                503,
                "Unavailable",
                "the server's disk is full or fails at the moment",
            ),
            (
                error::internal("a secret"),
                500,
                "InternalError",
                "the server failed; its log says why",
            ),
        ] {
            let refused = ApiError::from(cause);
            assert_eq!(refused.status.as_u16(), status);
            assert_eq!(refused.reason, reason);
            assert_eq!(refused.message, message);
        }
    }
}
