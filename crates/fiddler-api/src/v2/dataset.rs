//! Data sets, which come before the models that they are the baseline of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Column, Names};
use crate::Field;

/// What a data set is. Fields that are not listed here are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Empty.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// Version of the form of the columns, `v1`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub data_type_version: Field<String>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Empty.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub files: Field<Vec<Value>>,
    /// Everything else.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Makes a data set of uploaded files: `POST /v2/datasets/<names>/ingest`, JSON in a JSON string, answered with
/// [`Accepted`](super::Accepted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDataset {
    /// Its name, which is in the path too.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// The uploads, by the names that the server gave them.
    pub file_name: Names,
    /// `DATASET`, or `dataset` from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub upload_type: Field<String>,
    /// What it is.
    pub info: DatasetInfo,
    /// `.parquet` or `.csv`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_type: Field<String>,
    /// Null from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_schema: Field<Value>,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its number.
    pub id: usize,
    /// Its name.
    pub name: String,
    /// Always `v1`.
    pub version: String,
    /// Its files.
    pub file_list: FileList,
    /// What it is, as the client sent it.
    pub info: DatasetInfo,
    /// Its organization.
    pub organization_name: String,
    /// Its project.
    pub project_name: String,
}

/// Files of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileList {
    /// The files.
    pub tree: Vec<FileNode>,
}

/// A file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNode {
    /// Its name.
    pub name: String,
}
