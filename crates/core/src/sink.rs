//! Where baseline and events go.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result, RowSchema};

/// What a sink is opened from.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Folder for everything the sink keeps on this machine.
    pub store: PathBuf,
    /// What else the sink is told, by name; a sink refuses what it does not know.
    pub options: Map<String, Value>,
    /// What its rows belong to.
    pub monitor: MonitorSpec,
}

impl SinkConfig {
    /// A sink without options.
    pub fn new(store: PathBuf, monitor: MonitorSpec) -> Self {
        Self {
            store,
            options: Map::new(),
            monitor,
        }
    }
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkInfo {
    /// Registered name, as in `--sink local`.
    pub name: String,
    /// Where the rows end up: a folder or an address.
    pub location: String,
}

/// What is monitored: project, model, schema and the embedding feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSpec {
    /// Project name.
    pub project: String,
    /// Name of the baseline data set.
    pub dataset: String,
    /// Model name.
    pub model: String,
    /// Hex sha256 of the weights.
    pub model_sha256: String,
    /// Columns of every row.
    pub schema: RowSchema,
    /// The custom feature that drift is measured on.
    pub custom_feature: ImageEmbedding,
}

/// Fiddler's custom feature over a vector column that was made from an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageEmbedding {
    /// Name of the feature.
    pub name: String,
    /// Column with the address of the image.
    pub source_column: String,
    /// Column with the embedding.
    pub column: String,
    /// Clusters, which are the bins of the drift histogram.
    pub n_clusters: usize,
}

/// What became of the rows of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Rows that are now kept.
    pub accepted: u64,
    /// Rows that were already there.
    pub duplicates: u64,
}

impl std::ops::AddAssign for Ack {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
    }
}

/// The true class of an event that was published before, learnt later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLabel {
    /// Which event.
    pub event_id: String,
    /// Its true class.
    pub target: String,
}

/// A place that keeps the rows of one monitor.
///
/// # Behavior
/// - It is opened with its monitor, which becomes known there; a monitor that is known with another schema is refused.
/// - Rows follow the schema of the monitor.
/// - A row is known by its `event_id`: publishing it again changes nothing and counts as a duplicate.
/// - When a publish call returns, its rows survive the end of this process.
pub trait MonitorSink: Send {
    /// What this sink is.
    fn info(&self) -> &SinkInfo;

    /// Keeps rows of the baseline.
    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack>;

    /// Keeps events.
    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack>;

    /// Gives events their true class. `accepted` counts labels that changed an event, or that were handed on where this
    /// machine cannot know; `duplicates` counts those that changed nothing: the event has the label, or is not there.
    ///
    /// # Errors
    /// `Unsupported` where events cannot be changed any more.
    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        let _ = labels;
        Err(Error::new(
            ErrorKind::Unsupported,
            "publish labels",
            format!("the sink `{}` cannot change events", self.info().name),
        )
        .remedy("publish the events again with their labels, or use another sink"))
    }

    /// Waits until everything that was accepted is where it should be.
    fn flush(&mut self) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stone(SinkInfo);

    impl MonitorSink for Stone {
        fn info(&self) -> &SinkInfo {
            &self.0
        }

        fn publish_baseline(&mut self, _: &RecordBatch) -> Result<Ack> {
            Ok(Ack::default())
        }

        fn publish_events(&mut self, _: &RecordBatch) -> Result<Ack> {
            Ok(Ack::default())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_cannot_change_events_says_so() {
        let mut sink = Stone(SinkInfo {
            name: "stone".to_owned(),
            location: String::new(),
        });
        let error = sink.publish_labels(&[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`stone` cannot change events"));
    }
}
