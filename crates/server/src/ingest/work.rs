//! What a job does. Each sort of work may be done twice, as after a crash, and that is the same as once.

use std::collections::HashSet;
use std::ops::Range;

use driftline_core::Ack;
use driftline_metrics::StoredModel;
use driftline_sink_local::{Centroids, Deletion, EventUpdate, remove_model, write_clusters};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::Unnamed;
use super::{Mapping, Table};
use crate::App;
use crate::envelope::{Answer, ApiError};
use crate::jobs::Job;
use crate::objects::{self, MODEL, Model, Origin, PROJECT};

/// Updates that are applied at a time, all or none. A file with more of them is applied in several steps, of which each may
/// be done again.
const UPDATES: usize = 500_000;

/// What a job does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Uploaded files are opened, and that is all.
    Inspect {
        /// Ids of uploads.
        files: Vec<Uuid>,
    },
    /// Rows of uploaded files are added to a model.
    Publish(Files),
    /// Rows that were checked before are added to the events of a model.
    Append {
        /// Which model.
        model: Uuid,
        /// Id of the file of rows among the uploads.
        file: Uuid,
    },
    /// Events are changed by rows of uploaded files.
    Update(Files),
    /// Events are changed.
    Change {
        /// Which model.
        model: Uuid,
        /// New values.
        updates: Vec<Update>,
    },
    /// Events are deleted.
    Delete {
        /// Which model.
        model: Uuid,
        /// Which events.
        events: Events,
    },
    /// A model and its rows are deleted.
    DeleteModel {
        /// Which model.
        model: Uuid,
    },
    /// A project is deleted, whose models are deleted before.
    DeleteProject {
        /// Which project.
        project: Uuid,
    },
}

/// Uploaded files, and what their columns are where the model does not say it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Files {
    /// Which model.
    pub model: Uuid,
    /// Ids of uploads, in order.
    pub files: Vec<Uuid>,
    /// The pre-production environment that the rows belong to; `None` for production.
    pub environment: Option<String>,
    /// Column with the id of the event, in place of the model's.
    pub id_column: Option<String>,
    /// Column with the time of the event, in place of the model's.
    pub timestamp_column: Option<String>,
}

/// New values for an event; `None` keeps the value there is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Update {
    /// Which event.
    pub event_id: String,
    /// True class.
    pub target: Option<String>,
    /// Address of the image.
    pub image_url: Option<String>,
}

/// Which events are deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Events {
    /// Those with these ids.
    Ids(HashSet<String>),
    /// Those of this time range, in milliseconds since 1970-01-01T00:00:00Z.
    Times(Range<i64>),
}

impl Work {
    /// Does it. Blocks.
    ///
    /// # Errors
    /// 400 with the reason for which the job fails, 503 for a failure that may pass.
    pub(crate) fn run(&self, app: &App, job: &Job) -> Answer<()> {
        match self {
            Self::Inspect { files } => {
                for file in files {
                    Table::open(&app.uploads.path(*file))?;
                }
                Ok(())
            }
            Self::Publish(files) => publish(app, job, files),
            Self::Append { model, file } => append(app, *model, *file),
            Self::Update(files) => update(app, job, files),
            Self::Change { model, updates } => {
                let model = known(app, *model)?;
                app.sinks
                    .with(app, &model, objects::UNNAMED_BASELINE, |sink| {
                        count(app, sink.update_events(&event_updates(updates))?);
                        Ok(())
                    })
            }
            Self::Delete { model, events } => {
                let which = match events {
                    Events::Ids(ids) => Deletion::Ids(ids.clone()),
                    Events::Times(times) => Deletion::Times(times.clone()),
                };
                let model = known(app, *model)?;
                app.sinks
                    .with(app, &model, objects::UNNAMED_BASELINE, |sink| {
                        let deleted = sink.delete_events(&which)?;
                        tracing::info!(deleted, "events were deleted");
                        Ok(())
                    })
            }
            Self::DeleteModel { model } => {
                let found: Option<Model> =
                    app.catalog.read(|documents| documents.get(MODEL, *model))?;
                if let Some(found) = found {
                    remove_model(&app.store, &found.project_name, &found.folder)?;
                    app.change(|documents| objects::forget_model(documents, *model))?;
                }
                Ok(())
            }
            Self::DeleteProject { project } => {
                app.change(|documents| documents.delete(PROJECT, *project))?;
                Ok(())
            }
        }
    }

    /// The model whose rows it changes, if it does.
    pub(crate) fn changes(&self) -> Option<Uuid> {
        match self {
            Self::Publish(files) | Self::Update(files) => Some(files.model),
            Self::Append { model, .. }
            | Self::Change { model, .. }
            | Self::Delete { model, .. } => Some(*model),
            Self::Inspect { .. } | Self::DeleteModel { .. } | Self::DeleteProject { .. } => None,
        }
    }

    /// The uploads that it reads.
    pub(crate) fn uploads(&self) -> Vec<Uuid> {
        match self {
            Self::Inspect { files } => files.clone(),
            Self::Publish(files) | Self::Update(files) => files.files.clone(),
            Self::Append { file, .. } => vec![*file],
            _ => Vec::new(),
        }
    }
}

/// How rows of files become rows of a model. `unnamed` and `arrival` are for events without id or time.
fn mapping(model: &Model, files: &Files, unnamed: Unnamed, arrival: i64) -> Answer<Mapping> {
    let mut monitored = model.monitored()?;
    if files.id_column.is_some() {
        monitored.event_id.clone_from(&files.id_column);
    }
    if files.timestamp_column.is_some() {
        monitored.timestamp.clone_from(&files.timestamp_column);
    }
    Ok(Mapping {
        model: monitored,
        environment: files.environment.clone(),
        unnamed,
        arrival,
    })
}

/// Refuses files that cannot be rows of the model, as far as their columns show it.
///
/// # Errors
/// 400 naming the column; 404 for a file that is not there.
pub(crate) fn check_files(app: &App, model: &Model, files: &Files, update: bool) -> Answer<()> {
    let mapping = mapping(model, files, Unnamed::Numbered(model.id), 0)?;
    for file in &files.files {
        let table = open(app, *file)?;
        if update {
            mapping.check_update(table.schema())?;
        } else {
            mapping.check(table.schema())?;
        }
    }
    Ok(())
}

fn open(app: &App, file: Uuid) -> Answer<Table> {
    let path = app.uploads.path(file);
    if !path.is_file() {
        return Err(ApiError::not_found("File"));
    }
    Table::open(&path)
}

/// The model of a job, which may be one that shall be deleted after it.
fn known(app: &App, model: Uuid) -> Answer<Model> {
    let found: Option<Model> = app.catalog.read(|documents| documents.get(MODEL, model))?;
    found.ok_or_else(|| ApiError::not_found("Model"))
}

fn publish(app: &App, job: &Job, files: &Files) -> Answer<()> {
    let model = known(app, files.model)?;
    let mapping = mapping(
        &model,
        files,
        Unnamed::Numbered(job.id),
        job.created_at.as_millisecond(),
    )?;
    // All rows are looked at before the store is touched.
    each_rows(app, &mapping, files, |_| Ok(()))?;
    let dataset = files
        .environment
        .as_deref()
        .unwrap_or(objects::UNNAMED_BASELINE);
    let baseline = files.environment.is_some();
    // The rows of all files become visible together, so that a job that fails has kept nothing.
    app.sinks.with(app, &model, dataset, |sink| {
        let mut rows_of_job = match baseline {
            true => sink.begin_baseline()?,
            false => sink.begin_events()?,
        };
        each_rows(app, &mapping, files, |rows| {
            rows_of_job.add(rows)?;
            Ok(())
        })?;
        count(app, rows_of_job.commit()?);
        Ok(())
    })?;
    if baseline && model.origin == Origin::Legacy {
        find_clusters(app, &model)?;
    }
    Ok(())
}

/// Clients before the third never see clusters: they are those of a model's first baseline, for good.
fn find_clusters(app: &App, model: &Model) -> Answer<()> {
    let (project, folder) = (&model.project_name, &model.folder);
    if model.open(app)?.clusters()?.is_some() {
        return Ok(());
    }
    let found = StoredModel::open(&app.store, project, folder)?;
    let centroids = Centroids {
        dim: found.monitor().schema.dim,
        values: found.binning().centroids().to_vec(),
    };
    write_clusters(&app.store, project, folder, &centroids)?;
    Ok(())
}

fn each_rows(
    app: &App,
    mapping: &Mapping,
    files: &Files,
    mut keep: impl FnMut(&arrow_array::RecordBatch) -> Answer<()>,
) -> Answer<()> {
    let mut first = 0;
    for file in &files.files {
        let table = open(app, *file)?;
        mapping.check(table.schema())?;
        for batch in table.batches(&mapping.columns(), mapping.model.dim)? {
            let batch = batch?;
            keep(&mapping.rows(&batch, first)?)?;
            first += batch.num_rows() as u64;
        }
    }
    Ok(())
}

fn append(app: &App, model: Uuid, file: Uuid) -> Answer<()> {
    let model = known(app, model)?;
    app.sinks
        .with(app, &model, objects::UNNAMED_BASELINE, |sink| {
            let mut rows_of_job = sink.begin_events()?;
            for rows in driftline_rows::RowsReader::open(&app.uploads.path(file))? {
                rows_of_job.add(rows?.batch())?;
            }
            count(app, rows_of_job.commit()?);
            Ok(())
        })
}

fn update(app: &App, job: &Job, files: &Files) -> Answer<()> {
    let model = known(app, files.model)?;
    let mapping = mapping(&model, files, Unnamed::Numbered(job.id), 0)?;
    each_updates(app, &mapping, files, |_| Ok(()))?;
    app.sinks
        .with(app, &model, objects::UNNAMED_BASELINE, |sink| {
            let mut waiting = Vec::new();
            each_updates(app, &mapping, files, |updates| {
                waiting.extend(event_updates(&updates));
                if waiting.len() >= UPDATES {
                    count(app, sink.update_events(&std::mem::take(&mut waiting))?);
                }
                Ok(())
            })?;
            count(app, sink.update_events(&waiting)?);
            Ok(())
        })
}

fn each_updates(
    app: &App,
    mapping: &Mapping,
    files: &Files,
    mut keep: impl FnMut(Vec<Update>) -> Answer<()>,
) -> Answer<()> {
    let mut first = 0;
    for file in &files.files {
        let table = open(app, *file)?;
        mapping.check_update(table.schema())?;
        for batch in table.batches(&mapping.update_columns(), 1)? {
            let batch = batch?;
            keep(mapping.updates(&batch, first)?)?;
            first += batch.num_rows() as u64;
        }
    }
    Ok(())
}

fn event_updates(updates: &[Update]) -> Vec<EventUpdate> {
    let update = |update: &Update| EventUpdate {
        event_id: update.event_id.clone(),
        target: update.target.clone(),
        image_url: update.image_url.clone(),
    };
    updates.iter().map(update).collect()
}

fn count(app: &App, ack: Ack) {
    app.observed.accepted_rows.inc_by(ack.accepted);
    app.observed.duplicate_rows.inc_by(ack.duplicates);
}
