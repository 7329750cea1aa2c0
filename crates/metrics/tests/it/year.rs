//! How long a year of daily windows takes. Run it with
//! `cargo test --release -p driftline-metrics --test it -- year:: --ignored --nocapture`.

use crate::common;
use std::time::Instant;

use crate::common::{DAY_MS, MODEL, PROJECT, START_MS, at};
use arrow_array::RecordBatch;
use driftline_core::{MonitorSink, MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline_metrics::{Baseline, BinSize, Monitored};
use driftline_sink_local::LocalSink;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;
const CLASSES: usize = 10;
const BASELINE: usize = 50_000;
const DAYS: usize = 365;
const A_DAY: usize = 1_000;

fn schema() -> RowSchema {
    RowSchema::new(
        DIM,
        (0..CLASSES).map(|class| format!("class {class}")).collect(),
    )
    .unwrap()
}

fn rows(prefix: &str, count: usize, ms: i64, random: &mut ChaCha8Rng) -> RecordBatch {
    let mut builder = RowsBuilder::new(schema());
    for i in 0..count {
        let class = random.random_range(0..CLASSES);
        let mut embedding: Vec<f32> = (0..DIM).map(|_| random.random_range(-1.0..1.0)).collect();
        embedding[class] += 3.0;
        let scores: Vec<f32> = (0..CLASSES)
            .map(|_| random.random_range(0.0..1.0))
            .collect();
        let row = Row {
            event_id: &format!("{prefix}-{i:06}"),
            timestamp_ms: ms + (i as i64 * DAY_MS) / count as i64,
            embedding: &embedding,
            scores: &scores,
            target: Some(&format!("class {class}")),
            image_url: "sample/test/00042-car.png",
            image_number: i as i64,
            window: "production",
            properties: &[],
        };
        builder.push(&row).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
#[ignore = "it measures, and asserts only counts"]
fn a_year_of_daily_windows() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let spec = MonitorSpec {
        schema: schema(),
        ..common::spec()
    };
    let mut sink = LocalSink::open(&SinkConfig::new(folder.path().to_owned(), spec)).unwrap();
    for part in 0..BASELINE / 5_000 {
        let batch = rows(&format!("b{part:03}"), 5_000, START_MS, &mut random);
        sink.publish_baseline(&batch).unwrap();
    }
    let day = |day: usize| START_MS + day as i64 * DAY_MS;
    for i in 0..DAYS {
        let batch = rows(&format!("d{i:03}"), A_DAY, day(i), &mut random);
        sink.publish_events(&batch).unwrap();
    }
    let timed =
        |what: &str, begun: Instant| println!("{what}: {:.3} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut monitored = Monitored::open(folder.path(), PROJECT, MODEL).unwrap();
    timed("open, with clusters found on the baseline", begun);
    let begun = Instant::now();
    assert!(!monitored.refresh().unwrap());
    timed("refresh, nothing new", begun);
    let begun = Instant::now();
    let days = monitored
        .series(&Baseline::Whole, &monitored.extent(), BinSize::Day)
        .unwrap();
    timed("series of days", begun);
    assert_eq!(days.len(), DAYS);
    assert!(days.iter().all(|day| day.rows == A_DAY as u64));
    let one = [at(day(200))..at(day(201))];
    for _ in 0..2 {
        let begun = Instant::now();
        let found = monitored.exemplars(&Baseline::Whole, &one, 12, 1).unwrap();
        timed(
            "12 exemplars of a day, each with its nearest baseline row",
            begun,
        );
        assert_eq!(found[0].exemplars.len(), 12);
        let begun = Instant::now();
        monitored.map(&Baseline::Whole, &one).unwrap();
        timed("map of a day", begun);
    }
    let all: Vec<_> = (0..DAYS).map(|i| at(day(i))..at(day(i + 1))).collect();
    let begun = Instant::now();
    let found = monitored.exemplars(&Baseline::Whole, &all, 4, 1).unwrap();
    timed(
        "4 exemplars of every day, each with its nearest baseline row",
        begun,
    );
    assert!(found.iter().all(|found| found.exemplars.len() == 4));
    let begun = Instant::now();
    let map = monitored.map(&Baseline::Whole, &all).unwrap();
    timed("map of every day", begun);
    assert_eq!(map.windows.len(), DAYS);
}
