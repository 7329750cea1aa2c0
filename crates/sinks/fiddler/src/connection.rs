//! The connection to the server: whom it trusts, and why it failed.

use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use reqwest::Certificate;

use crate::answer::{Failed, OPERATION};

/// The certificates of a file in PEM form.
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
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
pub(crate) fn deepest(cause: &reqwest::Error) -> String {
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

/// No answer came, for one of many reasons.
pub(crate) fn unreachable(cause: &reqwest::Error) -> Failed {
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

/// A part of the answer came.
pub(crate) fn broke_off(cause: std::io::Error) -> Failed {
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
