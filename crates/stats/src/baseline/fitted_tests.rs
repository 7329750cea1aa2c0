//! Every statistic of a baseline, fitted when it is first used.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use driftline_core::Result;

use super::options::BaselineOptions;
use crate::cluster::ClusterShares;
use crate::sample::Sample;
use crate::{
    Centroid, CentroidDistance, Classifier, Distance, DomainClassifier, DriftTest,
    DriftedComponents, Energy, Frechet, Hotelling, Mmd, OutlierShare, PredictionShift,
    RandomFeatureMmd, Reconstruction, ScoreShift, SlicedWasserstein, Statistic, Vectors,
};

/// Statistics fitted to the rows that a baseline keeps.
pub(super) struct FittedTests {
    tests: BTreeMap<Statistic, OnceLock<Box<dyn DriftTest>>>,
    /// The clusters that all distances of shares are over.
    shares: OnceLock<ClusterShares>,
}

impl Default for FittedTests {
    fn default() -> Self {
        Self {
            tests: Statistic::ALL
                .map(|statistic| (statistic, OnceLock::new()))
                .into(),
            shares: OnceLock::new(),
        }
    }
}

impl FittedTests {
    /// The statistic fitted to `kept`; `None` where the rows have nothing that it looks at.
    pub(super) fn get(
        &self,
        statistic: Statistic,
        kept: &Sample,
        options: &BaselineOptions,
    ) -> Result<Option<&dyn DriftTest>> {
        let Some(slot) = self.tests.get(&statistic) else {
            return Ok(None);
        };
        if let Some(test) = slot.get() {
            return Ok(Some(test.as_ref()));
        }
        let Some(rows) = kept.space(statistic.space())? else {
            return Ok(None);
        };
        let test = self.fit(statistic, rows, options)?;
        Ok(Some(slot.get_or_init(|| test).as_ref()))
    }

    fn fit(
        &self,
        statistic: Statistic,
        rows: Vectors<'_>,
        options: &BaselineOptions,
    ) -> Result<Box<dyn DriftTest>> {
        Ok(match statistic {
            Statistic::Hotelling | Statistic::Properties => Box::new(Hotelling::fit(rows)),
            Statistic::Predictions => Box::new(PredictionShift::fit(rows, Distance::Jsd)),
            Statistic::Mmd => Box::new(RandomFeatureMmd::fit(rows)),
            Statistic::ExactMmd => Box::new(Mmd::fit(rows)),
            Statistic::Energy => Box::new(Energy::fit(rows)),
            Statistic::Wasserstein => Box::new(SlicedWasserstein::fit(rows)),
            Statistic::Centroid => Box::new(Centroid::fit(rows, CentroidDistance::Euclidean)),
            Statistic::Cosine => Box::new(Centroid::fit(rows, CentroidDistance::Cosine)),
            Statistic::Outliers => Box::new(OutlierShare::fit(rows, options.block)),
            Statistic::Components => Box::new(DriftedComponents::fit(rows)),
            Statistic::Scores => Box::new(ScoreShift::fit(rows)),
            Statistic::Frechet => Box::new(Frechet::fit(rows)),
            Statistic::Classifier => {
                Box::new(DomainClassifier::fit(rows, Classifier::Discriminant))
            }
            Statistic::Logistic => Box::new(DomainClassifier::fit(rows, Classifier::Logistic)),
            Statistic::Reconstruction => Box::new(Reconstruction::fit(rows, options.block)?),
            Statistic::Jsd => self.shares(rows, Distance::Jsd, options)?,
            Statistic::Psi => self.shares(rows, Distance::Psi, options)?,
            Statistic::Kl => self.shares(rows, Distance::Kl, options)?,
            Statistic::Hellinger => self.shares(rows, Distance::Hellinger, options)?,
            Statistic::TotalVariation => self.shares(rows, Distance::TotalVariation, options)?,
        })
    }

    fn shares(
        &self,
        rows: Vectors<'_>,
        distance: Distance,
        options: &BaselineOptions,
    ) -> Result<Box<dyn DriftTest>> {
        let shares = match self.shares.get() {
            Some(shares) => shares,
            None => {
                let (clusters, seed, block) = (options.clusters, options.seed, options.block);
                let fitted = ClusterShares::fit(rows, distance, clusters, seed, block)?;
                self.shares.get_or_init(|| fitted)
            }
        };
        Ok(Box::new(shares.with_distance(distance)))
    }
}
