//! The result of a run, in the form that `--json` prints.

use std::collections::BTreeMap;

use driftline_core::{Device, SkippedImage};
use driftline_stats::{Check, Distance, Explanation};
use jiff::Timestamp;
use serde::Serialize;

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Name of the run, the first part of every `event_id`.
    pub run_id: String,
    /// Version of driftline.
    pub driftline: String,
    /// The backend that embedded.
    pub backend: BackendSummary,
    /// The model that was run.
    pub model: ModelSummary,
    /// The baseline.
    pub baseline: BaselineSummary,
    /// The windows in order.
    pub windows: Vec<WindowSummary>,
    /// Where the rows are.
    pub sink: SinkSummary,
    /// How long it took.
    pub timing: Timing,
    /// Largest resident memory of the process, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Images left out.
    pub skipped_images: u64,
    /// The first of them, with the stage each was in.
    pub skipped: Vec<SkippedInStage>,
}

/// Images that [`RunSummary::skipped`] lists; more are only counted.
pub const LISTED_SKIPS: usize = 20;

/// Images of a window, and events of a day, that are checked; of more, evenly spread ones.
pub const CHECKED_ROWS: u64 = 5_000;

/// Days in which one false alert may come, on average: two years.
pub const ALERT_DAYS: f64 = 730.0;

/// See [`RunSummary::backend`].
#[derive(Debug, Clone, Serialize)]
pub struct BackendSummary {
    /// Registered name.
    pub name: String,
    /// Engine and version.
    pub engine: String,
    /// Where it computed.
    pub device: Device,
    /// Arithmetic used.
    pub precision: String,
    /// Threads used.
    pub threads: usize,
}

/// See [`RunSummary::model`].
#[derive(Debug, Clone, Serialize)]
pub struct ModelSummary {
    /// Name of the model.
    pub name: String,
    /// Hex sha256 of its weights file.
    pub sha256: String,
    /// Length of an embedding.
    pub dim: usize,
    /// Number of classes.
    pub classes: usize,
}

/// See [`RunSummary::baseline`].
#[derive(Debug, Clone, Serialize)]
pub struct BaselineSummary {
    /// Rows of the baseline.
    pub rows: u64,
    /// Share of labelled rows whose best score is their target, if any row is labelled.
    pub accuracy: Option<f64>,
}

/// One window.
#[derive(Debug, Clone, Serialize)]
pub struct WindowSummary {
    /// Name of the window.
    pub name: String,
    /// Its drift transforms, `none` without any.
    pub transform: String,
    /// Images embedded.
    pub rows: u64,
    /// Share of labelled rows whose best score is their target, if any row is labelled.
    pub accuracy: Option<f64>,
    /// Events that are in the sink, those that were there before included.
    pub published: u64,
    /// Distances between the shares of the clusters, over all published events.
    pub statistics: BTreeMap<Distance, f64>,
    /// Expected Jensen-Shannon distance of a window of this size without any drift.
    pub noise_floor: f64,
    /// Whether the check says so.
    pub drifted: bool,
    /// What the statistics say of the window's images, of at most [`CHECKED_ROWS`] of them.
    pub check: Check,
    /// What changed.
    pub explanation: Explanation,
    /// The days that have events.
    pub bins: Vec<BinSummary>,
}

/// One day of a window.
#[derive(Debug, Clone, Serialize)]
pub struct BinSummary {
    /// Start of the day.
    pub start: Timestamp,
    /// Events of the day.
    pub rows: u64,
    /// Expected Jensen-Shannon distance of so many events without any drift.
    pub noise_floor: f64,
    /// Distances between the shares of the clusters, over these events.
    #[serde(flatten)]
    pub statistics: BTreeMap<Distance, f64>,
    /// What the statistics say of these events, of at most [`CHECKED_ROWS`] of them.
    pub check: Check,
    /// Whether the days up to this one, of all windows in order, are reason to alert somebody: without drift once in
    /// [`ALERT_DAYS`] days on average.
    pub alert: bool,
}

/// See [`RunSummary::sink`].
#[derive(Debug, Clone, Serialize)]
pub struct SinkSummary {
    /// Registered name.
    pub name: String,
    /// Folder or address.
    pub location: String,
    /// Events that are new in the sink.
    pub rows_published: u64,
    /// Events that were there already.
    pub rows_duplicate: u64,
}

/// See [`RunSummary::timing`].
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// From start to end.
    pub total_seconds: f64,
    /// Inside the backend.
    pub embed_seconds: f64,
    /// Images embedded; a resumed run does not count those embedded before it was stopped.
    pub images: u64,
    /// `images / embed_seconds`, 0 if nothing was embedded.
    pub images_per_second: f64,
}

/// A skipped image and where it was met.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedInStage {
    /// `baseline`, or the name of a window.
    pub stage: String,
    /// Row, address and reason.
    #[serde(flatten)]
    pub image: SkippedImage,
}
