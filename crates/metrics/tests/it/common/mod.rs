//! Stores that the tests of this crate share.

// Each test file uses its own part of this module, and `allow-unwrap-in-tests` does not reach it.

use std::path::Path;

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline_sink_local::{Centroids, LocalSink, write_clusters};
use jiff::Timestamp;

pub const PROJECT: &str = "p";
pub const MODEL: &str = "m";
pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-11-02T00:00:00Z, a Monday.
pub const START_MS: i64 = 1_793_577_600_000;
/// One centroid at each multiple of 10 on the first axis.
pub const CLUSTERS: usize = 5;

/// A row of two values, scores for `cat` and `dog`, and a target.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub ms: i64,
    pub embedding: [f32; 2],
    pub scores: [f32; 2],
    pub target: Option<&'static str>,
    pub window: &'static str,
}

impl Event {
    /// One of cluster `cluster` at `ms`, a cat that is taken for a cat.
    pub fn new(id: impl ToString, cluster: usize, ms: i64) -> Self {
        Self {
            id: id.to_string(),
            ms,
            embedding: [10.0 * cluster as f32, 0.0],
            scores: [0.75, 0.25],
            target: Some("cat"),
            window: "production",
        }
    }
}

pub fn spec() -> MonitorSpec {
    MonitorSpec {
        project: PROJECT.to_owned(),
        dataset: "baseline".to_owned(),
        model: MODEL.to_owned(),
        model_sha256: "ab".repeat(32),
        schema: RowSchema::new(2, vec!["cat".to_owned(), "dog".to_owned()]).unwrap(),
        custom_feature: ImageEmbedding {
            name: "image_feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: CLUSTERS,
        },
    }
}

pub fn batch(events: &[Event]) -> RecordBatch {
    let mut builder = RowsBuilder::new(spec().schema);
    for (i, event) in events.iter().enumerate() {
        builder
            .push(&Row {
                event_id: &event.id,
                timestamp_ms: event.ms,
                embedding: &event.embedding,
                scores: &event.scores,
                target: event.target,
                image_url: &format!("{}.png", event.id),
                image_number: i as i64,
                window: event.window,
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

pub fn sink(store: &Path) -> LocalSink {
    LocalSink::open(&SinkConfig::new(store.to_owned(), spec())).unwrap()
}

/// Centroids at (0, 0), (10, 0), … (40, 0).
pub fn fix_clusters(store: &Path) {
    let values = (0..CLUSTERS).flat_map(|cluster| [10.0 * cluster as f32, 0.0]);
    let centroids = Centroids {
        dim: 2,
        values: values.collect(),
    };
    write_clusters(store, PROJECT, MODEL, &centroids).unwrap();
}

/// As many events of each cluster as `counts` says, all at `ms`.
pub fn clustered(prefix: &str, counts: &[usize], ms: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for (cluster, count) in counts.iter().enumerate() {
        for i in 0..*count {
            events.push(Event::new(
                format!("{prefix}-{cluster}-{i:04}"),
                cluster,
                ms,
            ));
        }
    }
    events
}

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}
