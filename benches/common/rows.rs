//! Rows to publish: 128 values and 10 scores, in calls of 10,000, each call a day of its own.

use arrow_array::RecordBatch;
use driftline::core::sink::ImageEmbedding;
use driftline::core::{MonitorSpec, Row, RowSchema, RowsBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;
const CLASSES: usize = 10;
const CALL_ROWS: u64 = 10_000;
const DAY_MS: u64 = 86_400_000;
const START_MS: u64 = 1_704_067_200_000;

/// Their schema.
pub fn schema() -> RowSchema {
    let classes = (0..CLASSES).map(|i| format!("class-{i}")).collect();
    RowSchema::new(DIM, classes).expect("a schema")
}

/// What a sink is opened for.
pub fn monitor() -> MonitorSpec {
    MonitorSpec {
        project: "bench".to_owned(),
        dataset: "baseline".to_owned(),
        model: "bench".to_owned(),
        model_sha256: String::new(),
        schema: schema(),
        custom_feature: ImageEmbedding {
            name: "image_feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    }
}

/// `count` rows of a window, one batch for each call.
pub fn calls(window: &str, count: u64) -> impl Iterator<Item = RecordBatch> {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut builder = RowsBuilder::new(schema());
    (0..count).step_by(CALL_ROWS as usize).map(move |first| {
        for i in first..count.min(first + CALL_ROWS) {
            let embedding: Vec<f32> = (0..DIM).map(|_| random.random_range(-3.0..3.0)).collect();
            let scores: [f32; CLASSES] = std::array::from_fn(|_| random.random_range(0.0..0.2));
            builder
                .push(&Row {
                    event_id: &format!("bench-{window}-{i:08}"),
                    timestamp_ms: (START_MS + i / CALL_ROWS * DAY_MS + i % CALL_ROWS) as i64,
                    embedding: &embedding,
                    scores: &scores,
                    target: Some("class-3"),
                    image_url: "images/a.png",
                    image_number: i as i64,
                    window,
                    properties: &[],
                })
                .expect("a row");
        }
        builder.finish().expect("a batch")
    })
}

/// The monitor of a sink that takes [`scrambled`] rows.
pub fn narrow_monitor() -> MonitorSpec {
    MonitorSpec {
        schema: narrow_schema(),
        ..monitor()
    }
}

fn narrow_schema() -> RowSchema {
    RowSchema::new(4, Vec::new()).expect("a schema")
}

/// `count` small rows with ids in no order, over 30 days, in calls of 100,000.
pub fn scrambled(count: u64) -> impl Iterator<Item = RecordBatch> {
    let calls = (0..count).step_by(100_000);
    calls.map(move |first| scrambled_batch(first..count.min(first + 100_000)))
}

/// The rows `range` of them.
pub fn scrambled_batch(range: std::ops::Range<u64>) -> RecordBatch {
    let mut builder = RowsBuilder::new(narrow_schema());
    for i in range {
        let id: u64 = ChaCha8Rng::seed_from_u64(i).random();
        builder
            .push(&Row {
                event_id: &format!("{id:016x}-{i}"),
                timestamp_ms: (START_MS + i % 30 * DAY_MS + i % 1_000) as i64,
                embedding: &[0.1, 0.2, 0.3, 0.4],
                scores: &[],
                target: None,
                image_url: "",
                image_number: i as i64,
                window: "events",
                properties: &[],
            })
            .expect("a row");
    }
    builder.finish().expect("a batch")
}
