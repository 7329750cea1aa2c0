//! The real command on small real inputs.

pub mod faults;
pub mod server;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driftline::core::{Result, Rows};
use driftline::data::{Split, sample};
use driftline::rows::RowsReader;
use driftline_sink_local::Store;
use serde_json::Value;
use tempfile::TempDir;

/// Whether the long tests take all their seeds, as `cargo xtask test --full` has it.
pub fn is_full() -> bool {
    std::env::var_os("DRIFTLINE_TEST_FULL").is_some()
}

/// A moment for `--now`: it fixes the calendar.
pub const NOW: &str = "2026-11-24T00:00:00Z";

/// A folder to work in, with a cache of its own.
pub struct Workspace {
    folder: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// In `folder` instead of the one for temporary files.
    pub fn within(folder: &Path) -> Self {
        Self {
            folder: tempfile::tempdir_in(folder).unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `driftline` with these arguments, in this folder, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_driftline"));
        command.args(arguments);
        command
    }

    /// Another program, in the same surroundings.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env_remove("DRIFTLINE_PLUGIN_PATH")
            .env_remove("FIDDLER_TOKEN")
            .env_remove("FIDDLER_URL")
            .stdin(Stdio::null());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs with `--json`; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments.iter().chain(&["--json", "--quiet"]));
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs; it must end with `code`, and stderr must hold every one of `parts`.
    pub fn fails(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        let output = self.run(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
        assert!(!message.contains("panicked"), "{message}");
    }

    /// A folder of PNG images of the sample data set, one folder for each class.
    pub fn images(&self, name: &str, split: Split, count: u64) -> PathBuf {
        let folder = self.path(name);
        for row in 0..count {
            let (class, pixels) = sample::scene(split, row);
            let class = folder.join(sample::CLASSES[class]);
            std::fs::create_dir_all(&class).unwrap();
            image::save_buffer(
                class.join(format!("{row:05}.png")),
                &pixels,
                32,
                32,
                image::ColorType::Rgb8,
            )
            .unwrap();
        }
        folder
    }

    /// The sample data set as a folder of CIFAR-10 batches: `train` rows in each of the five, and `test` rows.
    pub fn cifar(&self, name: &str, train: u64, test: u64) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir(&folder).unwrap();
        let write = |file: &str, split: Split, rows: std::ops::Range<u64>| {
            let mut bytes = Vec::new();
            for row in rows {
                let (class, pixels) = sample::scene(split, row);
                bytes.push(class as u8);
                for channel in 0..3 {
                    bytes.extend(pixels.iter().skip(channel).step_by(3));
                }
            }
            std::fs::write(folder.join(file), bytes).unwrap();
        };
        for batch in 0..5 {
            let rows = batch * train..(batch + 1) * train;
            write(&format!("data_batch_{}.bin", batch + 1), Split::Train, rows);
        }
        write("test_batch.bin", Split::Test, 0..test);
        folder
    }

    /// A settings file with a baseline of 300 images and two windows of 200, and the images.
    pub fn small_run(&self) {
        self.images("train", Split::Train, 300);
        self.images("test", Split::Test, 200);
        let settings = r#"
[baseline]
source = "train"

[[windows]]
name = "october"
source = "test"
days = 4
per_day = 50

[[windows]]
name = "november"
source = "test"
transform = "blur(sigma=0.1..2),brightness(0.4..0.6)"
days = 4
"#;
        std::fs::write(self.path("driftline.toml"), settings).unwrap();
    }

    /// All rows of the store by event id; no id may be there twice.
    pub fn rows(&self, store: &str, model: &str) -> BTreeMap<String, StoredRow> {
        self.rows_of(store, "image_monitoring", model)
    }

    /// The same for any project.
    pub fn rows_of(&self, store: &str, project: &str, model: &str) -> BTreeMap<String, StoredRow> {
        let store = Store::open(&self.path(store), project, model).unwrap();
        let mut all = BTreeMap::new();
        for mut parts in [store.baseline().unwrap(), store.events(..).unwrap()] {
            collect(parts.by_ref(), &mut all);
            assert_eq!(parts.damaged(), []);
        }
        all
    }

    /// A label file `labels.csv` for one event of October in `rows` and for one that is not there; returns `rows` as they
    /// are once it is published.
    pub fn label_file(&self, mut rows: BTreeMap<String, StoredRow>) -> BTreeMap<String, StoredRow> {
        let (id, row) = rows
            .iter_mut()
            .find(|(id, _)| id.contains("october"))
            .unwrap();
        let labels = format!("event_id,target\n{id},something\nno-such-event,x\n");
        std::fs::write(self.path("labels.csv"), labels).unwrap();
        row.target = "something".to_owned();
        rows
    }

    /// All rows of a row file by event id.
    pub fn row_file(&self, name: &str) -> BTreeMap<String, StoredRow> {
        let mut all = BTreeMap::new();
        collect(RowsReader::open(&self.path(name)).unwrap(), &mut all);
        all
    }
}

/// What a store holds of a row; equal only if every bit is.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    pub timestamp_ms: i64,
    pub embedding: Vec<Bits>,
    pub scores: Vec<Bits>,
    pub target: String,
    pub url: String,
    pub window: String,
}

/// A number that equals another only if all its bits do.
#[derive(Debug, Clone, Copy)]
pub struct Bits(pub f32);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// The largest difference between numbers at the same place.
pub fn largest_difference(a: &[Bits], b: &[Bits]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a.0 - b.0).abs());
    differences.fold(0.0, f32::max)
}

fn collect(batches: impl Iterator<Item = Result<Rows>>, all: &mut BTreeMap<String, StoredRow>) {
    for rows in batches {
        let rows = rows.unwrap();
        let (dim, classes) = (rows.schema().dim, rows.schema().classes.len());
        for i in 0..rows.len() {
            let row = StoredRow {
                timestamp_ms: rows.timestamps_ms()[i],
                embedding: rows.embeddings()[i * dim..(i + 1) * dim]
                    .iter()
                    .map(|value| Bits(*value))
                    .collect(),
                scores: (0..classes)
                    .map(|class| Bits(rows.scores(class)[i]))
                    .collect(),
                target: rows.targets().value(i).to_owned(),
                url: rows.image_urls().value(i).to_owned(),
                window: rows.windows().value(i).to_owned(),
            };
            let id = rows.event_ids().value(i).to_owned();
            assert_eq!(all.insert(id.clone(), row), None, "{id} is there twice");
        }
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file under `folder` with its bytes; none if there is no such folder.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in paths(folder) {
        let bytes = std::fs::read(&path).unwrap();
        found.insert(path, bytes);
    }
    found
}

/// The path of every file under `folder`, which may change at the same time.
pub fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(paths(&path));
        } else {
            found.push(path);
        }
    }
    found
}
