//! Parquet in the Hugging Face image layout, one file or a folder of shards.
//!
//! | column | type |
//! | --- | --- |
//! | `img` or `image` | struct of `bytes` (binary) and `path` (string), or binary |
//! | `label` or `labels`, may be missing | integer or string |
//!
//! Integers become names when the file's metadata key `huggingface` lists them.
//!
//! A file says how long its footer is and what its pages grow to. Both are looked at first, and so many rows are read at
//! a time as fit with the largest page.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use driftline_core::{Budget, Error, ErrorKind, Label, Result, SourceInfo};
use driftline_rows::pages::pages;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::DecodeOptions;
use crate::fingerprint::{self, Fingerprint};
use crate::rows::{MAX_NAME, RawImage, RawRow, RawRows, RowSource};

const IMAGE_COLUMNS: [&str; 2] = ["img", "image"];
const LABEL_COLUMNS: [&str; 2] = ["label", "labels"];
/// Most rows that are unpacked at a time; few, because images may be large.
const ROWS_AT_ONCE: u64 = 32;
/// Bytes of as many values as there are in a batch, if each were as long as the largest page.
const BATCH: u64 = 32 << 20;
/// Shortest footer that is refused, and the part of a longer file that its footer may take.
const MAX_FOOTER: u64 = 1 << 20;
const FOOTER_SHARE: u64 = 8;
/// Bytes of the largest page of every column that is read, together, in a short file; those of a longer one may have twice
/// its length more.
const MAX_PAGES: u64 = 96 << 20;

/// The files, sorted, as one source.
pub(crate) fn open(
    files: &[PathBuf],
    location: &str,
    options: &DecodeOptions,
) -> Result<RowSource> {
    let shards: Vec<Shard> = files
        .iter()
        .map(|path| Shard::open(path))
        .collect::<Result<_>>()?;
    let fingerprint = if let [only] = files {
        fingerprint::of_file(only)?
    } else {
        let mut all = Fingerprint::default();
        for shard in &shards {
            all.part(&shard.name);
            all.part(fingerprint::of_file(&shard.path)?);
        }
        all.finish()
    };
    let info = SourceInfo {
        location: location.to_owned(),
        rows: shards
            .iter()
            .fold(0, |sum, shard| sum.saturating_add(shard.rows)),
        fingerprint,
    };
    Ok(RowSource::new(info, options, Shards::new(shards)))
}

/// The url that a file says itself of each row, without reading an image; `None` where it says none.
pub(crate) fn urls(file: &Path) -> Result<Vec<Option<String>>> {
    let shard = Shard::open(file)?;
    let builder = builder(file)?;
    let image = builder.schema().field(shard.image);
    let stored = match image.data_type() {
        DataType::Struct(parts) if parts.iter().any(|part| part.name() == "path") => {
            format!("{}.path", image.name())
        }
        _ => return Ok(Vec::new()),
    };
    let mask = ProjectionMask::columns(builder.parquet_schema(), [stored.as_str()]);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(shard.rows_at_once);
    let length = std::fs::metadata(file).map_err(|e| Error::io("read Parquet", file, e))?;
    let mut budget = Budget::for_file(length.len());
    contained(|| -> Result<_, Cause> {
        let mut urls = Vec::new();
        for batch in reader.build()? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let path = batch
                    .columns()
                    .first()
                    .and_then(|image| path_at(image, row));
                let length = path.as_ref().map_or(0, String::len);
                budget.take((URL_COST + length) as u64)?;
                urls.push(path);
            }
        }
        Ok(urls)
    })
    .map_err(|e| damaged(file, e))
}

/// What a url takes in a list and in a table, beside its text.
const URL_COST: usize = 160;

/// The rows of one file from `row` on.
pub(crate) fn rows_from(file: &Path, row: u64) -> Result<impl RawRows + use<>> {
    let mut shards = Shards::new(vec![Shard::open(file)?]);
    shards.enter(0, row);
    Ok(shards)
}

/// One file and what its columns mean.
struct Shard {
    path: PathBuf,
    name: String,
    rows: u64,
    image: usize,
    label: Option<usize>,
    /// Rows that are unpacked at a time.
    rows_at_once: usize,
    /// Names of the classes, where the metadata lists them.
    classes: Option<Vec<String>>,
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        let builder = builder(path)?;
        let schema = builder.schema();
        let wrong = |what: String| {
            let columns: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| format!("{}: {}", field.name(), field.data_type()))
                .collect();
            Error::new(ErrorKind::InvalidData, "read Parquet", what)
                .with("file", path.display())
                .with("columns", columns.join("; "))
                .remedy(
                    "images are in `img` or `image` as struct<bytes: binary, path: string> or binary, \
                     labels in `label` or `labels` as integers or strings",
                )
        };
        let find = |names: [&str; 2]| names.iter().find_map(|name| schema.column_with_name(name));
        let (image, field) =
            find(IMAGE_COLUMNS).ok_or_else(|| wrong("there is no image column".to_owned()))?;
        if !holds_images(field) {
            return Err(wrong(format!("`{}` does not hold images", field.name())));
        }
        let label = find(LABEL_COLUMNS);
        if let Some((_, field)) = label
            && !holds_labels(field.data_type())
        {
            return Err(wrong(format!("`{}` does not hold labels", field.name())));
        }
        let mask = mask(&builder, image, label.map(|(index, _)| index));
        let largest = largest_pages(path, &builder, &mask)?;
        let metadata = builder.metadata().file_metadata();
        let rows = u64::try_from(metadata.num_rows())
            .map_err(|_| damaged(path, "the number of rows is negative"))?;
        let classes = label.and_then(|(_, field)| class_names(schema, field.name()));
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            rows,
            image,
            label: label.map(|(index, _)| index),
            rows_at_once: (BATCH / largest.max(1)).clamp(1, ROWS_AT_ONCE) as usize,
            classes,
            path: path.to_owned(),
        })
    }

    /// The url of a row without a path.
    fn url(&self, row: u64) -> String {
        format!("{}#{row}", self.name)
    }

    /// The rows from `first` on; row groups before it are not touched.
    fn read_from(&self, first: u64) -> Result<ParquetRecordBatchReader> {
        let builder = builder(&self.path)?;
        let groups = builder.metadata().row_groups();
        let mut offset = first;
        let mut start = 0;
        for group in groups {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if offset < rows {
                break;
            }
            offset -= rows;
            start += 1;
        }
        let groups = (start..groups.len()).collect();
        let mask = mask(&builder, self.image, self.label);
        let offset = usize::try_from(offset).map_err(|e| damaged(&self.path, e))?;
        let builder = builder
            .with_projection(mask)
            .with_row_groups(groups)
            .with_offset(offset)
            .with_batch_size(self.rows_at_once);
        contained(|| builder.build()).map_err(|e| damaged(&self.path, e))
    }

    /// The rows of `batch`, the first of which is row `first` of the file.
    fn unpack(&self, batch: &RecordBatch, first: u64) -> Result<Vec<RawRow>, Cause> {
        let column = |names: [&str; 2]| names.iter().find_map(|name| batch.column_by_name(name));
        let images = column(IMAGE_COLUMNS).ok_or("the image column is gone")?;
        let labels = match column(LABEL_COLUMNS).filter(|_| self.label.is_some()) {
            Some(labels) => self.labels(labels),
            None => vec![Ok(None); batch.num_rows()],
        };
        let rows = (first..).zip(labels).enumerate();
        Ok(rows
            .map(|(i, (row, label))| {
                let (image, path) = image_at(images, i);
                let (image, label) = match label {
                    Ok(label) => (image, label),
                    Err(reason) => (RawImage::Defect(reason), None),
                };
                let url = path.unwrap_or_else(|| self.url(row));
                RawRow { image, label, url }
            })
            .collect())
    }

    /// A label for each row, `None` where it is null or -1, or what is wrong with it.
    fn labels(&self, column: &dyn Array) -> Vec<Result<Option<Label>, String>> {
        macro_rules! integers {
            ($ty:ty) => {
                column
                    .as_primitive::<$ty>()
                    .iter()
                    .map(|value| self.class(value.map(i128::from)))
                    .collect()
            };
        }
        match column.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Dictionary(..) => {
                let dictionary = column.as_any_dictionary();
                let values = dictionary.values();
                let keys = if values.is_empty() {
                    vec![0; column.len()]
                } else {
                    dictionary.normalized_keys()
                };
                let label = |(row, &key): (usize, &usize)| match column.is_null(row) {
                    true => Ok(None),
                    false => name_at(values, key),
                };
                keys.iter().enumerate().map(label).collect()
            }
            _ => (0..column.len()).map(|row| name_at(column, row)).collect(),
        }
    }

    fn class(&self, value: Option<i128>) -> Result<Option<Label>, String> {
        // -1 is how the layout writes "not known".
        let Some(value) = value.filter(|&value| value != -1) else {
            return Ok(None);
        };
        let index = u64::try_from(value).map_err(|_| format!("label {value} is negative"))?;
        let Some(classes) = &self.classes else {
            return Ok(Some(Label::Index(index)));
        };
        let name = usize::try_from(index)
            .ok()
            .and_then(|index| classes.get(index));
        name.map(|name| Some(Label::Name(name.clone())))
            .ok_or_else(|| format!("label {value} is past the {} classes", classes.len()))
    }
}

struct Shards {
    shards: Vec<Shard>,
    /// The shard and the row in it that come next.
    at: usize,
    row: u64,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows of the shard that are unpacked already.
    unpacked: std::vec::IntoIter<RawRow>,
}

impl RawRows for Shards {
    fn next_row(&mut self) -> Result<Option<RawRow>> {
        loop {
            let Some(shard) = self.shards.get(self.at) else {
                return Ok(None);
            };
            if self.row >= shard.rows {
                self.enter(self.at + 1, 0);
                continue;
            }
            if let Some(row) = self.unpacked.next() {
                self.row += 1;
                return Ok(Some(row));
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(shard.read_from(self.row)?),
            };
            let unpacked = contained(|| match reader.next() {
                Some(batch) => shard.unpack(&batch?, self.row),
                None => Err(Cause::from("rows are missing")),
            });
            // A reader that has failed is in no state to go on.
            self.unpacked = unpacked
                .inspect_err(|_| self.reader = None)
                .map_err(|e| damaged(&shard.path, e).with("row", self.row))?
                .into_iter();
        }
    }

    fn skip(&mut self, mut rows: u64) -> Result<()> {
        while let Some(shard) = self.shards.get(self.at) {
            let left = shard.rows - self.row;
            if rows < left {
                self.enter(self.at, self.row + rows);
                break;
            }
            rows -= left;
            self.enter(self.at + 1, 0);
        }
        Ok(())
    }
}

impl Shards {
    fn new(shards: Vec<Shard>) -> Self {
        Self {
            shards,
            at: 0,
            row: 0,
            reader: None,
            unpacked: Vec::new().into_iter(),
        }
    }

    fn enter(&mut self, shard: usize, row: u64) {
        self.at = shard;
        self.row = row;
        self.reader = None;
        self.unpacked = Vec::new().into_iter();
    }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let mut file = File::open(path).map_err(|e| Error::io("read Parquet", path, e))?;
    check_footer(path, &mut file)?;
    contained(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(|e| damaged(path, e))
}

/// The length of the footer is in the last eight bytes, and what the footer lists takes much more than its bytes.
fn check_footer(path: &Path, file: &mut File) -> Result<()> {
    let length = file
        .seek(SeekFrom::End(0))
        .map_err(|e| Error::io("read Parquet", path, e))?;
    let mut tail = [0; 8];
    file.seek(SeekFrom::Start(length.saturating_sub(8)))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(|e| damaged(path, e))?;
    let [a, b, c, d, ..] = tail;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    let limit = MAX_FOOTER.max(length / FOOTER_SHARE);
    if footer > limit {
        let message = format!("its footer of {footer} bytes is longer than the limit of {limit}");
        return Err(damaged(path, message));
    }
    Ok(())
}

/// The leaves that are read: the bytes and the path of images, and labels.
fn mask(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    image: usize,
    label: Option<usize>,
) -> ProjectionMask {
    let schema = builder.parquet_schema();
    let leaves = (0..schema.num_columns()).filter(|&leaf| {
        let root = schema.get_column_root_idx(leaf);
        let path = schema.column(leaf);
        let part = match path.path().parts() {
            [_] => true,
            [_, part] => part == "bytes" || part == "path",
            _ => false,
        };
        Some(root) == label || (root == image && part)
    });
    ProjectionMask::leaves(schema, leaves)
}

/// Bytes of the largest page of every column of `mask`, together, in the row group where they are most.
fn largest_pages(
    path: &Path,
    builder: &ParquetRecordBatchReaderBuilder<File>,
    mask: &ProjectionMask,
) -> Result<u64> {
    let file = File::open(path).map_err(|e| Error::io("read Parquet", path, e))?;
    let length = file
        .metadata()
        .map_err(|e| Error::io("read Parquet", path, e))?
        .len();
    let limit = MAX_PAGES.saturating_add(length.saturating_mul(2));
    let mut largest = 0;
    for group in builder.metadata().row_groups() {
        let mut together = 0_u64;
        for (leaf, chunk) in group.columns().iter().enumerate() {
            if mask.leaf_included(leaf) {
                let found = contained(|| pages(&file, chunk)).map_err(|e| damaged(path, e))?;
                together = together.saturating_add(found.largest);
            }
        }
        largest = together.max(largest);
    }
    if largest > limit {
        let message = format!("its pages grow to {largest} bytes, more than the limit of {limit}");
        return Err(damaged(path, message).remedy("write it with smaller pages"));
    }
    Ok(largest)
}

/// Runs a step of the Parquet reader, which panics on some pages whose bytes were changed; that is an error here.
fn contained<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<T, Cause>
where
    Cause: From<E>,
{
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(Cause::from),
        Err(_) => Err("its content contradicts itself".into()),
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn damaged(path: &Path, e: impl Into<Cause>) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "read Parquet",
        "the Parquet file is damaged or ends early",
    )
    .with("file", path.display())
    .because(e)
    .remedy("write or download it again")
}

fn is_binary(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

fn is_text(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn holds_images(field: &Field) -> bool {
    match field.data_type() {
        DataType::Struct(parts) => parts
            .iter()
            .any(|part| part.name() == "bytes" && is_binary(part.data_type())),
        ty => is_binary(ty),
    }
}

fn holds_labels(ty: &DataType) -> bool {
    match ty {
        DataType::Dictionary(_, values) => is_text(values),
        ty => ty.is_integer() || is_text(ty),
    }
}

/// The names that the Hugging Face metadata gives the classes of `column`.
fn class_names(schema: &Schema, column: &str) -> Option<Vec<String>> {
    let metadata = schema.metadata().get("huggingface")?;
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let names = metadata
        .get("info")?
        .get("features")?
        .get(column)?
        .get("names")?;
    let names = names.as_array()?.iter();
    let short = |name: &&str| name.len() <= MAX_NAME;
    names
        .map(|name| name.as_str().filter(short).map(str::to_owned))
        .collect()
}

/// The image of a row, and its path if it has one.
fn image_at(column: &dyn Array, row: usize) -> (RawImage, Option<String>) {
    if column.is_null(row) {
        return (RawImage::Defect("the image is null".to_owned()), None);
    }
    let bytes = match column.as_struct_opt() {
        None => bytes_at(column, row),
        Some(parts) => parts
            .column_by_name("bytes")
            .and_then(|part| bytes_at(part, row)),
    };
    let image = match bytes {
        Some(bytes) => RawImage::Encoded(bytes),
        None => RawImage::Defect("the image is null: it has no bytes".to_owned()),
    };
    (image, path_at(column, row))
}

/// The path of an image, if there is one.
fn path_at(column: &dyn Array, row: usize) -> Option<String> {
    let parts = column.as_struct_opt()?;
    let path = text_at(parts.column_by_name("path")?, row)?;
    (!path.is_empty() && !column.is_null(row)).then_some(path)
}

fn bytes_at(column: &dyn Array, row: usize) -> Option<Vec<u8>> {
    if column.is_null(row) {
        return None;
    }
    let bytes = match column.data_type() {
        DataType::Binary => column.as_binary::<i32>().value(row),
        DataType::LargeBinary => column.as_binary::<i64>().value(row),
        DataType::BinaryView => column.as_binary_view().value(row),
        _ => return None,
    };
    Some(bytes.to_owned())
}

/// The label of a row that is text.
fn name_at(column: &dyn Array, row: usize) -> Result<Option<Label>, String> {
    match text_at(column, row) {
        None if !column.is_null(row) => Err(format!("the label is longer than {MAX_NAME} bytes")),
        name => Ok(name.map(Label::Name)),
    }
}

/// Text of at most [`MAX_NAME`] bytes.
fn text_at(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let text = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row),
        DataType::Utf8View => column.as_string_view().value(row),
        _ => return None,
    };
    // One long value of a dictionary may be that of every row.
    (text.len() <= MAX_NAME).then(|| text.to_owned())
}
