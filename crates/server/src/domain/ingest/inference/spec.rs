//! The spec of a sample, and the embeddings that it wants clusters of.

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use driftline_core::Result;
use driftline_stats::{KMeans, KMeansConfig};
use serde_json::{Map, Value, json};

use super::column::length;
use crate::domain::error;
use crate::domain::ingest::cells::{Cells, interleaved};

/// Seed of the clusters, that of `driftline drift`.
const SEED: u64 = 42;
const CLUSTERS: u64 = 5;
/// Numbers of embeddings that are held to find clusters.
const MOST_NUMBERS: usize = 64 << 20;
const ROLES: [&str; 5] = ["inputs", "outputs", "targets", "decisions", "metadata"];

/// The spec as it is answered, and the embeddings that it wants clusters of.
pub(super) struct Spec {
    pub(super) answer: Value,
    pub(super) targets: BTreeSet<String>,
    pub(super) embedded: Vec<Sample>,
}

impl Spec {
    pub(super) fn of(given: &Value, names: &[String]) -> Result<Self> {
        let given = match given {
            Value::Null => json!({"inputs": names}),
            Value::Object(_) => given.clone(),
            _ => return Err(error::invalid("spec is not an object")),
        };
        let mut answer = Map::new();
        let version = given["schema_version"].as_u64().unwrap_or(1);
        answer.insert("schema_version".to_owned(), json!(version));
        let mut targets = BTreeSet::new();
        for role in ROLES {
            let listed = match &given[role] {
                Value::Null => Vec::new(),
                Value::Array(listed) => listed.clone(),
                _ => return Err(error::invalid(format!("spec.{role} is not a list"))),
            };
            for name in &listed {
                let name = name.as_str().unwrap_or_default();
                if !names.iter().any(|known| known == name) {
                    let message =
                        format!("the sample has no column `{name}`, which spec.{role} names");
                    return Err(error::invalid(message));
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
            _ => return Err(error::invalid("spec.custom_features is not a list")),
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
pub(super) struct Sample {
    pub(super) index: usize,
    columns: Vec<String>,
    clusters: usize,
    dim: usize,
    numbers: Vec<f32>,
}

impl Sample {
    /// `None` for a feature that has no clusters.
    fn of(index: usize, feature: &mut Value, names: &[String]) -> Result<Option<Self>> {
        if !feature.is_object() || feature["type"] == "ENRICHMENT" {
            return Ok(None);
        }
        let clusters = match &feature["n_clusters"] {
            Value::Null => CLUSTERS,
            given => given
                .as_u64()
                .filter(|clusters| (1..=1_000).contains(clusters))
                .ok_or_else(|| error::invalid(format!("n_clusters is {given}, not 1 to 1000")))?,
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
            return Err(error::invalid(message));
        }
        Ok(Some(Self {
            index,
            columns,
            clusters: clusters as usize,
            dim: 0,
            numbers: Vec::new(),
        }))
    }

    pub(super) fn add(&mut self, batch: &RecordBatch, first: u64) -> Result<()> {
        let cells = |name| {
            Cells::find(batch, name, first).ok_or_else(|| error::internal("a column went away"))
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
                interleaved(&columns.collect::<Result<Vec<_>>>()?, batch.num_rows())
            }
        };
        if self.numbers.len() + numbers.len() > MOST_NUMBERS {
            return Err(error::invalid(
                "the sample is too large to find clusters in; give fewer rows, or a sample_size",
            ));
        }
        self.numbers.extend_from_slice(numbers.values());
        Ok(())
    }

    pub(super) fn centroids(&self) -> Result<Value> {
        let config = KMeansConfig {
            seed: SEED,
            ..KMeansConfig::default()
        };
        let clusters = KMeans::fit(&self.numbers, self.dim, self.clusters, &config)?;
        let centroids = clusters.centroids().chunks(self.dim).map(|row| json!(row));
        Ok(centroids.collect())
    }
}
