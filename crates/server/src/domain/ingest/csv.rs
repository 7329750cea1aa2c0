//! CSV with a header; every column is text.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use driftline_core::{Error, Result};

use super::batches::Batches;
use crate::domain::error::{self, disk};

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Bytes of the first line.
const MOST_HEADER: u64 = 1 << 20;
/// Bytes of a record. A vector of 2,048 numbers as text has 50 KiB.
const MOST_RECORD: usize = 1 << 20;
/// Vectors as text are long: 128 of the longest records are 128 MiB.
const BATCH_ROWS: usize = 128;

/// A CSV file whose first line was read.
#[derive(Debug)]
pub(crate) struct CsvTable {
    file: File,
    schema: SchemaRef,
}

impl CsvTable {
    pub(crate) fn open(mut file: File) -> Result<Self> {
        let mut head = [0; 3];
        let start = match file.read_exact(&mut head) {
            Ok(()) if head == BYTE_ORDER_MARK => 3,
            _ => 0,
        };
        file.seek(SeekFrom::Start(start)).map_err(disk)?;
        let (found, _) = Format::default()
            .with_header(true)
            .infer_schema((&file).take(MOST_HEADER), Some(0))
            .map_err(damaged)?;
        file.seek(SeekFrom::Start(start)).map_err(disk)?;
        let fields: Vec<Field> = found
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), DataType::Utf8, true))
            .collect();
        if fields.iter().all(|field| field.name().is_empty()) {
            return Err(damaged("its first line has no names"));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { file, schema })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn batches(self, columns: Vec<usize>) -> Result<Batches> {
        let reader = ReaderBuilder::new(self.schema)
            .with_header(true)
            .with_batch_size(BATCH_ROWS)
            .with_projection(columns)
            .build(BufReader::new(Records::of(self.file)))
            .map_err(damaged)?;
        Ok(Box::new(reader.map(|batch| {
            batch.map_err(|cause| match cause {
                ArrowError::IoError(_, cause) if cause.kind() == io::ErrorKind::InvalidData => {
                    error::invalid(cause.to_string())
                }
                ArrowError::IoError(_, cause) => disk(cause),
                cause => damaged(cause),
            })
        })))
    }
}

/// Reads CSV as far as its records are of a reasonable length: what comes after would be held in memory as a whole.
struct Records<R> {
    source: R,
    place: Place,
    /// Records that ended, the header among them.
    ended: u64,
    /// Bytes of the record that is being read.
    length: usize,
}

/// Where in a record the next byte is. A quote means something only at the start of a field and in a quoted one.
#[derive(Clone, Copy)]
enum Place {
    FieldStart,
    Bare,
    Quoted,
    /// After a quote inside a quoted field: the second half of a quote that is text, or the end.
    QuoteEnd,
}

impl<R> Records<R> {
    fn of(source: R) -> Self {
        Self {
            source,
            place: Place::FieldStart,
            ended: 0,
            length: 0,
        }
    }

    fn take(&mut self, byte: u8) -> io::Result<()> {
        self.length += 1;
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::QuoteEnd,
            (Place::FieldStart | Place::QuoteEnd, b'"') | (Place::Quoted, _) => Place::Quoted,
            (_, b',') => Place::FieldStart,
            (_, b'\n' | b'\r') => {
                // Lines without a byte are no records.
                self.ended += u64::from(self.length > 1);
                self.length = 0;
                Place::FieldStart
            }
            _ => Place::Bare,
        };
        if self.length <= MOST_RECORD {
            return Ok(());
        }
        let which = match self.ended.checked_sub(1) {
            Some(row) => format!("row {row}"),
            None => "the first line".to_owned(),
        };
        let message = format!("{which} of the CSV file is longer than {MOST_RECORD} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

impl<R: Read> Read for Records<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        for byte in buffer.iter().take(count) {
            self.take(*byte)?;
        }
        Ok(count)
    }
}

fn damaged(cause: impl std::fmt::Display) -> Error {
    error::invalid(format!(
        "the file is neither Parquet nor CSV that can be read: {cause}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<usize> {
        io::copy(&mut Records::of(text.as_bytes()), &mut io::sink()).map(|count| count as usize)
    }

    #[test]
    fn a_record_that_is_too_long_is_named() {
        let long = "x".repeat(MOST_RECORD);
        let spread = format!("\"{}\"", "1,\r\n\"\"".repeat(MOST_RECORD / 6 + 1));
        for (text, which) in [
            (format!("a,b\n1,2\n\n{long}1"), "row 1 "),
            (format!("a,b\r\n1,2\r\n\r\n3,{spread}"), "row 1 "),
            (format!("{long}1\n1"), "the first line "),
            (format!("a\n\"1\"\"\n{long}"), "row 0 "),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.to_string().starts_with(which), "{error}");
        }
    }

    #[test]
    fn short_records_are_read_however_many() {
        let half = "x".repeat(MOST_RECORD / 2);
        for end in ["\n", "\r", "\r\n"] {
            for field in [format!("a\"b{half}"), format!("\"a\"\"b\"{half}\"")] {
                let text = format!("{field}{end}").repeat(5);
                assert_eq!(read(&text).unwrap(), text.len());
            }
        }
    }
}
