//! Tables and JSON on stdout.

use std::io::Write;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use driftline::core::Error;
use serde::Serialize;

/// Writes `value` as one JSON document.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Writes a line; a closed pipe is the reader's choice, not an error.
pub fn text(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::io("write the result", "stdout".as_ref(), e).into()),
        Ok(()) => Ok(()),
    }
}

/// An empty table with the given columns.
pub fn table<T: Into<Cell>>(columns: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns.into_iter().map(Into::into).collect::<Vec<Cell>>());
    table
}

/// A share as a percentage, `-` if unknown.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}
