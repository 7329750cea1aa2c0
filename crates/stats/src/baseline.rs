//! A baseline compiled once, against which windows are checked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use driftline_core::{Error, ErrorKind, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::division::check;
use crate::multiple::combined;
use crate::profile::PROPERTY_BINS;
use crate::{
    Answer, Calibration, Clusters, Distance, DriftTest, Finding, KMeans, Profile, ProfilePlan,
    Sample, Space, Statistic, TestOptions, Vectors, Verdict,
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
    /// Consecutive rows that depend on each other, 1 for independent rows; see [`TestOptions::block`]. Windows are tested with
    /// it as well.
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
    kept_rows: Vec<usize>,
    clusters: Clusters,
    plan: ProfilePlan,
    profile: Profile,
    calibration: Option<Calibration>,
    tests: BTreeMap<Statistic, OnceLock<Box<dyn DriftTest>>>,
}

/// Version of what is compiled.
const COMPILED_VERSION: u32 = 1;

/// All of a baseline but the rows that it keeps, to be written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compiled {
    /// Version of this.
    pub version: u32,
    /// How it was compiled.
    pub options: BaselineOptions,
    /// Centroids of the clusters, f32 `[k, dim]`.
    pub centroids: Vec<f32>,
    /// Edges between the bins of each image property.
    pub edges: Vec<Vec<f32>>,
    /// The sums over all its rows.
    pub profile: Profile,
    /// What its own clean windows gave, if that was measured.
    #[serde(default)]
    pub calibration: Option<Calibration>,
}

fn unfitted() -> BTreeMap<Statistic, OnceLock<Box<dyn DriftTest>>> {
    Statistic::ALL
        .map(|statistic| (statistic, OnceLock::new()))
        .into()
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
        let kept_rows = sample.thin(options.kept, options.block, seed);
        let profile = plan.profile(sample)?;
        Ok(Self {
            options,
            kept: sample.select(&kept_rows),
            kept_rows,
            clusters,
            plan,
            profile,
            calibration: None,
            tests: unfitted(),
        })
    }

    /// A baseline from the rows that it kept, and what was [compiled](Self::compiled).
    ///
    /// # Errors
    /// `Unsupported` for one of another version, `InvalidData` when the parts do not belong together.
    pub fn restore(kept: Sample, compiled: Compiled) -> Result<Self> {
        let refuse = |kind, message: String| {
            Error::new(kind, "open the baseline", message)
                .remedy("compile it again with this driftline")
        };
        if compiled.version != COMPILED_VERSION {
            let message = format!(
                "the baseline has version {}, this driftline reads {COMPILED_VERSION}",
                compiled.version
            );
            return Err(refuse(ErrorKind::Unsupported, message));
        }
        if compiled.edges.iter().any(|e| e.len() >= PROPERTY_BINS) {
            let message = format!("an image property has more than {PROPERTY_BINS} bins");
            return Err(refuse(ErrorKind::InvalidData, message));
        }
        let clusters = KMeans::from_centroids(compiled.centroids, kept.schema().dim)?;
        let plan = ProfilePlan::restore(kept.schema(), clusters.clone(), compiled.edges);
        // Adding them up compares plan, version and the length of every sum.
        let belong = plan.empty().merge(&compiled.profile);
        if let Some(cause) = belong.err() {
            let message = "its clusters and its profile do not belong together".to_owned();
            return Err(refuse(ErrorKind::InvalidData, message).because(cause));
        }
        Ok(Self {
            clusters: Clusters::with_counts(clusters, compiled.profile.clusters.clone())?,
            kept_rows: (0..kept.rows()).collect(),
            options: compiled.options,
            profile: compiled.profile,
            calibration: compiled.calibration,
            kept,
            plan,
            tests: unfitted(),
        })
    }

    /// All but the rows that it keeps.
    pub fn compiled(&self) -> Compiled {
        Compiled {
            version: COMPILED_VERSION,
            options: self.options,
            centroids: self.clusters.centres().centroids().to_vec(),
            edges: self.plan.edges().to_vec(),
            profile: self.profile.clone(),
            calibration: self.calibration.clone(),
        }
    }

    /// With what clean windows of its own rows gave.
    pub fn calibrated(self, calibration: Calibration) -> Self {
        Self {
            calibration: Some(calibration),
            ..self
        }
    }

    /// What clean windows of its own rows gave, if that was measured.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// How it was compiled.
    pub fn options(&self) -> &BaselineOptions {
        &self.options
    }

    /// Rows that it was compiled from.
    pub fn rows(&self) -> u64 {
        self.profile.rows()
    }

    /// Numbers of the rows that it keeps, ascending, among those that it was compiled from.
    pub fn kept_rows(&self) -> &[usize] {
        &self.kept_rows
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

    /// Gives a distance of shares the value that Fiddler shows: over the clusters and the shares of all rows of the baseline.
    /// The p-value stays that of clusters that were found in other rows than those counted.
    fn told_over_all_rows(
        &self,
        distance: Distance,
        rows: Vectors<'_>,
        finding: &mut Finding,
    ) -> Result<()> {
        let mut window = self.clusters.histogram();
        window.add(rows.values())?;
        finding.value = distance.value(self.clusters.counts(), window.counts())?;
        Ok(())
    }

    /// How windows are tested against it: with the block that it was compiled for.
    pub(crate) fn tested(&self, options: &TestOptions) -> Result<TestOptions> {
        check(options)?;
        let block = self.options.block;
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

    /// Asks each of `statistics` about the window; those that look at what the rows do not have are left out.
    ///
    /// The window drifts when the least p-value, times the number of statistics that answered, is at most
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
        let options = &self.tested(options)?;
        let ask = |statistic: &Statistic| -> Result<Option<(Statistic, Answer)>> {
            let (Some(test), Some(rows)) =
                (self.test(*statistic)?, window.space(statistic.space())?)
            else {
                return Ok(None);
            };
            let mut answer = test.test(rows, options)?;
            if let (Answer::Finding(finding), Some(distance)) = (&mut answer, statistic.distance())
            {
                self.told_over_all_rows(distance, rows, finding)?;
            }
            Ok(Some((*statistic, answer)))
        };
        let answers: Result<Vec<_>> = statistics.par_iter().map(ask).collect();
        let answers: BTreeMap<Statistic, Answer> = answers?.into_iter().flatten().collect();
        let findings = answers.values().filter_map(Answer::finding);
        let p_value = combined(findings.map(|finding| finding.p_value));
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
