//! The schema of a sample, and the clusters of its embeddings.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `column` | what the rows of a sample say about a column |
//! | `spec` | the spec of a sample, and the embeddings that it wants clusters of |
//!
//! A sample may be typed, or all text as Fiddler's own client sends it; text is taken for what all of it can be.

mod column;
mod spec;

use std::path::Path;

use driftline_core::Result;
use serde_json::{Value, json};

use super::table::Table;
use crate::domain::error;
use column::Found;
use spec::{Sample, Spec};

/// Length of a vector that is not known yet, which decides how many rows are read at a time.
const ASSUMED_DIMENSIONS: usize = 2_048;

/// What is asked of a sample.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The spec that the client gave, or null.
    pub(crate) spec: Value,
    /// Most values of a category.
    pub(crate) max_cardinality: usize,
    /// Rows that are looked at.
    pub(crate) rows: Option<usize>,
}

/// Answers `schema` and `spec` for the sample at `path`.
///
/// # Errors
/// `InvalidData` naming the column that is not what the spec makes of it.
pub(crate) fn infer(path: &Path, question: &Question) -> Result<Value> {
    let table = Table::open(path)?;
    let names: Vec<String> = table
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let spec = Spec::of(&question.spec, &names)?;
    let mut columns: Vec<Found> = names
        .iter()
        .map(|name| Found::new(name, question.max_cardinality))
        .collect();
    let mut features: Vec<Sample> = spec.embedded.clone();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rows = 0;
    for batch in table.batches(&all, ASSUMED_DIMENSIONS)? {
        let mut batch = batch?;
        if let Some(most) = question.rows {
            batch = batch.slice(0, batch.num_rows().min(most - rows));
        }
        for (column, array) in columns.iter_mut().zip(batch.columns()) {
            column.add(array, rows as u64)?;
        }
        for feature in &mut features {
            feature.add(&batch, rows as u64)?;
        }
        rows += batch.num_rows();
        if question.rows.is_some_and(|most| rows >= most) {
            break;
        }
    }
    if rows == 0 {
        return Err(error::invalid("the sample has no rows"));
    }
    let columns: Vec<Value> = columns
        .into_iter()
        .map(|column| {
            let target = spec.targets.contains(&column.name);
            column.column(target, rows)
        })
        .collect();
    let mut answered = spec.answer;
    for feature in features {
        let centroids = feature.centroids()?;
        answered["custom_features"][feature.index]["centroids"] = centroids;
    }
    Ok(json!({"schema": {"schema_version": 1, "columns": columns}, "spec": answered}))
}
