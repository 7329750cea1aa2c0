//! The pages of a Parquet file, looked at before anything is decoded: what a page grows to is memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

const DEEPEST: u32 = 16;

/// What the pages of a column chunk say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pages {
    /// Bytes of the largest page once it is decompressed.
    pub largest: u64,
    /// Values, nulls included, of all data pages.
    pub values: u64,
}

/// Reads the headers of all pages of a chunk, and the pages themselves where their codec goes on past the size that a
/// header says.
///
/// # Errors
/// `InvalidData` if they are not headers, do not fill the chunk, or a page is longer than its header says; `Unsupported`
/// for LZ4 in its old framing, whose size nobody knows beforehand.
pub fn pages(file: &File, chunk: &ColumnChunkMetaData) -> io::Result<Pages> {
    let gzip = match chunk.compression() {
        Compression::LZ4 => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is compressed with the old LZ4: write it with LZ4_RAW, Snappy or Zstandard",
            ));
        }
        Compression::GZIP(_) => true,
        _ => false,
    };
    let (start, length) = chunk.byte_range();
    let mut file = file;
    file.seek(SeekFrom::Start(start))?;
    let mut header = Header {
        input: BufReader::new(file),
        read: 0,
    };
    let mut found = Pages::default();
    while header.read < length {
        let page = header.page()?;
        let (Some(size), Some(compressed)) = (page.size, page.compressed) else {
            return Err(malformed());
        };
        let size = u64::try_from(size).map_err(|_| malformed())?;
        let end = header.read.saturating_add(compressed.cast_unsigned());
        if compressed < 0 || end > length {
            return Err(malformed());
        }
        found.largest = found.largest.max(size);
        let values = u64::try_from(page.values).map_err(|_| malformed())?;
        found.values = found.values.saturating_add(values);
        if gzip {
            header.gunzip(page.plain, compressed.cast_unsigned(), size)?;
        } else {
            header.input.seek_relative(compressed)?;
        }
        header.read += compressed.cast_unsigned();
    }
    Ok(found)
}

#[derive(Default)]
struct Page {
    size: Option<i64>,
    compressed: Option<i64>,
    values: i64,
    plain: Plain,
}

/// What is not compressed of a data page of version 2.
#[derive(Clone, Copy, Default)]
struct Plain {
    /// Bytes of its levels.
    levels: i64,
    all: bool,
}

/// A reader of Thrift's compact form, as far as page headers need it.
struct Header<R> {
    input: BufReader<R>,
    read: u64,
}

impl<R: Read> Header<R> {
    fn page(&mut self) -> io::Result<Page> {
        let mut page = Page::default();
        let mut id = 0;
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (2, I32) => page.size = Some(self.integer()?),
                (3, I32) => page.compressed = Some(self.integer()?),
                // The headers of data pages, version 1 and 2; their first field is the number of values.
                (5 | 8, STRUCT) => {
                    let mut inner = 0;
                    while let Some(kind) = self.field(&mut inner)? {
                        match (inner, kind) {
                            (1, I32) => page.values = self.integer()?,
                            (5 | 6, I32) if id == 8 => {
                                let levels = self.integer()?;
                                page.plain.levels = page.plain.levels.saturating_add(levels);
                            }
                            (7, FALSE) if id == 8 => page.plain.all = true,
                            (_, kind) => self.skip(kind, DEEPEST)?,
                        }
                    }
                }
                (_, kind) => self.skip(kind, DEEPEST)?,
            }
        }
        Ok(page)
    }

    /// Passes over a page of `compressed` bytes that must become `size`.
    fn gunzip(&mut self, plain: Plain, compressed: u64, size: u64) -> io::Result<()> {
        let mut page = self.input.by_ref().take(compressed);
        if !plain.all {
            let levels = u64::try_from(plain.levels).map_err(|_| malformed())?;
            let levels = io::copy(&mut page.by_ref().take(levels), &mut io::sink())?;
            let most = size.checked_sub(levels).ok_or_else(malformed)?;
            // Nobody unpacks a page without values.
            let mut values = MultiGzDecoder::new(&mut page).take(most.saturating_add(1));
            if most > 0 && io::copy(&mut values, &mut io::sink())? > most {
                return Err(malformed());
            }
        }
        io::copy(&mut page, &mut io::sink()).map(drop)
    }

    /// The type of the next field, whose id goes into `id`; `None` at the end of a struct.
    fn field(&mut self, id: &mut i64) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        match byte >> 4 {
            0 => *id = self.integer()?,
            step => *id = id.saturating_add(i64::from(step)),
        }
        Ok(Some(byte & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(malformed());
        };
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.bytes(8),
            BINARY => {
                let length = self.varint()?;
                self.bytes(length)
            }
            LIST | SET => {
                let head = self.byte()?;
                let length = match head >> 4 {
                    15 => self.varint()?,
                    length => u64::from(length),
                };
                for _ in 0..length {
                    match head & 0x0f {
                        // In a list a truth value has a byte of its own.
                        TRUE | FALSE => self.byte().map(drop)?,
                        kind => self.skip(kind, depth)?,
                    }
                }
                Ok(())
            }
            STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth)?;
                }
                Ok(())
            }
            _ => Err(malformed()),
        }
    }

    fn bytes(&mut self, mut count: u64) -> io::Result<()> {
        self.read = self.read.saturating_add(count);
        while count > 0 {
            let there = self.input.fill_buf()?.len() as u64;
            if there == 0 {
                return Err(malformed());
            }
            let taken = there.min(count);
            self.input.consume(taken as usize);
            count -= taken;
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed())
    }

    /// Zigzag.
    fn integer(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "its pages are not what they should be",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow_array::builder::{Float64Builder, ListBuilder};
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::GzipLevel;
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use super::*;

    fn file(version: WriterVersion) -> File {
        let mut lists = ListBuilder::new(Float64Builder::new());
        for row in 0..3_000 {
            lists.values().append_slice(&[f64::from(row), 0.5, 1.5]);
            lists.append(true);
        }
        let texts =
            StringArray::from_iter_values((0..3_000).map(|row| format!("text {}", row % 7)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("lists", Arc::new(lists.finish())),
            ("texts", Arc::new(texts)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_data_page_size_limit(4_096)
            .set_write_batch_size(100)
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    #[test]
    fn pages_are_counted_as_the_footer_counts_them() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let file = file(version);
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap();
            let group = reader.metadata().row_group(0);
            for (column, values) in [(0, 9_000), (1, 3_000)] {
                let found = pages(&file, group.column(column)).unwrap();
                assert_eq!(found.values, values);
                assert!(found.largest > 0 && found.largest < 65_536, "{found:?}");
            }
        }
    }

    /// A page of zeros under gzip: its header says how long it is, unless somebody changes that.
    #[test]
    fn a_page_that_grows_past_its_header_is_an_error() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![0.0; 10_000]));
            let batch = RecordBatch::try_from_iter([("zeros", column)]).unwrap();
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_dictionary_enabled(false)
                .set_compression(Compression::GZIP(GzipLevel::default()))
                .build();
            let mut bytes = Vec::new();
            let mut writer =
                ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let found = |bytes: &[u8]| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                let reader =
                    ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap();
                pages(&file, reader.metadata().row_group(0).column(0))
            };
            let size = found(&bytes).unwrap().largest;
            assert!(size > 1_000, "{size}");
            // The size is field 2 of the header, after the type: 15 type 15 size.
            let mut header = vec![0x15];
            let mut zigzag = size << 1;
            while zigzag >= 0x80 {
                header.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            header.push(zigzag as u8);
            let at = bytes
                .windows(header.len())
                .position(|window| window == header);
            let last = at.unwrap() + header.len() - 1;
            bytes[last] -= 1;
            let error = found(&bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn what_is_no_page_is_an_error() {
        let file = file(WriterVersion::PARQUET_1_0);
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap();
        let chunk = reader.metadata().row_group(0).column(0).clone();
        for byte in [0x00, 0x1c, 0xff] {
            let mut other = tempfile::tempfile().unwrap();
            other.write_all(&[byte; 100_000]).unwrap();
            assert!(pages(&other, &chunk).is_err(), "{byte:#x}");
        }
        let short = tempfile::tempfile().unwrap();
        assert!(pages(&short, &chunk).is_err());
    }
}
