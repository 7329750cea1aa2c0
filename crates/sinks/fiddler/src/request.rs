//! What is asked: method, path, query and body of a request.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};
use std::path::Path;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use reqwest::Method;
use serde::Serialize;

/// A stretch of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) path: &'a Path,
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

impl Piece<'_> {
    pub(crate) fn open(&self) -> Result<Take<File>> {
        let open = || -> std::io::Result<_> {
            let mut file = File::open(self.path)?;
            file.seek(SeekFrom::Start(self.start))?;
            Ok(file.take(self.bytes))
        };
        open().map_err(|e| Error::io("read the upload", self.path, e))
    }
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Body<'a> {
    Nothing,
    /// The text of JSON.
    Json(String),
    /// The bytes themselves.
    Raw(Piece<'a>),
    /// A form with the part `file` and text parts.
    Form {
        file: Piece<'a>,
        file_name: &'a str,
        texts: &'a [(&'static str, String)],
    },
}

impl Body<'_> {
    pub(crate) fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Json(json_text(value)?))
    }

    /// JSON in a JSON string.
    pub(crate) fn json_in_json(value: &impl Serialize) -> Result<Self> {
        Self::json(&json_text(value)?)
    }

    /// Bytes of the files in it.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Body::Nothing | Body::Json(_) => 0,
            Body::Raw(piece) | Body::Form { file: piece, .. } => piece.bytes,
        }
    }
}

fn json_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| {
        let message = "a request cannot be written as JSON";
        Error::new(ErrorKind::Internal, "ask Fiddler", message).because(cause)
    })
}

/// One request, to be sent as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Body<'a>,
    /// How long an answer may take, if that is longer than usual.
    pub(crate) answer: Option<Duration>,
}

impl<'a> Request<'a> {
    fn new(method: Method, path: impl Into<String>, body: Body<'a>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body,
            answer: None,
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Body::Nothing)
    }

    pub(crate) fn post(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::POST, path, body)
    }

    pub(crate) fn put(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::PUT, path, body)
    }

    pub(crate) fn patch(path: impl Into<String>, body: Body<'a>) -> Self {
        Self::new(Method::PATCH, path, body)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Waits this long for an answer if that is longer than usual: the server has to compute.
    pub(crate) fn answer_within(mut self, answer: Duration) -> Self {
        self.answer = Some(answer);
        self
    }
}
