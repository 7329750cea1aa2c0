//! Remote calls of `fiddler-client` 1.8, `/<verb>/<organization>/…`. Their answers are each in a
//! [`Call`](crate::Call); what this client does besides is in [`v2`](crate::v2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::v2::ModelInfo;

/// What the server can do: `GET /get_supported_features/<organization>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedFeatures {
    /// Switches by name.
    pub features: Map<String, Value>,
    /// Version of the server.
    pub server_version: String,
    /// Whether the routes under `/v2` may be used.
    pub enable_fiddler_v2: bool,
}

/// A model: `GET /model_info/<organization>/<project>/<model>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescribedModel {
    /// What it is.
    pub model: ModelInfo,
}

/// Asks whether a model's predictions are there: `POST /model_predictions_exist/<organization>/<project>`. The answer is
/// true or false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionsExist {
    /// The model.
    pub model: String,
    /// The data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
}

/// The job that makes a model's baseline: `POST /init_monitoring/<organization>/<project>/<model>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoringStarted {
    /// 202.
    pub status: u16,
    /// Id of the job.
    pub task_id: String,
}
