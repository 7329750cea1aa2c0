//! Environments and baselines.

use driftline_core::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;

/// Environments; the key is model and name.
pub const ENVIRONMENT: Kind = Kind("environment");
/// Baselines; the key is model and name.
pub const BASELINE: Kind = Kind("baseline");

/// The environment of events.
pub const PRODUCTION: &str = "production";

/// Where rows of a model belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EnvironmentKind {
    /// Events.
    Production,
    /// A baseline.
    PreProduction,
}

/// An environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// Its id.
    pub id: Uuid,
    /// Its model.
    pub model: Uuid,
    /// Its name; of pre-production also the `window` of its rows.
    pub name: String,
    /// What it is.
    pub kind: EnvironmentKind,
}

/// How the rows of a baseline are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BaselineKind {
    /// Those of an environment, or of a time range of production.
    Static,
    /// Those of production, some time before the bin that is compared.
    Rolling,
}

/// A baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    /// Its id.
    pub id: Uuid,
    /// Its model.
    pub model: Uuid,
    /// Its name.
    pub name: String,
    /// How its rows are chosen.
    pub kind: BaselineKind,
    /// Its environment.
    pub environment: Uuid,
    /// Start of the time range as the client gave it, seconds or milliseconds since 1970.
    pub start_time: Option<i64>,
    /// End of the time range, likewise.
    pub end_time: Option<i64>,
    /// How many windows before the bin.
    pub offset_delta: Option<u64>,
    /// Length of the window: `Hour`, `Day`, `Week` or `Month`.
    pub window_bin_size: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
}

/// Environments of a model.
pub fn environments(documents: &Documents<'_>, model: Uuid) -> Result<Vec<Environment>> {
    let mut environments: Vec<Environment> = documents.list(ENVIRONMENT)?;
    environments.retain(|environment| environment.model == model);
    Ok(environments)
}

/// The environment of a model with this name.
pub fn environment(
    documents: &Documents<'_>,
    model: Uuid,
    name: &str,
) -> Result<Option<Environment>> {
    documents.by_key(ENVIRONMENT, &format!("{model}/{name}"))
}

/// Baselines of a model.
pub fn baselines(documents: &Documents<'_>, model: Uuid) -> Result<Vec<Baseline>> {
    let mut baselines: Vec<Baseline> = documents.list(BASELINE)?;
    baselines.retain(|baseline| baseline.model == model);
    Ok(baselines)
}

/// Makes a pre-production environment and the baseline of the same name, where they are not there yet.
///
/// # Errors
/// `InvalidData` if the environment of that name is production.
pub fn ensure_baseline(documents: &Documents<'_>, model: Uuid, name: &str) -> Result<Environment> {
    let environment = match environment(documents, model, name)? {
        Some(there) if there.kind == EnvironmentKind::PreProduction => there,
        Some(_) => {
            let message = format!("the environment `{name}` is production, which is no baseline");
            return Err(error::invalid(message));
        }
        None => insert_environment(documents, model, name, EnvironmentKind::PreProduction)?,
    };
    let key = format!("{model}/{name}");
    if documents.by_key::<Baseline>(BASELINE, &key)?.is_none() {
        let now = Timestamp::now();
        let baseline = Baseline {
            id: Uuid::new_v5(&model, format!("baseline/{name}").as_bytes()),
            model,
            name: name.to_owned(),
            kind: BaselineKind::Static,
            environment: environment.id,
            start_time: None,
            end_time: None,
            offset_delta: None,
            window_bin_size: None,
            created_at: now,
            updated_at: now,
        };
        documents.insert(BASELINE, baseline.id, Some(&key), &baseline)?;
    }
    Ok(environment)
}

pub(super) fn insert_environment(
    documents: &Documents<'_>,
    model: Uuid,
    name: &str,
    kind: EnvironmentKind,
) -> Result<Environment> {
    let environment = Environment {
        id: Uuid::new_v5(&model, format!("environment/{name}").as_bytes()),
        model,
        name: name.to_owned(),
        kind,
    };
    let key = format!("{model}/{name}");
    documents.insert(ENVIRONMENT, environment.id, Some(&key), &environment)?;
    Ok(environment)
}
