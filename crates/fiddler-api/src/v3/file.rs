//! Files, whole and in parts.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::User;

/// Where an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FileStatus {
    /// Its parts arrive.
    Initiated,
    /// It is whole.
    Successful,
    /// It will never be whole.
    Failed,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FileType {
    /// Text.
    Csv,
    /// Parquet.
    Parquet,
    /// A packed folder.
    TarGz,
}

/// A file: the answers to `POST /v3/files/upload`, `…/multipart-init` and `…/multipart-complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub filename: String,
    /// Where it is.
    pub status: FileStatus,
    /// What is in it.
    #[serde(rename = "type")]
    pub kind: FileType,
    /// When it began.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
    /// Who sent it.
    pub created_by: User,
    /// Who changed it.
    pub updated_by: User,
}

/// Begins a file in parts: `POST /v3/files/multipart-init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFile {
    /// Its name.
    pub filename: String,
}

/// A part has come: the answer to `POST /v3/files/multipart-upload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPart {
    /// What the server calls it, which may be anything.
    pub part_id: Value,
}

/// A part in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number, from 1.
    pub number: u64,
    /// What the server called it.
    pub id: Value,
}

/// Ends a file in parts: `POST /v3/files/multipart-complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishFile {
    /// The file.
    pub file_id: Uuid,
    /// All parts.
    pub parts: Vec<Part>,
}
