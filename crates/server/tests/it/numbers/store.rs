//! A store that `driftline run` could have written, with five clusters of known sizes.

use std::path::Path;

use driftline_core::sink::ImageEmbedding;
use driftline_core::{MonitorSink, MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline_sink_local::{Centroids, LocalSink, write_clusters};

pub const PROJECT: &str = "image_monitoring";
pub const MODEL: &str = "resnet18";
pub const FEATURE: &str = "image_feature";
pub const DAY_MS: i64 = 86_400_000;
/// 2024-01-01T00:00:00Z, a Monday.
pub const START_MS: i64 = 1_704_067_200_000;

/// The check table of Jensen-Shannon distance and PSI.
pub const BASELINE: [usize; 5] = [40, 60, 30, 50, 20];
pub const DRIFTED: [usize; 5] = [10, 80, 30, 20, 60];
pub const JSD: f64 = 0.265_410_544_2;
pub const PSI: f64 = 0.558_121_768_5;

/// The writer of the store, with the baseline in it.
pub fn with_baseline(store: &Path) -> LocalSink {
    let spec = MonitorSpec {
        project: PROJECT.to_owned(),
        dataset: "baseline".to_owned(),
        model: MODEL.to_owned(),
        model_sha256: "ab".repeat(32),
        schema: schema(),
        custom_feature: ImageEmbedding {
            name: FEATURE.to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    };
    let mut sink = LocalSink::open(&SinkConfig::new(store.to_owned(), spec)).unwrap();
    let centroids = Centroids {
        dim: 2,
        values: (0..5).flat_map(|i| [10.0 * i as f32, 0.0]).collect(),
    };
    write_clusters(store, PROJECT, MODEL, &centroids).unwrap();
    let rows = rows("b", &BASELINE, 0, "train_time_reference");
    sink.publish_baseline(&rows).unwrap();
    sink
}

/// Events of day `day` with as many of each cluster as `counts` says.
pub fn publish_day(sink: &mut LocalSink, day: i64, counts: &[usize]) {
    let ms = START_MS + day * DAY_MS;
    let rows = rows(&format!("d{day}"), counts, ms, "production");
    sink.publish_events(&rows).unwrap();
}

fn schema() -> RowSchema {
    RowSchema::new(2, vec!["Cat".to_owned(), "dog".to_owned()]).unwrap()
}

/// All cats: those of even number are taken for one, with 0.75, the others for dogs.
fn rows(prefix: &str, counts: &[usize], ms: i64, window: &str) -> arrow_array::RecordBatch {
    let mut builder = RowsBuilder::new(schema());
    for (cluster, count) in counts.iter().enumerate() {
        for i in 0..*count {
            let right = i % 2 == 0;
            let row = Row {
                event_id: &format!("{prefix}-{cluster}-{i:04}"),
                timestamp_ms: ms,
                embedding: &[10.0 * cluster as f32, 0.0],
                scores: if right { &[0.75, 0.25] } else { &[0.25, 0.75] },
                target: Some("Cat"),
                image_url: "sample/test/00042-cat.png",
                image_number: i as i64,
                window,
                properties: &[],
            };
            builder.push(&row).unwrap();
        }
    }
    builder.finish().unwrap()
}
