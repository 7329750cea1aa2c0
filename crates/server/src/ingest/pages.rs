//! The pages of a Parquet file, looked at before anything is decoded: what a page says it grows to is memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use parquet::file::metadata::ColumnChunkMetaData;

const DEEPEST: u32 = 16;

/// What the pages of a column chunk say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pages {
    /// Bytes of the largest page once it is decompressed.
    pub(crate) largest: u64,
    /// Values, nulls included, of all data pages.
    pub(crate) values: u64,
}

/// Reads the headers of all pages of a chunk.
///
/// # Errors
/// `InvalidData` if they are not headers, or do not fill the chunk.
pub(crate) fn pages(file: &File, chunk: &ColumnChunkMetaData) -> io::Result<Pages> {
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
        let (Ok(size), Ok(compressed)) = (u64::try_from(page.size), i64::try_from(page.compressed))
        else {
            return Err(malformed());
        };
        if compressed < 0 || header.read + compressed.cast_unsigned() > length {
            return Err(malformed());
        }
        found.largest = found.largest.max(size);
        found.values += u64::try_from(page.values).map_err(|_| malformed())?;
        header.input.seek_relative(compressed)?;
        header.read += compressed.cast_unsigned();
    }
    Ok(found)
}

#[derive(Default)]
struct Page {
    size: i64,
    compressed: i64,
    values: i64,
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
                (2, I32) => page.size = self.integer()?,
                (3, I32) => page.compressed = self.integer()?,
                // The headers of data pages, version 1 and 2; their first field is the number of values.
                (5 | 8, STRUCT) => {
                    let mut inner = 0;
                    while let Some(kind) = self.field(&mut inner)? {
                        match (inner, kind) {
                            (1, I32) => page.values = self.integer()?,
                            (_, kind) => self.skip(kind, DEEPEST)?,
                        }
                    }
                }
                (_, kind) => self.skip(kind, DEEPEST)?,
            }
        }
        Ok(page)
    }

    /// The type of the next field, whose id goes into `id`; `None` at the end of a struct.
    fn field(&mut self, id: &mut i64) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        match byte >> 4 {
            0 => *id = self.integer()?,
            step => *id += i64::from(step),
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
        self.read += count;
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
