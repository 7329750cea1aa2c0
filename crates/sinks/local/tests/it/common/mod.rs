//! Monitors, rows and comparisons that the tests of this crate share.

// Each test file uses its own part of this module, and `allow-unwrap-in-tests` does not reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline_sink_local::{LocalSink, Store};

pub const DIM: usize = 8;
pub const DAY_MS: i64 = 86_400_000;
/// 2026-11-01T00:00:00Z.
pub const START_MS: i64 = 1_793_491_200_000;

pub fn schema() -> RowSchema {
    RowSchema::new(DIM, vec!["cat".to_owned(), "dog".to_owned()]).unwrap()
}

pub fn spec() -> MonitorSpec {
    MonitorSpec {
        project: "p".to_owned(),
        dataset: "baseline".to_owned(),
        model: "m".to_owned(),
        model_sha256: "ab".repeat(32),
        schema: schema(),
        custom_feature: ImageEmbedding {
            name: "image".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 10,
        },
    }
}

pub fn sink(store: &Path) -> LocalSink {
    LocalSink::open(&SinkConfig::new(store.to_owned(), spec())).unwrap()
}

pub fn id(i: usize) -> String {
    format!("run-week-1-{i:08}")
}

/// Rows `range` of an endless, fixed sequence with 100 rows a day.
pub fn rows(range: impl IntoIterator<Item = usize>) -> RecordBatch {
    rows_with(range, id)
}

/// The same rows under other ids.
pub fn rows_with(
    range: impl IntoIterator<Item = usize>,
    id: impl Fn(usize) -> String,
) -> RecordBatch {
    let mut builder = RowsBuilder::new(schema());
    for i in range {
        let embedding: Vec<f32> = (0..DIM)
            .map(|d| ((i * 31 + d * 7) % 97) as f32 / 9.0)
            .collect();
        builder
            .push(&Row {
                event_id: &id(i),
                timestamp_ms: START_MS + (i / 100) as i64 * DAY_MS + (i % 100) as i64,
                embedding: &embedding,
                scores: &[0.25, 0.75],
                target: (i % 5 > 0).then_some("dog"),
                image_url: "a.png",
                image_number: i as i64,
                window: "week-1",
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

/// Every file below `folder` with its bytes; the lock file, which is empty, is left out.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".lock" {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Asserts that two stores have the same files with the same bytes.
pub fn assert_same_files(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{} differs", name.display());
    }
}

/// Asserts that the events are exactly rows `expected`, once each, and that no file is damaged.
pub fn assert_events(store: &Path, expected: impl IntoIterator<Item = usize>) {
    let mut events = Store::open(store, "p", "m").unwrap().events(..).unwrap();
    let mut seen = BTreeSet::new();
    for rows in events.by_ref() {
        let rows = rows.unwrap();
        for (at, number) in rows.image_numbers().iter().enumerate() {
            assert_eq!(rows.event_ids().value(at), id(*number as usize));
            assert!(seen.insert(*number as usize), "row {number} is there twice");
        }
    }
    assert_eq!(events.damaged(), []);
    let expected: BTreeSet<usize> = expected.into_iter().collect();
    assert_eq!(seen, expected);
}

/// Every part file below a store, hidden ones included.
pub fn parts(store: &Path) -> Vec<PathBuf> {
    let names = files(store).into_keys();
    let parts = names.filter(|name| name.to_string_lossy().contains("part-"));
    parts.map(|name| store.join(name)).collect()
}

/// A copy of everything below `from`.
pub fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let place = to.join(&name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
}

/// The only part file of a day.
pub fn only_part(store: &Path, day: &str) -> PathBuf {
    let folder = store.join(format!("p/m/events/date={day}"));
    let mut entries = fs::read_dir(folder).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    path
}
