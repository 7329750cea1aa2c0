//! What is in the store and not in the catalog, or the other way round.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_core::{ErrorKind, Result};
use driftline_sink_local::{Store, monitors};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::catalog::Catalog;
use crate::domain::deletion::forget_model;
use crate::domain::objects::{
    FIRST_VERSION, MODEL, Model, NewModel, Origin, PROJECT, Project, UNNAMED_BASELINE,
    ensure_baseline, environments, insert_model, models,
};
use crate::domain::queries::Counts;

/// Ids of what was in the store before the server follow from names, so that they are the same after every start.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d0d_5f0c_3f52_4f0e_9d6b_0f7a_5a3c_1e21);

/// Makes the folders that models of the catalog lack, as after a crash.
pub(crate) fn complete(store: &Path, catalog: &Catalog) -> Result<()> {
    discover(store, catalog)?;
    for model in catalog.read(models)? {
        match model.open(store) {
            Err(error) if error.kind() == ErrorKind::NotFound && model.origin != Origin::Local => {
                model.sink(store, UNNAMED_BASELINE)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds what `driftline run` put into the store, and forgets what it put there and was removed by hand.
pub(crate) fn discover(store: &Path, catalog: &Catalog) -> Result<()> {
    let there: BTreeSet<(String, String)> = monitors(store)?.into_iter().collect();
    let known = catalog.read(|documents| documents.list::<Model>(MODEL))?;
    let names: BTreeSet<(String, String)> = known
        .iter()
        .map(|model| (model.project_name.clone(), model.folder.clone()))
        .collect();
    for (project, folder) in there.difference(&names) {
        // A folder that cannot be read stays out of sight, and its fault is in the log.
        if let Err(error) = discover_model(store, catalog, project, folder) {
            tracing::warn!(
                project,
                folder,
                message = error.message(),
                "a model is passed over"
            );
        }
    }
    for model in known {
        let name = (model.project_name.clone(), model.folder.clone());
        if model.origin == Origin::Local && !there.contains(&name) {
            catalog.change(|documents| forget_model(documents, model.id))?;
        }
    }
    Ok(())
}

/// Adds the environments and baselines of a model that are in its rows only, as `driftline run` leaves them.
pub(crate) fn discover_environments(
    catalog: &Catalog,
    counts: &Counts,
    model: &Model,
) -> Result<()> {
    if model.origin != Origin::Local {
        return Ok(());
    }
    let there = counts.with(model, |counted| Ok(counted.environments()))?;
    let known = catalog.read(|documents| environments(documents, model.id))?;
    for name in there.into_keys() {
        if !known.iter().any(|environment| environment.name == name) {
            catalog.change(|documents| ensure_baseline(documents, model.id, &name))?;
        }
    }
    Ok(())
}

/// Makes the folder of a model that was just added; if that fails, the model is not there either.
pub(crate) fn make_folder(store: &Path, catalog: &Catalog, model: &Model) -> Result<()> {
    if let Err(error) = model.sink(store, UNNAMED_BASELINE) {
        catalog.change(|documents| forget_model(documents, model.id))?;
        return Err(error);
    }
    Ok(())
}

fn discover_model(store: &Path, catalog: &Catalog, project: &str, folder: &str) -> Result<()> {
    let definition = local_definition(&Store::open(store, project, folder)?);
    catalog.change(|documents| {
        let project: Project = match documents.by_key(PROJECT, project)? {
            Some(there) => there,
            None => {
                let now = Timestamp::now();
                let new = Project {
                    id: Uuid::new_v5(&NAMESPACE, project.as_bytes()),
                    name: project.to_owned(),
                    created_at: now,
                    updated_at: now,
                    deleting: false,
                };
                documents.insert(PROJECT, new.id, Some(project), &new)?;
                new
            }
        };
        let id = Uuid::new_v5(&project.id, folder.as_bytes());
        let new = NewModel {
            project: &project,
            name: folder,
            version: FIRST_VERSION,
            origin: Origin::Local,
            definition,
            info: None,
        };
        insert_model(documents, new, folder.to_owned(), id)?;
        Ok(())
    })
}

/// The definition of a model that `driftline run` made.
fn local_definition(store: &Store) -> Value {
    use driftline_core::rows::{
        EMBEDDINGS, EVENT_ID, IMAGE_NUMBER, IMAGE_URL, TARGET, TIMESTAMP, WINDOW,
    };
    let monitor = store.monitor();
    let classes = &monitor.schema.classes;
    let column = |name: &str, data_type: &str| json!({"name": name, "data_type": data_type});
    let vector = json!({
        "name": EMBEDDINGS, "data_type": "vector", "n_dimensions": monitor.schema.dim,
    });
    let mut categories = classes.clone();
    categories.sort_unstable();
    let target = json!({"name": TARGET, "data_type": "category", "categories": categories});
    let scores = classes
        .iter()
        .map(|class| json!({"name": class, "data_type": "float", "min": 0.0, "max": 1.0}));
    let columns: Vec<Value> = std::iter::once(vector)
        .chain(scores)
        .chain([
            target,
            column(IMAGE_URL, "str"),
            column(IMAGE_NUMBER, "int"),
            column(WINDOW, "str"),
        ])
        .collect();
    let feature = &monitor.custom_feature;
    json!({
        "schema": {"schema_version": 1, "columns": columns},
        "spec": {
            "schema_version": 1,
            "inputs": [EMBEDDINGS],
            "outputs": classes,
            "targets": [TARGET],
            "decisions": [],
            "metadata": [IMAGE_URL, IMAGE_NUMBER, WINDOW],
            "custom_features": [{
                "name": feature.name,
                "type": "FROM_IMAGE_EMBEDDING",
                "n_clusters": feature.n_clusters,
                "column": EMBEDDINGS,
                "source_column": IMAGE_URL,
            }],
        },
        "input_type": "structured",
        "task": "multiclass_classification",
        "task_params": {"target_class_order": classes},
        "description": null,
        "event_id_col": EVENT_ID,
        "event_ts_col": TIMESTAMP,
        "event_ts_format": null,
        "xai_params": {"custom_explain_methods": [], "default_explain_method": null},
    })
}
