//! Numbers, read back: what Fiddler's web page asks for, and no client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Metric, ModelRef, Named, TimeRange};

/// Which bins a request is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeFilter {
    /// From when to when; without it everything.
    pub time_range: Option<TimeRange>,
    /// Name of the time zone.
    pub time_zone: Option<String>,
    /// Length of the bins; without it a day.
    pub bin_size: Option<String>,
}

/// Asks for metrics by time bin: `POST /v3/queries`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queries {
    /// `MONITORING`.
    pub query_type: Option<String>,
    /// Which bins.
    #[serde(default)]
    pub filters: TimeFilter,
    /// What is wanted of them.
    pub queries: Vec<Query>,
}

/// A query of [`Queries`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The name under which it is answered.
    pub query_key: String,
    /// The model.
    pub model_id: Uuid,
    /// The baseline of a drift.
    pub baseline_id: Option<Uuid>,
    /// What is measured, like `jsd`.
    pub metric: String,
    /// Columns by their names or ids.
    pub columns: Option<Vec<String>>,
    /// Of a frequency, the values that are wanted; without it all.
    pub categories: Option<Vec<String>>,
    /// The segment.
    pub segment_id: Option<Value>,
}

/// The answer to [`Queries`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitoringResults {
    /// `MONITORING`.
    pub query_type: String,
    /// Results by the keys of the queries.
    pub results: BTreeMap<String, MonitoringResult>,
}

/// The answer to a [`Query`]: a table whose rows begin with the start of their bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitoringResult {
    /// The key of the query.
    pub query_key: String,
    /// What was measured.
    pub metric: String,
    /// The model.
    pub model: ModelRef,
    /// The baseline.
    pub baseline: Option<Named>,
    /// Names of the columns of `data`.
    pub col_names: Vec<String>,
    /// A row for each bin that has events: its start, then numbers, null where there is nothing to measure on.
    pub data: Vec<Vec<Value>>,
}

/// Asks for a column of a bin beside the baseline: `POST /v3/histograms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramsRequest {
    /// The model; needed only where no baseline says which.
    pub model_id: Option<Uuid>,
    /// The baseline.
    pub baseline_id: Option<Uuid>,
    /// A moment of the bin.
    pub start_time: Value,
    /// Length of the bin.
    #[serde(default = "day")]
    pub bin_size: String,
    /// The column by its name or id.
    pub column_id: String,
}

fn day() -> String {
    "Day".to_owned()
}

/// A column of a bin beside the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histograms {
    /// Name of the column.
    pub column: String,
    /// Start of the bin.
    pub start_time: String,
    /// Length of the bin.
    pub bin_size: String,
    /// What the bars are.
    pub bins: Bins,
    /// Rows of the baseline.
    pub baseline_histogram: Vec<u64>,
    /// Rows of the bin.
    pub production_histogram: Vec<u64>,
}

/// What the bars of a histogram are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bins {
    /// Categories or clusters, by their names.
    Names(Vec<String>),
    /// Numbers, by the edges of the bars, one more than bars.
    Edges(Vec<f64>),
}

/// Asks for metrics of a whole environment or time range: `POST /v3/analytics/metrics`. The answer is a list of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRequest {
    /// The model.
    pub model_id: Uuid,
    /// The baseline of a drift.
    pub baseline_id: Option<Uuid>,
    /// An environment; without it events.
    pub env_id: Option<Uuid>,
    /// A time range of the events; without it all.
    pub time_range: Option<TimeRange>,
    /// What is measured.
    pub metrics: Vec<WantedMetric>,
}

/// What is measured of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WantedMetric {
    /// Of whole rows.
    OfRows(String),
    /// Of a column.
    OfColumn {
        /// The metric.
        metric: String,
        /// The column by its name or id.
        column: Option<String>,
    },
}

/// Which metrics and columns a model has: `GET /v3/models/<id>/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// The metrics.
    pub metrics: Vec<MetricEntry>,
    /// The columns.
    pub columns: Vec<ColumnEntry>,
}

/// A metric, and what it can be measured of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricEntry {
    /// The metric.
    #[serde(flatten)]
    pub metric: Metric,
    /// Ids of the columns that it can be measured of.
    pub columns: Vec<String>,
    /// Whether it compares with a baseline.
    pub requires_baseline: bool,
    /// Whether it is of categories.
    pub requires_categories: bool,
}

/// A column that something can be measured of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role for people, like `Outputs`.
    pub group: String,
}

/// Asks for embeddings in two dimensions: `POST /v3/dimensionality-reduction/<model>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReductionRequest {
    /// The baseline.
    pub baseline_id: Option<Uuid>,
    /// Which events.
    #[serde(flatten)]
    pub filter: TimeFilter,
}

/// Embeddings in two dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reduction {
    /// How they were reduced.
    pub method: String,
    /// Shares of the variance that the two dimensions have.
    pub explained_variance: [f64; 2],
    /// A sample of the baseline.
    pub baseline: Vec<ReductionPoint>,
    /// A sample of the events.
    pub production: Vec<ReductionPoint>,
}

/// An embedding in two dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReductionPoint {
    /// The first dimension.
    pub x: f64,
    /// The second dimension.
    pub y: f64,
    /// Id of the row.
    pub event_id: String,
    /// Time of the row.
    pub timestamp: String,
    /// Address of its image.
    pub image_url: String,
    /// Its true class.
    pub target: Option<String>,
    /// The class with the highest score.
    pub prediction: Option<String>,
}
