//! What jobs do, as the queue keeps it.

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a job does. Each sort of work may be done twice, as after a crash, and that is the same as once.
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
