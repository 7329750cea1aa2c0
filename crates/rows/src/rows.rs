//! What every row on disk fulfils, on the way in and on the way out.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, FixedSizeListArray, RecordBatch};
use arrow_schema::DataType;
use driftline_core::rows::{EMBEDDINGS, EVENT_ID, IMAGE_PROPERTIES};
use driftline_core::{Error, ErrorKind, Result, Rows};

/// Refuses what no file of rows may hold, before anything is written: missing columns, other types, nulls, and numbers
/// that are not finite. The result has the columns of [`RowSchema::arrow`](driftline_core::RowSchema::arrow) in its
/// order, and no others.
///
/// # Errors
/// `InvalidData` naming the column, and the row (from 0) where there is one.
pub fn check(batch: &RecordBatch) -> Result<Rows> {
    conform(batch.clone(), 0)
}

/// [`check`] for a batch whose first row is row `first` of its file.
pub(crate) fn conform(batch: RecordBatch, first: u64) -> Result<Rows> {
    let rows = Rows::new(batch)?;
    let schema = rows.schema().arrow();
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        let column = &rows.batch()[field.name().as_str()];
        match field.data_type() {
            // Other writers name the child of the list differently.
            DataType::FixedSizeList(child, dim) => {
                let values = column.as_fixed_size_list().values().clone();
                FixedSizeListArray::try_new(child.clone(), *dim, values, None)
                    .map(|list| Arc::new(list) as ArrayRef)
                    .map_err(unfit)
            }
            _ => Ok(column.clone()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let rows = Rows::new(RecordBatch::try_new(schema, columns).map_err(unfit)?)?;
    check_finite(&rows, first)?;
    Ok(rows)
}

fn unfit(cause: arrow_schema::ArrowError) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "read rows",
        "the columns do not fit the row schema",
    )
    .because(cause)
}

fn check_finite(rows: &Rows, first: u64) -> Result<()> {
    let refuse = |row: usize, column: &str, value: f32| {
        Err(Error::new(
            ErrorKind::InvalidData,
            "read rows",
            format!("column `{column}` has a value that is not a finite number: {value}"),
        )
        .with("row", first + row as u64)
        .with(EVENT_ID, rows.event_ids().value(row))
        .remedy("find out what made it (an image or weights with NaN?) and make the rows again"))
    };
    let bad = |values: &[f32]| values.iter().position(|value| !value.is_finite());
    if let Some(at) = bad(rows.embeddings()) {
        return refuse(at / rows.schema().dim, EMBEDDINGS, rows.embeddings()[at]);
    }
    for (class, name) in rows.schema().classes.iter().enumerate() {
        if let Some(at) = bad(rows.scores(class)) {
            return refuse(at, name, rows.scores(class)[at]);
        }
    }
    if let Some(at) = bad(rows.properties()) {
        let row = at / rows.schema().properties.len();
        return refuse(row, IMAGE_PROPERTIES, rows.properties()[at]);
    }
    Ok(())
}
