//! `monitor.json`: what a model's folder holds.

use std::fs;
use std::io;

use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layout::Layout;

const FORMAT: u64 = 1;

#[derive(Serialize, Deserialize)]
struct MonitorFile {
    format: u64,
    #[serde(flatten)]
    spec: MonitorSpec,
}

/// Reads `monitor.json`; `None` if there is none.
pub(crate) fn read(layout: &Layout) -> Result<Option<MonitorSpec>> {
    let path = layout.monitor();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read monitor.json", &path, e)),
    };
    let refuse = |kind, message: String| {
        Error::new(kind, "read monitor.json", message).with("file", path.display())
    };
    let damaged = |message: String| {
        refuse(ErrorKind::InvalidData, message)
            .remedy("remove it and publish again; the rows beside it are kept")
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| damaged("the description of the store is not JSON".to_owned()).because(e))?;
    match value.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(other) => {
            let message = format!("the store has format {other}, this driftline reads {FORMAT}");
            return Err(refuse(ErrorKind::Unsupported, message)
                .remedy("use the driftline that wrote it, or another --store"));
        }
        None => {
            return Err(damaged(
                "the description of the store has no format".to_owned(),
            ));
        }
    }
    let incomplete = || damaged("the description of the store is incomplete".to_owned());
    let file: MonitorFile = serde_json::from_value(value).map_err(|e| incomplete().because(e))?;
    let RowSchema { dim, classes, .. } = file.spec.schema.clone();
    RowSchema::new(dim, classes).map_err(|e| incomplete().because(e))?;
    Ok(Some(file.spec))
}

/// Has `monitor.json` say what `spec` says. The caller holds the lock.
///
/// Rows of another schema or from other weights do not belong together, so those two may never change.
pub(crate) fn agree(layout: &Layout, spec: &MonitorSpec) -> Result<()> {
    let there = read(layout)?;
    if let Some(there) = &there {
        let same = |what: &str, there: String, wanted: String| {
            if there == wanted {
                return Ok(());
            }
            let message = format!(
                "the store already has the model `{}` with another {what}: {there} there, {wanted} now",
                spec.model
            );
            Err(
                Error::new(ErrorKind::InvalidConfig, "open the store", message)
                    .with("file", layout.monitor().display())
                    .remedy("give another --store, or the model another name"),
            )
        };
        let dim = |spec: &MonitorSpec| spec.schema.dim.to_string();
        let classes = |spec: &MonitorSpec| spec.schema.classes.join(", ");
        same("embedding length", dim(there), dim(spec))?;
        same("list of classes", classes(there), classes(spec))?;
        same(
            "sha256 of the weights",
            there.model_sha256.clone(),
            spec.model_sha256.clone(),
        )?;
    }
    if there.as_ref() == Some(spec) {
        return Ok(());
    }
    let file = MonitorFile {
        format: FORMAT,
        spec: spec.clone(),
    };
    let mut text = serde_json::to_string_pretty(&file).map_err(|e| {
        Error::new(
            ErrorKind::Internal,
            "write monitor.json",
            "it cannot be written as JSON",
        )
        .because(e)
    })?;
    text.push('\n');
    driftline_rows::write_atomic(&layout.monitor(), text.as_bytes())
}
