//! What a client asks first.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The server: `GET /v2/server-info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Switches by name.
    #[serde(default)]
    pub feature_flags: Map<String, Value>,
    /// Version of the server, a full semantic one.
    pub server_version: String,
}
