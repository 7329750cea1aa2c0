//! Objects as this client reads them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::objects::{Baseline, Environment, Model, Project};
use crate::domain::times;
use crate::http::app::App;

const ORGANIZATION: &str = "driftline";

/// The one organisation.
pub(crate) fn organization(app: &App) -> Value {
    json!({"id": app.organization, "name": ORGANIZATION})
}

/// The one user.
pub(crate) fn user() -> Value {
    json!({
        "id": Uuid::new_v5(&Uuid::NAMESPACE_OID, b"driftline user"),
        "full_name": "Local user",
        "email": "user@localhost",
    })
}

pub(crate) fn project(app: &App, project: &Project) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "organization": organization(app),
        "created_at": times::text(project.created_at),
        "updated_at": times::text(project.updated_at),
    })
}

fn project_of(model: &Model) -> Value {
    json!({"id": model.project, "name": model.project_name})
}

fn model_of(model: &Model) -> Value {
    json!({"id": model.id, "name": model.name, "version": model.version})
}

pub(crate) fn model(app: &App, model: &Model) -> Value {
    let mut object = json!({
        "id": model.id,
        "name": model.name,
        "version": model.version,
        "project": project_of(model),
        "organization": organization(app),
        "artifact_status": "no_model",
        "artifact_files": [],
        "is_binary_ranking_model": false,
        "created_at": times::text(model.created_at),
        "updated_at": times::text(model.updated_at),
        "created_by": user(),
        "updated_by": user(),
    });
    if let (Some(object), Some(definition)) = (object.as_object_mut(), model.definition.as_object())
    {
        object.extend(definition.clone());
    }
    object
}

pub(crate) fn environment(
    app: &App,
    environment: &Environment,
    model: &Model,
    rows: Option<u64>,
) -> Value {
    json!({
        "id": environment.id,
        "name": environment.name,
        "type": environment.kind,
        "row_count": rows,
        "model": model_of(model),
        "project": project_of(model),
        "organization": organization(app),
    })
}

pub(crate) fn baseline(
    app: &App,
    baseline: &Baseline,
    model: &Model,
    environment: &Environment,
    rows: Option<u64>,
) -> Value {
    json!({
        "id": baseline.id,
        "name": baseline.name,
        "type": baseline.kind,
        "start_time": baseline.start_time,
        "end_time": baseline.end_time,
        "offset_delta": baseline.offset_delta,
        "window_bin_size": baseline.window_bin_size,
        "row_count": rows,
        "model": model_of(model),
        "project": project_of(model),
        "organization": organization(app),
        "environment": {"id": environment.id, "name": environment.name, "type": environment.kind},
        "created_at": times::text(baseline.created_at),
        "updated_at": times::text(baseline.updated_at),
    })
}
