//! A sink that appends rows to files of JSON lines, one object for each row:
//!
//! | file | holds |
//! | --- | --- |
//! | `FOLDER/PROJECT/MODEL/monitor.json` | what is monitored |
//! | `FOLDER/PROJECT/MODEL/baseline.jsonl` | rows of the baseline |
//! | `FOLDER/PROJECT/MODEL/events.jsonl` | events |
//! | `FOLDER/PROJECT/MODEL/labels.jsonl` | true classes of events that came later; the last line of an event counts |

mod labels;
mod lines;
mod rows;

use std::path::{Component, Path, PathBuf};

use driftline_plugin_sdk::arrow_array::RecordBatch;
use driftline_plugin_sdk::core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, SinkInfo,
};
use driftline_plugin_sdk::{SinkPlugin, export_plugin};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::labels::LabelFile;
use crate::rows::RowFile;

/// What a user writes below `[sink.options]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Folder for the files; made where it is not there.
    #[serde(default = "folder")]
    folder: PathBuf,
}

fn folder() -> PathBuf {
    PathBuf::from("driftline-json-lines")
}

/// Appends rows; an `event_id` that is in the file counts as a duplicate.
///
/// # Behavior
/// - When a publish call returns, its rows survive a crash of the machine.
/// - A line that a crash left half-written is cut off when the file is opened next: its row was never acknowledged.
/// - One process at a time has a file open; another one waits.
struct JsonLines {
    info: SinkInfo,
    baseline: RowFile,
    events: RowFile,
    labels: LabelFile,
}

impl SinkPlugin for JsonLines {
    const NAME: &'static str = "json_lines";
    const SUMMARY: &'static str = "JSON lines in a folder; options: folder";
    type Options = Options;

    fn location(Options { folder }: &Options) -> Result<String> {
        if folder.exists() && !folder.is_dir() {
            return Err(
                refuse("the place of the rows is not a folder").with("file", folder.display())
            );
        }
        Ok(folder.display().to_string())
    }

    fn open(options: Options, monitor: &MonitorSpec) -> Result<Self> {
        let location = Self::location(&options)?;
        let folder = options
            .folder
            .join(plain("project", &monitor.project)?)
            .join(plain("model", &monitor.model)?);
        std::fs::create_dir_all(&folder).map_err(|cause| Error::io("open sink", &folder, cause))?;
        keep_monitor(&folder.join("monitor.json"), monitor)?;
        let baseline = RowFile::open(&folder.join("baseline.jsonl"))?;
        let mut events = RowFile::open(&folder.join("events.jsonl"))?;
        let labels = LabelFile::open(&folder.join("labels.jsonl"), &mut events)?;
        Ok(Self {
            info: SinkInfo {
                name: Self::NAME.to_owned(),
                location,
            },
            baseline,
            events,
            labels,
        })
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "open sink", message)
}

/// `name` as a folder, if it is plain.
fn plain<'a>(what: &str, name: &'a str) -> Result<&'a Path> {
    let path = Path::new(name);
    let mut parts = path.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == path.as_os_str() => Ok(path),
        _ => Err(refuse(format!(
            "the {what} `{name}` cannot be the name of a folder"
        ))),
    }
}

/// Keeps `monitor` in `path`; refuses one that differs in its schema from the one that is there.
fn keep_monitor(path: &Path, monitor: &MonitorSpec) -> Result<()> {
    let io = |cause| Error::io("open sink", path, cause);
    match std::fs::read(path) {
        Ok(known) => {
            let known: MonitorSpec = serde_json::from_slice(&known).map_err(|cause| {
                Error::new(ErrorKind::InvalidData, "open sink", "the file is damaged")
                    .with("file", path.display())
                    .because(cause)
            })?;
            if known.schema.fits(&monitor.schema) {
                return Ok(());
            }
            Err(refuse(format!(
                "the rows that are there have {} values and {} classes, the new ones have {} and {}",
                known.schema.dim,
                known.schema.classes.len(),
                monitor.schema.dim,
                monitor.schema.classes.len()
            ))
            .with("file", path.display())
            .remedy("use another project, model or folder"))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let text = serde_json::to_vec_pretty(monitor).map_err(|cause| {
                Error::new(ErrorKind::Internal, "open sink", "the monitor is no JSON")
                    .because(cause)
            })?;
            // Whole or not at all.
            let new = path.with_extension("new");
            std::fs::write(&new, text).map_err(io)?;
            std::fs::rename(&new, path).map_err(io)
        }
        Err(cause) => Err(io(cause)),
    }
}

impl MonitorSink for JsonLines {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.baseline.append(rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.events.append(rows)
    }

    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        self.labels.append(labels, &mut self.events)
    }

    fn flush(&mut self) -> Result<()> {
        // Every row is on the disk when its call returns.
        Ok(())
    }
}

export_plugin! { sinks: [JsonLines] }
