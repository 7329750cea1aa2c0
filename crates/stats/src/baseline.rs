//! A baseline compiled once, against which windows are checked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::division::check;
use crate::{
    Answer, Clusters, DriftTest, Profile, ProfilePlan, Sample, Space, Statistic, TestOptions,
    Verdict,
};

/// How a baseline is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineOptions {
    /// Clusters that shares are counted over.
    pub clusters: usize,
    /// Seed of the clusters and of every draw of rows.
    pub seed: u64,
    /// Rows that are kept for the tests that look at rows; of a larger baseline a sample.
    pub kept: usize,
    /// Consecutive rows that depend on each other, 1 for independent rows; see [`TestOptions::block`].
    pub block: usize,
}

impl Default for BaselineOptions {
    fn default() -> Self {
        Self {
            clusters: 10,
            seed: 42,
            kept: 5_000,
            block: 1,
        }
    }
}

/// The reference rows, their clusters and profile, and every statistic fitted to them.
pub struct Baseline {
    options: BaselineOptions,
    kept: Sample,
    clusters: Clusters,
    plan: ProfilePlan,
    profile: Profile,
    tests: BTreeMap<Statistic, OnceLock<Box<dyn DriftTest>>>,
}

/// What the statistics say of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Rows of the window.
    pub rows: usize,
    /// The probability of such a window without any drift, from all the answers; `None` if no statistic had enough rows.
    pub p_value: Option<f64>,
    /// What that means at the level of the check.
    pub verdict: Verdict,
    /// The answer of each statistic.
    pub answers: BTreeMap<Statistic, Answer>,
}

impl Baseline {
    /// Finds the clusters of all rows of `sample`, sums them up, and keeps a part of them.
    ///
    /// # Errors
    /// `InvalidData` without rows, with fewer rows than clusters, or naming a row with a value that is not finite.
    pub fn compile(sample: &Sample, options: BaselineOptions) -> Result<Self> {
        let Some(embeddings) = sample.space(Space::Embeddings)? else {
            let message = "the baseline has no rows";
            return Err(Error::new(
                ErrorKind::InvalidData,
                "compile the baseline",
                message,
            ));
        };
        let (dim, seed) = (embeddings.dim(), options.seed);
        let clusters = Clusters::fit(embeddings.values(), dim, options.clusters, seed)?;
        let plan = ProfilePlan::new(sample, clusters.centres().clone())?;
        Self::new(
            sample.thin(options.kept, options.block, seed),
            clusters,
            plan.profile(sample)?,
            plan,
            options,
        )
    }

    fn new(
        kept: Sample,
        clusters: Clusters,
        profile: Profile,
        plan: ProfilePlan,
        options: BaselineOptions,
    ) -> Result<Self> {
        let tests = Statistic::ALL.map(|statistic| (statistic, OnceLock::new()));
        Ok(Self {
            options,
            kept,
            clusters,
            plan,
            profile,
            tests: BTreeMap::from(tests),
        })
    }

    /// How it was compiled.
    pub fn options(&self) -> &BaselineOptions {
        &self.options
    }

    /// Rows that it was compiled from.
    pub fn rows(&self) -> u64 {
        self.profile.rows()
    }

    /// The rows that it keeps.
    pub fn kept(&self) -> &Sample {
        &self.kept
    }

    /// Its clusters, and how many of all rows are in each.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// How windows are summed up to be comparable with it.
    pub fn plan(&self) -> &ProfilePlan {
        &self.plan
    }

    /// The sums over all its rows.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// A statistic fitted to the kept rows, once; `None` where they have nothing that it looks at.
    pub fn test(&self, statistic: Statistic) -> Result<Option<&dyn DriftTest>> {
        let Some(slot) = self.tests.get(&statistic) else {
            return Ok(None);
        };
        if let Some(test) = slot.get() {
            return Ok(Some(test.as_ref()));
        }
        Ok(statistic
            .fit(self)?
            .map(|test| slot.get_or_init(|| test).as_ref()))
    }

    /// Asks each of `statistics` about the window; those that look at what the rows do not have are left out.
    ///
    /// The window drifts when the least p-value, times the number of statistics that answered, is at most
    /// `options.alpha` (Bonferroni): of windows without drift at most that share, however the statistics depend on each
    /// other.
    ///
    /// # Errors
    /// `InvalidData` for rows of another model or a value that is not finite, `InvalidConfig` for options out of range.
    pub fn check(
        &self,
        window: &Sample,
        statistics: &[Statistic],
        options: &TestOptions,
    ) -> Result<Check> {
        check(options)?;
        let mut answers = BTreeMap::new();
        for statistic in statistics {
            let (Some(test), Some(rows)) =
                (self.test(*statistic)?, window.space(statistic.space())?)
            else {
                continue;
            };
            answers.insert(*statistic, test.test(rows, options)?);
        }
        let p_values = answers
            .values()
            .filter_map(Answer::finding)
            .map(|f| f.p_value);
        let count = p_values.clone().count() as f64;
        let p_value = p_values
            .reduce(f64::min)
            .map(|least| (least * count).min(1.0));
        Ok(Check {
            rows: window.rows(),
            p_value,
            verdict: match p_value {
                None => Verdict::NotEnoughRows,
                Some(p) if p <= options.alpha => Verdict::Drift,
                Some(_) => Verdict::None,
            },
            answers,
        })
    }
}
