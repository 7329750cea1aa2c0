//! Columns and their roles.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::{CustomFeature, Field};

/// The columns of a model. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Version of this form, 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub schema_version: Field<u64>,
    /// The columns.
    pub columns: Vec<Column>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Schema {
    /// A schema of these columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            schema_version: 1.into(),
            columns,
            more: Map::new(),
        }
    }
}

/// A column. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its id, which the server makes of its name and clients drop.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// Its name.
    pub name: String,
    /// `float`, `int`, `bool`, `str`, `category`, `timestamp` or `vector`.
    pub data_type: String,
    /// The least number.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub min: Field<Number>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub max: Field<Number>,
    /// The categories, sorted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub categories: Field<Vec<Value>>,
    /// 11 edges of 10 bins.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub bins: Field<Vec<Number>>,
    /// Values that stand for null.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub replace_with_nulls: Field<Value>,
    /// Length of a vector.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub n_dimensions: Field<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Column {
    /// A column of which only name and type are said.
    pub fn new(name: &str, data_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            ..Self::default()
        }
    }

    /// The column as a client sends it: without what only the server knows, and with null for what is not said.
    pub fn of_client(self) -> Self {
        Self {
            id: Field::Absent,
            name: self.name,
            data_type: self.data_type,
            min: self.min.or_null(),
            max: self.max.or_null(),
            categories: self.categories.or_null(),
            bins: self.bins.or_null(),
            replace_with_nulls: self.replace_with_nulls.or_null(),
            n_dimensions: self.n_dimensions.or_null(),
            more: Map::new(),
        }
    }
}

/// The roles of columns. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Version of this form, 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub schema_version: Field<u64>,
    /// Columns that go into the model.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub inputs: Field<Vec<String>>,
    /// Columns that come out of it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub outputs: Field<Vec<String>>,
    /// Columns with the truth.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub targets: Field<Vec<String>>,
    /// Columns that were decided from the outputs.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub decisions: Field<Vec<String>>,
    /// Columns that are kept beside the others.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub metadata: Field<Vec<String>>,
    /// Columns that are clustered together.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub custom_features: Field<Vec<CustomFeature>>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
