//! Zip archives, opened after a look at how many members they claim.
//!
//! An archive says at its end how many members it lists, in 64 bits if it wants to, and a reader makes room for all of them
//! before it looks at the first. A file of 16 MiB that claims one for every byte costs gigabytes of addresses.

use std::io::{self, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::{ZipError, ZipResult};

/// The record at the end, the one that says where the record of 64 bits is, and that one.
const END: &[u8] = b"PK\x05\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR_LENGTH: usize = 20;
/// Bytes of the record of 64 bits up to the number of members, and with it.
const NUMBER: std::ops::Range<usize> = 32..40;
/// Fewest bytes of a member in the list.
const MEMBER: u64 = 46;
/// The record at the end, the longest comment after it, the locator before it.
const TAIL: u64 = 22 + 65_536 + 20;
const CHUNK: usize = 1 << 16;

/// Opens an archive.
///
/// # Errors
/// The errors of [`ZipArchive::new`]; `InvalidArchive` if the archive claims more members than fit into it.
pub fn open<R: Read + Seek>(mut reader: R) -> ZipResult<ZipArchive<R>> {
    let length = reader.seek(SeekFrom::End(0))?;
    if most_claimed(&mut reader, length)? > length / MEMBER {
        return Err(ZipError::InvalidArchive(
            "it claims more members than fit into it".into(),
        ));
    }
    ZipArchive::new(reader)
}

/// The most members that any record of 64 bits claims, of those that a reader may take for the right one.
fn most_claimed(reader: &mut (impl Read + Seek), length: u64) -> io::Result<u64> {
    let start = length.saturating_sub(TAIL);
    let tail = read_at(reader, start, TAIL)?;
    // A reader looks from where a locator points to the locator; many of them must not be looked at one by one.
    let mut first = u64::MAX;
    let mut last = 0;
    for end in positions(&tail, END) {
        let Some(at) = end.checked_sub(LOCATOR_LENGTH) else {
            continue;
        };
        let locator = tail.get(at..end).unwrap_or_default();
        if let (true, Some(offset)) = (locator.starts_with(LOCATOR), number(locator, 8..16)) {
            first = first.min(offset);
            last = last.max(start + at as u64);
        }
    }
    let mut most = 0;
    while first < last {
        // Records at the end of a chunk go on in the next.
        let chunk = read_at(reader, first, (CHUNK + NUMBER.end) as u64)?;
        for at in positions(&chunk, END64) {
            let record = chunk.get(at..).unwrap_or_default();
            most = most.max(number(record, NUMBER).unwrap_or(0));
        }
        first = first.saturating_add(CHUNK as u64);
    }
    Ok(most)
}

fn read_at(reader: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn positions<'a>(bytes: &'a [u8], magic: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = bytes.windows(magic.len()).enumerate();
    windows.filter_map(move |(at, window)| (window == magic).then_some(at))
}

fn number(bytes: &[u8], place: std::ops::Range<usize>) -> Option<u64> {
    let bytes = bytes.get(place)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// The end of an archive of 64 bits that claims `number` members, the record `before` bytes ahead of its locator.
    fn claiming(number: u64, before: usize) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        bytes.extend(END64);
        bytes.extend([0; 20]);
        bytes.extend(number.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(vec![0; before]);
        bytes.extend(LOCATOR);
        bytes.extend([0; 4]);
        bytes.extend(150_u64.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(END);
        bytes.extend([0xff; 16]);
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn a_claim_of_more_than_fits_is_refused() {
        for before in [0, 16, 100_000] {
            for number in [1_000_000, u64::MAX] {
                let error = open(Cursor::new(claiming(number, before))).unwrap_err();
                assert!(error.to_string().contains("claims more members"), "{error}");
            }
            // This one is no archive either, which is not ours to say.
            let error = open(Cursor::new(claiming(2, before))).unwrap_err();
            assert!(!error.to_string().contains("claims"), "{error}");
        }
    }

    #[test]
    fn archives_of_both_forms_open() {
        for large in [false, true] {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            let options = SimpleFileOptions::default().large_file(large);
            zip.start_file("a", options).unwrap();
            zip.write_all(b"content").unwrap();
            let bytes = zip.finish().unwrap();
            assert_eq!(open(bytes).unwrap().len(), 1);
        }
        assert!(open(Cursor::new(b"")).is_err());
    }
}
