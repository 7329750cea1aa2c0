//! Rows, monitors and sinks that the tests of this crate share. [`fake`] is the server they talk to.

// Each test file uses its own part of this module, and `allow-unwrap-in-tests` does not reach it.

pub mod fake;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{MonitorSpec, Result, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline_sink_fiddler::FiddlerSink;
use serde_json::{Value, json};

pub const TOKEN: &str = "tok-9c1f-secret";
/// 2026-11-01T00:00:00Z.
pub const START_MS: i64 = 1_793_491_200_000;

pub fn spec(dim: usize, classes: &[&str]) -> MonitorSpec {
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    MonitorSpec {
        project: "image_monitoring".to_owned(),
        dataset: "train_time_reference".to_owned(),
        model: "resnet18".to_owned(),
        model_sha256: "ab".repeat(32),
        schema: RowSchema::new(dim, classes).unwrap(),
        custom_feature: ImageEmbedding {
            name: "image_feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    }
}

pub fn small() -> MonitorSpec {
    spec(4, &["cat", "dog"])
}

pub fn id(i: usize) -> String {
    format!("run-week-1-{i:08}")
}

/// Rows `range` of an endless, fixed sequence.
pub fn rows(monitor: &MonitorSpec, range: impl IntoIterator<Item = usize>) -> RecordBatch {
    let (dim, classes) = (monitor.schema.dim, &monitor.schema.classes);
    let mut builder = RowsBuilder::new(monitor.schema.clone());
    for i in range {
        let embedding: Vec<f32> = (0..dim)
            .map(|d| ((i * 31 + d * 7) % 97) as f32 / 9.0)
            .collect();
        let scores = vec![1.0 / classes.len() as f32; classes.len()];
        builder
            .push(&Row {
                event_id: &id(i),
                timestamp_ms: START_MS + i as i64,
                embedding: &embedding,
                scores: &scores,
                target: Some(&classes[i % classes.len()]),
                image_url: &format!("img/{i}.png"),
                image_number: i as i64,
                window: "week-1",
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

/// A sink for [`small`] to a server at `url`, with short waits.
pub fn config(store: &Path, url: &str, more: Value) -> SinkConfig {
    let folder = store.parent().unwrap();
    let token_file = folder.join("token");
    // Another process may be reading it: it appears whole.
    let mut new = tempfile::NamedTempFile::new_in(folder).unwrap();
    new.write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    new.persist(&token_file).unwrap();
    let mut options = json!({
        "url": url,
        "token_file": token_file.display().to_string(),
        "answer_seconds": 20,
        "retry_seconds": 20,
        "job_seconds": 20,
    });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    let mut config = SinkConfig::new(store.to_owned(), small());
    config.options = options.as_object().unwrap().clone();
    config
}

/// A folder for a store, and one around it for what does not belong to the store.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        Self { folder }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn outbox(&self) -> PathBuf {
        self.store()
            .join(".driftline/outbox/image_monitoring/resnet18")
    }

    pub fn sink(&self, url: &str, more: Value) -> Result<FiddlerSink> {
        self.sink_for(&small(), url, more)
    }

    pub fn sink_for(&self, monitor: &MonitorSpec, url: &str, more: Value) -> Result<FiddlerSink> {
        FiddlerSink::open(&SinkConfig {
            monitor: monitor.clone(),
            ..config(&self.store(), url, more)
        })
    }

    /// Rows that wait, rows in dead letters.
    pub fn status(&self) -> (u64, u64) {
        let all = driftline_sink_fiddler::outboxes(&self.store()).unwrap();
        (
            all.iter().map(|outbox| outbox.queued).sum(),
            all.iter().map(|outbox| outbox.dead).sum(),
        )
    }

    /// Waits until no row waits.
    pub fn wait_until_delivered(&self) {
        let start = Instant::now();
        while self.status().0 > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "rows still wait");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Segment files of the outbox.
    pub fn segments(&self) -> Vec<PathBuf> {
        files(&self.outbox().join("segments"))
    }

    /// Asserts that no file of the store holds the token.
    pub fn assert_no_token(&self) {
        let all = files(&self.store());
        assert!(!all.is_empty());
        for path in all {
            // A database that is closed meanwhile takes its companions away.
            let Ok(bytes) = fs::read(&path) else {
                assert!(!path.exists(), "{} cannot be read", path.display());
                continue;
            };
            let found = bytes
                .windows(TOKEN.len())
                .any(|window| window == TOKEN.as_bytes());
            assert!(!found, "{} holds the token", path.display());
        }
    }
}

/// Every file below `folder`.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}
