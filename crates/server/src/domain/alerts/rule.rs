//! What an alert rule is, and which ones are refused.

use driftline_core::Result;
pub use driftline_fiddler_api::v3::{CompareTo, Condition, Multipliers, Priority, ThresholdType};
use driftline_metrics::{BinSize, Column, Metric, StoredModel};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;
use crate::domain::objects::Model;
use crate::domain::queries::{self, column};

/// Alert rules.
pub const ALERT_RULE: Kind = Kind("alert_rule");

/// In place of the name of a column: every column.
const ANY: &str = "__ANY__";

/// What a client says of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Its name.
    pub name: String,
    /// Its model.
    pub model_id: Uuid,
    /// What is measured, a name of [`Metric`].
    pub metric_id: String,
    /// Columns, each on its own; `__ANY__` is every column.
    pub feature_names: Option<Vec<String>>,
    /// Of a frequency, the value that is counted; without it all.
    pub category: Option<String>,
    /// The baseline of a drift; without it all rows of the baseline section.
    pub baseline_id: Option<Uuid>,
    /// Length of the bins.
    pub bin_size: BinSize,
    /// What the value is compared with.
    pub compare_to: CompareTo,
    /// How many bins before, for [`CompareTo::TimePeriod`].
    pub compare_bin_delta: Option<u32>,
    /// On which side an alert is raised.
    pub condition: Condition,
    /// Where the thresholds come from.
    #[serde(default)]
    pub threshold_type: ThresholdType,
    /// For thresholds from standard deviations.
    pub auto_threshold_params: Option<Multipliers>,
    /// From where on an alert is critical.
    pub critical_threshold: Option<f64>,
    /// From where on there is a warning.
    pub warning_threshold: Option<f64>,
    /// Hours after the end of a bin before it is looked at.
    pub evaluation_delay: Option<u32>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Segments are not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<Value>,
}

/// An alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub terms: Terms,
    /// Counts the changes of the terms, from 1.
    pub revision: u32,
    /// Who would be told; nothing is sent from here.
    pub notification: Value,
    /// What a client of generation 1 or 2 sent, which it is answered unchanged.
    pub legacy: Option<Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
}

impl Terms {
    /// Refuses what can never be measured or compared.
    ///
    /// # Errors
    /// `InvalidData` that lists what there is, `Unsupported` for segments.
    pub(crate) fn check(&self, counted: &StoredModel, model: &Model) -> Result<()> {
        if self.segment_id.is_some() {
            return Err(error::unsupported("Segments"));
        }
        if self.name.trim().is_empty() {
            return Err(error::invalid("an alert rule needs a name"));
        }
        self.columns(counted, model)?;
        let allowed: &[u32] = match self.bin_size {
            BinSize::Hour => &[1, 24, 168, 720, 2160],
            BinSize::Day => &[1, 7, 30, 90],
            BinSize::Week | BinSize::Month => &[1],
        };
        if self.compare_to == CompareTo::TimePeriod
            && !self
                .compare_bin_delta
                .is_some_and(|delta| allowed.contains(&delta))
        {
            let message = format!(
                "compare_bin_delta of bins of a {} must be one of {allowed:?}",
                self.bin_size.name().to_lowercase()
            );
            return Err(error::invalid(message));
        }
        let missing = match self.threshold_type {
            ThresholdType::Manual if self.critical_threshold.is_none() => "critical_threshold",
            ThresholdType::StandardDeviation if self.auto_threshold_params.is_none() => {
                "auto_threshold_params"
            }
            _ => return Ok(()),
        };
        let message = format!("an alert rule of this threshold_type needs {missing}");
        Err(error::invalid(message))
    }

    /// What is measured.
    pub(crate) fn metric(&self) -> Result<Metric> {
        queries::metric(&self.metric_id)
    }

    /// The columns that it is measured of, with the names that the model has for them; one `None` for whole rows.
    pub(crate) fn columns(
        &self,
        counted: &StoredModel,
        model: &Model,
    ) -> Result<Vec<(Option<Column>, Option<String>)>> {
        let metric = self.metric()?;
        let names = self.feature_names.as_deref().unwrap_or_default();
        if names.is_empty() || (names == [ANY] && !metric.needs_column()) {
            counted.check_column(metric, None)?;
            return Ok(vec![(None, None)]);
        }
        let mut columns = Vec::new();
        for name in names {
            if name == ANY {
                let known = counted.columns().into_iter().map(|(column, _)| column);
                let told = known.filter(|column| *column != Column::Prediction);
                columns.extend(told.filter(|column| metric.suits(*column)));
                continue;
            }
            let column = column(counted, model, name)?;
            counted.check_column(metric, Some(column))?;
            columns.push(column);
        }
        columns.sort_unstable();
        columns.dedup();
        let named = columns.into_iter().map(|column| {
            let name = queries::column_name(counted, model, column)?;
            Ok((Some(column), Some(name)))
        });
        named.collect()
    }
}

/// The rule with this id.
///
/// # Errors
/// `NotFound` without one.
pub(crate) fn rule(documents: &Documents<'_>, id: Uuid) -> Result<Rule> {
    documents
        .get(ALERT_RULE, id)?
        .ok_or_else(|| error::not_found("Alert rule"))
}

/// Rules of a model, in the order in which they were made.
pub(crate) fn rules(documents: &Documents<'_>, model: Uuid) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = documents.list(ALERT_RULE)?;
    rules.retain(|rule| rule.terms.model_id == model);
    Ok(rules)
}
