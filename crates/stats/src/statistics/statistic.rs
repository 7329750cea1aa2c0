//! Every statistic by its name.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::distance::Distance;
use crate::sample::Space;

/// A number that compares a window with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Statistic {
    /// [`Hotelling`](crate::Hotelling) on the embeddings.
    Hotelling,
    /// [`Hotelling`](crate::Hotelling) on the image properties.
    Properties,
    /// [`PredictionShift`](crate::PredictionShift) of the scores.
    Predictions,
    /// [`RandomFeatureMmd`](crate::RandomFeatureMmd) of the embeddings.
    Mmd,
    /// [`Mmd`](crate::Mmd) of the embeddings.
    #[serde(rename = "exact-mmd")]
    ExactMmd,
    /// [`Energy`](crate::Energy) of the embeddings.
    Energy,
    /// [`SlicedWasserstein`](crate::SlicedWasserstein) of the embeddings.
    Wasserstein,
    /// [`Centroid`](crate::Centroid) of the embeddings, by the Euclidean distance.
    Centroid,
    /// [`Centroid`](crate::Centroid) of the embeddings, by the cosine distance.
    Cosine,
    /// [`OutlierShare`](crate::OutlierShare) of the embeddings.
    Outliers,
    /// [`DriftedComponents`](crate::DriftedComponents) of the embeddings.
    Components,
    /// [`ScoreShift`](crate::ScoreShift) of the scores.
    Scores,
    /// [`Frechet`](crate::Frechet) of the embeddings.
    Frechet,
    /// [`DomainClassifier`](crate::DomainClassifier) on the embeddings, by linear discriminant analysis.
    Classifier,
    /// [`DomainClassifier`](crate::DomainClassifier) on the embeddings, by logistic regression.
    Logistic,
    /// [`Reconstruction`](crate::Reconstruction) of the embeddings.
    Reconstruction,
    /// [`jsd`](crate::jsd) of the shares of the clusters.
    Jsd,
    /// [`psi`](crate::psi) of the shares of the clusters.
    Psi,
    /// [`kl`](crate::kl) of the shares of the clusters.
    Kl,
    /// [`hellinger`](crate::hellinger) of the shares of the clusters.
    Hellinger,
    /// [`total_variation`](crate::total_variation) of the shares of the clusters.
    #[serde(rename = "total-variation")]
    TotalVariation,
}

impl Statistic {
    /// Every statistic, in order of worth.
    pub const ALL: [Self; 21] = [
        Self::Hotelling,
        Self::Properties,
        Self::Predictions,
        Self::Mmd,
        Self::Outliers,
        Self::Components,
        Self::Scores,
        Self::ExactMmd,
        Self::Energy,
        Self::Wasserstein,
        Self::Centroid,
        Self::Cosine,
        Self::Frechet,
        Self::Classifier,
        Self::Logistic,
        Self::Reconstruction,
        Self::Jsd,
        Self::Psi,
        Self::Kl,
        Self::Hellinger,
        Self::TotalVariation,
    ];

    /// The default statistics of a check: each detects what the others miss.
    pub const DEFAULT: [Self; 6] = [
        Self::Hotelling,
        Self::Properties,
        Self::Predictions,
        Self::Mmd,
        Self::Outliers,
        Self::Jsd,
    ];

    /// Name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hotelling => "hotelling",
            Self::Properties => "properties",
            Self::Predictions => "predictions",
            Self::Mmd => "mmd",
            Self::ExactMmd => "exact-mmd",
            Self::Energy => "energy",
            Self::Wasserstein => "wasserstein",
            Self::Centroid => "centroid",
            Self::Cosine => "cosine",
            Self::Outliers => "outliers",
            Self::Components => "components",
            Self::Scores => "scores",
            Self::Frechet => "frechet",
            Self::Classifier => "classifier",
            Self::Logistic => "logistic",
            Self::Reconstruction => "reconstruction",
            Self::Jsd => "jsd",
            Self::Psi => "psi",
            Self::Kl => "kl",
            Self::Hellinger => "hellinger",
            Self::TotalVariation => "total-variation",
        }
    }

    /// One line about it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Hotelling => {
                "distance of the mean embeddings in standard deviations (Mahalanobis)"
            }
            Self::Properties => {
                "distance of the mean image properties (brightness, contrast, ...) in standard deviations"
            }
            Self::Predictions => {
                "Jensen-Shannon distance between the shares of the predicted classes, 0 to 0.8326"
            }
            Self::Mmd => {
                "maximum mean discrepancy of the embeddings, Gaussian kernel, random Fourier features"
            }
            Self::ExactMmd => {
                "maximum mean discrepancy of the embeddings, squared and unbiased, over all pairs of rows"
            }
            Self::Energy => "energy distance of the embeddings, over all pairs of rows, 0 upwards",
            Self::Wasserstein => {
                "sliced Wasserstein distance of the embeddings in standard deviations, along 64 random directions"
            }
            Self::Centroid => "Euclidean distance of the mean embeddings, 0 upwards",
            Self::Cosine => "cosine distance of the mean embeddings, 0 to 2",
            Self::Outliers => {
                "share of rows that are farther from the baseline than 99 % of its own rows"
            }
            Self::Components => {
                "share of the embeddings' components that drifted (Kolmogorov-Smirnov), 0 to 1"
            }
            Self::Scores => {
                "largest change of a score's or the confidence's distribution (Kolmogorov-Smirnov), 0 to 1"
            }
            Self::Frechet => {
                "Fréchet distance of the embeddings, of means and covariances, 0 upwards"
            }
            Self::Classifier => {
                "how well a linear discriminant tells window from baseline, AUC 0.5 to 1"
            }
            Self::Logistic => {
                "how well a logistic regression tells window from baseline, AUC 0.5 to 1"
            }
            Self::Reconstruction => {
                "error of the baseline's principal components on the embeddings"
            }
            Self::Jsd => {
                "Jensen-Shannon distance over k-means clusters, natural logarithm, 0 to 0.8326"
            }
            Self::Psi => {
                "population stability index over k-means clusters, 0 upwards; above 0.1 moderate, above 0.25 large by convention"
            }
            Self::Kl => {
                "Kullback-Leibler divergence over k-means clusters, natural logarithm, 0 upwards"
            }
            Self::Hellinger => "Hellinger distance over k-means clusters, 0 to 1",
            Self::TotalVariation => "total variation over k-means clusters, 0 to 1",
        }
    }

    /// The distance between the shares of the clusters that it is, if it is one.
    pub fn distance(self) -> Option<Distance> {
        match self {
            Self::Jsd => Some(Distance::Jsd),
            Self::Psi => Some(Distance::Psi),
            Self::Kl => Some(Distance::Kl),
            Self::Hellinger => Some(Distance::Hellinger),
            Self::TotalVariation => Some(Distance::TotalVariation),
            _ => None,
        }
    }

    /// What it looks at.
    pub fn space(self) -> Space {
        match self {
            Self::Properties => Space::Properties,
            Self::Predictions | Self::Scores => Space::Scores,
            _ => Space::Embeddings,
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Statistic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|statistic| statistic.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                let message = format!("there is no statistic named `{text}`");
                Error::new(ErrorKind::InvalidConfig, "look up", message)
                    .remedy(format!("available: {names}"))
            })
    }
}
