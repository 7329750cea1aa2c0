//! The work of jobs, done.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use driftline_core::{Ack, Result};
use driftline_metrics::StoredModel;
use driftline_sink_local::{Centroids, Deletion, EventUpdate, remove_model, write_clusters};
use uuid::Uuid;

use super::rows::{Mapping, Unnamed};
use super::sinks::Sinks;
use super::table::Table;
use crate::domain::catalog::Catalog;
use crate::domain::deletion::forget_model;
use crate::domain::error;
use crate::domain::jobs::Job;
use crate::domain::objects::{MODEL, Model, Origin, PROJECT, UNNAMED_BASELINE};
use crate::domain::tally::Tally;
use crate::domain::uploads::Uploads;
use crate::domain::work::{Events, Files, Update, Work};

/// Updates that are applied at a time, all or none. A file with more of them is applied in several steps, of which each may
/// be done again.
const UPDATES: usize = 500_000;

/// Does the work of jobs.
#[derive(Debug)]
pub(crate) struct Ingest {
    store: PathBuf,
    catalog: Arc<Catalog>,
    uploads: Arc<Uploads>,
    tally: Tally,
    sinks: Sinks,
}

impl Ingest {
    /// Of the store at `store`.
    pub(crate) fn new(
        store: PathBuf,
        catalog: Arc<Catalog>,
        uploads: Arc<Uploads>,
        tally: Tally,
    ) -> Self {
        Self {
            sinks: Sinks::new(store.clone()),
            store,
            catalog,
            uploads,
            tally,
        }
    }

    /// Does the work of a job. Blocks.
    ///
    /// # Errors
    /// The reason for which the job fails, unless it is one that may pass.
    pub(crate) fn perform(&self, job: &Job, work: &Work) -> Result<()> {
        match work {
            Work::Inspect { files } => {
                for file in files {
                    Table::open(&self.uploads.path(*file))?;
                }
                Ok(())
            }
            Work::Publish(files) => self.publish(job, files),
            Work::Append { model, file } => self.append(*model, *file),
            Work::Update(files) => self.update(job, files),
            Work::Change { model, updates } => {
                let model = self.known(*model)?;
                self.sinks.with(&model, UNNAMED_BASELINE, |sink| {
                    self.count(sink.update_events(&event_updates(updates))?);
                    Ok(())
                })
            }
            Work::Delete { model, events } => {
                let which = match events {
                    Events::Ids(ids) => Deletion::Ids(ids.clone()),
                    Events::Times(times) => Deletion::Times(times.clone()),
                };
                let model = self.known(*model)?;
                self.sinks.with(&model, UNNAMED_BASELINE, |sink| {
                    let deleted = sink.delete_events(&which)?;
                    tracing::info!(deleted, "events were deleted");
                    Ok(())
                })
            }
            Work::DeleteModel { model } => {
                let found: Option<Model> = self.catalog.read(|it| it.get(MODEL, *model))?;
                if let Some(found) = found {
                    remove_model(&self.store, &found.project_name, &found.folder)?;
                    self.catalog
                        .change(|documents| forget_model(documents, *model))?;
                }
                Ok(())
            }
            Work::DeleteProject { project } => {
                self.catalog
                    .change(|documents| documents.delete(PROJECT, *project))?;
                Ok(())
            }
        }
    }

    /// The model of a job, which may be one that shall be deleted after it.
    fn known(&self, model: Uuid) -> Result<Model> {
        let found: Option<Model> = self.catalog.read(|it| it.get(MODEL, model))?;
        found.ok_or_else(|| error::not_found("Model"))
    }

    fn publish(&self, job: &Job, files: &Files) -> Result<()> {
        let model = self.known(files.model)?;
        let arrival = job.created_at.as_millisecond();
        let mapping = mapping(&model, files, Unnamed::Numbered(job.id), arrival)?;
        // All rows are looked at before the store is touched.
        self.each_rows(&mapping, files, |_| Ok(()))?;
        let dataset = files.environment.as_deref().unwrap_or(UNNAMED_BASELINE);
        let baseline = files.environment.is_some();
        // The rows of all files become visible together, so that a job that fails has kept nothing.
        self.sinks.with(&model, dataset, |sink| {
            let mut rows_of_job = match baseline {
                true => sink.begin_baseline()?,
                false => sink.begin_events()?,
            };
            self.each_rows(&mapping, files, |rows| {
                rows_of_job.add(rows)?;
                Ok(())
            })?;
            self.count(rows_of_job.commit()?);
            Ok(())
        })?;
        if baseline && model.origin == Origin::Legacy {
            self.find_clusters(&model)?;
        }
        Ok(())
    }

    /// Clients before the third never see clusters: they are those of a model's first baseline, for good.
    fn find_clusters(&self, model: &Model) -> Result<()> {
        let (project, folder) = (&model.project_name, &model.folder);
        if model.open(&self.store)?.clusters()?.is_some() {
            return Ok(());
        }
        let found = StoredModel::open(&self.store, project, folder)?;
        let centroids = Centroids {
            dim: found.monitor().schema.dim,
            values: found.binning().centroids().to_vec(),
        };
        write_clusters(&self.store, project, folder, &centroids)?;
        Ok(())
    }

    fn each_rows(
        &self,
        mapping: &Mapping,
        files: &Files,
        mut keep: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut first = 0;
        for file in &files.files {
            let table = open(&self.uploads, *file)?;
            mapping.check(table.schema())?;
            for batch in table.batches(&mapping.columns(), mapping.model.dim)? {
                let batch = batch?;
                keep(&mapping.rows(&batch, first)?)?;
                first += batch.num_rows() as u64;
            }
        }
        Ok(())
    }

    fn append(&self, model: Uuid, file: Uuid) -> Result<()> {
        let model = self.known(model)?;
        self.sinks.with(&model, UNNAMED_BASELINE, |sink| {
            let mut rows_of_job = sink.begin_events()?;
            for rows in driftline_rows::RowsReader::open(&self.uploads.path(file))? {
                rows_of_job.add(rows?.batch())?;
            }
            self.count(rows_of_job.commit()?);
            Ok(())
        })
    }

    fn update(&self, job: &Job, files: &Files) -> Result<()> {
        let model = self.known(files.model)?;
        let mapping = mapping(&model, files, Unnamed::Numbered(job.id), 0)?;
        self.each_updates(&mapping, files, |_| Ok(()))?;
        self.sinks.with(&model, UNNAMED_BASELINE, |sink| {
            let mut waiting = Vec::new();
            self.each_updates(&mapping, files, |updates| {
                waiting.extend(event_updates(&updates));
                if waiting.len() >= UPDATES {
                    self.count(sink.update_events(&std::mem::take(&mut waiting))?);
                }
                Ok(())
            })?;
            self.count(sink.update_events(&waiting)?);
            Ok(())
        })
    }

    fn each_updates(
        &self,
        mapping: &Mapping,
        files: &Files,
        mut keep: impl FnMut(Vec<Update>) -> Result<()>,
    ) -> Result<()> {
        let mut first = 0;
        for file in &files.files {
            let table = open(&self.uploads, *file)?;
            mapping.check_update(table.schema())?;
            for batch in table.batches(&mapping.update_columns(), 1)? {
                let batch = batch?;
                keep(mapping.updates(&batch, first)?)?;
                first += batch.num_rows() as u64;
            }
        }
        Ok(())
    }

    fn count(&self, ack: Ack) {
        self.tally.accepted_rows.inc_by(ack.accepted);
        self.tally.duplicate_rows.inc_by(ack.duplicates);
    }
}

/// How rows of files become rows of a model. `unnamed` and `arrival` are for events without id or time.
fn mapping(model: &Model, files: &Files, unnamed: Unnamed, arrival: i64) -> Result<Mapping> {
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
/// `InvalidData` naming the column; `NotFound` for a file that is not there.
pub(crate) fn check_files(
    uploads: &Uploads,
    model: &Model,
    files: &Files,
    update: bool,
) -> Result<()> {
    let mapping = mapping(model, files, Unnamed::Numbered(model.id), 0)?;
    for file in &files.files {
        let table = open(uploads, *file)?;
        if update {
            mapping.check_update(table.schema())?;
        } else {
            mapping.check(table.schema())?;
        }
    }
    Ok(())
}

fn open(uploads: &Uploads, file: Uuid) -> Result<Table> {
    let path = uploads.path(file);
    if !path.is_file() {
        return Err(error::not_found("File"));
    }
    Table::open(&path)
}

fn event_updates(updates: &[Update]) -> Vec<EventUpdate> {
    let update = |update: &Update| EventUpdate {
        event_id: update.event_id.clone(),
        target: update.target.clone(),
        image_url: update.image_url.clone(),
    };
    updates.iter().map(update).collect()
}
