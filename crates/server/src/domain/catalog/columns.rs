//! Columns of a row, whatever a damaged file holds there.

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// The bytes of a column, whatever a damaged file holds there.
pub(crate) fn bytes_of(row: &Row<'_>, column: usize) -> Vec<u8> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// Like [`bytes_of`], as text.
pub(crate) fn text_of(row: &Row<'_>, column: usize) -> String {
    String::from_utf8_lossy(&bytes_of(row, column)).into_owned()
}
