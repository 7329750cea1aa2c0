//! The web page: markup, style and script, which a server sends as they are and a report carries in itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The style, for `page.css`.
pub const STYLE: &str = include_str!("../assets/page.css");

/// The script, for `page.js`.
pub const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("../assets/draw.js"),
    include_str!("../assets/data.js"),
    include_str!("../assets/timeline.js"),
    include_str!("../assets/bin.js"),
    include_str!("../assets/table.js"),
    include_str!("../assets/page.js"),
);

const MARKUP: &str = include_str!("../assets/page.html");

/// Where [`MARKUP`] takes what goes into the head and what goes after the content.
const HEAD: &str = "<!--HEAD-->";
const FOOT: &str = "<!--FOOT-->";

/// What a server's page may do, for the header `Content-Security-Policy`: run its script, ask its server, and show
/// pictures that came from there.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a server, which asks for `assets/page.css`, `assets/page.js` and, with a token, for data.
pub fn shell() -> String {
    assembled(
        r#"<link rel="stylesheet" href="assets/page.css">"#,
        r#"<script src="assets/page.js"></script>"#,
    )
}

/// A page that carries `data`, JSON, in itself and asks for nothing.
pub fn carrying(data: &str) -> String {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    // In JSON `<` is only found in strings, where it may be written like this; no string can end the script.
    let data = data.replace('<', "\\u003c");
    assembled(
        &format!(
            r#"<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{STYLE}</style>"#
        ),
        &format!(
            r#"<script type="application/json" id="data">{data}</script><script>{SCRIPT}</script>"#
        ),
    )
}

fn assembled(head: &str, foot: &str) -> String {
    let (start, rest) = MARKUP.split_once(HEAD).unwrap_or((MARKUP, ""));
    let (body, end) = rest.split_once(FOOT).unwrap_or((rest, ""));
    [start, head, body, foot, end].concat()
}

/// How a policy names inline content.
fn digest(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content)))
}
