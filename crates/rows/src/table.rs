//! Tables other than rows <-> Parquet files, with the same guarantees.

use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use driftline_core::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use crate::checksum::{DataChecksum, hex};
use crate::durable::write_atomic;
use crate::reader::{damaged, guard, next_batch, parquet_failed, unreadable};

/// Writes a small table to `path` in one step, with a checksum of its data; equal tables give equal bytes. The file is made in
/// memory.
///
/// # Errors
/// `Resource` or `NotFound` naming `path`; what was at `path` is as it was.
pub fn write_table(path: &Path, table: &RecordBatch) -> Result<()> {
    let bytes = encode(table).map_err(|cause| {
        let message = "the table could not be encoded";
        Error::new(ErrorKind::Internal, "write table", message)
            .with("file", path.display())
            .because(cause)
    })?;
    write_atomic(path, &bytes)
}

fn encode(table: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))?;
    writer.write(table)?;
    writer.flush()?;
    writer.sync()?;
    let data = writer.inner();
    let checksum = DataChecksum {
        length: data.len() as u64,
        sha256: hex(Sha256::new_with_prefix(data)),
    };
    writer.append_key_value_metadata(checksum.to_key_value());
    writer.into_inner()
}

/// Reads a table, batch by batch, after the whole file was checked against the checksum it carries, if it carries one.
///
/// # Errors
/// `InvalidData` naming the file: not Parquet, or damaged. Otherwise the failure of the file system.
pub fn read_table(path: &Path) -> Result<Vec<RecordBatch>> {
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    let metadata = guard(path, || {
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
    })?
    .map_err(|e| parquet_failed(path, e))?;
    let checksum = DataChecksum::of(metadata.metadata()).map_err(|reason| damaged(path, reason))?;
    if let Some(checksum) = checksum
        && !checksum.matches(&file).map_err(|e| unreadable(path, e))?
    {
        return Err(damaged(path, "its data is not what was written"));
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mut batches = guard(path, || builder.build())?.map_err(|e| parquet_failed(path, e))?;
    std::iter::from_fn(|| next_batch(path, &mut batches)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..3_000).map(f64::from)));
        let names = (0..3_000).map(|i| i.to_string());
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
        let columns = [("number", numbers), ("name", names)];
        let table = RecordBatch::try_from_iter(columns).unwrap();
        write_table(&path, &table).unwrap();
        let batches = read_table(&path).unwrap();
        let (mut row, mut equal) = (0, true);
        for batch in &batches {
            equal &= *batch == table.slice(row, batch.num_rows());
            row += batch.num_rows();
        }
        assert!(equal && row == 3_000);

        let bytes = std::fs::read(&path).unwrap();
        write_table(&path, &table).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        for wrong in [&flipped[..], &bytes[..bytes.len() / 2], b""] {
            std::fs::write(&path, wrong).unwrap();
            let error = read_table(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains("table.parquet"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_table(&path).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
