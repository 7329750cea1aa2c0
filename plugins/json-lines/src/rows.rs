//! A file of rows that knows which are in it.

use std::collections::HashMap;
use std::path::Path;

use arrow_json::LineDelimitedWriter;
use arrow_select::filter::filter_record_batch;
use driftline_plugin_sdk::arrow_array::cast::AsArray;
use driftline_plugin_sdk::arrow_array::{BooleanArray, RecordBatch, StringArray};
use driftline_plugin_sdk::core::rows::{EVENT_ID, TARGET};
use driftline_plugin_sdk::core::{Ack, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::lines::Lines;

/// Rows, one object each.
pub(crate) struct RowFile {
    lines: Lines,
    /// What the rows are labelled, by `event_id`.
    known: HashMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct Line {
    event_id: String,
    target: Option<String>,
}

impl RowFile {
    /// Opens or makes the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut known = HashMap::new();
        let lines = Lines::open(path, "row", |Line { event_id, target }| {
            known.insert(event_id, target);
        })?;
        Ok(Self { lines, known })
    }

    /// Appends the rows that are not there yet; they are on the disk when this returns, or none of them is.
    pub(crate) fn append(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let bad = |message: &str| Error::new(ErrorKind::InvalidData, "write rows", message);
        let column = |name: &str| -> Option<&StringArray> {
            rows.column_by_name(name)
                .and_then(|column| column.as_string_opt::<i32>())
        };
        let ids = column(EVENT_ID).ok_or_else(|| bad("the rows have no event_id"))?;
        let targets = column(TARGET).ok_or_else(|| bad("the rows have no target"))?;
        let mut new = HashMap::new();
        let mut is_new = |(id, target): (Option<&str>, Option<&str>)| {
            let id = id.filter(|id| !self.known.contains_key(*id) && !new.contains_key(*id));
            if let Some(id) = id {
                new.insert(id.to_owned(), target.map(str::to_owned));
            }
            Some(id.is_some())
        };
        let is_new: BooleanArray = ids.iter().zip(targets).map(&mut is_new).collect();
        let fresh = filter_record_batch(rows, &is_new)
            .map_err(|cause| bad("the rows cannot be filtered").because(cause))?;
        if !new.is_empty() {
            let mut lines = LineDelimitedWriter::new(Vec::new());
            lines
                .write(&fresh)
                .and_then(|()| lines.finish())
                .map_err(|cause| bad("the rows are no JSON").because(cause))?;
            self.lines.append(&lines.into_inner())?;
        }
        let accepted = new.len() as u64;
        self.known.extend(new);
        Ok(Ack {
            accepted,
            duplicates: rows.num_rows() as u64 - accepted,
        })
    }

    /// Whether a row is there that `target` would change.
    pub(crate) fn is_changed_by(&self, event_id: &str, target: &str) -> bool {
        let known = self.known.get(event_id);
        known.is_some_and(|known| known.as_deref() != Some(target))
    }

    /// Notes what a row is labelled now, if it is there.
    pub(crate) fn relabel(&mut self, event_id: &str, target: String) {
        if let Some(known) = self.known.get_mut(event_id) {
            *known = Some(target);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use driftline_plugin_sdk::core::{Row, RowSchema, RowsBuilder};

    use super::*;

    fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
        let schema = RowSchema::new(2, vec!["cat".to_owned()]).unwrap();
        let mut builder = RowsBuilder::new(schema);
        for number in numbers {
            let row = Row {
                event_id: &format!("event-{number}"),
                timestamp_ms: 1_000 * number,
                embedding: &[0.1, -2.5],
                scores: &[0.75],
                target: None,
                image_url: "a \"b\"",
                image_number: number,
                window: "week-1",
                properties: &[],
            };
            builder.push(&row).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn rows_are_objects_and_a_known_one_is_a_duplicate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let ack = RowFile::open(&path).unwrap().append(&rows(0..3)).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (3, 0));
        let ack = RowFile::open(&path).unwrap().append(&rows(1..5)).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (2, 2));
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[4]["event_id"], "event-4");
        assert_eq!(lines[4]["timestamp"], "1970-01-01T00:00:04Z");
        assert_eq!(lines[4]["embeddings"], serde_json::json!([0.1, -2.5]));
        assert_eq!(lines[4]["image_url"], "a \"b\"");
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        RowFile::open(&path).unwrap().append(&rows(0..2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let torn = [&whole[..], &whole[..20]].concat();
        std::fs::write(&path, torn).unwrap();
        let mut opened = RowFile::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert_eq!(opened.append(&rows(1..3)).unwrap().accepted, 1);
        drop(opened);
        std::fs::write(&path, "no row\n").unwrap();
        let error = RowFile::open(&path).err().unwrap().to_string();
        assert!(error.contains("line 1 is no row"), "{error}");
    }
}
