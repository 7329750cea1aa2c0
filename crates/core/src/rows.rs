//! The one Arrow schema that travels from backend to sink.
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `event_id` | utf8 | unique, deterministic name of the row |
//! | `timestamp` | timestamp(ms, UTC) | when the event happened |
//! | `embeddings` | fixed_size_list<f32, dim> | output of the embedding layer |
//! | one per class | f32 | score of the class, 0..=1 |
//! | `target` | utf8, nullable | true class, where known |
//! | `image_url` | utf8 | address of the image |
//! | `image_number` | i64 | row of the image in its source, from 0 |
//! | `window` | utf8 | name of the window, `baseline` for the baseline |
//! | `image_properties` | fixed_size_list<f32, properties>, optional | what the image looks like: brightness, contrast, ...; the field's metadata `names` says which, separated by commas |

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Float32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// Column with the unique name of the row.
pub const EVENT_ID: &str = "event_id";
/// Column with the time of the event.
pub const TIMESTAMP: &str = "timestamp";
/// Column with the embedding.
pub const EMBEDDINGS: &str = "embeddings";
/// Column with the true class.
pub const TARGET: &str = "target";
/// Column with the address of the image.
pub const IMAGE_URL: &str = "image_url";
/// Column with the row of the image in its source.
pub const IMAGE_NUMBER: &str = "image_number";
/// Column with the name of the window.
pub const WINDOW: &str = "window";
/// Column with the image properties.
pub const IMAGE_PROPERTIES: &str = "image_properties";

/// Key of the names in the metadata of [`IMAGE_PROPERTIES`].
const NAMES: &str = "names";

const LEADING: [&str; 3] = [EVENT_ID, TIMESTAMP, EMBEDDINGS];
const TRAILING: [&str; 5] = [TARGET, IMAGE_URL, IMAGE_NUMBER, WINDOW, IMAGE_PROPERTIES];

/// What varies in the schema: the length of an embedding, the classes, and the image properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSchema {
    /// Length of an embedding.
    pub dim: usize,
    /// Class names, which are also the names of the score columns.
    pub classes: Vec<String>,
    /// Names of the image properties; without any there is no such column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<String>,
}

fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn element_field() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

impl RowSchema {
    /// Checks `dim` and `classes`: a class may not be empty, repeated, or named as one of the other columns.
    pub fn new(dim: usize, classes: Vec<String>) -> Result<Self> {
        let refuse = |message: String| {
            Err(Error::new(
                ErrorKind::InvalidConfig,
                "make row schema",
                message,
            ))
        };
        if dim == 0 || i32::try_from(dim).is_err() {
            return refuse(format!("an embedding cannot have {dim} values"));
        }
        for (i, class) in classes.iter().enumerate() {
            if class.is_empty() {
                return refuse(format!("class {i} has no name"));
            }
            if LEADING.contains(&class.as_str()) || TRAILING.contains(&class.as_str()) {
                return refuse(format!(
                    "class {i} may not be named `{class}`, which is another column"
                ));
            }
            if classes[..i].contains(class) {
                return refuse(format!("the class name `{class}` appears twice"));
            }
        }
        Ok(Self {
            dim,
            classes,
            properties: Vec::new(),
        })
    }

    /// The same with image properties of these names.
    #[must_use]
    pub fn with_properties(mut self, names: Vec<String>) -> Self {
        self.properties = names;
        self
    }

    /// Whether rows of `other` are of the same model: embeddings of one length and the same classes. Image properties may be
    /// there or not.
    pub fn fits(&self, other: &Self) -> bool {
        self.dim == other.dim && self.classes == other.classes
    }

    /// The Arrow schema.
    pub fn arrow(&self) -> SchemaRef {
        let list = DataType::FixedSizeList(element_field(), self.dim as i32);
        let mut fields = vec![
            Field::new(EVENT_ID, DataType::Utf8, false),
            Field::new(TIMESTAMP, timestamp_type(), false),
            Field::new(EMBEDDINGS, list, false),
        ];
        for class in &self.classes {
            fields.push(Field::new(class, DataType::Float32, false));
        }
        fields.push(Field::new(TARGET, DataType::Utf8, true));
        fields.push(Field::new(IMAGE_URL, DataType::Utf8, false));
        fields.push(Field::new(IMAGE_NUMBER, DataType::Int64, false));
        fields.push(Field::new(WINDOW, DataType::Utf8, false));
        if !self.properties.is_empty() {
            let count = self.properties.len() as i32;
            let list = DataType::FixedSizeList(element_field(), count);
            let names = (NAMES.to_owned(), self.properties.join(","));
            let field = Field::new(IMAGE_PROPERTIES, list, false);
            fields.push(field.with_metadata([names].into()));
        }
        Arc::new(Schema::new(fields))
    }

    /// Reads it back from an Arrow schema; anything that is not a row schema is an error that names the column.
    pub fn from_arrow(schema: &Schema) -> Result<Self> {
        let refuse = |message: String| {
            Err(
                Error::new(ErrorKind::InvalidData, "read row schema", message).remedy(
                    "rows are made by `driftline embed` and by the stores of `driftline run`",
                ),
            )
        };
        let dim = match schema.column_with_name(EMBEDDINGS) {
            None => return refuse(format!("there is no column `{EMBEDDINGS}`")),
            Some((_, field)) => match field.data_type() {
                DataType::FixedSizeList(_, dim) => *dim as usize,
                other => {
                    return refuse(format!(
                        "column `{EMBEDDINGS}` is {other}, not a fixed-size list of f32"
                    ));
                }
            },
        };
        let classes = schema
            .fields()
            .iter()
            .filter(|field| {
                *field.data_type() == DataType::Float32
                    && !LEADING.contains(&field.name().as_str())
                    && !TRAILING.contains(&field.name().as_str())
            })
            .map(|field| field.name().clone())
            .collect();
        let properties = match schema.column_with_name(IMAGE_PROPERTIES) {
            None => Vec::new(),
            Some((_, field)) => match field.data_type() {
                DataType::FixedSizeList(_, count) => match field.metadata().get(NAMES) {
                    Some(names) => names.split(',').map(str::to_owned).collect(),
                    None => (0..*count).map(|i| format!("property_{i}")).collect(),
                },
                other => {
                    let message = format!(
                        "column `{IMAGE_PROPERTIES}` is {other}, not a fixed-size list of f32"
                    );
                    return refuse(message);
                }
            },
        };
        let rows = Self::new(dim, classes)?.with_properties(properties);
        for expected in rows.arrow().fields() {
            match schema.column_with_name(expected.name()) {
                None => return refuse(format!("there is no column `{}`", expected.name())),
                Some((_, found)) if !same_type(found.data_type(), expected.data_type()) => {
                    return refuse(format!(
                        "column `{}` is {}, not {}",
                        expected.name(),
                        found.data_type(),
                        expected.data_type()
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(rows)
    }
}

// Writers name the child of a list `element` or `item`; the values are the same.
fn same_type(found: &DataType, expected: &DataType) -> bool {
    match (found, expected) {
        (DataType::FixedSizeList(a, n), DataType::FixedSizeList(b, m)) => {
            n == m && a.data_type() == b.data_type()
        }
        _ => found == expected,
    }
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Unique, deterministic name.
    pub event_id: &'a str,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: i64,
    /// `dim` values.
    pub embedding: &'a [f32],
    /// One value per class, 0..=1.
    pub scores: &'a [f32],
    /// True class, where known.
    pub target: Option<&'a str>,
    /// Address of the image.
    pub image_url: &'a str,
    /// Row of the image in its source, from 0.
    pub image_number: i64,
    /// Name of the window.
    pub window: &'a str,
    /// One value per image property.
    pub properties: &'a [f32],
}

/// Collects rows into a [`RecordBatch`].
#[derive(Debug)]
pub struct RowsBuilder {
    schema: RowSchema,
    event_id: StringBuilder,
    timestamp: TimestampMillisecondBuilder,
    embeddings: Float32Builder,
    scores: Vec<Float32Builder>,
    target: StringBuilder,
    image_url: StringBuilder,
    image_number: Int64Builder,
    window: StringBuilder,
    properties: Float32Builder,
}

impl RowsBuilder {
    /// An empty builder.
    pub fn new(schema: RowSchema) -> Self {
        Self {
            event_id: StringBuilder::new(),
            timestamp: TimestampMillisecondBuilder::new().with_data_type(timestamp_type()),
            embeddings: Float32Builder::new(),
            scores: schema
                .classes
                .iter()
                .map(|_| Float32Builder::new())
                .collect(),
            target: StringBuilder::new(),
            image_url: StringBuilder::new(),
            image_number: Int64Builder::new(),
            window: StringBuilder::new(),
            properties: Float32Builder::new(),
            schema,
        }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.image_number.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len_matches(&self, row: &Row<'_>) -> bool {
        row.embedding.len() == self.schema.dim
            && row.scores.len() == self.schema.classes.len()
            && row.properties.len() == self.schema.properties.len()
    }

    /// Adds a row; one whose embedding, scores or image properties have another length is an error.
    pub fn push(&mut self, row: &Row<'_>) -> Result<()> {
        if !self.len_matches(row) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "add row",
                format!(
                    "a row needs {} embedding values, {} scores and {} image properties, this one has {}, {} and {}",
                    self.schema.dim,
                    self.schema.classes.len(),
                    self.schema.properties.len(),
                    row.embedding.len(),
                    row.scores.len(),
                    row.properties.len()
                ),
            )
            .with("event_id", row.event_id));
        }
        self.event_id.append_value(row.event_id);
        self.timestamp.append_value(row.timestamp_ms);
        self.embeddings.append_slice(row.embedding);
        for (column, score) in self.scores.iter_mut().zip(row.scores) {
            column.append_value(*score);
        }
        self.target.append_option(row.target);
        self.image_url.append_value(row.image_url);
        self.image_number.append_value(row.image_number);
        self.window.append_value(row.window);
        self.properties.append_slice(row.properties);
        Ok(())
    }

    /// The rows so far as one batch; the builder is empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let embeddings = FixedSizeListArray::new(
            element_field(),
            self.schema.dim as i32,
            Arc::new(self.embeddings.finish()),
            None,
        );
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_id.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(embeddings),
        ];
        for scores in &mut self.scores {
            columns.push(Arc::new(scores.finish()));
        }
        columns.push(Arc::new(self.target.finish()));
        columns.push(Arc::new(self.image_url.finish()));
        columns.push(Arc::new(self.image_number.finish()));
        columns.push(Arc::new(self.window.finish()));
        if !self.schema.properties.is_empty() {
            let count = self.schema.properties.len() as i32;
            let values = Arc::new(self.properties.finish());
            let list = FixedSizeListArray::new(element_field(), count, values, None);
            columns.push(Arc::new(list));
        }
        RecordBatch::try_new(self.schema.arrow(), columns).map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "finish rows",
                "the columns do not fit the schema",
            )
            .because(cause)
        })
    }
}

/// A checked, typed view of a batch of rows.
#[derive(Debug, Clone)]
pub struct Rows {
    schema: RowSchema,
    batch: RecordBatch,
}

impl Rows {
    /// Checks columns, types and nulls.
    pub fn new(batch: RecordBatch) -> Result<Self> {
        let schema = RowSchema::from_arrow(&batch.schema())?;
        for field in schema.arrow().fields() {
            let column = &batch[field.name().as_str()];
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "read rows",
                    format!(
                        "column `{}` has {} nulls",
                        field.name(),
                        column.null_count()
                    ),
                ));
            }
        }
        for name in [EMBEDDINGS, IMAGE_PROPERTIES] {
            let column = batch.column_by_name(name);
            if column.is_some_and(|list| list.as_fixed_size_list().values().null_count() > 0) {
                let message = format!("column `{name}` has nulls inside its vectors");
                return Err(Error::new(ErrorKind::InvalidData, "read rows", message));
            }
        }
        Ok(Self { schema, batch })
    }

    /// Embedding length, classes and image properties.
    pub fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Arrow batch.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Embeddings, f32 `[N, dim]`, row-major.
    pub fn embeddings(&self) -> &[f32] {
        self.vectors(EMBEDDINGS, self.schema.dim)
    }

    /// Image properties, f32 `[N, properties]`, row-major; empty for rows without any.
    pub fn properties(&self) -> &[f32] {
        match self.schema.properties.len() {
            0 => &[],
            count => self.vectors(IMAGE_PROPERTIES, count),
        }
    }

    /// The values of a column of vectors of this length.
    fn vectors(&self, column: &str, length: usize) -> &[f32] {
        let list = self.batch[column].as_fixed_size_list();
        let start = list.value_offset(0) as usize;
        let values = list.values().as_primitive::<Float32Type>().values();
        &values[start..start + self.len() * length]
    }

    /// Scores of class `class`, f32 `[N]`.
    pub fn scores(&self, class: usize) -> &[f32] {
        let name = self.schema.classes[class].as_str();
        self.batch[name].as_primitive::<Float32Type>().values()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, `[N]`.
    pub fn timestamps_ms(&self) -> &[i64] {
        self.batch[TIMESTAMP]
            .as_primitive::<TimestampMillisecondType>()
            .values()
    }

    /// Rows of the images in their source, `[N]`.
    pub fn image_numbers(&self) -> &[i64] {
        self.batch[IMAGE_NUMBER]
            .as_primitive::<Int64Type>()
            .values()
    }

    /// Names of the rows.
    pub fn event_ids(&self) -> &StringArray {
        self.batch[EVENT_ID].as_string()
    }

    /// True classes, null where unknown.
    pub fn targets(&self) -> &StringArray {
        self.batch[TARGET].as_string()
    }

    /// Addresses of the images.
    pub fn image_urls(&self) -> &StringArray {
        self.batch[IMAGE_URL].as_string()
    }

    /// Names of the windows.
    pub fn windows(&self) -> &StringArray {
        self.batch[WINDOW].as_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> RowSchema {
        RowSchema::new(2, vec!["cat".to_owned(), "dog".to_owned()]).unwrap()
    }

    fn batch() -> RecordBatch {
        let mut builder = RowsBuilder::new(schema());
        for i in 0..3_u8 {
            builder
                .push(&Row {
                    event_id: &format!("e{i}"),
                    timestamp_ms: 1_000 * i64::from(i),
                    embedding: &[f32::from(i), -1.0],
                    scores: &[0.25, 0.75],
                    target: (i > 0).then_some("dog"),
                    image_url: "a.png",
                    image_number: i64::from(i),
                    window: "week-1",
                    properties: &[],
                })
                .unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_also_from_a_slice() {
        let rows = Rows::new(batch().slice(1, 2)).unwrap();
        assert_eq!(rows.schema(), &schema());
        assert_eq!(rows.embeddings(), [1.0, -1.0, 2.0, -1.0]);
        assert_eq!(rows.scores(1), [0.75, 0.75]);
        assert_eq!(rows.timestamps_ms(), [1_000, 2_000]);
        assert_eq!(rows.image_numbers(), [1, 2]);
        assert_eq!(rows.event_ids().value(0), "e1");
        assert_eq!(rows.targets().value(0), "dog");
        assert_eq!(rows.image_urls().value(1), "a.png");
        assert_eq!(rows.windows().value(1), "week-1");
        assert!(Rows::new(batch()).unwrap().targets().is_null(0));
    }

    #[test]
    fn a_row_of_another_dim_is_refused() {
        let error = RowsBuilder::new(schema())
            .push(&Row {
                event_id: "e",
                timestamp_ms: 0,
                embedding: &[0.0; 3],
                scores: &[0.0; 2],
                target: None,
                image_url: "",
                image_number: 0,
                window: "w",
                properties: &[],
            })
            .unwrap_err();
        assert!(
            error.to_string().contains("this one has 3, 2 and 0"),
            "{error}"
        );
    }

    #[test]
    fn class_names_may_not_collide_with_columns_or_each_other() {
        for classes in [vec!["target"], vec!["a", "a"], vec![""]] {
            let classes = classes.into_iter().map(str::to_owned).collect();
            assert!(RowSchema::new(2, classes).is_err());
        }
        assert!(RowSchema::new(0, vec![]).is_err());
    }

    #[test]
    fn a_missing_column_is_named() {
        let projected = batch().project(&[0, 1, 2, 3, 4, 6, 7, 8]).unwrap();
        let error = Rows::new(projected).unwrap_err();
        assert_eq!(error.message(), "there is no column `target`");
    }
}
