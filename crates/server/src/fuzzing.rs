//! What the fuzz targets read of the server. No part of the interface: it may change at any time.

use std::path::Path;

use crate::domain::ingest::{Table, parse_vector};
use crate::http::v3::Filter;

/// A file of rows that was sent, to its end.
pub fn table(path: &Path) {
    let Ok(table) = Table::open(path) else {
        return;
    };
    let schema = table.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    if let Ok(batches) = table.batches(&names, 4) {
        batches.take_while(Result::is_ok).for_each(drop);
    }
}

/// A vector as text.
pub fn vector(text: &str) {
    drop(parse_vector(text, 64, &mut Vec::new()));
}

/// The filter of a list.
pub fn filter(text: &str) {
    if let Ok(filter) = Filter::parse(text) {
        let object =
            serde_json::json!({"id": 1, "name": "x", "project": {"id": "y", "name": [null]}});
        filter.passes(&object);
    }
}
