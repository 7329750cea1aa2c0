//! Events as JSON objects to a batch of columns, so that they become rows as uploaded ones do.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use driftline_core::{Error, Result};
use serde_json::{Map, Value};

use crate::domain::error;

/// Most events of one request.
const MOST_EVENTS: usize = 1_000;

/// The columns of some events, of those that are named in `wanted`.
///
/// # Errors
/// `InvalidData` if they are not 1 to 1,000 objects of numbers, text and vectors.
pub(crate) fn batch(events: &[Map<String, Value>], wanted: &[&str]) -> Result<RecordBatch> {
    if events.is_empty() || events.len() > MOST_EVENTS {
        let message = format!(
            "source.events has {} events, not 1 to {MOST_EVENTS}",
            events.len()
        );
        return Err(error::invalid(message));
    }
    let mut names: Vec<&str> = wanted.to_vec();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| events.iter().any(|event| event.contains_key(*name)));
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in &names {
        let values: Vec<&Value> = events
            .iter()
            .map(|event| event.get(*name).unwrap_or(&Value::Null))
            .collect();
        columns.push(column(name, &values)?);
    }
    let fields: Vec<Field> = names
        .iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(error::internal)
}

fn column(name: &str, values: &[&Value]) -> Result<ArrayRef> {
    let long = |value: &&Value| value.as_array().is_some_and(|values| values.len() != 1);
    if values.iter().any(long) {
        return vectors(name, values);
    }
    let mut texts = StringBuilder::new();
    for (row, value) in values.iter().enumerate() {
        // Updates may have each value in a list of its own.
        let value = match value {
            Value::Array(inner) => inner.first().unwrap_or(&Value::Null),
            value => value,
        };
        match value {
            Value::Null => texts.append_null(),
            Value::String(text) => texts.append_value(text),
            Value::Bool(_) | Value::Number(_) => texts.append_value(value.to_string()),
            _ => return Err(wrong(row, name, "it is not one value")),
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn vectors(name: &str, values: &[&Value]) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(Float64Builder::new());
    for (row, value) in values.iter().enumerate() {
        match value {
            Value::Null => lists.append_null(),
            Value::Array(numbers) => {
                for number in numbers {
                    match number {
                        Value::Null => lists.values().append_null(),
                        number => {
                            let number = number.as_f64().ok_or_else(|| {
                                wrong(row, name, "its vector holds something that is not a number")
                            })?;
                            lists.values().append_value(number);
                        }
                    }
                }
                lists.append(true);
            }
            _ => return Err(wrong(row, name, "it is not a vector")),
        }
    }
    Ok(Arc::new(lists.finish()))
}

fn wrong(row: usize, name: &str, why: &str) -> Error {
    error::invalid(format!("row {row}, column `{name}`: {why}"))
}
