//! A baseline compiled once, to disk and back.

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::fitted_tests::FittedTests;
use super::options::BaselineOptions;
use crate::cluster::{Clusters, KMeans};
use crate::profile::{PROPERTY_BINS, Profile, ProfilePlan};
use crate::sample::{Sample, Space};
use crate::{DriftTest, Statistic};

/// The reference rows, their clusters and profile, and every statistic fitted to them.
pub struct Baseline {
    options: BaselineOptions,
    kept: Sample,
    kept_rows: Vec<usize>,
    clusters: Clusters,
    plan: ProfilePlan,
    profile: Profile,
    calibration: Option<Calibration>,
    tests: FittedTests,
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
    /// False-alarm rates measured on clean windows of the baseline, if they were measured.
    #[serde(default)]
    pub calibration: Option<Calibration>,
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
        let plan = ProfilePlan::new(sample, clusters.kmeans().clone())?;
        let kept_rows = sample.subsample(options.kept, options.block, seed);
        let profile = plan.profile(sample)?;
        Ok(Self {
            options,
            kept: sample.select(&kept_rows),
            kept_rows,
            clusters,
            plan,
            profile,
            calibration: None,
            tests: FittedTests::default(),
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
            tests: FittedTests::default(),
        })
    }

    /// All but the rows that it keeps.
    pub fn compiled(&self) -> Compiled {
        Compiled {
            version: COMPILED_VERSION,
            options: self.options,
            centroids: self.clusters.kmeans().centroids().to_vec(),
            edges: self.plan.edges().to_vec(),
            profile: self.profile.clone(),
            calibration: self.calibration.clone(),
        }
    }

    /// Adds false-alarm rates measured on clean windows of the baseline.
    #[must_use]
    pub fn with_calibration(self, calibration: Calibration) -> Self {
        Self {
            calibration: Some(calibration),
            ..self
        }
    }

    /// False-alarm rates measured on clean windows of the baseline, if they were measured.
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
    ///
    /// # Errors
    /// `InvalidData` naming a row with a value that is not finite, or where the statistic cannot be fitted to the rows.
    pub fn test(&self, statistic: Statistic) -> Result<Option<&dyn DriftTest>> {
        self.tests.get(statistic, &self.kept, &self.options)
    }
}
