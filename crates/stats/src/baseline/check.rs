//! A window checked against a baseline.

use std::collections::BTreeMap;

use driftline_core::{Error, ErrorKind, Result};
use rayon::prelude::*;
use serde::Serialize;

use super::compiled::Baseline;
use crate::multiple_testing::bonferroni;
use crate::{Distance, Sample, Statistic, TestOptions, TestOutcome, TestResult, Vectors, Verdict};

/// A window tested by several statistics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Rows of the window.
    pub rows: usize,
    /// The probability of such a window without any drift, from all the outcomes (Bonferroni); `None` if no statistic had
    /// enough rows.
    pub p_value: Option<f64>,
    /// The verdict at the level of the check.
    pub verdict: Verdict,
    /// The outcome of each statistic.
    pub statistics: BTreeMap<Statistic, TestOutcome>,
}

impl Baseline {
    /// Sets the value of a distance of shares to the one that Fiddler shows: over the clusters and the shares of all rows of the
    /// baseline. The p-value stays that of clusters that were found in other rows than those counted.
    fn set_value_over_all_rows(
        &self,
        distance: Distance,
        rows: Vectors<'_>,
        result: &mut TestResult,
    ) -> Result<()> {
        let mut window = self.clusters().histogram();
        window.add(rows.values())?;
        result.value = distance.value(self.clusters().counts(), window.counts())?;
        Ok(())
    }

    /// The options of a test against it: with the block that it was compiled for.
    pub(crate) fn test_options(&self, options: &TestOptions) -> Result<TestOptions> {
        options.check()?;
        let block = self.options().block;
        if options.block > block.max(1) {
            let message = format!(
                "rows that depend on each other over {} rows, of a baseline that was compiled for {block}",
                options.block
            );
            let remedy = "compile the baseline with the block of the windows";
            return Err(
                Error::new(ErrorKind::InvalidConfig, "test a window", message).remedy(remedy),
            );
        }
        Ok(TestOptions { block, ..*options })
    }

    /// Tests the window with each of `statistics`; those that look at what the rows do not have are left out.
    ///
    /// The window drifts when the least p-value, times the number of statistics that tested it, is at most
    /// `options.alpha` (Bonferroni): of windows without drift at most that share, however the statistics depend on each
    /// other.
    ///
    /// # Errors
    /// `InvalidData` for rows of another model or a value that is not finite, `InvalidConfig` for options out of range or a
    /// block above that of the baseline.
    pub fn check(
        &self,
        window: &Sample,
        statistics: &[Statistic],
        options: &TestOptions,
    ) -> Result<Check> {
        let options = &self.test_options(options)?;
        // The distances of shares have one clustering, which is not to be fitted by several threads at once.
        if let Some(first) = statistics.iter().find(|s| s.distance().is_some()) {
            self.test(*first)?;
        }
        let test = |statistic: &Statistic| -> Result<Option<(Statistic, TestOutcome)>> {
            let (Some(fitted), Some(rows)) =
                (self.test(*statistic)?, window.space(statistic.space())?)
            else {
                return Ok(None);
            };
            let mut outcome = fitted.test(rows, options)?;
            if let (TestOutcome::Tested(result), Some(distance)) =
                (&mut outcome, statistic.distance())
            {
                self.set_value_over_all_rows(distance, rows, result)?;
            }
            Ok(Some((*statistic, outcome)))
        };
        let outcomes: Result<Vec<_>> = statistics.par_iter().map(test).collect();
        let outcomes: BTreeMap<Statistic, TestOutcome> = outcomes?.into_iter().flatten().collect();
        let results = outcomes.values().filter_map(TestOutcome::result);
        let p_value = bonferroni(results.map(|result| result.p_value));
        Ok(Check {
            rows: window.rows(),
            p_value,
            verdict: match p_value {
                None => Verdict::NotEnoughRows,
                Some(p) if p <= options.alpha => Verdict::Drift,
                Some(_) => Verdict::None,
            },
            statistics: outcomes,
        })
    }
}
