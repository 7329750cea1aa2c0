//! A configuration against the schema that its component gives.

use driftline_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::library::Component;
use crate::message::defect;

/// Most violations that are named.
const NAMED: usize = 4;

/// Refuses a configuration that the component's schema refuses. A component without a schema takes everything.
pub(crate) fn check(component: &Component, operation: &'static str, config: &Value) -> Result<()> {
    let name = &component.name;
    if component.config_schema.is_empty() {
        return Ok(());
    }
    let schema: Value = serde_json::from_str(&component.config_schema).map_err(|cause| {
        defect(
            name,
            format!("its configuration schema is no JSON: {cause}"),
        )
    })?;
    let validator = jsonschema::draft202012::new(&schema)
        .map_err(|cause| defect(name, format!("its configuration schema is wrong: {cause}")))?;
    let secret = has_secret(&schema);
    let violations: Vec<String> = validator
        .iter_errors(config)
        .take(NAMED)
        .map(|violation| {
            let place = violation.instance_path().to_string();
            // The message quotes the value.
            let message = match secret {
                true => violation.masked().to_string(),
                false => violation.to_string(),
            };
            match place.as_str() {
                "" => message,
                place => format!("{}: {message}", place.trim_start_matches('/')),
            }
        })
        .collect();
    if violations.is_empty() {
        return Ok(());
    }
    let message = format!("its configuration is wrong: {}", violations.join("; "));
    let error = Error::new(ErrorKind::InvalidConfig, operation, message).with("plugin", name);
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    Err(match known.is_empty() {
        true => error.remedy("it has no parameters"),
        false => error.remedy(format!("its parameters are: {}", known.join(", "))),
    })
}

/// Whether a part of the schema is marked `writeOnly`, as secrets are.
fn has_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("writeOnly") == Some(&Value::Bool(true)) || members.values().any(has_secret)
        }
        Value::Array(items) => items.iter().any(has_secret),
        _ => false,
    }
}
