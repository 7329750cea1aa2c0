//! What a client asks first, and how objects refer to others.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// All that is needed of an object to name it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its id.
    pub id: Uuid,
}

/// An organization, a project, or another object with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// A version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub full_name: String,
    /// Its address.
    pub email: String,
}

/// The server: `GET /v3/server-info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Switches by name.
    #[serde(default)]
    pub feature_flags: Map<String, Value>,
    /// Version of the server, a full semantic one.
    pub server_version: String,
    /// The organization of the token.
    pub organization: Named,
}
