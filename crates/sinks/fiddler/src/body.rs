//! Uploads: Parquet as Fiddler's own client writes it.
//!
//! Snappy, nullable columns in the client's order, embeddings as `list<element: double>`, times as `int64`
//! milliseconds, one row group up to 65,536 rows.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use driftline_core::rows::{EMBEDDINGS, EVENT_ID, IMAGE_NUMBER, IMAGE_URL, TARGET, TIMESTAMP};
use driftline_core::{Error, ErrorKind, EventLabel, Result, RowSchema, Rows};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

const ROW_GROUP_ROWS: usize = 65_536;

/// A column, or all score columns, of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Embeddings,
    Scores,
    Target,
    ImageNumber,
    ImageUrl,
    Timestamp,
    EventId,
}

/// The columns of events.
pub(crate) const EVENTS: [Column; 6] = [
    Column::Embeddings,
    Column::Scores,
    Column::Target,
    Column::ImageUrl,
    Column::Timestamp,
    Column::EventId,
];

fn nullable(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn element() -> Arc<Field> {
    Arc::new(nullable("element", DataType::Float64))
}

/// The columns of an upload.
fn schema(columns: &[Column], rows: &RowSchema) -> SchemaRef {
    let mut fields = Vec::new();
    for column in columns {
        fields.push(match column {
            Column::Embeddings => nullable(EMBEDDINGS, DataType::List(element())),
            Column::Scores => {
                let scores = rows.classes.iter();
                fields.extend(scores.map(|class| nullable(class, DataType::Float32)));
                continue;
            }
            Column::Target => nullable(TARGET, DataType::Utf8),
            Column::ImageNumber => nullable(IMAGE_NUMBER, DataType::Int64),
            Column::ImageUrl => nullable(IMAGE_URL, DataType::Utf8),
            Column::Timestamp => nullable(TIMESTAMP, DataType::Int64),
            Column::EventId => nullable(EVENT_ID, DataType::Utf8),
        });
    }
    Arc::new(Schema::new(fields))
}

/// Writes rows with real types to `path`, and returns the bytes of the file.
pub(crate) fn write(
    path: &Path,
    columns: &[Column],
    row_schema: &RowSchema,
    rows: impl Iterator<Item = Result<Rows>>,
) -> Result<u64> {
    let schema = schema(columns, row_schema);
    let mut file = Upload::create(path, schema.clone())?;
    for rows in rows {
        let rows = rows?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for column in columns {
            arrays.push(match column {
                Column::Embeddings => vectors(&rows),
                Column::Scores => {
                    let scores = rows.schema().classes.iter();
                    arrays.extend(scores.map(|class| rows.batch()[class.as_str()].clone()));
                    continue;
                }
                Column::Target => rows.batch()[TARGET].clone(),
                Column::ImageNumber => rows.batch()[IMAGE_NUMBER].clone(),
                Column::ImageUrl => rows.batch()[IMAGE_URL].clone(),
                Column::Timestamp => {
                    let times = rows.timestamps_ms().iter().copied();
                    Arc::new(Int64Array::from_iter_values(times))
                }
                Column::EventId => rows.batch()[EVENT_ID].clone(),
            });
        }
        file.write(arrays)?;
    }
    file.finish()
}

fn vectors(rows: &Rows) -> ArrayRef {
    let dim = rows.schema().dim;
    let values = Float64Builder::with_capacity(rows.len() * dim);
    let mut lists = ListBuilder::with_capacity(values, rows.len()).with_field(element());
    for vector in rows.embeddings().chunks_exact(dim) {
        for value in vector {
            lists.values().append_value(f64::from(*value));
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

/// Writes at most `most` of the `total` rows, evenly spread, with every value as text: what a model's columns are
/// inferred from. Returns the bytes of the file.
pub(crate) fn write_sample(
    path: &Path,
    row_schema: &RowSchema,
    rows: impl Iterator<Item = Result<Rows>>,
    total: u64,
    most: u64,
) -> Result<u64> {
    let columns = [
        Column::Embeddings,
        Column::Scores,
        Column::Target,
        Column::ImageUrl,
    ];
    let fields = schema(&columns, row_schema);
    let fields = fields.fields().iter();
    let text = fields.map(|field| nullable(field.name(), DataType::Utf8));
    let mut file = Upload::create(path, Arc::new(Schema::new(text.collect::<Vec<_>>())))?;
    let mut row = 0_u64;
    for rows in rows {
        let rows = rows?;
        let taken: Vec<usize> = (0..rows.len())
            .filter(|i| is_sampled(row + *i as u64, total, most))
            .collect();
        row += rows.len() as u64;
        let dim = row_schema.dim;
        let mut vectors = StringBuilder::new();
        for i in &taken {
            let vector = rows.embeddings().get(i * dim..(i + 1) * dim);
            vectors.append_value(crate::text::list(vector.unwrap_or_default()));
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(vectors.finish())];
        for class in 0..row_schema.classes.len() {
            let scores = rows.scores(class);
            let text = taken.iter().filter_map(|i| scores.get(*i));
            let text = text.map(|score| crate::text::single(*score));
            arrays.push(Arc::new(StringArray::from_iter_values(text)));
        }
        for column in [rows.targets(), rows.image_urls()] {
            let text = taken
                .iter()
                .map(|i| column.is_valid(*i).then(|| column.value(*i)));
            arrays.push(Arc::new(text.collect::<StringArray>()));
        }
        file.write(arrays)?;
    }
    file.finish()
}

/// Whether row `row` of `total` is among the `most` that are taken at even distances.
fn is_sampled(row: u64, total: u64, most: u64) -> bool {
    if total <= most {
        return true;
    }
    let before = |row: u64| u128::from(row) * u128::from(most) / u128::from(total);
    before(row + 1) > before(row)
}

/// Writes labels to `path`, and returns the bytes of the file.
pub(crate) fn write_labels(path: &Path, labels: &[EventLabel]) -> Result<u64> {
    let schema = Schema::new(vec![
        nullable(EVENT_ID, DataType::Utf8),
        nullable(TARGET, DataType::Utf8),
    ]);
    let mut file = Upload::create(path, Arc::new(schema))?;
    let ids = labels.iter().map(|label| &label.event_id);
    let targets = labels.iter().map(|label| &label.target);
    file.write(vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(targets)),
    ])?;
    file.finish()
}

/// A file that is made to be sent at once. It need not survive a crash: it is made again then.
struct Upload<'a> {
    path: &'a Path,
    schema: SchemaRef,
    parquet: ArrowWriter<File>,
}

impl<'a> Upload<'a> {
    fn create(path: &'a Path, schema: SchemaRef) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io("write the upload", path, e))?;
        let column =
            |names: &[&str]| ColumnPath::new(names.iter().map(|name| (*name).to_owned()).collect());
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            // Values that hardly repeat.
            .set_column_dictionary_enabled(column(&[EMBEDDINGS, "list", "element"]), false)
            .set_column_dictionary_enabled(column(&[EVENT_ID]), false)
            .build();
        let parquet = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|cause| unwritten(path, cause))?;
        Ok(Self {
            path,
            schema,
            parquet,
        })
    }

    fn write(&mut self, arrays: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|cause| unwritten(self.path, cause))?;
        let written = self.parquet.write(&batch);
        written.map_err(|cause| unwritten(self.path, cause))
    }

    fn finish(self) -> Result<u64> {
        self.parquet
            .close()
            .map_err(|cause| unwritten(self.path, cause))?;
        let metadata = std::fs::metadata(self.path);
        metadata
            .map(|metadata| metadata.len())
            .map_err(|e| Error::io("write the upload", self.path, e))
    }
}

fn unwritten(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Resource,
        "write the upload",
        "rows could not be made ready to be sent",
    )
    .with("file", path.display())
    .because(cause)
    .remedy("free some space on this disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_even_and_has_the_asked_size() {
        for (total, most) in [(10, 3), (50_000, 10_000), (7, 7), (5, 10), (10_001, 10_000)] {
            let taken: Vec<u64> = (0..total)
                .filter(|row| is_sampled(*row, total, most))
                .collect();
            assert_eq!(taken.len() as u64, total.min(most));
            let widest = taken.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(widest.unwrap_or(0) <= total.div_ceil(most.min(total)));
        }
    }
}
