//! CSV with a header; every column is text.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::table::Batches;
use crate::envelope::{Answer, ApiError};
use crate::uploads::disk;

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Bytes of the first line.
const MOST_HEADER: u64 = 1 << 20;
/// Vectors as text are long.
const BATCH_ROWS: usize = 256;

/// A CSV file whose first line was read.
#[derive(Debug)]
pub(crate) struct CsvTable {
    file: File,
    schema: SchemaRef,
}

impl CsvTable {
    pub(crate) fn open(mut file: File) -> Answer<Self> {
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

    pub(crate) fn batches(self, columns: Vec<usize>) -> Answer<Batches> {
        let reader = ReaderBuilder::new(self.schema)
            .with_header(true)
            .with_batch_size(BATCH_ROWS)
            .with_projection(columns)
            .build(BufReader::new(self.file))
            .map_err(damaged)?;
        Ok(Box::new(reader.map(|batch| {
            batch.map_err(|cause: ArrowError| damaged(cause))
        })))
    }
}

fn damaged(cause: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!(
        "the file is neither Parquet nor CSV that can be read: {cause}"
    ))
}
