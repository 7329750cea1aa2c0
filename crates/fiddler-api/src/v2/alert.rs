//! Alert rules.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::Field;
use crate::v3::{CompareTo, Condition, Priority};

/// Columns of a rule: a list, or its text as Python writes it, which some clients 1 send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeatureNames {
    /// The list.
    List(Vec<String>),
    /// Its text, like `['image_feature']`.
    Text(String),
}

/// Adds an alert rule: `POST /v2/alert-configs`. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewAlertConfig {
    /// Its name.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// Its organization.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub organization_name: Field<String>,
    /// Its project.
    pub project_name: String,
    /// Its model.
    pub model_name: String,
    /// Group of the metric, like `drift`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub alert_type: Field<String>,
    /// The metric by the name that this generation has for it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub metric: Field<String>,
    /// The metric by its id. Not from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub metric_id: Field<String>,
    /// The segment. Not from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub segment_id: Field<Value>,
    /// The column.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub feature_name: Field<String>,
    /// The columns.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub feature_names: Field<FeatureNames>,
    /// Of a frequency, the value that is counted. Not from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub category: Field<String>,
    /// How urgent an alert is.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub priority: Field<Priority>,
    /// What the value of a bin is compared with.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub compare_to: Field<CompareTo>,
    /// The baseline.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub baseline_name: Field<String>,
    /// For [`CompareTo::TimePeriod`], milliseconds before the bin.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub compare_period: Field<i64>,
    /// From where on there is a warning.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub warning_threshold: Field<Number>,
    /// From where on an alert is critical.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub critical_threshold: Field<Number>,
    /// On which side of a threshold an alert is raised.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub condition: Field<Condition>,
    /// Length of the bins in milliseconds.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub time_bucket: Field<i64>,
    /// Length of the bins in a word. Not from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub bin_size: Field<String>,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub notifications: Field<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertConfig {
    /// Its id.
    pub uuid: String,
    /// The name of [`NewAlertConfig::alert_type`] for people.
    pub alert_type_display_name: String,
    /// The name of the metric for people.
    pub metric_display_name: String,
    /// All that was said when it was added.
    #[serde(flatten)]
    pub said: NewAlertConfig,
}
