//! Models.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Column;
use crate::{CustomFeature, Field};

/// What a model is. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name as a person would call it; clients write ` model`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// `structured`.
    #[serde(
        rename = "input-type",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub input_type: Field<String>,
    /// Like `multiclass_classification`.
    #[serde(
        rename = "model-task",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub task: Field<String>,
    /// Data sets, the first of which is the baseline.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub datasets: Field<Vec<String>>,
    /// Columns that go into it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub inputs: Field<Vec<Column>>,
    /// Columns that come out of it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub outputs: Field<Vec<Column>>,
    /// Columns with the truth.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub targets: Field<Vec<Column>>,
    /// Columns that were decided from the outputs.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub decisions: Field<Vec<Column>>,
    /// Columns that are kept beside the others.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub metadata: Field<Vec<Column>>,
    /// Classes in the order of the outputs.
    #[serde(
        rename = "target-class-order",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub target_class_order: Field<Vec<Value>>,
    /// For people.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// Version of this form, `1.2`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub schema_version: Field<String>,
    /// Version of the form of the columns, `v1`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub data_type_version: Field<String>,
    /// Empty.
    #[serde(
        rename = "custom-explanation-names",
        default,
        skip_serializing_if = "Field::is_absent"
    )]
    pub custom_explanation_names: Field<Vec<Value>>,
    /// Columns that are clustered together.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub custom_features: Field<Vec<CustomFeature>>,
    /// From where on a score is the positive class.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub binary_classification_threshold: Field<Value>,
    /// The column that ranks are grouped by.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub group_by: Field<Value>,
    /// How many ranks count.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub ranking_top_k: Field<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl ModelInfo {
    /// Its columns of every role, by the name of the role.
    pub fn roles(&self) -> [(&'static str, &[Column]); 5] {
        [
            ("inputs", self.inputs.elements()),
            ("outputs", self.outputs.elements()),
            ("targets", self.targets.elements()),
            ("decisions", self.decisions.elements()),
            ("metadata", self.metadata.elements()),
        ]
    }
}

/// Adds a model: `POST /v2/models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewModel {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project_name: String,
    /// Its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_name: Option<String>,
    /// What it is.
    pub info: ModelInfo,
    /// Null from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub model_type: Field<Value>,
    /// Null from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_list: Field<Value>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its id, which Fiddler sends and no client reads.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<Value>,
    /// Its name.
    pub name: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub project_name: Field<String>,
    /// Its organization.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub organization_name: Field<String>,
    /// What it is, as the client sent it.
    #[serde(default)]
    pub info: ModelInfo,
    /// Files of the model itself.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_list: Field<Value>,
    /// Type of the model itself.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub model_type: Field<Value>,
    /// What the model itself was made with.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub framework: Field<Value>,
    /// What the model itself needs.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub requirements: Field<Value>,
    /// After `POST /v2/models`, the job to wait for.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub job_uuid: Field<String>,
}
