//! Custom features, which all generations write in the same form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Field;

/// A custom feature: columns that are clustered together. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomFeature {
    /// Its name.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// What it is over: [`FROM_COLUMNS`](Self::FROM_COLUMNS), [`FROM_IMAGE_EMBEDDING`](Self::FROM_IMAGE_EMBEDDING), …
    #[serde(rename = "type", default, skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// Number of clusters.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub n_clusters: Field<u64>,
    /// `n_clusters` lists of numbers, found by the server. A client sends them back untouched.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub centroids: Field<Value>,
    /// The column of vectors.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub column: Field<String>,
    /// The column that the vectors were made from.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub source_column: Field<String>,
    /// Scalar columns, one for each value of the vector.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub columns: Field<Vec<String>>,
    /// Whether it is monitored. Client 1 only; the others refuse it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub monitor: Field<Value>,
    /// How its columns are transformed. Client 1 only; the others refuse it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub transformation: Field<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl CustomFeature {
    /// Over scalar columns, the only type of client 1.
    pub const FROM_COLUMNS: &str = "FROM_COLUMNS";
    /// Over a column of image embeddings.
    pub const FROM_IMAGE_EMBEDDING: &str = "FROM_IMAGE_EMBEDDING";
    /// Computed by the server from text.
    pub const ENRICHMENT: &str = "ENRICHMENT";

    /// A feature over a column of image embeddings; its clusters are yet to be found.
    pub fn image_embedding(name: &str, n_clusters: u64, column: &str, source_column: &str) -> Self {
        Self {
            name: name.to_owned().into(),
            kind: Self::FROM_IMAGE_EMBEDDING.to_owned().into(),
            n_clusters: n_clusters.into(),
            column: column.to_owned().into(),
            source_column: source_column.to_owned().into(),
            ..Self::default()
        }
    }

    /// Whether it is of this type.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.get().is_some_and(|there| there == kind)
    }

    /// The same without what client 1 alone understands.
    pub fn without_first_generation(self) -> Self {
        Self {
            monitor: Field::Absent,
            transformation: Field::Absent,
            ..self
        }
    }
}
