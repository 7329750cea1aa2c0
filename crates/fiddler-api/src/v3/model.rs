//! Models.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ModelRef, Named, Schema, Spec, User};
use crate::Field;

/// What a model is, without its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its columns.
    pub schema: Schema,
    /// Their roles.
    pub spec: Spec,
    /// `structured`.
    pub input_type: String,
    /// Like `multiclass_classification`.
    pub task: String,
    /// What the task needs to know.
    #[serde(default)]
    pub task_params: Option<TaskParams>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// The column with the ids of events.
    #[serde(default)]
    pub event_id_col: Option<String>,
    /// The column with the times of events.
    #[serde(default)]
    pub event_ts_col: Option<String>,
    /// How these times are written.
    #[serde(default)]
    pub event_ts_format: Option<String>,
    /// How the model is explained.
    #[serde(default)]
    pub xai_params: Value,
}

impl Definition {
    /// The [`xai_params`](Self::xai_params) of a model that is not explained.
    pub fn not_explained() -> Value {
        json!({ "custom_explain_methods": [], "default_explain_method": null })
    }

    /// The column of the schema with this name.
    pub fn column(&self, name: &str) -> Option<&super::Column> {
        self.schema
            .columns
            .iter()
            .find(|column| column.name == name)
    }
}

/// What the task of a model needs to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskParams {
    /// From where on a score is the positive class.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub binary_classification_threshold: Field<Value>,
    /// Classes in the order of the outputs.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub target_class_order: Field<Vec<Value>>,
    /// The column that ranks are grouped by.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub group_by: Field<Value>,
    /// How many ranks count.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub top_k: Field<Value>,
    /// Weights of the classes.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub class_weights: Field<Value>,
    /// Whether the weights count for the baseline.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub weighted_ref_histograms: Field<Value>,
}

impl TaskParams {
    /// Of a multi-class classification: the classes are known, the rest is null.
    pub fn classification(classes: Field<Vec<Value>>) -> Self {
        Self {
            binary_classification_threshold: Field::Null,
            target_class_order: classes.or_null(),
            group_by: Field::Null,
            top_k: Field::Null,
            class_weights: Field::Null,
            weighted_ref_histograms: Field::Null,
        }
    }
}

/// Adds a model: `POST /v3/models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewModel {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project_id: Uuid,
    /// Its version; without one it is `v1`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub version: Field<String>,
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its project.
    pub project: Named,
    /// Its organization.
    pub organization: Named,
    /// Whether the server has the model itself; `no_model`.
    pub artifact_status: String,
    /// Files of the model itself.
    pub artifact_files: Vec<Value>,
    /// Whether it ranks two classes.
    pub is_binary_ranking_model: bool,
    /// When it was made.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
    /// Who made it.
    pub created_by: User,
    /// Who changed it.
    pub updated_by: User,
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
}

impl Model {
    /// How other objects refer to it.
    pub fn reference(&self) -> ModelRef {
        ModelRef {
            id: self.id,
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }
}

/// Changes a model: `PATCH /v3/models/<id>`. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelChange {
    /// Its version, which cannot change.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub version: Field<String>,
    /// Its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// Their roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
    /// For people.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// The column with the ids of events.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_id_col: Field<String>,
    /// The column with the times of events.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_ts_col: Field<String>,
    /// How these times are written.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_ts_format: Field<String>,
    /// How the model is explained.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub xai_params: Field<Value>,
}

impl ModelChange {
    /// Puts what is there in the place of what was.
    pub fn apply(self, definition: &mut Definition) {
        if let Some(schema) = self.schema {
            definition.schema = schema;
        }
        if let Some(spec) = self.spec {
            definition.spec = spec;
        }
        if !self.xai_params.is_absent() {
            definition.xai_params = self.xai_params.into_value().unwrap_or_default();
        }
        for (change, place) in [
            (self.description, &mut definition.description),
            (self.event_id_col, &mut definition.event_id_col),
            (self.event_ts_col, &mut definition.event_ts_col),
            (self.event_ts_format, &mut definition.event_ts_format),
        ] {
            if !change.is_absent() {
                *place = change.into_value();
            }
        }
    }
}
