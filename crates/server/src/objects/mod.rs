//! Projects, models, environments and baselines, as the catalog keeps them.

mod discovery;

use driftline_core::{ErrorKind, SinkConfig};
use driftline_sink_local::{LocalSink, Store, write_clusters};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use discovery::discover;
pub(crate) use discovery::{complete, discover_environments};

use crate::App;
use crate::alerts;
use crate::catalog::{Documents, Kind};
use crate::envelope::{Answer, ApiError};
use crate::ingest::Work;
use crate::jobs::{self, Job};
use crate::model::Monitored;

/// Projects; the key is the name.
pub const PROJECT: Kind = Kind("project");
/// Models; the key is [`Model::key`].
pub const MODEL: Kind = Kind("model");
/// Environments; the key is model and name.
pub const ENVIRONMENT: Kind = Kind("environment");
/// Baselines; the key is model and name.
pub const BASELINE: Kind = Kind("baseline");

/// The version of a model that has none.
pub const FIRST_VERSION: &str = "v1";
/// What the baseline of a model is called before it has one.
pub const UNNAMED_BASELINE: &str = "baseline";
/// What the store has at its top beside projects and names with a dot at the start.
const STORE_FILES: [&str; 1] = [driftline_sink_local::REPORT];
/// The environment of events.
pub const PRODUCTION: &str = "production";

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// Its name, which is a folder of the store.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Whether a job that deletes it waits.
    pub deleting: bool,
}

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
    /// What it is, in the form of [`crate::model`].
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
    pub fn monitored(&self) -> Answer<Monitored> {
        Monitored::of(&self.definition)
    }

    /// The key that a model with these names has.
    pub fn key(project: Uuid, name: &str, version: &str) -> String {
        format!("{project}/{name}/{version}")
    }

    /// The store's side of it.
    pub fn open(&self, app: &App) -> Answer<Store> {
        Ok(Store::open(&app.store, &self.project_name, &self.folder)?)
    }

    /// Its writer: the folder is there when this returns. `dataset` is the name of its baseline.
    pub fn sink(&self, app: &App, dataset: &str) -> Answer<LocalSink> {
        let monitored = self.monitored()?;
        let spec = match Store::open(&app.store, &self.project_name, &self.folder) {
            Ok(store) => store.monitor().clone(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                monitored.spec(&self.project_name, &self.folder, dataset)?
            }
            Err(error) => return Err(error.into()),
        };
        let sink = LocalSink::open(&SinkConfig::new(app.store.clone(), spec))?;
        if let Some(centroids) = &monitored.centroids
            && self.open(app)?.clusters()?.as_ref() != Some(centroids)
        {
            write_clusters(&app.store, &self.project_name, &self.folder, centroids)?;
        }
        Ok(sink)
    }
}

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

/// Adds a project.
///
/// # Errors
/// 400 if its name cannot be a folder or is one that the store uses, 409 if it is taken.
pub fn create_project(app: &App, documents: &Documents<'_>, name: &str) -> Answer<Project> {
    check_folder(app, name, "model")?;
    // Not all file systems tell names apart by the case of their letters.
    if STORE_FILES
        .iter()
        .any(|file| file.eq_ignore_ascii_case(name))
    {
        let message = format!(
            "a project cannot be called {name:?}: the store has a file of that name; give it another name"
        );
        return Err(ApiError::bad_request(message));
    }
    let now = Timestamp::now();
    let project = Project {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        created_at: now,
        updated_at: now,
        deleting: false,
    };
    documents.insert(PROJECT, project.id, Some(name), &project)?;
    Ok(project)
}

/// The project with this name; 404 without one.
pub fn project_by_name(documents: &Documents<'_>, name: &str) -> Answer<Project> {
    documents
        .by_key(PROJECT, name)?
        .filter(|project: &Project| !project.deleting)
        .ok_or_else(|| ApiError::not_found("Project"))
}

/// The project with this id; 404 without one.
pub fn project(documents: &Documents<'_>, id: Uuid) -> Answer<Project> {
    documents
        .get(PROJECT, id)?
        .filter(|project: &Project| !project.deleting)
        .ok_or_else(|| ApiError::not_found("Project"))
}

/// All projects, in the order in which they were made.
pub fn projects(documents: &Documents<'_>) -> Answer<Vec<Project>> {
    let mut projects: Vec<Project> = documents.list(PROJECT)?;
    projects.retain(|project| !project.deleting);
    Ok(projects)
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
/// 400 if its name cannot be a folder or its definition cannot be kept, 409 if it is taken.
pub fn create_model(app: &App, documents: &Documents<'_>, new: NewModel<'_>) -> Answer<Model> {
    let folder = folder(new.name, new.version);
    check_folder(app, &new.project.name, &folder)?;
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

fn insert_model(
    documents: &Documents<'_>,
    new: NewModel<'_>,
    folder: String,
    id: Uuid,
) -> Answer<Model> {
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
        return Err(ApiError::conflict(message));
    }
    let key = Model::key(model.project, &model.name, &model.version);
    documents.insert(MODEL, model.id, Some(&key), &model)?;
    insert_environment(documents, &model, PRODUCTION, EnvironmentKind::Production)?;
    Ok(model)
}

/// The model with these names; 404 without one.
pub fn model_by_name(
    documents: &Documents<'_>,
    project: Uuid,
    name: &str,
    version: &str,
) -> Answer<Model> {
    documents
        .by_key(MODEL, &Model::key(project, name, version))?
        .filter(|model: &Model| !model.deleting)
        .ok_or_else(|| ApiError::not_found("Model"))
}

/// The model with this id; 404 without one.
pub fn model(documents: &Documents<'_>, id: Uuid) -> Answer<Model> {
    documents
        .get(MODEL, id)?
        .filter(|model: &Model| !model.deleting)
        .ok_or_else(|| ApiError::not_found("Model"))
}

/// All models, in the order in which they were made.
pub fn models(documents: &Documents<'_>) -> Answer<Vec<Model>> {
    let mut models: Vec<Model> = documents.list(MODEL)?;
    models.retain(|model| !model.deleting);
    Ok(models)
}

/// Environments of a model.
pub fn environments(documents: &Documents<'_>, model: Uuid) -> Answer<Vec<Environment>> {
    let mut environments: Vec<Environment> = documents.list(ENVIRONMENT)?;
    environments.retain(|environment| environment.model == model);
    Ok(environments)
}

/// The environment of a model with this name.
pub fn environment(
    documents: &Documents<'_>,
    model: Uuid,
    name: &str,
) -> Answer<Option<Environment>> {
    documents.by_key(ENVIRONMENT, &format!("{model}/{name}"))
}

/// Baselines of a model.
pub fn baselines(documents: &Documents<'_>, model: Uuid) -> Answer<Vec<Baseline>> {
    let mut baselines: Vec<Baseline> = documents.list(BASELINE)?;
    baselines.retain(|baseline| baseline.model == model);
    Ok(baselines)
}

/// Makes a pre-production environment and the baseline of the same name, where they are not there yet.
///
/// # Errors
/// 400 if the environment of that name is production.
pub fn ensure_baseline(
    documents: &Documents<'_>,
    model: &Model,
    name: &str,
) -> Answer<Environment> {
    let environment = match environment(documents, model.id, name)? {
        Some(there) if there.kind == EnvironmentKind::PreProduction => there,
        Some(_) => {
            let message = format!("the environment `{name}` is production, which is no baseline");
            return Err(ApiError::bad_request(message));
        }
        None => insert_environment(documents, model, name, EnvironmentKind::PreProduction)?,
    };
    let key = format!("{}/{name}", model.id);
    if documents.by_key::<Baseline>(BASELINE, &key)?.is_none() {
        let now = Timestamp::now();
        let baseline = Baseline {
            id: Uuid::new_v5(&model.id, format!("baseline/{name}").as_bytes()),
            model: model.id,
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

fn insert_environment(
    documents: &Documents<'_>,
    model: &Model,
    name: &str,
    kind: EnvironmentKind,
) -> Answer<Environment> {
    let environment = Environment {
        id: Uuid::new_v5(&model.id, format!("environment/{name}").as_bytes()),
        model: model.id,
        name: name.to_owned(),
        kind,
    };
    let key = format!("{}/{name}", model.id);
    documents.insert(ENVIRONMENT, environment.id, Some(&key), &environment)?;
    Ok(environment)
}

/// Makes the folder of a model that was just added; if that fails, the model is not there either.
pub(crate) fn make_folder(app: &App, model: &Model) -> Answer<()> {
    if let Err(error) = model.sink(app, UNNAMED_BASELINE) {
        app.change(|documents| forget_model(documents, model.id))?;
        return Err(error);
    }
    Ok(())
}

/// Marks a model as deleted and accepts the job that removes it. Asked again, it is the same job.
///
/// # Errors
/// 404 without such a model.
pub fn delete_model(documents: &Documents<'_>, id: Uuid) -> Answer<Job> {
    let model: Option<Model> = documents.get(MODEL, id)?;
    let mut model = model.ok_or_else(|| ApiError::not_found("Model"))?;
    if !model.deleting {
        model.deleting = true;
        documents.replace(MODEL, id, &model)?;
    }
    let key = format!("delete/{id}");
    jobs::submit(
        documents,
        "Delete model",
        Some(&key),
        &Work::DeleteModel { model: id },
    )
}

/// Marks a project and its models as deleted and accepts the jobs that remove them.
///
/// # Errors
/// 404 without such a project.
pub fn delete_project(documents: &Documents<'_>, id: Uuid) -> Answer<()> {
    let mut project = project(documents, id)?;
    for model in models(documents)? {
        if model.project == id {
            delete_model(documents, model.id)?;
        }
    }
    project.deleting = true;
    documents.replace(PROJECT, id, &project)?;
    jobs::submit(
        documents,
        "Delete project",
        None,
        &Work::DeleteProject { project: id },
    )?;
    Ok(())
}

/// Removes a model and what belongs to it from the catalog; its folder is removed before.
pub(crate) fn forget_model(documents: &Documents<'_>, model: Uuid) -> Answer<()> {
    for environment in environments(documents, model)? {
        documents.delete(ENVIRONMENT, environment.id)?;
    }
    for baseline in baselines(documents, model)? {
        documents.delete(BASELINE, baseline.id)?;
    }
    alerts::forget_model(documents, model)?;
    documents.delete(MODEL, model)?;
    Ok(())
}

/// Refuses names that cannot be folders of the store.
fn check_folder(app: &App, project: &str, folder: &str) -> Answer<()> {
    match Store::open(&app.store, project, folder) {
        Err(error) if error.kind() == ErrorKind::InvalidConfig => Err(error.into()),
        _ => Ok(()),
    }
}
