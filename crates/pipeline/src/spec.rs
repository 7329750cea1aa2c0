//! What a run is asked to do.

use std::path::PathBuf;

use driftline_core::{DriftTransform, ImageSource, MonitorSpec};
use jiff::Timestamp;

use crate::EmbedOptions;

/// Everything a run needs, opened and checked.
pub struct RunSpec {
    /// Name of the run, the first part of every `event_id`.
    pub run_id: String,
    /// The moment the calendar counts back from, unless an earlier start of this run fixed it.
    pub now: Timestamp,
    /// Folder for what the run keeps on this machine.
    pub store: PathBuf,
    /// What is monitored.
    pub monitor: MonitorSpec,
    /// The images of the reference rows.
    pub baseline: Box<dyn ImageSource>,
    /// The windows in order.
    pub windows: Vec<WindowSpec>,
    /// How images are embedded; its seed is also that of samples and clusters.
    pub options: EmbedOptions,
}

/// A named stretch of production rows.
pub struct WindowSpec {
    /// Name, unique in the run.
    pub name: String,
    /// Its images.
    pub source: Box<dyn ImageSource>,
    /// Drift injected into them, in order.
    pub transforms: Vec<Box<dyn DriftTransform>>,
    /// First day, at 00:00 UTC; without it window `i` of `n` starts `7 (n - i)` days before the run's `now`.
    pub start: Option<Timestamp>,
    /// Days with events.
    pub days: usize,
    /// Events sampled for each day; without it every image is one event.
    pub per_day: Option<u64>,
}

impl WindowSpec {
    /// All of its transforms in one expression, `none` without any.
    pub(crate) fn expression(&self) -> String {
        if self.transforms.is_empty() {
            return "none".to_owned();
        }
        let each: Vec<&str> = self
            .transforms
            .iter()
            .map(|transform| transform.info().expression.as_str())
            .collect();
        each.join(",")
    }
}
