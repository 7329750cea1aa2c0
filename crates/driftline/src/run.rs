//! A run, from settings to its report.

use std::num::NonZeroUsize;

use driftline_core::{Error, ErrorKind, Result};
use driftline_data::Split;
use driftline_pipeline::{Cancel, Progress};

use crate::{Components, FinishedRun, PreparedRun, Settings, three_weeks};

/// Does the run that `settings` describe, or goes on where an earlier start of it was stopped.
///
/// # Errors
/// Those of [`PreparedRun::new`] and [`PreparedRun::execute`].
pub fn run(
    settings: &Settings,
    components: &Components,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<FinishedRun> {
    PreparedRun::new(settings, components, progress)?.execute(cancel, progress)
}

/// The first run: a baseline, and three weeks of which two have drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuickstartOptions {
    /// Images of the baseline: `sample`, `cifar10`, or a path.
    pub dataset: String,
    /// Images of the three weeks; without them the test split of the data set.
    pub events: Option<String>,
    /// A `model.toml` or a weights file; `sample` and `cifar10` have their own.
    pub model: Option<String>,
    /// Days with events in each week.
    pub days: NonZeroUsize,
    /// Events sampled for each day.
    pub per_day: u64,
}

impl Default for QuickstartOptions {
    fn default() -> Self {
        Self {
            dataset: "sample".to_owned(),
            events: None,
            model: None,
            days: const { NonZeroUsize::new(6).unwrap() },
            per_day: 1000,
        }
    }
}

impl Settings {
    /// The settings of a first run.
    ///
    /// # Errors
    /// `InvalidConfig` for images of one's own without events or without a model.
    pub fn quickstart(options: &QuickstartOptions) -> Result<Self> {
        let mut settings = Self::default();
        let dataset = options.dataset.as_str();
        let (baseline, events) = sources(options)?;
        settings.baseline.source = baseline;
        settings.windows = three_weeks(&events, options.days, options.per_day);
        settings.monitor.dataset = match dataset {
            "sample" | "cifar10" => dataset.to_owned(),
            _ => "baseline".to_owned(),
        };
        settings.model.path = match (&options.model, dataset) {
            (Some(model), _) => model.clone(),
            (None, name @ ("sample" | "cifar10")) => name.to_owned(),
            (None, _) => {
                return Err(refuse("your own images need a model that knows them")
                    .remedy("name it as `model.path`: a model.toml or a weights file"));
            }
        };
        Ok(settings)
    }
}

/// Images of the baseline and of the events.
fn sources(options: &QuickstartOptions) -> Result<(String, String)> {
    let (plain, split) = Split::strip_suffix(&options.dataset);
    match (&options.events, plain) {
        (Some(events), _) => Ok((options.dataset.clone(), events.clone())),
        (None, "sample" | "cifar10") if split.is_none() => {
            Ok((format!("{plain}#train"), format!("{plain}#test")))
        }
        (None, _) => Err(refuse("the images of the three weeks are missing")
            .remedy("name them as `quickstart.events`")),
    }
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "plan the first run", message)
}
