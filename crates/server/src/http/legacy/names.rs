//! Names in paths, `<organisation>:<project>:<name>`, and which generation asks.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use driftline_core::{Error, Result};

use crate::domain::error;

/// The one organisation.
pub(super) const ORGANIZATION: &str = "driftline";

/// A generation of Fiddler's client before the third.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// 1.8: scalar columns only.
    First,
    /// 2.0 to 2.5.
    Second,
}

impl<S: Sync> FromRequestParts<S> for Generation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let version = parts.headers.get("x-fiddler-client-version");
        let first = version.is_some_and(|version| version.as_bytes().starts_with(b"1."));
        Ok(if first { Self::First } else { Self::Second })
    }
}

/// The names of a path with `N` of them, the organisation's first. There is one organisation, whatever its name.
///
/// # Errors
/// `NotFound` if there are more or fewer, since then nothing has such a name.
pub(super) fn split<const N: usize>(path: &str) -> Result<[&str; N]> {
    let mut names = [""; N];
    let mut parts = path.split(':');
    for name in &mut names {
        *name = parts
            .next()
            .filter(|part| !part.is_empty())
            .ok_or_else(unknown)?;
    }
    match parts.next() {
        None => Ok(names),
        Some(_) => Err(unknown()),
    }
}

fn unknown() -> Error {
    error::not_found("Name")
}

#[cfg(test)]
mod tests {
    use driftline_core::ErrorKind;

    use super::*;

    #[test]
    fn a_path_has_as_many_names_as_the_route() {
        assert_eq!(split::<2>("org:project").unwrap(), ["org", "project"]);
        assert_eq!(
            split::<3>("org:project:data").unwrap(),
            ["org", "project", "data"]
        );
        for path in ["", "org", "org:", ":project", "org:project:data"] {
            let error = split::<2>(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{path}");
        }
    }
}
