//! A row file, compiled into a baseline file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use driftline_pipeline::Progress;
use driftline_stats::{
    Baseline, BaselineOptions, Calibration, CleanWindows, Sample, Space, Statistic, TestOptions,
    block_length, false_alarms,
};
use serde::Serialize;

use crate::MonitorSettings;
use crate::baselines::{self, Loaded};

/// Rows of a clean window of a baseline, its blocks of dependent ones, and the fewest rows that are worth a measurement.
const WINDOW_ROWS: usize = 200;
const WINDOW_BLOCKS: usize = 20;
const FEWEST_WINDOW_ROWS: usize = 20;

/// Standard errors above the promise from which false alarms are no chance.
const BY_CHANCE: f64 = 4.0;

/// How a baseline file is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineFileOptions {
    /// Clusters that shares are counted over.
    pub clusters: usize,
    /// Rows kept for the statistics that look at rows; of more rows a sample.
    pub kept: usize,
    /// Consecutive rows that depend on each other.
    pub block: Block,
    /// Clean windows of consecutive rows whose false alarms are measured and kept in the file; 0 for none.
    pub calibrate: usize,
    /// Seed of clusters and draws.
    pub seed: u64,
}

impl Default for BaselineFileOptions {
    fn default() -> Self {
        let BaselineOptions { kept, seed, .. } = BaselineOptions::default();
        Self {
            clusters: MonitorSettings::default().clusters.get(),
            kept,
            block: Block::Rows(NonZeroUsize::MIN),
            calibrate: 200,
            seed,
        }
    }
}

/// Consecutive rows that depend on each other, as the frames of a video do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// As many as the rows say: the lag at which their autocorrelation is below 0.1.
    Auto,
    /// So many; 1 for independent rows.
    Rows(NonZeroUsize),
}

impl std::str::FromStr for Block {
    type Err = String;

    /// Reads a number above 0, or `auto`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let rows = text.parse().map(Self::Rows);
        rows.map_err(|_| "write a number of rows above 0, or `auto`".to_owned())
    }
}

/// A baseline file that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineFileReport {
    /// The file.
    #[serde(serialize_with = "crate::as_shown")]
    pub output: PathBuf,
    /// Rows that it was compiled from.
    pub rows: u64,
    /// Rows that it keeps.
    pub kept: usize,
    /// Clusters that shares are counted over.
    pub clusters: usize,
    /// Consecutive rows that depend on each other.
    pub block: usize,
    /// What its own clean windows gave.
    pub calibration: Option<Calibration>,
    /// Why its p-values may not hold.
    pub warnings: Vec<String>,
}

/// Compiles the row file `rows` into the baseline file `output`.
///
/// # Errors
/// `InvalidData` for a file that cannot be read, fewer rows than clusters, or rows that do not show over how many they
/// depend on each other where that was asked for; those of writing.
pub fn baseline(
    rows: &Path,
    output: &Path,
    options: &BaselineFileOptions,
    progress: &dyn Progress,
) -> Result<BaselineFileReport> {
    let Loaded {
        rows: sample,
        origin,
    } = baselines::read_rows(rows)?;
    let named = |error: Error| error.with("file", rows.display());
    let embeddings = sample.space(Space::Embeddings).map_err(named)?;
    let dependent = embeddings.and_then(block_length);
    let block = match (options.block, dependent) {
        (Block::Rows(rows), _) => rows.get(),
        (Block::Auto, Some(rows)) => rows,
        (Block::Auto, None) => {
            let message = format!(
                "a tenth of the {} rows does not show over how many they depend on each other, as with few rows, sorted ones, or those that move on",
                sample.rows()
            );
            return Err(named(Error::new(
                ErrorKind::InvalidData,
                "find the block",
                message,
            ))
            .remedy("bring more rows, shuffle them where they are images of their own, or name the rows of `baseline.block`"));
        }
    };
    let compile = BaselineOptions {
        clusters: options.clusters,
        seed: options.seed,
        kept: options.kept,
        block,
    };
    let mut compiled = Baseline::compile(&sample, compile).map_err(named)?;
    if let Some(calibration) = calibration(&sample, options.calibrate, &compile, progress)? {
        compiled = compiled.with_calibration(calibration);
    }
    let compiled = Loaded {
        rows: compiled,
        origin,
    };
    baselines::write(&compiled, rows, output)?;
    let baseline = &compiled.rows;
    Ok(BaselineFileReport {
        output: output.to_owned(),
        rows: baseline.rows(),
        kept: baseline.kept().rows(),
        clusters: baseline.clusters().clusters(),
        block,
        calibration: baseline.calibration().cloned(),
        warnings: baseline
            .calibration()
            .and_then(|calibration| doubt(calibration, block, dependent))
            .into_iter()
            .collect(),
    })
}

/// False alarms of the rows' own windows as they follow each other, beside half of them; `None` where
/// that is not asked for or there are too few.
fn calibration(
    sample: &Sample,
    windows: usize,
    options: &BaselineOptions,
    progress: &dyn Progress,
) -> Result<Option<Calibration>> {
    let baseline_rows = (sample.rows() / 2).min(options.kept);
    let window_rows = WINDOW_ROWS.max(options.block.saturating_mul(WINDOW_BLOCKS));
    let window_rows = window_rows.min(sample.rows() / 4);
    if windows == 0 || window_rows < FEWEST_WINDOW_ROWS || baseline_rows < options.clusters {
        return Ok(None);
    }
    let clean_windows = CleanWindows {
        baseline_rows,
        window_rows,
        windows,
        consecutive: true,
    };
    let test = TestOptions {
        seed: options.seed,
        block: options.block,
        ..TestOptions::default()
    };
    progress.begin("calibrate", windows as u64);
    let measured = false_alarms(
        sample,
        clean_windows,
        &Statistic::DEFAULT,
        (options, &test),
        |windows| progress.advance(windows),
    );
    progress.end();
    let measured = measured?;
    Ok((measured.check.not_enough_rows < 1.0).then_some(measured))
}

/// Why the p-values of a baseline may not hold, when its own clean windows are called drifted more often than the level allows.
fn doubt(calibration: &Calibration, block: usize, dependent: Option<usize>) -> Option<String> {
    let alpha = calibration.alpha;
    let windows = calibration.clean_windows.windows as f64;
    let chance = BY_CHANCE * (alpha * (1.0 - alpha) / windows).sqrt();
    if calibration.check.rate <= alpha + chance {
        return None;
    }
    let cause = match dependent {
        Some(rows) if rows > block => format!(
            "they depend on each other over {rows} rows; if they are frames of a video, compile with `baseline.block=auto`, and if they are sorted, shuffle them"
        ),
        _ => "they are sorted or change over time; shuffle them if they are images of their own"
            .to_owned(),
    };
    Some(format!(
        "windows of consecutive rows differ from the other rows: {cause}"
    ))
}
