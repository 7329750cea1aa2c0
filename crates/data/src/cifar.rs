//! CIFAR-10 as its authors publish it: binary or python batches, as a folder or a `.tar.gz`.
//!
//! Layout of both forms: <https://www.cs.toronto.edu/~kriz/cifar.html>. A binary row is one byte of label and 3072
//! bytes of pixels; a python batch is a pickled dict of `data` (u8 `[n, 3072]`) and `labels`. Pixels are planar:
//! 1024 red, 1024 green, 1024 blue, each 32x32 row-major.
//!
//! One batch is held in memory at a time (30 MB), within the [`Budget`] of its file. Rows come batch by batch in the order of their numbers, also from
//! an archive, which holds the batches in another order and is walked once for each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use driftline_core::image::CHANNELS;
use driftline_core::{Budget, Error, ErrorKind, ImageShape, Label, Result, SourceInfo};
use driftline_pickle::{Pickle, Value};
use flate2::bufread::GzDecoder;

use crate::fingerprint::{self, Fingerprint};
use crate::rows::{RawImage, RawRow, RawRows, RowSource};
use crate::{DecodeOptions, Split};

const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};
const PLANE: usize = 32 * 32;
const IMAGE: usize = CHANNELS * PLANE;
const BINARY_ROW: usize = 1 + IMAGE;
/// What a label takes in memory, while the list of them grows.
const LABEL: usize = 2 * size_of::<i64>();
/// Longest file with the names of the classes; the official ones have less than 200 bytes.
const MAX_NAMES: usize = 64 << 10;
/// Longest path of a member of an archive that is read.
const MAX_PATH: u64 = 64 << 10;
/// Most bytes that an archive may unpack to; the official one holds 184 MB.
const MAX_UNPACKED: u64 = 1 << 30;

const DAMAGED: &str = "download CIFAR-10 again";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Python,
}

impl Form {
    fn batches(self, split: Split) -> &'static [&'static str] {
        match (self, split) {
            (Self::Binary, Split::Train) => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            (Self::Binary, Split::Test) => &["test_batch.bin"],
            (Self::Python, Split::Train) => &[
                "data_batch_1",
                "data_batch_2",
                "data_batch_3",
                "data_batch_4",
                "data_batch_5",
            ],
            (Self::Python, Split::Test) => &["test_batch"],
        }
    }

    /// The file with the names of the classes.
    fn names(self) -> &'static str {
        match self {
            Self::Binary => "batches.meta.txt",
            Self::Python => "batches.meta",
        }
    }
}

/// Whether `folder` holds batches of CIFAR-10 in either form.
pub(crate) fn is_cifar_folder(folder: &Path) -> bool {
    let forms = [Form::Binary, Form::Python];
    let splits = [Split::Train, Split::Test];
    let mut names = forms
        .iter()
        .flat_map(|form| splits.iter().flat_map(|&split| form.batches(split)));
    names.any(|name| folder.join(name).is_file())
}

/// CIFAR-10 in `path`, a folder of batches or a `.tar.gz` of one, in binary or python form.
///
/// # Errors
/// `NotFound` when there is nothing at `path`; `InvalidData`, naming the file, when a batch of the split is missing
/// or damaged.
pub fn open_cifar10(
    path: &Path,
    split: Split,
    options: &DecodeOptions,
) -> Result<Box<dyn driftline_core::ImageSource>> {
    let location = path.display().to_string();
    Ok(Box::new(open(path, &location, split, options)?))
}

pub(crate) fn open(
    path: &Path,
    location: &str,
    split: Split,
    options: &DecodeOptions,
) -> Result<RowSource> {
    let place = if path.is_dir() {
        Place::Folder(path.to_owned())
    } else {
        Place::Archive(path.to_owned())
    };
    let forms = [Form::Binary, Form::Python];
    let mut wanted = Vec::new();
    for form in forms {
        wanted.push(form.names());
        wanted.extend(form.batches(split));
    }
    // Name -> rows and sha256 of each batch; names of the classes by form.
    let mut found = BTreeMap::new();
    let mut names = BTreeMap::new();
    place.visit(&wanted, &mut |name, bytes, budget| {
        let digest = fingerprint::of_bytes(&bytes);
        if let Some(form) = forms.into_iter().find(|form| form.names() == name) {
            let found = class_names(form, &bytes, budget).map_err(|e| place.locate(e, name))?;
            names
                .entry(name.to_owned())
                .or_insert((form, found, digest));
        } else {
            let form = form_of(name);
            let batch = Batch::parse(form, &bytes, budget).map_err(|e| place.locate(e, name))?;
            found.insert(name.to_owned(), (batch.labels.len(), digest));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let form = match found.keys().next() {
        Some(name) => form_of(name),
        None => {
            return Err(place
                .error(format!("there are no CIFAR-10 {split} batches in it"))
                .remedy(DAMAGED));
        }
    };
    let mut hash = Fingerprint::default();
    let mut batches = Vec::new();
    for &name in form.batches(split) {
        let (rows, digest) = found.get(name).ok_or_else(|| {
            place
                .error("a batch of CIFAR-10 is missing".to_owned())
                .with("batch", name)
                .remedy(DAMAGED)
        })?;
        hash.part(name);
        hash.part(digest);
        batches.push((name, *rows));
    }
    let class_names = names.into_values().find(|(of, ..)| *of == form);
    if let Some((_, _, digest)) = &class_names {
        hash.part(digest);
    }
    let info = SourceInfo {
        location: location.to_owned(),
        rows: batches.iter().map(|&(_, rows)| rows as u64).sum(),
        fingerprint: hash.finish(),
    };
    let cifar = Cifar {
        place,
        form,
        names: class_names.map(|(_, names, _)| names),
        batches,
        at: 0,
        row: 0,
        batch: None,
    };
    Ok(RowSource::new(info, options, cifar))
}

fn form_of(batch: &str) -> Form {
    if batch.ends_with(".bin") {
        Form::Binary
    } else {
        Form::Python
    }
}

struct Cifar {
    place: Place,
    form: Form,
    names: Option<Vec<String>>,
    /// Name and rows of each batch.
    batches: Vec<(&'static str, usize)>,
    /// The batch and the row in it that come next.
    at: usize,
    row: usize,
    /// Batch `at`, once it is needed.
    batch: Option<Batch>,
}

impl RawRows for Cifar {
    fn next_row(&mut self) -> Result<Option<RawRow>> {
        let (name, batch) = loop {
            let Some(&(name, rows)) = self.batches.get(self.at) else {
                return Ok(None);
            };
            if self.row >= rows {
                self.at += 1;
                self.row = 0;
                self.batch = None;
                continue;
            }
            if self.batch.is_none() {
                self.batch = Some(self.load(name, rows)?);
            }
            if let Some(batch) = &self.batch {
                break (name, batch);
            }
        };
        let row = self.row;
        self.row += 1;
        let label = batch.labels.get(row).copied().unwrap_or(-1);
        let (image, label) = match self.label(label) {
            Ok(label) => (RawImage::Pixels(SHAPE, batch.interleaved(row)), Some(label)),
            Err(reason) => (RawImage::Defect(reason), None),
        };
        Ok(Some(RawRow {
            image,
            label,
            url: format!("{name}#{row}"),
        }))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        let mut rows = usize::try_from(rows).unwrap_or(usize::MAX);
        while let Some(&(_, length)) = self.batches.get(self.at) {
            let left = length - self.row;
            if rows < left {
                self.row += rows;
                break;
            }
            rows -= left;
            self.at += 1;
            self.row = 0;
            self.batch = None;
        }
        Ok(())
    }
}

impl Cifar {
    fn load(&self, wanted: &str, rows: usize) -> Result<Batch> {
        let mut batch = None;
        self.place.visit(&[wanted], &mut |name, bytes, budget| {
            let parsed =
                Batch::parse(self.form, &bytes, budget).map_err(|e| self.place.locate(e, name))?;
            batch = Some(parsed);
            Ok(ControlFlow::Break(()))
        })?;
        batch
            .filter(|batch| batch.labels.len() == rows)
            .ok_or_else(|| {
                self.place
                    .error("a batch changed while it was read".to_owned())
                    .with("batch", wanted)
                    .remedy("run the same command again")
            })
    }

    fn label(&self, label: i64) -> Result<Label, String> {
        let index = u64::try_from(label).map_err(|_| format!("label {label} is negative"))?;
        let Some(names) = &self.names else {
            return Ok(Label::Index(index));
        };
        usize::try_from(index)
            .ok()
            .and_then(|index| names.get(index))
            .map(|name| Label::Name(name.clone()))
            .ok_or_else(|| format!("label {label} is past the {} classes", names.len()))
    }
}

/// Where the batches lie.
enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

/// What is done with a file: its name, its content, and what is left of its budget.
type Visit<'v> = dyn FnMut(&str, Vec<u8>, &mut Budget) -> Result<ControlFlow<()>> + 'v;

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive(path) => path,
        }
    }

    fn error(&self, message: String) -> Error {
        Error::new(ErrorKind::InvalidData, "read CIFAR-10", message)
            .with("file", self.path().display())
    }

    /// Says in which file a defect was found.
    fn locate(&self, error: Error, name: &str) -> Error {
        error
            .with("file", self.path().display())
            .with("batch", name)
            .remedy(DAMAGED)
    }

    /// Shows the content of each wanted file that is there, until told to stop.
    fn visit(&self, wanted: &[&str], visit: &mut Visit<'_>) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                for &name in wanted {
                    let path = folder.join(name);
                    let io = |e| Error::io("read CIFAR-10", &path, e);
                    if !path.is_file() {
                        continue;
                    }
                    let file = File::open(&path).map_err(io)?;
                    let mut budget = Budget::for_file(file.metadata().map_err(io)?.len());
                    let bytes = budget.read_to_end(file).map_err(io)?;
                    if visit(name, bytes, &mut budget)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Archive(path) => {
                let damaged = |e: io::Error| {
                    self.error("the archive is damaged or ends early".to_owned())
                        .because(e)
                        .remedy(DAMAGED)
                };
                let file = File::open(path).map_err(|e| Error::io("read CIFAR-10", path, e))?;
                let length = file.metadata().map_err(damaged)?.len();
                let unpacked = Unpacked {
                    inner: GzDecoder::new(BufReader::new(file)),
                    left: MAX_UNPACKED,
                };
                let mut archive = tar::Archive::new(unpacked);
                let mut long_name = None;
                // Raw, because tar would read a long name of any length into memory.
                for entry in archive.entries().map_err(damaged)?.raw(true) {
                    let mut entry = entry.map_err(damaged)?;
                    let kind = entry.header().entry_type();
                    if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
                        long_name = long_path(&mut entry).map_err(damaged)?.or(long_name);
                        continue;
                    }
                    if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
                        continue;
                    }
                    let path = match long_name.take() {
                        Some(path) => path,
                        None => entry.path_bytes().into_owned(),
                    };
                    let name = path.rsplit(|&byte| byte == b'/').next();
                    let name = wanted.iter().find(|wanted| name == Some(wanted.as_bytes()));
                    let Some(name) = name.filter(|_| kind.is_file()) else {
                        continue;
                    };
                    let mut budget = Budget::for_file(length);
                    let bytes = budget.read_to_end(entry).map_err(damaged)?;
                    if visit(name, bytes, &mut budget)?.is_break() {
                        return Ok(());
                    }
                }
                // What follows the last member is part of the file too: its checksum.
                io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
                Ok(())
            }
        }
    }
}

/// The path that a GNU long name or a PAX header gives the next member.
fn long_path(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Option<Vec<u8>>> {
    let kind = entry.header().entry_type();
    if entry.size() > MAX_PATH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the path of a member is longer than {MAX_PATH} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if kind.is_gnu_longname() {
        bytes.truncate(
            bytes
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(bytes.len()),
        );
        return Ok(Some(bytes));
    }
    let mut path = None;
    for extension in tar::PaxExtensions::new(&bytes) {
        let extension = extension?;
        if extension.key_bytes() == b"path" {
            path = Some(extension.value_bytes().to_owned());
        }
    }
    Ok(path)
}

/// What an archive unpacks to, up to a limit: a few megabytes of zeros are a few gigabytes to walk through.
struct Unpacked<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it unpacks to more than the limit of {MAX_UNPACKED} bytes"),
            )
        })?;
        Ok(read)
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, "read CIFAR-10", message)
}

/// One batch: planar u8 `[n, 3, 32, 32]` and `n` labels.
struct Batch {
    pixels: Vec<u8>,
    labels: Vec<i64>,
}

impl Batch {
    fn parse(form: Form, bytes: &[u8], budget: &mut Budget) -> Result<Self> {
        match form {
            Form::Binary => Self::parse_binary(bytes, budget),
            Form::Python => Self::parse_python(bytes, budget),
        }
    }

    fn parse_binary(bytes: &[u8], budget: &mut Budget) -> Result<Self> {
        let (rows, rest) = bytes.as_chunks::<BINARY_ROW>();
        if !rest.is_empty() {
            return Err(refused(format!(
                "{} bytes are not a whole number of rows of {BINARY_ROW} bytes",
                bytes.len()
            )));
        }
        budget.take((rows.len() * (IMAGE + LABEL)) as u64)?;
        let mut batch = Self {
            pixels: Vec::with_capacity(rows.len() * IMAGE),
            labels: Vec::with_capacity(rows.len()),
        };
        for [label, pixels @ ..] in rows {
            batch.labels.push((*label).into());
            batch.pixels.extend_from_slice(pixels);
        }
        Ok(batch)
    }

    fn parse_python(bytes: &[u8], budget: &mut Budget) -> Result<Self> {
        let pickle = parse_pickle(bytes, budget)?;
        let key = |name: &'static str| {
            let found = pickle.root().get(name);
            found.ok_or_else(|| refused(format!("the pickle has no `{name}`")))
        };
        let wrong = || refused("`labels` is not a list of integers");
        let labels = key("labels")?.items().ok_or_else(wrong)?;
        budget.take((labels.len().saturating_mul(IMAGE + LABEL)) as u64)?;
        let labels: Option<Vec<i64>> = labels.map(|label| label.as_i64()).collect();
        let labels = labels.ok_or_else(wrong)?;
        let pixels = byte_array(key("data")?, labels.len())?;
        Ok(Self { pixels, labels })
    }

    /// Pixels of a row as u8 `[32, 32, 3]`.
    fn interleaved(&self, row: usize) -> Vec<u8> {
        let planes = self.pixels.get(row * IMAGE..(row + 1) * IMAGE);
        let (red, rest) = planes.unwrap_or(&[0; IMAGE]).split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        let pixels = red.iter().zip(green).zip(blue);
        pixels.flat_map(|((&r, &g), &b)| [r, g, b]).collect()
    }
}

fn parse_pickle<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Pickle<'a>> {
    let allowed = |module: &str, name: &str| {
        matches!(
            (module, name),
            ("_codecs", "encode")
                | (
                    "numpy.core.multiarray" | "numpy._core.multiarray",
                    "_reconstruct"
                )
                | ("numpy", "ndarray" | "dtype")
                | ("__builtin__" | "builtins", "bytes")
        )
    };
    driftline_pickle::parse(bytes, &allowed, budget)
}

/// A pickled NumPy array, u8 `[rows, 3072]`: the fifth part of its state, after version, shape, dtype and order.
fn byte_array(array: Value<'_, '_>, rows: usize) -> Result<Vec<u8>> {
    let wrong = || {
        refused(format!(
            "`data` is not an array of {rows} x {IMAGE} bytes, one row for each label"
        ))
    };
    let call = array.call().filter(|call| call.name == "_reconstruct");
    let state = call.and_then(|call| call.state).ok_or_else(wrong)?;
    let state: Vec<_> = state.items().ok_or_else(wrong)?.collect();
    let [_, shape, dtype, fortran, data] = state.as_slice() else {
        return Err(wrong());
    };
    let shape: Option<Vec<_>> = shape
        .items()
        .and_then(|sizes| sizes.map(|size| size.as_usize()).collect());
    let dtype = dtype.call().filter(|call| call.name == "dtype");
    let dtype = dtype.and_then(|call| call.args.first()?.as_str());
    let data = data.as_bytes().ok_or_else(wrong)?;
    if shape != Some(vec![rows, IMAGE]) || dtype != Some("u1") || data.len() != rows * IMAGE {
        return Err(wrong());
    }
    if fortran.as_bool() == Some(true) {
        let columns: Vec<&[u8]> = data.chunks_exact(rows.max(1)).collect();
        let row = |row: usize| columns.iter().filter_map(move |column| column.get(row));
        return Ok((0..rows).flat_map(row).copied().collect());
    }
    Ok(data.into_owned())
}

fn class_names(form: Form, bytes: &[u8], budget: &mut Budget) -> Result<Vec<String>> {
    if bytes.len() > MAX_NAMES {
        return Err(refused(format!(
            "its class names are longer than the limit of {MAX_NAMES} bytes"
        )));
    }
    let wrong = || refused("it holds no list of class names");
    match form {
        Form::Binary => {
            let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
            let lines = text.lines().map(str::trim);
            Ok(lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect())
        }
        Form::Python => {
            let pickle = parse_pickle(bytes, budget)?;
            let names = pickle.root().get("label_names");
            let mut found = Vec::new();
            for name in names.and_then(|names| names.items()).ok_or_else(wrong)? {
                let name = name.as_str().ok_or_else(wrong)?;
                // The memo may repeat a long one.
                budget.take((size_of::<String>() + name.len()) as u64)?;
                found.push(name.to_owned());
            }
            Ok(found)
        }
    }
}
