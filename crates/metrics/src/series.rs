//! Everything about a bin, to be shown.

use std::ops::Range;

use driftline_core::Result;
use driftline_stats::jsd_p_value;
use jiff::Timestamp;
use serde::Serialize;

use crate::binning::SCORE_BINS;
use crate::{BaselineRows, Bin, BinSize, Column, Metric, RowCounts, StoredModel};

/// The share of bins without drift that are marked as drifted. A page shows hundreds of bins, so it is small.
pub const BIN_ALPHA: f64 = 0.001;

/// Everything about a bin. What there is nothing to measure on is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BinNumbers {
    /// First moment.
    pub start: Timestamp,
    /// First moment after it.
    pub end: Timestamp,
    /// Events.
    pub rows: u64,
    /// Baseline rows it is compared with.
    pub baseline_rows: u64,
    /// Events in each cluster.
    pub clusters: Vec<u64>,
    /// Jensen-Shannon distance of the clusters.
    pub jsd: Option<f64>,
    /// Population stability index of the clusters.
    pub psi: Option<f64>,
    /// Expected Jensen-Shannon distance of so many events without any drift.
    pub noise_floor: Option<f64>,
    /// Probability of such a distance without any drift.
    pub p_value: Option<f64>,
    /// Whether that is at most [`BIN_ALPHA`].
    pub drifted: Option<bool>,
    /// See [`Metric::Accuracy`].
    pub accuracy: Option<f64>,
    /// See [`Metric::LogLoss`].
    pub log_loss: Option<f64>,
    /// Scores of each class.
    pub scores: Vec<ScoreNumbers>,
    /// Events of each category of the target, then of all others that are not null.
    pub targets: Vec<u64>,
    /// Events whose highest score is that of each class.
    pub predictions: Vec<u64>,
    /// Events with a missing value that the baseline does not have.
    pub null_violations: u64,
    /// Events with a value outside what the baseline has.
    pub range_violations: u64,
    /// Events with one or the other.
    pub any_violations: u64,
}

/// Scores of one class in a bin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreNumbers {
    /// Mean.
    pub mean: Option<f64>,
    /// Sum.
    pub sum: f64,
    /// Events in each bin of [`Binning::score_edges`](crate::Binning::score_edges).
    pub histogram: [u64; SCORE_BINS],
    /// Jensen-Shannon distance of the histogram.
    pub jsd: Option<f64>,
}

impl StoredModel {
    /// Everything about the bins of `times` that have events, see [`bins`](Self::bins), compared with a baseline.
    ///
    /// # Errors
    /// `NotFound` for a baseline that is not there.
    pub fn series(
        &self,
        baseline: &BaselineRows,
        times: &Range<Timestamp>,
        size: BinSize,
    ) -> Result<Vec<BinNumbers>> {
        let compared = self.compared(baseline, times, size)?;
        let numbers = compared.into_iter().map(|(bin, before)| {
            let Bin { start, end, counts } = bin;
            self.numbers(start..end, &counts, &before)
        });
        Ok(numbers.collect())
    }

    /// Everything about the rows of a stretch of time.
    pub fn numbers(
        &self,
        times: Range<Timestamp>,
        bin: &RowCounts,
        baseline: &RowCounts,
    ) -> BinNumbers {
        let measure = |metric: Metric, column| metric.value(bin, baseline, Some(column));
        let jsd = measure(Metric::Jsd, Column::Feature);
        let noise_floor = self.noise_floor(bin, baseline);
        let bins = bin.clusters.len();
        let p_value = jsd.map(|jsd| jsd_p_value(jsd, bins, bin.rows, baseline.rows));
        let scores = bin
            .scores
            .iter()
            .enumerate()
            .map(|(class, score)| ScoreNumbers {
                mean: measure(Metric::Average, Column::Score(class)),
                sum: score.sum.value(),
                histogram: score.histogram,
                jsd: measure(Metric::Jsd, Column::Score(class)),
            });
        BinNumbers {
            start: times.start,
            end: times.end,
            rows: bin.rows,
            baseline_rows: baseline.rows,
            clusters: bin.clusters.clone(),
            jsd,
            psi: measure(Metric::Psi, Column::Feature),
            noise_floor,
            p_value,
            drifted: p_value.map(|p| p <= BIN_ALPHA),
            accuracy: bin.accuracy(),
            log_loss: bin.log_loss(),
            scores: scores.collect(),
            targets: bin.targets.clone(),
            predictions: bin.predictions.clone(),
            null_violations: bin.violating.null,
            range_violations: bin.violating.range,
            any_violations: bin.violating.any,
        }
    }
}
