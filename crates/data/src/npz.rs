//! NumPy archives: images in `arr_0`, labels in `arr_1`.
//!
//! Images are streamed from the archive; labels, eight bytes each, are held.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use driftline_core::{Budget, Error, ErrorKind, ImageShape, Label, Result, SourceInfo};
use flate2::bufread::DeflateDecoder;
use npyz::{DType, NpyFile, NpyHeader, Order, TypeChar};
use zip::{CompressionMethod, ZipArchive};

use crate::DecodeOptions;
use crate::fingerprint;
use crate::rows::{RawImage, RawRow, RawRows, RowSource};

const IMAGES: &str = "arr_0.npy";
const LABELS: &str = "arr_1.npy";
/// Most bytes of one image of an array; NumPy shapes can claim anything.
const MAX_IMAGE: u64 = 192 << 20;
/// Longest header of an array, and deepest nesting in it; NumPy reads no longer ones either.
const MAX_HEADER: usize = 10_000;
const MAX_NESTING: usize = 16;

/// `arr_0`: u8 `[N, H, W, 3]`, `[N, H, W, 1]` or `[N, H, W]`; `arr_1`, if it is there: integers `[N]` or `[N, 1]`.
pub(crate) fn open(path: &Path, location: &str, options: &DecodeOptions) -> Result<RowSource> {
    let fingerprint = fingerprint::of_file(path)?;
    let (rows, images) = images(path)?;
    let info = SourceInfo {
        location: location.to_owned(),
        rows,
        fingerprint,
    };
    Ok(RowSource::new(info, options, images))
}

/// How many rows there are, and the rows from `row` on.
pub(crate) fn rows_from(path: &Path, row: u64) -> Result<(u64, impl RawRows + use<>)> {
    let (rows, mut images) = images(path)?;
    images.skip(row.min(rows))?;
    Ok((rows, images))
}

fn images(path: &Path) -> Result<(u64, Images)> {
    let file = Npz(path.to_owned());
    file.check()?;
    let (header, mut data) = file.array(IMAGES)?.ok_or_else(|| {
        file.error("there is no `arr_0` in it")
            .remedy("write it with `numpy.savez(path, images, labels)`")
    })?;
    let (rows, shape, image_bytes) = image_layout(&header).map_err(|message| {
        file.error(message).with("array", "arr_0").remedy(
            "images are uint8 of shape [N, height, width, 3] or [N, height, width], in C order",
        )
    })?;
    if data.length.checked_sub(data.at) != rows.checked_mul(image_bytes as u64) {
        return Err(file
            .error("its length does not agree with its shape")
            .with("array", "arr_0")
            .remedy("write the file again"));
    }
    data.start = data.at;
    let labels = file.labels(rows)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let images = Images {
        name: name.to_string_lossy().into_owned(),
        file,
        data,
        shape,
        image_bytes,
        labels,
        next: 0,
    };
    Ok((rows, images))
}

/// Rows, shape and bytes of one image.
fn image_layout(header: &NpyHeader) -> Result<(u64, ImageShape, usize), String> {
    let found = || {
        format!(
            "it is {} of shape {:?}",
            header.dtype().descr(),
            header.shape()
        )
    };
    let is_u8 = matches!(header.dtype(), DType::Plain(ty)
        if ty.type_char() == TypeChar::Uint && ty.size_field() == 1);
    let (n, height, width, channels) = match *header.shape() {
        [n, height, width, channels @ (1 | 3)] => (n, height, width, channels),
        [n, height, width] => (n, height, width, 1),
        _ => return Err(found()),
    };
    if !is_u8 || (header.order() != Order::C && n > 0) {
        return Err(found());
    }
    let bytes = height
        .checked_mul(width)
        .and_then(|pixels| pixels.checked_mul(channels));
    let bytes = bytes
        .filter(|bytes| (1..=MAX_IMAGE).contains(bytes))
        .ok_or_else(found)?;
    let size = |value: u64| usize::try_from(value).map_err(|e| e.to_string());
    let shape = ImageShape {
        height: size(height)?,
        width: size(width)?,
    };
    Ok((n, shape, size(bytes)?))
}

struct Images {
    name: String,
    file: Npz,
    data: Member,
    shape: ImageShape,
    image_bytes: usize,
    labels: Option<Vec<i64>>,
    next: u64,
}

impl RawRows for Images {
    fn next_row(&mut self) -> Result<Option<RawRow>> {
        let row = self.next;
        let mut pixels = vec![0; self.image_bytes];
        self.data
            .read_exact(&mut pixels)
            .map_err(|e| self.file.damaged(e).with("row", row))?;
        self.next += 1;
        let mut image = RawImage::Pixels(self.shape, pixels);
        let label = usize::try_from(row)
            .ok()
            .and_then(|row| self.labels.as_ref()?.get(row).copied());
        let label = label.and_then(|label| match u64::try_from(label) {
            Ok(index) => Some(Label::Index(index)),
            Err(_) => {
                image = RawImage::Defect(format!("label {label} is negative"));
                None
            }
        });
        Ok(Some(RawRow {
            image,
            label,
            url: format!("{}#{row}", self.name),
        }))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.next = self.next.saturating_add(rows);
        let to = self
            .next
            .saturating_mul(self.image_bytes as u64)
            .saturating_add(self.data.start);
        self.data.advance_to(to).map_err(|e| self.file.damaged(e))
    }
}

/// A path, with the errors that name it.
struct Npz(PathBuf);

impl Npz {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidData, "read .npz", message).with("file", self.0.display())
    }

    fn damaged(&self, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.error("the .npz file is damaged or ends early")
            .because(e)
            .remedy("write or download it again")
    }

    fn archive(&self) -> Result<ZipArchive<BufReader<File>>> {
        let file = File::open(&self.0).map_err(|e| Error::io("read .npz", &self.0, e))?;
        driftline_archive::open(BufReader::new(file)).map_err(|e| self.damaged(e))
    }

    /// Reads both arrays once, so that a wrong checksum is found before work starts.
    fn check(&self) -> Result<()> {
        let mut archive = self.archive()?;
        for name in [IMAGES, LABELS] {
            if archive.index_for_name(name).is_none() {
                continue;
            }
            let mut entry = archive.by_name(name).map_err(|e| self.damaged(e))?;
            io::copy(&mut entry, &mut io::sink())
                .map_err(|e| self.damaged(e).with("array", name))?;
        }
        Ok(())
    }

    /// Header of an array, and its data from there on.
    fn array(&self, name: &'static str) -> Result<Option<(NpyHeader, Member)>> {
        let mut archive = self.archive()?;
        if archive.index_for_name(name).is_none() {
            return Ok(None);
        }
        let entry = archive.by_name(name).map_err(|e| self.damaged(e))?;
        let start = entry.data_start();
        let start = start.ok_or_else(|| self.damaged("an entry has no data"))?;
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => {
                return Err(self
                    .error(format!("it is compressed with {other}"))
                    .remedy("write it with `numpy.savez` or `numpy.savez_compressed`"));
            }
        };
        let (packed, length) = (entry.compressed_size(), entry.size());
        drop(entry);
        let mut file = archive.into_inner();
        file.seek(SeekFrom::Start(start))
            .map_err(|e| self.damaged(e))?;
        let stream = if deflated {
            Stream::Deflated(DeflateDecoder::new(file.take(packed)))
        } else {
            Stream::Stored(file)
        };
        let mut member = Member {
            stream,
            length,
            at: 0,
            start: 0,
        };
        let header = header(&mut member).map_err(|e| self.damaged(e).with("array", name))?;
        Ok(Some((header, member)))
    }

    fn labels(&self, rows: u64) -> Result<Option<Vec<i64>>> {
        let Some((header, data)) = self.array(LABELS)? else {
            return Ok(None);
        };
        let length = fs::metadata(&self.0).map_err(|e| Error::io("read .npz", &self.0, e))?;
        let mut budget = Budget::for_file(length.len());
        let DType::Plain(ty) = header.dtype() else {
            return Err(self.wrong_labels(&header, rows));
        };
        if !matches!(*header.shape(), [n] | [n, 1] if n == rows) {
            return Err(self.wrong_labels(&header, rows));
        }
        // A label becomes eight bytes, twice while the list of them grows.
        budget
            .take(rows.saturating_mul(2 * size_of::<i64>() as u64))
            .map_err(|e| self.error(e.to_string()).with("array", "arr_1"))?;
        let wrong = self.wrong_labels(&header, rows);
        let npy = NpyFile::with_header(header, data);
        let labels = match (ty.type_char(), ty.size_field()) {
            (TypeChar::Int, 1) => integers::<i8>(npy),
            (TypeChar::Int, 2) => integers::<i16>(npy),
            (TypeChar::Int, 4) => integers::<i32>(npy),
            (TypeChar::Int, 8) => integers::<i64>(npy),
            (TypeChar::Uint, 1) => integers::<u8>(npy),
            (TypeChar::Uint, 2) => integers::<u16>(npy),
            (TypeChar::Uint, 4) => integers::<u32>(npy),
            (TypeChar::Uint, 8) => integers::<u64>(npy),
            _ => return Err(wrong),
        };
        labels
            .map(Some)
            .map_err(|e| self.damaged(e).with("array", "arr_1"))
    }

    fn wrong_labels(&self, header: &NpyHeader, rows: u64) -> Error {
        let (dtype, shape) = (header.dtype().descr(), header.shape());
        self.error(format!("it is {dtype} of shape {shape:?}"))
            .with("array", "arr_1")
            .remedy(format!(
                "labels are integers of shape [{rows}], one for each image"
            ))
    }
}

/// The header of an array, looked at before it is parsed: it may claim any length, nesting and shape.
fn header(member: &mut Member) -> io::Result<NpyHeader> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut bytes = vec![0; 8];
    member.read_exact(&mut bytes)?;
    // The length has two bytes in version 1, four later.
    let width = if bytes.get(6) == Some(&1) { 2 } else { 4 };
    let mut length = [0; 4];
    for byte in length.iter_mut().take(width) {
        member.read_exact(std::slice::from_mut(byte))?;
        bytes.push(*byte);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_HEADER {
        return Err(invalid(&format!(
            "the header of an array is longer than the limit of {MAX_HEADER} bytes"
        )));
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    let text = bytes.get_mut(start..).unwrap_or_default();
    member.read_exact(text)?;
    let mut depth = 0_usize;
    for byte in text.iter() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(invalid("the header of an array is nested too deeply"));
        }
    }
    let numbers = text.split(|byte| !byte.is_ascii_digit());
    let product = numbers
        .filter(|digits| !digits.is_empty())
        .try_fold(1_u64, |product, digits| {
            let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            product.checked_mul(number.max(1))
        });
    if product.is_none() {
        return Err(invalid(
            "an array cannot have as many values as its header says",
        ));
    }
    NpyHeader::from_reader(bytes.as_slice())
}

fn integers<T: npyz::Deserialize + TryInto<i64>>(npy: NpyFile<Member>) -> io::Result<Vec<i64>> {
    let mut labels = Vec::new();
    for label in npy.data::<T>().map_err(io::Error::other)? {
        // Past 2^63 it is no class of anything; -1 reports it where it stands.
        labels.push(label?.try_into().unwrap_or(-1));
    }
    Ok(labels)
}

enum Stream {
    Stored(BufReader<File>),
    Deflated(DeflateDecoder<io::Take<BufReader<File>>>),
}

/// The unpacked bytes of one entry of the archive.
struct Member {
    stream: Stream,
    /// Unpacked length.
    length: u64,
    at: u64,
    /// Where the data of the array starts.
    start: u64,
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..room) else {
            return Ok(0);
        };
        let read = match &mut self.stream {
            Stream::Stored(file) => file.read(buffer),
            Stream::Deflated(decoder) => decoder.read(buffer),
        }?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Member {
    fn advance_to(&mut self, to: u64) -> io::Result<()> {
        let distance = to.min(self.length) - self.at;
        match &mut self.stream {
            Stream::Stored(file) => {
                file.seek_relative(i64::try_from(distance).map_err(io::Error::other)?)?;
                self.at += distance;
            }
            Stream::Deflated(_) => {
                io::copy(&mut self.by_ref().take(distance), &mut io::sink())?;
            }
        }
        Ok(())
    }
}
