//! Files for data sets and events: in one request, or in parts.

use serde::{Deserialize, Serialize};

use crate::Field;

/// A file that is whole: the answers to `PUT /v2/datasets/<names>/upload` and to `…/complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// What the client must call it from now on.
    pub file_name: String,
}

/// Begins an upload in parts: `POST /v2/datasets/<names>/initialize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialize {
    /// The data set or the model that the file is for.
    pub resource_identifier: String,
    /// Name of the file.
    pub file_name: String,
    /// `dataset` or `event`.
    pub upload_type: String,
    /// Number of columns. Clients count commas for it, which means nothing for Parquet.
    pub num_cols: u64,
    /// Number of rows. Clients count lines for it, which means nothing for Parquet.
    pub num_rows: u64,
}

/// An upload in parts has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialized {
    /// By which parts are sent.
    pub upload_id: String,
    /// What the client must call the file from now on.
    pub file_name: String,
}

/// A part, as the server names it and the client lists it in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What the server calls it.
    #[serde(rename = "ETag")]
    pub tag: String,
    /// Its number, from 1.
    #[serde(rename = "PartNumber")]
    pub number: u32,
}

/// A part has come: the answer to `PUT /v2/datasets/<names>/upload` with `multipart_upload=True`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPart {
    /// Which one.
    pub info: Part,
    /// The file.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_name: Field<String>,
}

/// Ends an upload in parts: `POST /v2/datasets/<names>/complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    /// All parts.
    pub parts: Vec<Part>,
}
