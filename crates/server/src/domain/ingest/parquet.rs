//! Parquet that anybody may have written: bounded before it is decoded.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use driftline_core::{Error, Result};
use driftline_rows::pages::pages;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::batches::Batches;
use crate::domain::error::{self, disk};

const MIB: u64 = 1 << 20;
/// Bytes of the footer.
const MOST_FOOTER: u64 = 16 * MIB;
/// Bytes of one page, decompressed; writers make pages of about 1 MiB.
const MOST_PAGE: u64 = 64 * MIB;
/// Bytes of the largest page of every column that is read, together.
const MOST_PAGES: u64 = 256 * MIB;
/// Values of one column in one row group.
const MOST_VALUES: u64 = 64 * MIB;
/// Bytes of the vectors in a batch.
const BATCH_BYTES: usize = 16 << 20;
const BATCH_ROWS: usize = 16_384;

/// A Parquet file whose footer was read.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl ParquetTable {
    pub(crate) fn open(mut file: File) -> Result<Self> {
        check_footer(&mut file)?;
        let metadata = guarded(|| {
            let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
            let options = ArrowReaderOptions::new().with_schema(as_views(found.schema()));
            ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
        })?;
        Ok(Self { file, metadata })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(crate) fn batches(self, columns: &[usize], dim: usize) -> Result<Batches> {
        let Self { file, metadata } = self;
        let parquet = Arc::clone(metadata.metadata());
        let mask = ProjectionMask::roots(
            parquet.file_metadata().schema_descr(),
            columns.iter().copied(),
        );
        for column in columns {
            let field = metadata.schema().field(*column);
            if grows(field.data_type()) {
                let message = format!(
                    "column `{}` is {}, which is not read",
                    field.name(),
                    field.data_type()
                );
                return Err(error::invalid(message));
            }
        }
        guarded(|| {
            let mut largest = 0;
            for group in parquet.row_groups() {
                let mut together = 0;
                for (leaf, chunk) in group.columns().iter().enumerate() {
                    if !mask.leaf_included(leaf) {
                        continue;
                    }
                    let name = chunk.column_path().string();
                    let found = pages(&file, chunk)?;
                    if found.largest > MOST_PAGE || found.values > MOST_VALUES {
                        return Err(parquet::errors::ParquetError::General(format!(
                            "column {name} grows to pages of {} bytes and {} values; write smaller pages and row groups",
                            found.largest, found.values
                        )));
                    }
                    together += found.largest;
                }
                largest = largest.max(together);
            }
            if largest > MOST_PAGES {
                let message = format!("its pages grow to {largest} bytes; write smaller pages");
                return Err(parquet::errors::ParquetError::General(message));
            }
            Ok(())
        })?;
        let rows = (BATCH_BYTES / (8 * dim.max(1))).clamp(64, BATCH_ROWS);
        let reader = guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_projection(mask)
                .with_batch_size(rows)
                .build()
        })?;
        Ok(Box::new(Guarded {
            reader: Some(reader),
        }))
    }
}

/// Batches whose decoder may panic; after an error there are no more.
struct Guarded {
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for Guarded {
    type Item = Result<arrow_array::RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.reader.take()?;
        let batch = catch_unwind(AssertUnwindSafe(|| reader.next()));
        match batch {
            Ok(None) => None,
            Ok(Some(Ok(batch))) => {
                self.reader = Some(reader);
                Some(Ok(batch))
            }
            Ok(Some(Err(cause))) => Some(Err(damaged(cause))),
            Err(_) => Some(Err(damaged("it cannot be decoded"))),
        }
    }
}

/// The length of the footer is in the last eight bytes, and is allocated before the footer is looked at.
fn check_footer(file: &mut File) -> Result<()> {
    let length = file.metadata().map_err(disk)?.len();
    let mut tail = [0; 8];
    if length < 12 {
        return Err(damaged("it is too short"));
    }
    file.seek(SeekFrom::End(-8)).map_err(disk)?;
    file.read_exact(&mut tail).map_err(disk)?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" {
        return Err(damaged("its end is missing"));
    }
    if footer > MOST_FOOTER || footer + 12 > length {
        return Err(damaged("its footer has an impossible length"));
    }
    Ok(())
}

/// Text is read as views, which point into a page: as plain text, one long value in a dictionary would be copied for each
/// row that refers to it.
fn as_views(schema: &Schema) -> SchemaRef {
    let text = |kind: &DataType| match kind {
        DataType::Utf8 | DataType::LargeUtf8 => true,
        DataType::Dictionary(_, value) => {
            matches!(**value, DataType::Utf8 | DataType::LargeUtf8)
        }
        _ => false,
    };
    let fields = schema.fields().iter().map(|field| {
        if text(field.data_type()) {
            Arc::new(Field::new(
                field.name(),
                DataType::Utf8View,
                field.is_nullable(),
            ))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Types that a small file may hold much of, and that no row needs.
fn grows(kind: &DataType) -> bool {
    match kind {
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            !inner.data_type().is_numeric()
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, value) => grows(value),
        kind => kind.is_nested(),
    }
}

fn guarded<T>(read: impl FnOnce() -> Result<T, parquet::errors::ParquetError>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| damaged("it cannot be decoded"))?
        .map_err(damaged)
}

fn damaged(cause: impl std::fmt::Display) -> Error {
    error::invalid(format!("the Parquet file cannot be used: {cause}"))
}
