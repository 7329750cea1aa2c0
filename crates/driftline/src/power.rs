//! From which strength and after how many images drift would be seen.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use driftline_pipeline::{Cancel, OnError, Progress};
use driftline_stats::{Baseline, BaselineOptions, Sample, Statistic, TestOptions};
use serde::Serialize;

use crate::drift::accept;
use crate::{Components, Embedder, EmbedderOptions, Images, baselines};

/// The power that a window size must have to be enough.
pub const ENOUGH_POWER: f64 = 0.9;

/// A parameter of a transform and the range that it goes through, as in `sigma=0.1..2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Name of the parameter.
    pub parameter: String,
    /// Its least value.
    pub low: f64,
    /// Its greatest value.
    pub high: f64,
}

impl FromStr for Sweep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (parameter, range) = text.split_once('=')?;
            let (low, high) = range.split_once("..")?;
            let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            let whole = low.is_finite() && high.is_finite() && low <= high;
            whole.then(|| Self {
                parameter: parameter.trim().to_owned(),
                low,
                high,
            })
        };
        parts().ok_or_else(|| {
            let message = format!("`{text}` is not a parameter and a range");
            Error::new(ErrorKind::InvalidConfig, "read sweep", message)
                .remedy("write it as in `sigma=0.1..2`")
        })
    }
}

impl Sweep {
    /// `steps` values, evenly spaced over the range, to four digits.
    pub fn values(&self, steps: usize) -> impl Iterator<Item = f64> {
        let step = (self.high - self.low) / steps.saturating_sub(1).max(1) as f64;
        (0..steps).map(move |i| ((self.low + i as f64 * step) * 1e4).round() / 1e4)
    }
}

/// How the power of a monitor is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerOptions {
    /// Values of the parameter, from the least to the greatest.
    pub steps: NonZeroUsize,
    /// Baseline file, or row file of the baseline; without it every second image.
    pub baseline: Option<PathBuf>,
    /// Rows of a window: each size is measured.
    pub window_rows: Vec<NonZeroUsize>,
    /// Windows of each size.
    pub windows: NonZeroUsize,
    /// What embeds the images.
    pub embedder: EmbedderOptions,
    /// Statistics; without any the default ones.
    pub statistics: Vec<Statistic>,
    /// How windows are tested.
    pub test: TestOptions,
}

impl Default for PowerOptions {
    fn default() -> Self {
        Self {
            steps: const { NonZeroUsize::new(5).unwrap() },
            baseline: None,
            window_rows: [10, 20, 50, 100, 200, 500, 1000]
                .into_iter()
                .filter_map(NonZeroUsize::new)
                .collect(),
            windows: const { NonZeroUsize::new(200).unwrap() },
            embedder: EmbedderOptions::default(),
            statistics: Vec::new(),
            test: TestOptions::default(),
        }
    }
}

/// How often drift of each strength would be seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerReport {
    /// Name of the transform.
    pub transform: String,
    /// The level of the tests.
    pub alpha: f64,
    /// Rows of the baseline.
    pub baseline_rows: u64,
    /// Windows of each size.
    pub windows: usize,
    /// From the least value of the parameter to the greatest.
    pub strengths: Vec<Strength>,
}

/// What one value of the parameter gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Strength {
    /// As in `blur(sigma=0.5)`.
    pub transform: String,
    /// Accuracy on the drifted images, where they are labelled.
    pub accuracy: Option<f64>,
    /// Share of windows that are called drifted, by their rows.
    pub power: Vec<PowerAtSize>,
    /// The fewest rows of those tried with which nine of ten windows are.
    pub rows_needed: Option<usize>,
}

/// See [`Strength::power`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerAtSize {
    /// Rows of a window.
    pub rows: usize,
    /// Share of windows that are called drifted.
    pub power: f64,
    /// Share that each statistic alone calls drifted.
    pub statistics: BTreeMap<Statistic, f64>,
}

/// Embeds the images of `source` under each value of the sweep of `transform`, and measures how many of their windows would
/// be called drifted.
///
/// # Errors
/// `InvalidConfig` for a transform, parameter or option that cannot be, before anything is embedded; `Interrupted` where
/// `cancel` asked to stop; those of [`Embedder::open`], [`Embedder::rows`] and of reading the baseline.
pub fn power(
    source: &str,
    (transform, sweep): (&str, &Sweep),
    options: &PowerOptions,
    components: &Components,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<PowerReport> {
    let test = &options.test;
    accept(test)?;
    let statistics: &[Statistic] = match options.statistics.as_slice() {
        [] => &Statistic::DEFAULT,
        statistics => statistics,
    };
    let expressions: Vec<String> = sweep
        .values(options.steps.get())
        .map(|value| format!("{transform}({}={value})", sweep.parameter))
        .collect();
    let transforms = expressions
        .iter()
        .map(|expression| components.parse_transforms(expression))
        .collect::<Result<Vec<_>>>()?;
    let mut embedder = Embedder::open(&options.embedder, components, progress)?;
    let mut embed = |window: &str, transforms: &[_], half: Half| -> Result<Sample> {
        let mut sample = Sample::new(embedder.schema().clone());
        let images = Images {
            source,
            window,
            transforms,
            seed: test.seed,
            on_error: OnError::Skip,
        };
        embedder.rows(images, cancel, progress, |part| {
            let numbers = part.rows.image_numbers();
            let here = |row: &usize| half.has(numbers[*row]);
            sample.push_some(&part.rows, (0..part.rows.len()).filter(here))
        })?;
        Ok(sample)
    };
    let compile = BaselineOptions {
        seed: test.seed,
        block: test.block,
        ..BaselineOptions::default()
    };
    let (baseline, windows_of) = match &options.baseline {
        Some(path) => (baselines::open(path, compile)?.rows, Half::Both),
        None => {
            let rows = embed("baseline", &[], Half::Even)?;
            (Baseline::compile(&rows, compile)?, Half::Odd)
        }
    };
    let mut strengths = Vec::new();
    for (expression, transforms) in expressions.into_iter().zip(&transforms) {
        let drifted = embed(&expression, transforms, windows_of)?;
        let power = options
            .window_rows
            .iter()
            .map(|rows| {
                let sizes = (options.windows.get(), rows.get());
                let power = driftline_stats::power(&baseline, &drifted, sizes, statistics, test)?;
                Ok(PowerAtSize {
                    rows: rows.get(),
                    power: power.check,
                    statistics: power.statistics,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let enough = power.iter().filter(|size| size.power >= ENOUGH_POWER);
        strengths.push(Strength {
            transform: expression,
            accuracy: drifted.accuracy(),
            rows_needed: enough.map(|size| size.rows).min(),
            power,
        });
    }
    Ok(PowerReport {
        transform: transform.to_owned(),
        alpha: test.alpha,
        baseline_rows: baseline.rows(),
        windows: options.windows.get(),
        strengths,
    })
}

/// Which images of a source.
#[derive(Clone, Copy)]
enum Half {
    Even,
    Odd,
    Both,
}

impl Half {
    fn has(self, number: i64) -> bool {
        match self {
            Self::Both => true,
            Self::Even => number % 2 == 0,
            Self::Odd => number % 2 == 1,
        }
    }
}
