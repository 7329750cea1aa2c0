//! A file of JSON lines that knows which events are in it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_json::LineDelimitedWriter;
use arrow_select::filter::filter_record_batch;
use driftline_plugin_sdk::arrow_array::cast::AsArray;
use driftline_plugin_sdk::arrow_array::{BooleanArray, RecordBatch};
use driftline_plugin_sdk::core::{Ack, Error, ErrorKind, Result, rows::EVENT_ID};
use serde::Deserialize;

/// An open file; no other process has it open in this way.
pub(crate) struct Appended {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    known: HashSet<String>,
}

#[derive(Deserialize)]
struct Line {
    event_id: String,
}

impl Appended {
    /// Opens or makes the file; a last line without its end is cut off.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io = |cause| Error::io("open sink", path, cause);
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(path);
        let file = file.map_err(io)?;
        file.lock().map_err(io)?;
        let mut known = HashSet::new();
        let mut length = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let Line { event_id } = serde_json::from_slice(&line).map_err(|cause| {
                Error::new(
                    ErrorKind::InvalidData,
                    "open sink",
                    format!("line {number} is no row"),
                )
                .with("file", path.display())
                .because(cause)
            })?;
            known.insert(event_id);
            length += read as u64;
        }
        let opened = Self {
            path: path.to_owned(),
            file,
            length,
            known,
        };
        opened.cut()?;
        Ok(opened)
    }

    /// Takes away what follows the whole lines.
    fn cut(&self) -> Result<()> {
        let io = |cause| Error::io("write rows", &self.path, cause);
        if self.file.metadata().map_err(io)?.len() > self.length {
            self.file.set_len(self.length).map_err(io)?;
        }
        Ok(())
    }

    /// Appends the rows that are not there yet; they are on the disk when this returns, or none of them is.
    pub(crate) fn append(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let bad = |message: &str| Error::new(ErrorKind::InvalidData, "write rows", message);
        let ids = rows
            .column_by_name(EVENT_ID)
            .and_then(|column| column.as_string_opt::<i32>())
            .ok_or_else(|| bad("the rows have no event_id"))?;
        let mut new = HashSet::new();
        let is_new: BooleanArray = ids
            .iter()
            .map(|id| id.map(|id| !self.known.contains(id) && new.insert(id.to_owned())))
            .collect();
        let fresh = filter_record_batch(rows, &is_new)
            .map_err(|cause| bad("the rows cannot be filtered").because(cause))?;
        if !new.is_empty() {
            let mut lines = LineDelimitedWriter::new(Vec::new());
            lines
                .write(&fresh)
                .and_then(|()| lines.finish())
                .map_err(|cause| bad("the rows are no JSON").because(cause))?;
            self.write(&lines.into_inner())?;
        }
        let accepted = new.len() as u64;
        self.known.extend(new);
        Ok(Ack {
            accepted,
            duplicates: rows.num_rows() as u64 - accepted,
        })
    }

    fn write(&mut self, lines: &[u8]) -> Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(lines))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(cause) => {
                // A part of a batch would be taken for rows that were acknowledged.
                self.cut()?;
                Err(Error::io("write rows", &self.path, cause))
            }
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
        let ack = Appended::open(&path).unwrap().append(&rows(0..3)).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (3, 0));
        let ack = Appended::open(&path).unwrap().append(&rows(1..5)).unwrap();
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
        Appended::open(&path).unwrap().append(&rows(0..2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let torn = [&whole[..], &whole[..20]].concat();
        std::fs::write(&path, torn).unwrap();
        let mut opened = Appended::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert_eq!(opened.append(&rows(1..3)).unwrap().accepted, 1);
        drop(opened);
        std::fs::write(&path, "no row\n").unwrap();
        let error = Appended::open(&path).err().unwrap().to_string();
        assert!(error.contains("line 1 is no row"), "{error}");
    }
}
