//! Models.

use std::path::Path;

use driftline_core::{ErrorKind, Result, SinkConfig};
use driftline_sink_local::{LocalSink, Store, write_clusters};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::environments::{EnvironmentKind, PRODUCTION, insert_environment};
use super::projects::{Project, check_folder};
use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;
use crate::domain::model::Monitored;

/// Models; the key is [`Model::key`].
pub const MODEL: Kind = Kind("model");

/// The version of a model that has none.
pub const FIRST_VERSION: &str = "v1";
/// What the baseline of a model is called before it has one.
pub const UNNAMED_BASELINE: &str = "baseline";

/// Who made a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `fiddler-client` 3.
    V3,
    /// `fiddler-client` 1 or 2.
    Legacy,
    /// `driftline run`, which wrote to the store itself.
    Local,
}

/// A version of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Its id.
    pub id: Uuid,
    /// Its project.
    pub project: Uuid,
    /// Name of the project.
    pub project_name: String,
    /// Name, which all versions share.
    pub name: String,
    /// Version, [`FIRST_VERSION`] if there is one only.
    pub version: String,
    /// Its folder in that of the project.
    pub folder: String,
    /// Who made it.
    pub origin: Origin,
    /// What it is, in the form of [`crate::domain::model`].
    pub definition: Value,
    /// What a client of generation 1 or 2 sent, which it is answered unchanged.
    pub info: Option<Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Whether a job that deletes it waits.
    pub deleting: bool,
}

impl Model {
    /// What its columns are in rows of the store.
    pub fn monitored(&self) -> Result<Monitored> {
        Monitored::of(&self.definition)
    }

    /// The key that a model with these names has.
    pub fn key(project: Uuid, name: &str, version: &str) -> String {
        format!("{project}/{name}/{version}")
    }

    /// The store's side of it.
    pub fn open(&self, store: &Path) -> Result<Store> {
        Store::open(store, &self.project_name, &self.folder)
    }

    /// Its writer: the folder is there when this returns. `dataset` is the name of its baseline.
    pub fn sink(&self, store: &Path, dataset: &str) -> Result<LocalSink> {
        let monitored = self.monitored()?;
        let spec = match self.open(store) {
            Ok(store) => store.monitor().clone(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                monitored.spec(&self.project_name, &self.folder, dataset)?
            }
            Err(error) => return Err(error),
        };
        let sink = LocalSink::open(&SinkConfig::new(store.to_owned(), spec))?;
        if let Some(centroids) = &monitored.centroids
            && self.open(store)?.clusters()?.as_ref() != Some(centroids)
        {
            write_clusters(store, &self.project_name, &self.folder, centroids)?;
        }
        Ok(sink)
    }
}

/// A model that shall be added.
#[derive(Debug)]
pub struct NewModel<'a> {
    /// Its project.
    pub project: &'a Project,
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Who made it.
    pub origin: Origin,
    /// What it is.
    pub definition: Value,
    /// What a client of generation 1 or 2 sent.
    pub info: Option<Value>,
}

/// Adds a model and its production environment. [`Model::sink`] makes its folder.
///
/// # Errors
/// `InvalidConfig` or `InvalidData` if its name cannot be a folder or its definition cannot be kept, `Conflict` if it is
/// taken.
pub fn create_model(store: &Path, documents: &Documents<'_>, new: NewModel<'_>) -> Result<Model> {
    let folder = folder(new.name, new.version);
    check_folder(store, &new.project.name, &folder)?;
    Monitored::of(&new.definition)?;
    insert_model(documents, new, folder, Uuid::new_v4())
}

fn folder(name: &str, version: &str) -> String {
    if version == FIRST_VERSION {
        name.to_owned()
    } else {
        format!("{name}.{version}")
    }
}

pub(crate) fn insert_model(
    documents: &Documents<'_>,
    new: NewModel<'_>,
    folder: String,
    id: Uuid,
) -> Result<Model> {
    let now = Timestamp::now();
    let model = Model {
        id,
        project: new.project.id,
        project_name: new.project.name.clone(),
        name: new.name.to_owned(),
        version: new.version.to_owned(),
        folder,
        origin: new.origin,
        definition: new.definition,
        info: new.info,
        created_at: now,
        updated_at: now,
        deleting: false,
    };
    let same_folder = |other: &Model| {
        other.project == model.project && other.folder == model.folder && other.name != model.name
    };
    if let Some(other) = documents
        .list(MODEL)?
        .iter()
        .find(|other| same_folder(other))
    {
        let message = format!(
            "the model `{}` in version `{}` has the folder `{}` already",
            other.name, other.version, other.folder
        );
        return Err(error::conflict(message));
    }
    let key = Model::key(model.project, &model.name, &model.version);
    documents.insert(MODEL, model.id, Some(&key), &model)?;
    insert_environment(documents, model.id, PRODUCTION, EnvironmentKind::Production)?;
    Ok(model)
}

/// The model with these names; `NotFound` without one.
pub fn model_by_name(
    documents: &Documents<'_>,
    project: Uuid,
    name: &str,
    version: &str,
) -> Result<Model> {
    documents
        .by_key(MODEL, &Model::key(project, name, version))?
        .filter(|model: &Model| !model.deleting)
        .ok_or_else(|| error::not_found("Model"))
}

/// The model with this id; `NotFound` without one.
pub fn model(documents: &Documents<'_>, id: Uuid) -> Result<Model> {
    documents
        .get(MODEL, id)?
        .filter(|model: &Model| !model.deleting)
        .ok_or_else(|| error::not_found("Model"))
}

/// All models, in the order in which they were made.
pub fn models(documents: &Documents<'_>) -> Result<Vec<Model>> {
    let mut models: Vec<Model> = documents.list(MODEL)?;
    models.retain(|model| !model.deleting);
    Ok(models)
}
