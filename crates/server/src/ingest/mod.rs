//! Uploaded bytes to rows of the store: the work of jobs.

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::App;
use crate::envelope::Answer;
use crate::jobs::Job;

/// What a job does. Doing it twice is the same as once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Rows of uploaded files are added to a model.
    Publish(Files),
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
    /// Whether the files are kept when the job is done.
    pub keep: bool,
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
    pub(crate) fn run(&self, app: &App, job: &Job) -> Answer<()> {
        tracing::debug!(job = %job.id, store = %app.store.display(), "a job runs");
        Ok(())
    }
}
