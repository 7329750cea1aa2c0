//! What the rows of a sample say about a column.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Float32Array, StringArray, cast::AsArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use driftline_core::Result;
use serde_json::{Value, json};

use crate::domain::error;
use crate::domain::ingest::cells::Cells;
use crate::domain::ingest::vectors;
use crate::domain::times;

const BINS: usize = 10;
const MOST_DIMENSIONS: usize = 65_536;
/// What Python prints where there is no value.
const NOTHING: [&str; 6] = ["", "nan", "NaN", "None", "<NA>", "NaT"];

/// Numbers in the first vector of a column.
pub(super) fn length(array: &ArrayRef) -> Result<usize, String> {
    let none = || "its vector is null".to_owned();
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (!list.is_null(0))
                .then(|| list.value_length(0) as usize)
                .ok_or_else(none)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (!list.is_null(0))
                .then(|| list.value_length(0) as usize)
                .ok_or_else(none)
        }
        DataType::FixedSizeList(_, length) => Ok(*length as usize),
        _ => {
            let texts = cast(&array.slice(0, 1), &DataType::Utf8)
                .map_err(|_| "it is not a vector".to_owned())?;
            let texts: &StringArray = texts.as_string();
            if texts.is_null(0) {
                return Err(none());
            }
            let length = vectors::parse(texts.value(0), MOST_DIMENSIONS, &mut Vec::new())
                .map_err(|why| format!("its vector cannot be read: {why}"))?;
            Ok(length)
        }
    }
}

/// What a column may be, after the rows so far.
#[derive(Debug, Clone, Copy)]
struct MayBe {
    integer: bool,
    number: bool,
    truth: bool,
    time: bool,
    vector: bool,
}

/// What the rows so far say about a column.
pub(super) struct Found {
    pub(super) name: String,
    most: usize,
    typed: Option<&'static str>,
    may_be: MayBe,
    values: u64,
    least: f64,
    greatest: f64,
    categories: BTreeSet<String>,
    too_many: bool,
    dimensions: BTreeMap<usize, u64>,
}

impl Found {
    pub(super) fn new(name: &str, most: usize) -> Self {
        Self {
            name: name.to_owned(),
            most,
            typed: None,
            may_be: MayBe {
                integer: true,
                number: true,
                truth: true,
                time: true,
                vector: true,
            },
            values: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            categories: BTreeSet::new(),
            too_many: false,
            dimensions: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, array: &ArrayRef, first: u64) -> Result<()> {
        match array.data_type() {
            DataType::Boolean => self.typed = Some("bool"),
            DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
                self.typed = Some("timestamp");
            }
            kind if kind.is_integer() => {
                self.typed = Some("int");
                self.range(array);
            }
            kind if kind.is_floating() => {
                self.typed = Some("float");
                self.range(array);
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
                self.typed = Some("vector");
                if !array.is_empty()
                    && let Ok(length) = length(array)
                {
                    *self.dimensions.entry(length).or_default() += 1;
                }
            }
            kind if kind.is_nested() => {
                let message = format!(
                    "row {first}, column `{}`: it is {kind}, which cannot be kept",
                    self.name
                );
                return Err(error::invalid(message));
            }
            _ => {
                let texts = Cells::of(&self.name, array, first).texts()?;
                for text in texts.iter().flatten() {
                    if !NOTHING.contains(&text) {
                        self.text(text);
                    }
                }
            }
        }
        Ok(())
    }

    fn range(&mut self, array: &ArrayRef) {
        // An f32 is written as its own shortest decimal, not as that of the f64 nearest to it.
        let shortest = |value: f32| value.to_string().parse().unwrap_or(f64::from(value));
        let values: Vec<f64> = match array.as_primitive_opt::<Float32Type>() {
            Some(values) => {
                let values: &Float32Array = values;
                values.iter().flatten().map(shortest).collect()
            }
            None => match cast(array, &DataType::Float64) {
                Ok(values) => values
                    .as_primitive::<Float64Type>()
                    .iter()
                    .flatten()
                    .collect(),
                Err(_) => Vec::new(),
            },
        };
        values.into_iter().for_each(|value| self.number(value));
    }

    fn number(&mut self, value: f64) {
        if value.is_finite() {
            self.least = self.least.min(value);
            self.greatest = self.greatest.max(value);
        }
    }

    fn text(&mut self, text: &str) {
        self.values += 1;
        let may_be = &mut self.may_be;
        may_be.integer = may_be.integer && text.parse::<i64>().is_ok();
        may_be.truth = may_be.truth && matches!(text, "True" | "False" | "true" | "false");
        may_be.time = may_be.time && times::text_moment(text).is_some();
        if may_be.vector {
            let mut numbers = Vec::new();
            match vectors::parse(text, MOST_DIMENSIONS, &mut numbers) {
                Ok(length) => *self.dimensions.entry(length).or_default() += 1,
                Err(_) => may_be.vector = false,
            }
        }
        if may_be.number {
            match text.parse::<f64>() {
                Ok(value) => self.number(value),
                Err(_) => self.may_be.number = false,
            }
        }
        if !self.too_many && !self.may_be.vector {
            if !self.categories.contains(text) {
                self.categories.insert(text.to_owned());
            }
            if self.categories.len() > self.most {
                self.too_many = true;
                self.categories.clear();
            }
        }
    }

    /// Its data type. A target is a category if it can be; another column is if its values come again.
    fn data_type(&self, target: bool, rows: usize) -> &'static str {
        if let Some(typed) = self.typed {
            return typed;
        }
        let MayBe {
            integer,
            number,
            truth,
            time,
            vector,
        } = self.may_be;
        let repeated = self.categories.len() <= rows / 2;
        if self.values == 0 {
            "str"
        } else if vector {
            "vector"
        } else if truth {
            "bool"
        } else if integer {
            "int"
        } else if number {
            "float"
        } else if time {
            "timestamp"
        } else if !self.too_many && (target || repeated) {
            "category"
        } else {
            "str"
        }
    }

    pub(super) fn column(self, target: bool, rows: usize) -> Value {
        let data_type = self.data_type(target, rows);
        let mut column = json!({
            "id": slug(&self.name),
            "name": self.name,
            "data_type": data_type,
            "min": null,
            "max": null,
            "bins": null,
            "categories": null,
            "replace_with_nulls": null,
            "n_dimensions": null,
        });
        match data_type {
            "int" | "float" if self.least <= self.greatest => {
                column["min"] = number(self.least, data_type);
                column["max"] = number(self.greatest, data_type);
                column["bins"] = edges(self.least, self.greatest);
            }
            "category" => column["categories"] = json!(self.categories),
            "vector" => {
                let commonest = self.dimensions.iter().max_by_key(|(_, count)| **count);
                column["n_dimensions"] = json!(commonest.map(|(length, _)| length));
            }
            _ => {}
        }
        column
    }
}

fn number(value: f64, data_type: &str) -> Value {
    match data_type {
        "int" => json!(value as i64),
        _ => json!(value),
    }
}

/// 11 edges of 10 bins of equal width.
fn edges(least: f64, greatest: f64) -> Value {
    let edge = |i: usize| least + (greatest - least) * i as f64 / BINS as f64;
    let inner = (0..BINS).map(edge);
    inner.chain([greatest]).map(|edge| json!(edge)).collect()
}

/// A name as an id: lower case, `_` for what is neither letter nor digit.
fn slug(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}
