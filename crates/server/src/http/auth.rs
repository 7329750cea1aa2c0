//! The one token that opens the server.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use driftline_core::Result;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::catalog::Catalog;
use crate::domain::error;
use crate::http::envelope::ApiError;
use crate::http::seats::Seat;

const SETTING: &str = "token_sha256";
const TOKEN_BYTES: usize = 32;

/// The digest of the token; the token itself is not kept.
#[derive(Clone)]
pub(crate) struct Token {
    sha256: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token given, else the one made earlier, else a new one, which is returned too: nobody can find it out later.
    pub(crate) fn settle(given: Option<&str>, catalog: &Catalog) -> Result<(Self, Option<String>)> {
        if let Some(token) = given {
            return Ok((Self::of(token), None));
        }
        catalog.change(|documents| {
            if let Some(kept) = documents.setting(SETTING)? {
                let sha256 = bytes_of(&kept)
                    .ok_or_else(|| error::internal("the kept digest of the token is damaged"))?;
                return Ok((Self { sha256 }, None));
            }
            let mut secret = [0; TOKEN_BYTES];
            SysRng
                .try_fill_bytes(&mut secret)
                .map_err(error::internal)?;
            let secret = hex(&secret);
            let token = Self::of(&secret);
            documents.set(SETTING, &hex(&token.sha256))?;
            Ok((token, Some(secret)))
        })
    }

    fn of(token: &str) -> Self {
        Self {
            sha256: Sha256::digest(token.as_bytes()).into(),
        }
    }

    /// Compares digests in a time that does not depend on where they differ.
    fn opens(&self, header: Option<&[u8]>) -> bool {
        let Some(given) = header.and_then(|header| {
            let (scheme, token) = header.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        }) else {
            return false;
        };
        let given: [u8; 32] = Sha256::digest(given).into();
        given.ct_eq(&self.sha256).into()
    }
}

/// Lets a request pass that carries the token. A layer for `axum::middleware::from_fn_with_state`.
pub(crate) async fn required(State(token): State<Token>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    if token.opens(header.map(|value| value.as_bytes())) {
        if let Some(seat) = request.extensions().get::<Seat>() {
            seat.keep();
        }
        next.run(request).await
    } else {
        ApiError::unauthorized().into_response()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_when_it_is_whole_and_after_the_scheme() {
        let token = Token::of("secret");
        assert!(token.opens(Some(b"Bearer secret")));
        assert!(token.opens(Some(b"bearer secret")));
        for header in [
            "secret",
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Bearer secret ",
            "Basic secret",
        ] {
            assert!(!token.opens(Some(header.as_bytes())), "{header}");
        }
        assert!(!token.opens(None));
    }

    #[test]
    fn a_token_is_made_once_and_only_its_digest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.db");
        let catalog = Catalog::open(&path).unwrap();
        let (token, made) = Token::settle(None, &catalog).unwrap();
        let made = made.unwrap();
        assert_eq!(made.len(), 2 * TOKEN_BYTES);
        assert!(token.opens(Some(format!("Bearer {made}").as_bytes())));
        let (again, none) = Token::settle(None, &catalog).unwrap();
        assert_eq!((again.sha256, none), (token.sha256, None));
        drop(catalog);
        let kept = std::fs::read(&path).unwrap();
        assert!(!kept.windows(made.len()).any(|part| part == made.as_bytes()));
    }
}
