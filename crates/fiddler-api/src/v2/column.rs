//! Columns of data sets and models.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::Field;

/// A column. Client 1 writes null where client 2 leaves a key out. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    #[serde(rename = "column-name")]
    pub name: String,
    /// `float`, `int`, `bool`, `str`, `category` or, for client 2, `vector`.
    #[serde(rename = "data-type")]
    pub data_type: String,
    /// Whether it may be null.
    #[serde(
        rename = "is-nullable",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub is_nullable: Field<bool>,
    /// Length of a vector.
    #[serde(
        rename = "n-dimensions",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub n_dimensions: Field<u64>,
    /// The categories.
    #[serde(
        rename = "possible-values",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub possible_values: Field<Vec<Value>>,
    /// The least number.
    #[serde(
        rename = "value-range-min",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub min: Field<Number>,
    /// The greatest number.
    #[serde(
        rename = "value-range-max",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub max: Field<Number>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Column {
    /// A column that is never null.
    pub fn new(name: &str, data_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            is_nullable: false.into(),
            ..Self::default()
        }
    }

    /// Whether client 1 knows its type.
    pub fn is_scalar(&self) -> bool {
        matches!(
            self.data_type.as_str(),
            "float" | "int" | "bool" | "str" | "category"
        )
    }
}
