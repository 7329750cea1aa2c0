//! What the command says: results on stdout, everything else on stderr.
//!
//! Names of files and messages of others are in both. A control character in them never reaches a terminal, which would
//! obey it.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use anstream::AutoStream;
use clap::builder::styling::AnsiColor;
use driftline::core::Error;
use serde::Serialize;

/// Writes `value` as one JSON document.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let document = serde_json::to_string_pretty(value)?;
    let mut safe = String::with_capacity(document.len() + 1);
    for letter in document.chars() {
        // JSON itself has escapes for those below a space only.
        if obeyed(letter) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    safe.push('\n');
    result(safe.as_bytes())
}

/// Writes a line of the result.
pub fn text(line: &str) -> anyhow::Result<()> {
    result(format!("{}\n", printable(line)).as_bytes())
}

/// Writes a line of the result with a verdict in it.
pub fn verdict(before: &str, (verdict, tone): (&str, Tone), after: &str) -> anyhow::Result<()> {
    let style = tone.colour().on_default();
    let [before, verdict, after] = [before, verdict, after].map(printable);
    styled(&format!("{before}{style}{verdict}{style:#}{after}\n"))
}

/// Writes a part of the result as it is. A closed pipe is the reader's choice, not an error.
pub fn result(bytes: &[u8]) -> anyhow::Result<()> {
    write(io::stdout().lock(), bytes)
}

/// Writes a part of the result that may hold colours: they reach a terminal only, and not with `NO_COLOR`.
pub fn styled(text: &str) -> anyhow::Result<()> {
    write(AutoStream::auto(io::stdout().lock()), text.as_bytes())
}

fn write(mut stdout: impl Write, bytes: &[u8]) -> anyhow::Result<()> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::io("write the result", "stdout".as_ref(), e).into()),
        Ok(()) => Ok(()),
    }
}

/// Writes a line to stderr. A line that cannot be written is dropped, so that the work goes on.
pub fn notice(line: &str) {
    let _lost = io::stderr().write_all(format!("{}\n", printable(line)).as_bytes());
}

/// `text` with escapes in place of control characters, other than ends of lines and tabs.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if obeyed(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal does something else with a character than to show it.
fn obeyed(letter: char) -> bool {
    letter.is_control() && letter != '\n' && letter != '\t'
}

/// A share as a percentage, `-` if unknown.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// What a verdict means to the reader, shown as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// No drift: green.
    Good,
    /// Drift: red.
    Bad,
    /// Not known: yellow.
    Unknown,
}

impl Tone {
    /// The tone of `drifted`.
    pub fn of(drifted: Option<bool>) -> Self {
        match drifted {
            Some(true) => Self::Bad,
            Some(false) => Self::Good,
            None => Self::Unknown,
        }
    }

    fn colour(self) -> AnsiColor {
        match self {
            Self::Good => AnsiColor::Green,
            Self::Bad => AnsiColor::Red,
            Self::Unknown => AnsiColor::Yellow,
        }
    }
}
