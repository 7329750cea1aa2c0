//! Label files: true classes that came later.
//!
//! Parquet or CSV (with a header) with the columns `event_id` and `target`; other columns are passed over.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use driftline_core::rows::{EVENT_ID, TARGET};
use driftline_core::{Error, ErrorKind, EventLabel, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const PARQUET_MAGIC: [u8; 4] = *b"PAR1";
/// Labels of a CSV file that are handed on at a time.
const BATCH: usize = 1024;

/// Reads a label file and hands its labels on, batch by batch.
///
/// # Errors
/// `InvalidData` naming the file, and the row (from 0) where there is one; nothing after it is handed on.
pub fn read(path: &Path, mut consume: impl FnMut(&[EventLabel]) -> Result<()>) -> Result<()> {
    let failed = |e| Error::io("read labels", path, e);
    let refuse = |message: String| {
        Error::new(ErrorKind::InvalidData, "read labels", message).with("file", path.display())
    };
    let broken =
        |cause: &dyn std::error::Error| refuse(format!("the file cannot be read: {cause}"));
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 4];
    let is_parquet = file.read_exact(&mut magic).is_ok() && magic == PARQUET_MAGIC;
    file.rewind().map_err(failed)?;
    if is_parquet {
        let batches = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.build())
            .map_err(|e| broken(&e))?;
        let mut first = 0;
        for batch in batches {
            let labels = labels(&batch.map_err(|e| broken(&e))?, first, &refuse)?;
            first += labels.len();
            consume(&labels)?;
        }
        return Ok(());
    }
    let mut records = csv::Reader::from_reader(file);
    let columns = records.headers().map_err(|e| broken(&e))?;
    let position = |name: &str| {
        let position = columns.iter().position(|column| column == name);
        position.ok_or_else(|| missing(name, &refuse))
    };
    let (id, target) = (position(EVENT_ID)?, position(TARGET)?);
    let mut labels = Vec::new();
    for (row, record) in records.records().enumerate() {
        let record = record.map_err(|e| broken(&e))?;
        labels.push(EventLabel {
            event_id: filled(record.get(id), EVENT_ID, row, &refuse)?,
            target: filled(record.get(target), TARGET, row, &refuse)?,
        });
        if labels.len() == BATCH {
            consume(&labels)?;
            labels.clear();
        }
    }
    match labels.is_empty() {
        true => Ok(()),
        false => consume(&labels),
    }
}

fn missing(name: &str, refuse: &impl Fn(String) -> Error) -> Error {
    refuse(format!("there is no column `{name}`"))
        .remedy("a label file has the columns `event_id` and `target`")
}

fn filled(
    value: Option<&str>,
    name: &str,
    row: usize,
    refuse: &impl Fn(String) -> Error,
) -> Result<String> {
    value
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| refuse(format!("column `{name}` is empty")).with("row", row))
}

fn labels(
    batch: &RecordBatch,
    first: usize,
    refuse: &impl Fn(String) -> Error,
) -> Result<Vec<EventLabel>> {
    let column = |name: &str| -> Result<StringArray> {
        let column = batch
            .column_by_name(name)
            .ok_or_else(|| missing(name, refuse))?;
        let text = cast(column, &DataType::Utf8).map_err(|_| {
            refuse(format!(
                "column `{name}` is {}, not text",
                column.data_type()
            ))
        })?;
        Ok(StringArray::from(text.to_data()))
    };
    let (ids, targets) = (column(EVENT_ID)?, column(TARGET)?);
    let value = |name: &str, values: &StringArray, row: usize| -> Result<String> {
        let value = (!values.is_null(row)).then(|| values.value(row));
        filled(value, name, first + row, refuse)
    };
    (0..batch.num_rows())
        .map(|row| {
            Ok(EventLabel {
                event_id: value(EVENT_ID, &ids, row)?,
                target: value(TARGET, &targets, row)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn read_text(text: &str) -> Result<Vec<(String, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        read_all(&path)
    }

    fn read_all(path: &Path) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        read(path, |labels| {
            let pair = |label: &EventLabel| (label.event_id.clone(), label.target.clone());
            found.extend(labels.iter().map(pair));
            Ok(())
        })?;
        Ok(found)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn csv_keeps_text_as_it_is() {
        let found = read_text("target,note,event_id\n1,x,e-1\n\"a, b\",,e-2\n").unwrap();
        assert_eq!(found, pairs(&[("e-1", "1"), ("e-2", "a, b")]));
    }

    #[test]
    fn parquet_is_recognised_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as _;
        let batch = RecordBatch::try_from_iter([
            ("event_id", text(&["e-1", "e-2"])),
            ("target", text(&["cat", "dog"])),
        ])
        .unwrap();
        let file = File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(
            read_all(&path).unwrap(),
            pairs(&[("e-1", "cat"), ("e-2", "dog")])
        );
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read_text("id,target\ne-1,cat\n").unwrap_err().to_string();
        assert!(error.contains("no column `event_id`"), "{error}");
        let error = read_text("event_id,target\ne-1,cat\ne-2,\n").unwrap_err();
        assert!(
            error.to_string().contains("column `target` is empty"),
            "{error}"
        );
        assert!(error.to_string().contains("row: 1"), "{error}");
        assert!(read(Path::new("no/such/file"), |_| Ok(())).is_err());
    }
}
