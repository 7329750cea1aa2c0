//! False alarms on clean windows.

use std::num::NonZeroUsize;
use std::path::Path;

use driftline_core::Result;
use driftline_pipeline::Progress;
use driftline_stats::{
    BaselineOptions, Calibration, CleanWindows, Statistic, TestOptions, false_alarms,
};

use crate::drift::accept;
use crate::{MonitorSettings, baselines};

/// How false alarms are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrateOptions {
    /// Windows of each size.
    pub windows: NonZeroUsize,
    /// Rows of a window: each size is measured.
    pub window_rows: Vec<NonZeroUsize>,
    /// Rows of each window's baseline.
    pub baseline_rows: NonZeroUsize,
    /// Draw rows as they follow each other, to see what their order does to the check; with a block they always are.
    pub consecutive: bool,
    /// Clusters that shares are counted over.
    pub clusters: usize,
    /// Statistics; without any the default ones.
    pub statistics: Vec<Statistic>,
    /// How windows are tested.
    pub test: TestOptions,
}

impl Default for CalibrateOptions {
    fn default() -> Self {
        Self {
            windows: const { NonZeroUsize::new(2000).unwrap() },
            window_rows: [50, 200, 1000]
                .into_iter()
                .filter_map(NonZeroUsize::new)
                .collect(),
            baseline_rows: const { NonZeroUsize::new(5000).unwrap() },
            consecutive: false,
            clusters: MonitorSettings::default().clusters.get(),
            statistics: Vec::new(),
            test: TestOptions::default(),
        }
    }
}

/// Draws windows without drift from the row file `rows`, each beside a baseline of other rows, and measures how many of them
/// are called drifted: one calibration for each size.
///
/// # Errors
/// `InvalidConfig` for options that cannot be; `InvalidData` for a file that cannot be read or has too few rows.
pub fn calibrate(
    rows: &Path,
    options: &CalibrateOptions,
    progress: &dyn Progress,
) -> Result<Vec<Calibration>> {
    let test = &options.test;
    accept(test)?;
    let statistics: &[Statistic] = match options.statistics.as_slice() {
        [] => &Statistic::DEFAULT,
        statistics => statistics,
    };
    let rows = baselines::read_rows(rows)?.rows;
    let compile = BaselineOptions {
        clusters: options.clusters,
        block: test.block,
        seed: test.seed,
        ..BaselineOptions::default()
    };
    let measure = |size: &NonZeroUsize| -> Result<Calibration> {
        let windows = options.windows.get();
        progress.begin(&format!("windows of {size} rows"), windows as u64);
        let clean_windows = CleanWindows {
            baseline_rows: options.baseline_rows.get(),
            window_rows: size.get(),
            windows,
            consecutive: options.consecutive,
        };
        let compile_and_test = (&compile, test);
        let measured = false_alarms(
            &rows,
            clean_windows,
            statistics,
            compile_and_test,
            |windows| {
                progress.advance(windows);
            },
        )?;
        progress.end();
        Ok(measured)
    };
    options.window_rows.iter().map(measure).collect()
}
