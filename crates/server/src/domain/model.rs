//! A model as the server knows it, whichever client made it.
//!
//! A *definition* is the JSON of `POST /v3/models` without its names: `schema`, `spec`, `input_type`, `task`,
//! `task_params`, `description`, `event_id_col`, `event_ts_col`, `event_ts_format`, `xai_params`. [`Monitored`] is what
//! a definition means for rows of the store.

use driftline_core::sink::ImageEmbedding;
use driftline_core::{Error, MonitorSpec, Result, RowSchema, rows};
use driftline_sink_local::Centroids;
use serde_json::Value;

use crate::domain::error;

/// Clusters of a custom feature that does not say how many it wants, as Fiddler's clients have it.
const CLUSTERS: usize = 5;
const MOST_CLUSTERS: u64 = 1_000;
const MOST_DIMENSIONS: u64 = 65_536;

/// Where the embedding of a row comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vector {
    /// One column of vectors.
    Column(String),
    /// One column for each value, in this order.
    Columns(Vec<String>),
}

/// What the columns of a model are in the rows of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitored {
    /// Where the embedding comes from.
    pub vector: Vector,
    /// Length of the embedding.
    pub dim: usize,
    /// Columns with scores, which are the classes of the rows.
    pub outputs: Vec<String>,
    /// Classes in the order of `outputs`; empty if the model does not say.
    pub class_order: Vec<String>,
    /// Column with the true class.
    pub target: Option<String>,
    /// Column with the address of the image.
    pub image_url: Option<String>,
    /// Column with the row of the image in its source.
    pub image_number: Option<String>,
    /// Column with the name of the window.
    pub window: Option<String>,
    /// Column with the unique name of the event.
    pub event_id: Option<String>,
    /// Column with the time of the event.
    pub timestamp: Option<String>,
    /// Name of the custom feature.
    pub feature: String,
    /// Its clusters.
    pub n_clusters: usize,
    /// Their centroids, where they were found before.
    pub centroids: Option<Centroids>,
}

impl Monitored {
    /// Reads a definition.
    ///
    /// # Errors
    /// `InvalidData` naming the column that a row of the store cannot hold.
    pub fn of(definition: &Value) -> Result<Self> {
        let spec = Spec {
            spec: &definition["spec"],
            columns: columns(definition)?,
        };
        let inputs = spec.names("inputs")?;
        let outputs = spec.names("outputs")?;
        let metadata = spec.names("metadata")?;
        if let Some(decision) = spec.names("decisions")?.first() {
            return Err(unkept(decision, "decisions are not kept"));
        }
        let features = spec.features()?;
        let feature = match features.as_slice() {
            [] => None,
            [feature] => Some(*feature),
            [_, second, ..] => {
                let name = second["name"].as_str().unwrap_or_default();
                let message = format!(
                    "the custom feature `{name}` is one too many: the local store keeps one embedding"
                );
                return Err(error::invalid(message));
            }
        };
        let (vector, dim) = spec.vector(&inputs, &metadata, feature)?;
        for output in &outputs {
            if !matches!(spec.data_type(output), "float" | "int") {
                return Err(unkept(output, "an output must be a number"));
            }
        }
        let targets = spec.names("targets")?;
        if let Some(second) = targets.get(1) {
            return Err(unkept(second, "there is one target"));
        }
        let text = |name: &str| definition[name].as_str().map(str::to_owned);
        let (event_id, timestamp) = (text("event_id_col"), text("event_ts_col"));
        let image_url = feature
            .and_then(|feature| feature["source_column"].as_str().map(str::to_owned))
            .or_else(|| {
                metadata
                    .iter()
                    .find(|name| *name == rows::IMAGE_URL)
                    .cloned()
            });
        let kept = |name: &str| {
            vector.has(name)
                || [
                    rows::IMAGE_NUMBER,
                    rows::WINDOW,
                    rows::EVENT_ID,
                    rows::TIMESTAMP,
                ]
                .contains(&name)
                || [&event_id, &timestamp, &image_url]
                    .iter()
                    .any(|column| column.as_deref() == Some(name))
        };
        for name in inputs.iter().chain(&metadata) {
            if !kept(name) {
                return Err(unkept(
                    name,
                    "of inputs and metadata only the embedding, image_url, image_number, window, event_id and timestamp are kept",
                ));
            }
        }
        let named = |wanted: &str| {
            let mut all = inputs.iter().chain(&metadata);
            all.find(|name| *name == wanted).cloned()
        };
        let n_clusters = match feature.map(|feature| &feature["n_clusters"]) {
            None | Some(Value::Null) => CLUSTERS,
            Some(value) => match value.as_u64() {
                Some(n @ 1..=MOST_CLUSTERS) => n as usize,
                _ => {
                    let message =
                        format!("n_clusters is {value}, not a number from 1 to {MOST_CLUSTERS}");
                    return Err(error::invalid(message));
                }
            },
        };
        let name = feature.and_then(|feature| feature["name"].as_str());
        let monitored = Self {
            feature: name.unwrap_or("embedding").to_owned(),
            n_clusters,
            centroids: feature
                .map(|feature| centroids(&feature["centroids"], dim))
                .transpose()?
                .flatten(),
            class_order: strings(&definition["task_params"]["target_class_order"])
                .unwrap_or_default(),
            target: targets.first().cloned(),
            image_number: named(rows::IMAGE_NUMBER),
            window: named(rows::WINDOW),
            event_id: event_id.or_else(|| named(rows::EVENT_ID)),
            timestamp: timestamp.or_else(|| named(rows::TIMESTAMP)),
            image_url,
            outputs,
            vector,
            dim,
        };
        monitored.schema()?;
        Ok(monitored)
    }

    /// The schema of its rows.
    pub fn schema(&self) -> Result<RowSchema> {
        RowSchema::new(self.dim, self.outputs.clone())
    }

    /// What `monitor.json` says of it.
    pub fn spec(&self, project: &str, folder: &str, dataset: &str) -> Result<MonitorSpec> {
        let column = match &self.vector {
            Vector::Column(name) => name.clone(),
            Vector::Columns(_) => rows::EMBEDDINGS.to_owned(),
        };
        Ok(MonitorSpec {
            project: project.to_owned(),
            dataset: dataset.to_owned(),
            model: folder.to_owned(),
            // Clients send rows, never weights.
            model_sha256: String::new(),
            schema: self.schema()?,
            custom_feature: ImageEmbedding {
                name: self.feature.clone(),
                source_column: self.image_url.clone().unwrap_or_default(),
                column,
                n_clusters: self.n_clusters,
            },
        })
    }
}

impl Vector {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Column(column) => column == name,
            Self::Columns(columns) => columns.iter().any(|column| column == name),
        }
    }
}

/// A spec beside the columns of its schema.
struct Spec<'a> {
    spec: &'a Value,
    columns: Vec<&'a Value>,
}

impl<'a> Spec<'a> {
    /// The columns of a role, each of which the schema has.
    fn names(&self, role: &'static str) -> Result<Vec<String>> {
        let names = strings(&self.spec[role])
            .ok_or_else(|| error::invalid(format!("spec.{role} is not a list of names")))?;
        for name in &names {
            if self.column(name).is_none() {
                let message = format!("the schema has no column `{name}`, which spec.{role} names");
                return Err(error::invalid(message));
            }
        }
        Ok(names)
    }

    fn column(&self, name: &str) -> Option<&'a Value> {
        self.columns
            .iter()
            .copied()
            .find(|column| column["name"] == name)
    }

    fn data_type(&self, name: &str) -> &'a str {
        self.column(name)
            .and_then(|column| column["data_type"].as_str())
            .unwrap_or_default()
    }

    fn features(&self) -> Result<Vec<&'a Value>> {
        let features = match &self.spec["custom_features"] {
            Value::Null => return Ok(Vec::new()),
            Value::Array(features) => features,
            _ => return Err(error::invalid("spec.custom_features is not a list")),
        };
        // An enrichment makes columns of text, which is never embedded here.
        let unmade = |feature: &&Value| feature["type"] == "ENRICHMENT";
        if let Some(feature) = features.iter().find(unmade) {
            let name = feature["name"].as_str().unwrap_or_default();
            let message = format!("the enrichment `{name}` cannot be computed by the local server");
            return Err(error::invalid(message));
        }
        Ok(features.iter().collect())
    }

    fn vector(
        &self,
        inputs: &[String],
        metadata: &[String],
        feature: Option<&Value>,
    ) -> Result<(Vector, usize)> {
        if let Some(columns) = feature.and_then(|feature| strings(&feature["columns"]))
            && !columns.is_empty()
        {
            for name in &columns {
                if !matches!(self.data_type(name), "float" | "int") {
                    return Err(unkept(name, "a value of the embedding must be a number"));
                }
            }
            let dim = columns.len();
            return Ok((Vector::Columns(columns), dim));
        }
        let vectors: Vec<&String> = inputs
            .iter()
            .chain(metadata)
            .filter(|name| self.data_type(name) == "vector")
            .collect();
        let name = match vectors.as_slice() {
            [name] => *name,
            [] => {
                return Err(error::invalid(
                    "the model has no vector column; the local store keeps models with an embedding",
                ));
            }
            [_, second, ..] => {
                return Err(unkept(second, "the local store keeps one embedding a row"));
            }
        };
        if let Some(column) = feature.and_then(|feature| feature["column"].as_str())
            && column != name
        {
            let message = format!(
                "the custom feature is over `{column}`, which is not the vector column `{name}`"
            );
            return Err(error::invalid(message));
        }
        let dim = self.column(name).map(|column| &column["n_dimensions"]);
        match dim.and_then(Value::as_u64) {
            Some(dim @ 1..=MOST_DIMENSIONS) => Ok((Vector::Column(name.clone()), dim as usize)),
            _ => {
                let message =
                    format!("column `{name}` needs n_dimensions, from 1 to {MOST_DIMENSIONS}");
                Err(error::invalid(message))
            }
        }
    }
}

fn columns(definition: &Value) -> Result<Vec<&Value>> {
    let columns = definition["schema"]["columns"]
        .as_array()
        .ok_or_else(|| error::invalid("schema.columns is not a list"))?;
    for column in columns {
        if column["name"].as_str().is_none() || column["data_type"].as_str().is_none() {
            return Err(error::invalid(
                "every column of the schema needs a name and a data_type",
            ));
        }
    }
    Ok(columns.iter().collect())
}

/// A list of strings; null is an empty one.
fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(values) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn centroids(value: &Value, dim: usize) -> Result<Option<Centroids>> {
    let refuse = || {
        let message = format!("centroids must be lists of {dim} finite numbers");
        error::invalid(message)
    };
    let rows = match value {
        Value::Null => return Ok(None),
        Value::Array(rows) => rows,
        _ => return Err(refuse()),
    };
    let mut values = Vec::new();
    for row in rows {
        let row = row
            .as_array()
            .filter(|row| row.len() == dim)
            .ok_or_else(refuse)?;
        for value in row {
            let value = value.as_f64().ok_or_else(refuse)? as f32;
            if !value.is_finite() {
                return Err(refuse());
            }
            values.push(value);
        }
    }
    Ok((!values.is_empty()).then_some(Centroids { dim, values }))
}

fn unkept(column: &str, why: &str) -> Error {
    error::invalid(format!(
        "the local store cannot keep the column `{column}`: {why}"
    ))
}
