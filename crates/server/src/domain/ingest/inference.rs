//! The schema of a sample, and the clusters of its embeddings.
//!
//! A sample may be typed, or all text as Fiddler's own client sends it; text is taken for what all of it can be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Float32Array, RecordBatch, StringArray, cast::AsArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use driftline_stats::{KMeans, KMeansConfig};
use serde_json::{Map, Value, json};

use super::cells::{Cells, interleaved};
use super::{Table, vectors};
use crate::domain::times;
use crate::http::envelope::{Answer, ApiError};

/// Seed of the clusters, that of `driftline drift`.
const SEED: u64 = 42;
const CLUSTERS: u64 = 5;
const BINS: usize = 10;
const MOST_DIMENSIONS: usize = 65_536;
/// Length of a vector that is not known yet, which decides how many rows are read at a time.
const ASSUMED_DIMENSIONS: usize = 2_048;
/// Numbers of embeddings that are held to find clusters.
const MOST_NUMBERS: usize = 64 << 20;
/// What Python prints where there is no value.
const NOTHING: [&str; 6] = ["", "nan", "NaN", "None", "<NA>", "NaT"];
const ROLES: [&str; 5] = ["inputs", "outputs", "targets", "decisions", "metadata"];

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
/// 400 naming the column that is not what the spec makes of it.
pub(crate) fn infer(path: &Path, question: &Question) -> Answer<Value> {
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
        return Err(ApiError::bad_request("the sample has no rows"));
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

/// The spec as it is answered, and the embeddings that it wants clusters of.
struct Spec {
    answer: Value,
    targets: BTreeSet<String>,
    embedded: Vec<Sample>,
}

impl Spec {
    fn of(given: &Value, names: &[String]) -> Answer<Self> {
        let given = match given {
            Value::Null => json!({"inputs": names}),
            Value::Object(_) => given.clone(),
            _ => return Err(ApiError::bad_request("spec is not an object")),
        };
        let mut answer = Map::new();
        let version = given["schema_version"].as_u64().unwrap_or(1);
        answer.insert("schema_version".to_owned(), json!(version));
        let mut targets = BTreeSet::new();
        for role in ROLES {
            let listed = match &given[role] {
                Value::Null => Vec::new(),
                Value::Array(listed) => listed.clone(),
                _ => return Err(ApiError::bad_request(format!("spec.{role} is not a list"))),
            };
            for name in &listed {
                let name = name.as_str().unwrap_or_default();
                if !names.iter().any(|known| known == name) {
                    let message =
                        format!("the sample has no column `{name}`, which spec.{role} names");
                    return Err(ApiError::bad_request(message));
                }
                if role == "targets" {
                    targets.insert(name.to_owned());
                }
            }
            answer.insert(role.to_owned(), Value::Array(listed));
        }
        let mut features = match &given["custom_features"] {
            Value::Null => Vec::new(),
            Value::Array(features) => features.clone(),
            _ => return Err(ApiError::bad_request("spec.custom_features is not a list")),
        };
        let mut embedded = Vec::new();
        for (index, feature) in features.iter_mut().enumerate() {
            if let Some(sample) = Sample::of(index, feature, names)? {
                embedded.push(sample);
            }
        }
        answer.insert("custom_features".to_owned(), Value::Array(features));
        Ok(Self {
            answer: Value::Object(answer),
            targets,
            embedded,
        })
    }
}

/// The embeddings of a custom feature.
#[derive(Debug, Clone)]
struct Sample {
    index: usize,
    columns: Vec<String>,
    clusters: usize,
    dim: usize,
    numbers: Vec<f32>,
}

impl Sample {
    /// `None` for a feature that has no clusters.
    fn of(index: usize, feature: &mut Value, names: &[String]) -> Answer<Option<Self>> {
        if !feature.is_object() || feature["type"] == "ENRICHMENT" {
            return Ok(None);
        }
        let clusters = match &feature["n_clusters"] {
            Value::Null => CLUSTERS,
            given => given
                .as_u64()
                .filter(|clusters| (1..=1_000).contains(clusters))
                .ok_or_else(|| {
                    ApiError::bad_request(format!("n_clusters is {given}, not 1 to 1000"))
                })?,
        };
        feature["n_clusters"] = json!(clusters);
        let columns: Vec<String> = match (&feature["column"], &feature["columns"]) {
            (Value::String(column), _) => vec![column.clone()],
            (_, Value::Array(columns)) => columns
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        let unknown = columns.iter().find(|column| !names.contains(column));
        if columns.is_empty() || unknown.is_some() {
            let message = format!(
                "the custom feature {} is over the column `{}`, which the sample does not have",
                feature["name"],
                unknown.map_or("", String::as_str)
            );
            return Err(ApiError::bad_request(message));
        }
        Ok(Some(Self {
            index,
            columns,
            clusters: clusters as usize,
            dim: 0,
            numbers: Vec::new(),
        }))
    }

    fn add(&mut self, batch: &RecordBatch, first: u64) -> Answer<()> {
        let cells = |name| {
            Cells::find(batch, name, first).ok_or_else(|| ApiError::internal("a column went away"))
        };
        let numbers = match self.columns.as_slice() {
            [column] => {
                let cells = cells(column)?;
                if self.dim == 0 && batch.num_rows() > 0 {
                    self.dim =
                        length(&batch[column.as_str()]).map_err(|why| cells.wrong(0, why))?;
                }
                cells.vectors(self.dim)?
            }
            columns => {
                self.dim = columns.len();
                let columns = columns.iter().map(|name| cells(name)?.numbers());
                interleaved(&columns.collect::<Answer<Vec<_>>>()?, batch.num_rows())
            }
        };
        if self.numbers.len() + numbers.len() > MOST_NUMBERS {
            return Err(ApiError::bad_request(
                "the sample is too large to find clusters in; give fewer rows, or a sample_size",
            ));
        }
        self.numbers.extend_from_slice(numbers.values());
        Ok(())
    }

    fn centroids(&self) -> Answer<Value> {
        let config = KMeansConfig {
            seed: SEED,
            ..KMeansConfig::default()
        };
        let clusters = KMeans::fit(&self.numbers, self.dim, self.clusters, &config)?;
        let centroids = clusters.centroids().chunks(self.dim).map(|row| json!(row));
        Ok(centroids.collect())
    }
}

/// Numbers in the first vector of a column.
fn length(array: &ArrayRef) -> Result<usize, String> {
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
struct Found {
    name: String,
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
    fn new(name: &str, most: usize) -> Self {
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

    fn add(&mut self, array: &ArrayRef, first: u64) -> Answer<()> {
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
                return Err(ApiError::bad_request(message));
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

    fn column(self, target: bool, rows: usize) -> Value {
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
