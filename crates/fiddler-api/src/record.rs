//! Alerts that were raised: one route, `/v2/alert-configs/<id>/records`, for every generation.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::Field;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Beyond the warning threshold.
    Warning,
    /// Beyond the critical threshold.
    Critical,
}

/// An alert that was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Its place among the records of its rule, from 1.
    pub id: u64,
    /// Its id.
    pub uuid: Uuid,
    /// Its rule.
    pub alert_config_uuid: Uuid,
    /// The revision of the rule.
    pub alert_config_revision: u32,
    /// When the rule was held against the bin, in milliseconds.
    pub alert_run_start_time: i64,
    /// Start of the bin, in milliseconds.
    pub alert_time_bucket: i64,
    /// The value of the bin.
    pub alert_value: f64,
    /// The warning threshold.
    pub warning_threshold: Option<f64>,
    /// The critical threshold.
    pub critical_threshold: Option<f64>,
    /// Start of the earlier bin that it was compared with, in milliseconds.
    pub baseline_time_bucket: Option<i64>,
    /// The value of the earlier bin.
    pub baseline_value: Option<f64>,
    /// Whether a threshold was passed.
    pub is_alert: bool,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Why there is no value; `NA` if there is one.
    pub failure_reason: String,
    /// For people.
    pub message: String,
    /// The column, null for whole rows.
    pub feature_name: Option<String>,
    /// Always 1.
    pub alert_record_main_version: u32,
    /// How often what was found changed, from 1.
    pub alert_record_sub_version: u32,
    /// When it was raised.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
    /// Values of several columns.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub multi_col_values: Field<Value>,
}
