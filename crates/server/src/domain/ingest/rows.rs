//! Columns of clients to rows of the store.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::{DataType, Schema};
use driftline_core::rows::EVENT_ID;
use driftline_core::{Error, Result};
use uuid::Uuid;

use super::cells::{Cells, interleaved};
use crate::domain::error;
use crate::domain::model::{Monitored, Vector};
use crate::domain::objects::PRODUCTION;
use crate::domain::work::Update;

/// What the rows of one upload have in common.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    /// The model.
    pub(crate) model: Monitored,
    /// The pre-production environment; `None` for production.
    pub(crate) environment: Option<String>,
    /// Ids of events that have none.
    pub(crate) unnamed: Unnamed,
    /// Time of events that have none, in milliseconds since 1970.
    pub(crate) arrival: i64,
}

/// Ids of events that have none. They follow from the job, so that the same job makes the same ids again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unnamed {
    /// The id of the job and the number of the row: ids in order, which are found fast.
    Numbered(Uuid),
    /// UUIDs, as clients want them in answers.
    Hashed(Uuid),
}

impl Mapping {
    /// The columns that are read, where they are there.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let model = &self.model;
        let mut names: Vec<&str> = match &model.vector {
            Vector::Column(name) => vec![name],
            Vector::Columns(names) => names.iter().map(String::as_str).collect(),
        };
        names.extend(model.outputs.iter().map(String::as_str));
        let others = [
            &model.target,
            &model.image_url,
            &model.image_number,
            &model.window,
            &model.event_id,
            &model.timestamp,
        ];
        names.extend(others.into_iter().flatten().map(String::as_str));
        names
    }

    /// Refuses columns from which no rows can be made, before any row is read.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        let needed = match &self.model.vector {
            Vector::Column(name) => std::slice::from_ref(name),
            Vector::Columns(names) => names.as_slice(),
        };
        for name in needed.iter().chain(&self.model.outputs) {
            if schema.column_with_name(name).is_none() {
                return Err(missing(name));
            }
        }
        for name in self.columns() {
            let Some((_, field)) = schema.column_with_name(name) else {
                continue;
            };
            let vector = matches!(&self.model.vector, Vector::Column(column) if column == name);
            if !loose(field.data_type(), vector) {
                let message = format!(
                    "column `{name}` is {}, which cannot be read",
                    field.data_type()
                );
                return Err(error::invalid(message));
            }
        }
        Ok(())
    }

    /// The rows of a batch, whose first row is row `first` of the upload.
    ///
    /// # Errors
    /// `InvalidData` naming row and column of the first value that a row cannot hold.
    pub(crate) fn rows(&self, batch: &RecordBatch, first: u64) -> Result<RecordBatch> {
        let model = &self.model;
        let count = batch.num_rows();
        let column = |name| present(batch, name);
        let cells = |name| Cells::find(batch, name, first).ok_or_else(|| missing(name));

        let values = match &model.vector {
            Vector::Column(name) => cells(name)?.vectors(model.dim)?,
            Vector::Columns(names) => {
                let columns = names.iter().map(|name| cells(name)?.numbers());
                interleaved(&columns.collect::<Result<Vec<_>>>()?, count)
            }
        };
        let event_ids = match column(&model.event_id) {
            Some(name) => self.named(cells(name)?)?,
            None => self.unnamed(first, count),
        };
        let times = match column(&model.timestamp) {
            Some(name) => cells(name)?.times()?,
            None => vec![self.arrival; count],
        };
        let scores: Vec<Float32Array> = model
            .outputs
            .iter()
            .map(|name| cells(name)?.numbers())
            .collect::<Result<_>>()?;
        let target = match column(&model.target) {
            Some(name) => cells(name)?.texts()?,
            None => StringArray::new_null(count),
        };
        let image_url = match column(&model.image_url) {
            Some(name) => filled(&cells(name)?.texts()?, ""),
            None => filled(&StringArray::new_null(count), ""),
        };
        let image_number: Int64Array = match column(&model.image_number) {
            Some(name) => {
                let numbers = cells(name)?.integers()?;
                let row = |row: usize| (first + row as u64).cast_signed();
                let numbers = numbers.iter().enumerate();
                numbers
                    .map(|(i, number)| number.unwrap_or_else(|| row(i)))
                    .collect()
            }
            None => (first..).take(count).map(u64::cast_signed).collect(),
        };
        let window = match (&self.environment, column(&model.window)) {
            (Some(environment), _) => filled(&StringArray::new_null(count), environment),
            (None, Some(name)) => filled(&cells(name)?.texts()?, PRODUCTION),
            (None, None) => filled(&StringArray::new_null(count), PRODUCTION),
        };

        let schema = model.schema()?.arrow();
        let embeddings = match schema.field(2).data_type() {
            DataType::FixedSizeList(element, dim) => {
                FixedSizeListArray::try_new(Arc::clone(element), *dim, Arc::new(values), None)
                    .map_err(error::internal)?
            }
            other => return Err(error::internal(format!("embeddings are {other}"))),
        };
        let times = TimestampMillisecondArray::from(times).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(event_ids), Arc::new(times), Arc::new(embeddings)];
        columns.extend(
            scores
                .into_iter()
                .map(|scores| Arc::new(scores) as ArrayRef),
        );
        columns.push(Arc::new(target));
        columns.push(Arc::new(image_url));
        columns.push(Arc::new(image_number));
        columns.push(Arc::new(window));
        RecordBatch::try_new(schema, columns).map_err(error::internal)
    }

    /// Ids that the client gave. Two environments may hold the same images: in the baseline section their rows are
    /// told apart by the environment's name.
    fn named(&self, cells: Cells<'_>) -> Result<StringArray> {
        let ids = cells.texts()?;
        let mut named = StringBuilder::new();
        for row in 0..ids.len() {
            if ids.is_null(row) || ids.value(row).is_empty() {
                return Err(cells.wrong(row, "the event has no id"));
            }
            match &self.environment {
                Some(environment) => {
                    named.append_value(format!("{environment}-{}", ids.value(row)))
                }
                None => named.append_value(ids.value(row)),
            }
        }
        Ok(named.finish())
    }

    fn unnamed(&self, first: u64, count: usize) -> StringArray {
        let id = |row: u64| match self.unnamed {
            Unnamed::Numbered(job) => format!("{job}-{row:08}"),
            Unnamed::Hashed(job) => Uuid::new_v5(&job, &row.to_le_bytes()).to_string(),
        };
        (first..).take(count).map(|row| Some(id(row))).collect()
    }

    /// The columns that an update reads.
    pub(crate) fn update_columns(&self) -> Vec<&str> {
        let named = [&self.model.target, &self.model.image_url];
        let mut names: Vec<&str> = named.into_iter().flatten().map(String::as_str).collect();
        names.push(self.id_column());
        names
    }

    /// The column of ids that updates are matched by.
    pub(crate) fn id_column(&self) -> &str {
        self.model.event_id.as_deref().unwrap_or(EVENT_ID)
    }

    /// Refuses columns from which no update can be made.
    pub(crate) fn check_update(&self, schema: &Schema) -> Result<()> {
        let id = self.id_column();
        match schema.column_with_name(id) {
            Some(_) => Ok(()),
            None => Err(missing(id)),
        }
    }

    /// The updates of a batch, whose first row is row `first` of the upload.
    pub(crate) fn updates(&self, batch: &RecordBatch, first: u64) -> Result<Vec<Update>> {
        let id = self.id_column();
        let cells = Cells::find(batch, id, first).ok_or_else(|| missing(id))?;
        let ids = cells.texts()?;
        let texts = |name: &Option<String>| match name {
            Some(name) => Cells::find(batch, name, first)
                .map(Cells::texts)
                .transpose(),
            None => Ok(None),
        };
        let (targets, urls) = (texts(&self.model.target)?, texts(&self.model.image_url)?);
        let value = |column: &Option<StringArray>, row| {
            let column = column.as_ref()?;
            (!column.is_null(row)).then(|| column.value(row).to_owned())
        };
        (0..ids.len())
            .map(|row| {
                if ids.is_null(row) {
                    return Err(cells.wrong(row, "the event has no id"));
                }
                Ok(Update {
                    event_id: ids.value(row).to_owned(),
                    target: value(&targets, row),
                    image_url: value(&urls, row),
                })
            })
            .collect()
    }
}

/// The name, if there is such a column.
fn present<'a>(batch: &RecordBatch, name: &'a Option<String>) -> Option<&'a str> {
    name.as_deref()
        .filter(|name| batch.column_by_name(name).is_some())
}

fn missing(column: &str) -> Error {
    error::invalid(format!(
        "there is no column `{column}`, which the model needs"
    ))
}

/// Whether a column of this type can be tried; what its rows hold is seen later.
fn loose(kind: &DataType, vector: bool) -> bool {
    match kind {
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            vector && inner.data_type().is_numeric()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        kind => !vector && !kind.is_nested(),
    }
}

fn filled(texts: &StringArray, with: &str) -> StringArray {
    texts
        .iter()
        .map(|text| Some(text.unwrap_or(with)))
        .collect()
}
