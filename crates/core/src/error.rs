//! The one error type: what was wrong, where, and what to do next.

use std::fmt;
use std::path::Path;

/// `Result` with driftline's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong. Decides exit codes and retries, never the wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A flag, a configuration key or an argument is wrong; nothing was started.
    InvalidConfig,
    /// A file, an image, a row or a tensor is not what it should be.
    InvalidData,
    /// Something that was named does not exist.
    NotFound,
    /// A name is taken, or what is there disagrees with what is asked.
    Conflict,
    /// It is more than a limit allows; retryable if there may be room later.
    LimitExceeded,
    /// It is understood, but this build or machine cannot do it.
    Unsupported,
    /// The network, or a server on it, did not do its part.
    Unavailable,
    /// A resource ran out or refused: disk, permission, memory.
    Resource,
    /// The user asked to stop.
    Interrupted,
    /// A defect in driftline or in a plugin.
    Internal,
}

/// An error with kind, operation, context and remedy.
///
/// Its text reads `<message> (<key>: <value>, …); <remedy>`, followed by the cause if there is one:
///
/// ```
/// use driftline_core::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::InvalidData, "read weights", "the file ends early")
///     .with("file", "model.pth")
///     .remedy("download it again");
/// assert_eq!(error.to_string(), "the file ends early (file: model.pth); download it again");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retryable: bool,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    remedy: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error; `operation` says what was being done, as in "read weights".
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retryable: false,
            operation,
            message: message.into(),
            context: Vec::new(),
            remedy: None,
            source: None,
        }))
    }

    /// An error of the operating system on a path; the kind follows from the cause.
    pub fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let (kind, remedy) = match source.kind() {
            Io::NotFound => (ErrorKind::NotFound, Some("check the path")),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => (
                ErrorKind::Resource,
                Some("choose a place you may write to, or correct its permissions"),
            ),
            Io::StorageFull | Io::QuotaExceeded => (
                ErrorKind::Resource,
                Some("free some space and run the same command again; what was written is kept"),
            ),
            Io::UnexpectedEof | Io::InvalidData => (ErrorKind::InvalidData, None),
            _ => (ErrorKind::Resource, None),
        };
        let error = Self::new(kind, operation, format!("could not {operation}"))
            .with("file", path.display())
            .because(source);
        match remedy {
            Some(remedy) => error.remedy(remedy),
            None => error,
        }
    }

    /// Adds a place: a file, a row, a key, a tensor.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks the error as one that a retry may cure.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// What was being done.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The message alone, without context, remedy or cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            let open = if i == 0 { " (" } else { ", " };
            write!(f, "{open}{key}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        if let Some(remedy) = &self.0.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("text", &self.to_string())
            .finish()
    }
}

impl std::error::Error for Error {
    // The cause is already part of the text, so reporters that walk the chain start below it.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().and_then(|cause| cause.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_message_place_cause_and_remedy() {
        let error = Error::new(ErrorKind::InvalidData, "decode image", "not a JPEG")
            .with("file", "a.jpg")
            .with("row", 7)
            .because("bad magic")
            .remedy("remove it");
        assert_eq!(
            error.to_string(),
            "not a JPEG (file: a.jpg, row: 7): bad magic; remove it"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(!error.is_retryable());
    }

    #[test]
    fn full_disk_is_a_resource_error_with_a_remedy() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io("write rows", Path::new("x.parquet"), full);
        assert_eq!(error.kind(), ErrorKind::Resource);
        assert!(error.to_string().contains("free some space"), "{error}");
    }
}
