//! Alert rules.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ModelRef, Named};
use crate::Field;

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// Not very.
    Low,
    /// Somewhat.
    #[default]
    Medium,
    /// Very.
    High,
}

/// What the value of a bin is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareTo {
    /// The thresholds themselves.
    RawValue,
    /// The value of an earlier bin: the thresholds are shares by which it changed.
    TimePeriod,
}

/// On which side of a threshold an alert is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Above it; of a change, by more than it upwards.
    Greater,
    /// Below it; of a change, by more than it downwards.
    Lesser,
}

/// Where the thresholds come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThresholdType {
    /// The rule has them.
    #[default]
    #[serde(rename = "manual")]
    Manual,
    /// Mean and standard deviation of the earlier bins.
    #[serde(rename = "standard_deviation_auto_threshold")]
    StandardDeviation,
}

/// Standard deviations from the mean, for [`ThresholdType::StandardDeviation`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Multipliers {
    /// Of the critical threshold.
    pub critical_multiplier: f64,
    /// Of the warning threshold.
    pub warning_multiplier: Option<f64>,
}

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricGroup {
    /// Data drift.
    Drift,
    /// Data integrity.
    DataIntegrity,
    /// Performance.
    Performance,
    /// Traffic.
    ServiceMetrics,
    /// Statistics of a column.
    Statistic,
    /// An expression of the user.
    Custom,
}

impl MetricGroup {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::DataIntegrity => "data_integrity",
            Self::Performance => "performance",
            Self::ServiceMetrics => "service_metrics",
            Self::Statistic => "statistic",
            Self::Custom => "custom",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Drift => "Data Drift",
            Self::DataIntegrity => "Data Integrity",
            Self::Performance => "Performance",
            Self::ServiceMetrics => "Traffic",
            Self::Statistic => "Statistic",
            Self::Custom => "Custom",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its id, like `jsd`.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// Its name for people.
    pub display_name: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub group: MetricGroup,
    /// The name of its group for people.
    pub type_display_name: String,
}

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// How urgent an alert is.
    pub priority: Priority,
    /// What the value of a bin is compared with.
    pub compare_to: CompareTo,
    /// On which side of the threshold.
    pub condition: Condition,
    /// Length of the bins: `Hour`, `Day`, `Week` or `Month`.
    pub bin_size: String,
    /// Where the thresholds come from.
    pub threshold_type: ThresholdType,
    /// For thresholds from standard deviations.
    pub auto_threshold_params: Option<Multipliers>,
    /// From where on an alert is critical.
    pub critical_threshold: Option<f64>,
    /// From where on there is a warning.
    pub warning_threshold: Option<f64>,
    /// The columns, each on its own.
    pub feature_names: Option<Vec<String>>,
    /// How many bins before, for [`CompareTo::TimePeriod`].
    pub compare_bin_delta: Option<u32>,
    /// Hours after the end of a bin before it is looked at.
    pub evaluation_delay: u32,
    /// Of a frequency, the value that is counted.
    pub category: Option<String>,
    /// What is measured.
    pub metric: Metric,
    /// Its model.
    pub model: ModelRef,
    /// Its project.
    pub project: Named,
    /// The baseline of a drift.
    pub baseline: Option<Named>,
    /// Its segment.
    pub segment: Option<Named>,
    /// When it was made.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
}

/// Changes an alert rule: `PATCH /v3/alert-rules/<id>`. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertRuleChange {
    /// From where on an alert is critical.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub critical_threshold: Field<f64>,
    /// From where on there is a warning.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub warning_threshold: Field<f64>,
    /// Hours after the end of a bin before it is looked at.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub evaluation_delay: Field<u32>,
    /// For thresholds from standard deviations.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub auto_threshold_params: Field<Multipliers>,
    /// Whether anybody is told of alerts.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub enable_notification: Field<bool>,
}

/// Who is told of an alert: `GET` and `PATCH /v3/alert-rules/<id>/notification`. Of a change, what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Addresses.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub emails: Field<Value>,
    /// Services of PagerDuty.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub pagerduty_services: Field<Value>,
    /// Severity for PagerDuty.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub pagerduty_severity: Field<Value>,
    /// Ids of webhooks.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub webhooks: Field<Value>,
}
