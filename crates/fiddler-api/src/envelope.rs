//! What every answer is wrapped in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Field;

/// The version of the envelope, which clients do not read.
const API_VERSION: &str = "3.0";

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EnvelopeKind {
    /// One object.
    Normal,
    /// A page of a list.
    Paginated,
    /// A refusal.
    Error,
}

/// An answer of `/v2` and `/v3`. Clients read `data` only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// What is answered.
    pub data: T,
    /// Version of the envelope.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub api_version: Field<String>,
    /// What kind of answer it is.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub kind: Field<EnvelopeKind>,
}

impl<T> Envelope<T> {
    /// An envelope around one object.
    pub fn normal(data: T) -> Self {
        Self::of(data, EnvelopeKind::Normal)
    }

    fn of(data: T, kind: EnvelopeKind) -> Self {
        Self {
            data,
            api_version: API_VERSION.to_owned().into(),
            kind: kind.into(),
        }
    }
}

impl<T> Envelope<Page<T>> {
    /// An envelope around a page of a list.
    pub fn paginated(page: Page<T>) -> Self {
        Self::of(page, EnvelopeKind::Paginated)
    }
}

/// A page of a list. Some clients read the items only, others all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The objects of this page.
    pub items: Vec<T>,
    /// Objects of the whole list.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub total: Field<usize>,
    /// Most objects of a page.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub page_size: Field<usize>,
    /// Objects of this page.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub item_count: Field<usize>,
    /// Pages of the whole list.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub page_count: Field<usize>,
    /// Number of this page, from 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub page_index: Field<usize>,
    /// Where in the list the page starts.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub offset: Field<usize>,
}

impl<T> Page<T> {
    /// The page that starts at `offset` of a list of `total`, where a page has at most `limit` objects.
    pub fn new(items: Vec<T>, total: usize, offset: usize, limit: usize) -> Self {
        let limit = limit.max(1);
        Self {
            total: total.into(),
            page_size: limit.into(),
            item_count: items.len().into(),
            page_count: total.div_ceil(limit).max(1).into(),
            page_index: (offset / limit + 1).into(),
            offset: offset.into(),
            items,
        }
    }

    /// A list in one page, whatever its length.
    pub fn whole(items: Vec<T>) -> Self {
        let total = items.len();
        Self::new(items, total, 0, total)
    }

    /// The page of `all` that starts at `offset` and has at most `limit` objects.
    pub fn cut(all: Vec<T>, offset: usize, limit: usize) -> Self {
        let total = all.len();
        let items = all.into_iter().skip(offset).take(limit).collect();
        Self::new(items, total, offset, limit)
    }
}

/// An answer that says no more than that it was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The answer to a request that was refused or failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub error: Refused,
    /// Version of the envelope.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub api_version: Field<String>,
    /// Always an error.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub kind: Field<EnvelopeKind>,
}

/// Why a request was refused. Client 3 needs all of it; a proxy may leave out what it likes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub code: Field<u16>,
    /// Sentence for people.
    #[serde(default)]
    pub message: String,
    /// Details.
    #[serde(default)]
    pub errors: Vec<Reason>,
}

/// A detail of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Word for programs.
    #[serde(default)]
    pub reason: String,
    /// Sentence for people.
    #[serde(default)]
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub help: String,
}

impl Refusal {
    /// A refusal with one detail.
    pub fn new(code: u16, reason: &str, message: &str) -> Self {
        Self {
            error: Refused {
                code: code.into(),
                message: message.to_owned(),
                errors: vec![Reason {
                    reason: reason.to_owned(),
                    message: message.to_owned(),
                    help: String::new(),
                }],
            },
            api_version: API_VERSION.to_owned().into(),
            kind: EnvelopeKind::Error.into(),
        }
    }
}

/// The JSON text.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The answer to a remote call of client 1, which must have the HTTP status 200.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call<T> {
    /// `SUCCESS`, or the call failed.
    pub status: String,
    /// What is answered.
    pub result: T,
}

impl<T> Call<T> {
    /// The answer to a call that succeeded.
    pub fn success(result: T) -> Self {
        Self {
            status: "SUCCESS".to_owned(),
            result,
        }
    }
}
