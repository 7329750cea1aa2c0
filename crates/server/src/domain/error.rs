//! The errors of this room, and what whoever asked is told of them.

use std::fmt::Display;
use std::io;

use driftline_core::{Error, ErrorKind};

const OPERATION: &str = "do what was asked";

/// What was sent is not what it should be, and never will be.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, OPERATION, message)
}

/// There is no such thing; `what` is a word with a capital, as in `Project`.
pub(crate) fn not_found(what: &str) -> Error {
    let message = format!("{what} not found for the given identifier");
    Error::new(ErrorKind::NotFound, OPERATION, message)
}

/// The name is taken, or what is there disagrees.
pub(crate) fn conflict(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, OPERATION, message)
}

/// One thing is larger than anything that is taken.
pub(crate) fn too_large(limit: u64) -> Error {
    let message = format!("the body is larger than {limit} bytes, the most that is taken here");
    Error::new(ErrorKind::LimitExceeded, OPERATION, message)
}

/// All things together leave no room for one more, until some are gone.
pub(crate) fn no_room(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::LimitExceeded, OPERATION, message).retryable()
}

/// Fiddler has it, this server does not.
pub(crate) fn unsupported(what: &str) -> Error {
    let message = format!("{what} is not offered by driftline's local server");
    Error::new(ErrorKind::Unsupported, OPERATION, message)
}

/// The disk does not take or give a file.
pub(crate) fn disk(cause: io::Error) -> Error {
    let message = "the server's disk is full or fails at the moment";
    Error::new(ErrorKind::Resource, OPERATION, message)
        .because(cause)
        .retryable()
}

/// A defect of this server.
pub(crate) fn internal(cause: impl Display) -> Error {
    Error::new(ErrorKind::Internal, OPERATION, cause.to_string())
}

/// Something that a request names and that is not there makes the request a bad one.
pub(crate) fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => invalid(error.to_string()),
        _ => error,
    }
}

/// Whether the same may succeed later: a resource that ran out may be there again.
pub(crate) fn may_pass(error: &Error) -> bool {
    let passing = matches!(
        error.kind(),
        ErrorKind::Resource | ErrorKind::Unavailable | ErrorKind::Interrupted
    );
    passing || error.is_retryable()
}

/// What whoever asked is told of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Word for programs.
    pub(crate) reason: &'static str,
    /// Sentence for people.
    pub(crate) message: String,
}

/// Tells of an error. What is no business of a client goes to the log in its place.
pub(crate) fn told(error: &Error) -> Told {
    let whole = |reason| Told {
        reason,
        message: error.to_string(),
    };
    match error.kind() {
        ErrorKind::InvalidConfig | ErrorKind::InvalidData => whole("BadRequest"),
        ErrorKind::NotFound => whole("ObjectNotFound"),
        ErrorKind::Conflict => whole("Conflict"),
        ErrorKind::LimitExceeded if error.is_retryable() => whole("InsufficientStorage"),
        ErrorKind::LimitExceeded => whole("PayloadTooLarge"),
        ErrorKind::Unsupported => whole("NotImplemented"),
        ErrorKind::Resource | ErrorKind::Unavailable | ErrorKind::Interrupted => {
            tracing::error!(%error, "temporary failure");
            Told {
                reason: "Unavailable",
                message: error.message().to_owned(),
            }
        }
        _ => {
            tracing::error!(%error, "internal error");
            Told {
                reason: "InternalError",
                message: "the server failed; its log says why".to_owned(),
            }
        }
    }
}
