//! The token: where it comes from, and that it is never shown.

use std::fmt;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};

/// Environment variable with the token.
pub const TOKEN_VARIABLE: &str = "FIDDLER_TOKEN";
/// Name of the service under which the keyring keeps tokens; the user name is the host of the server.
#[cfg(feature = "keyring")]
const KEYRING_SERVICE: &str = "driftline";
/// What stands in a text where the token was.
const REDACTED: &str = "<token>";

/// A token; `Debug` does not show it, and there is no `Display`.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    fn new(text: &str, origin: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            let message = format!("the content of {origin} is not a valid token");
            return Err(unusable(message).remedy("copy it from Settings > Credentials"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text` without the token, for what a server says.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, REDACTED)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The token: from the environment, else from `file`, else from the keyring's entry of `keyring_host`.
pub(crate) fn find(file: Option<&str>, keyring_host: Option<&str>) -> Result<Token> {
    if let Ok(text) = std::env::var(TOKEN_VARIABLE) {
        return Token::new(&text, TOKEN_VARIABLE);
    }
    if let Some(file) = file {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::io("read the token file", Path::new(file), e))?;
        return Token::new(&text, "the token file").map_err(|e| e.with("file", file));
    }
    if let Some(host) = keyring_host {
        return in_keyring(host);
    }
    Err(unusable("there is no token for the server").remedy(format!(
        "set {TOKEN_VARIABLE}, or the option `token_file`, or `keyring = true`"
    )))
}

/// The keyring's entry of `host`.
#[cfg(feature = "keyring")]
fn in_keyring(host: &str) -> Result<Token> {
    let text = keyring::v1::Entry::new(KEYRING_SERVICE, host)
        .and_then(|entry| entry.get_password())
        .map_err(|cause| {
            unusable("the keyring has no token for this server")
                .with("service", KEYRING_SERVICE)
                .with("user", host)
                .because(cause.to_string())
                .remedy(format!(
                    "store it there, or set {TOKEN_VARIABLE} or `token_file`"
                ))
        })?;
    Token::new(&text, "the keyring")
}

#[cfg(not(feature = "keyring"))]
fn in_keyring(host: &str) -> Result<Token> {
    Err(unusable("this program was built without the keyring")
        .with("user", host)
        .remedy(format!(
            "set {TOKEN_VARIABLE} or `token_file`, or build it with the feature `keyring`"
        )))
}

fn unusable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "find the token", message)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn token(text: &str) -> Token {
        Token::new(text, "a test").unwrap()
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new(" tok-secret\n", "a test").unwrap();
        assert_eq!(format!("{token:?}"), "<token>");
        assert_eq!(token.redact("no tok-secret here"), "no <token> here");
        assert_eq!(token.bearer(), "Bearer tok-secret");
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_showing_it() {
        for text in ["", "two words", "line\nbreak", "ümlaut"] {
            let error = Token::new(text, "the token file").unwrap_err().to_string();
            assert!(error.contains("not a valid token"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
