//! The sums over some rows, mergeable.

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Moments;

/// Version of what a profile holds.
pub const PROFILE_VERSION: u32 = 1;

/// Bins of an image property, of equal share in the baseline.
pub(crate) const PROPERTY_BINS: usize = 32;

/// The sums over some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`PROFILE_VERSION`] of the driftline that made it.
    pub version: u32,
    /// [`ProfilePlan::fingerprint`](crate::ProfilePlan::fingerprint) of its plan.
    pub plan: String,
    /// Moments of the embeddings; they also hold the number of rows.
    pub embeddings: Moments,
    /// Moments of the image properties, without rows where these were not measured.
    pub properties: Moments,
    /// Rows in each cluster.
    pub clusters: Vec<u64>,
    /// Rows for which each class has the best score.
    pub classes: Vec<u64>,
    /// Rows in each bin of each image property, one property after the other.
    pub bins: Vec<u64>,
}

impl Profile {
    /// Rows summed up.
    pub fn rows(&self) -> u64 {
        self.embeddings.rows()
    }

    /// Adds the rows of another profile of the same plan.
    ///
    /// # Errors
    /// `InvalidData` for one of another plan or version.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.version, &self.plan) != (other.version, &other.plan) {
            let message = format!(
                "a profile of plan {} (version {}) cannot be added to one of plan {} (version {})",
                other.plan, other.version, self.plan, self.version
            );
            return Err(
                Error::new(ErrorKind::InvalidData, "merge profiles", message)
                    .remedy("merge profiles that were made against one baseline"),
            );
        }
        let sizes = |profile: &Self| {
            let counts = [&profile.clusters, &profile.classes, &profile.bins].map(Vec::len);
            let moments = [&profile.embeddings, &profile.properties].map(Moments::sizes);
            (counts, moments)
        };
        if sizes(self) != sizes(other) {
            let message = "two profiles of one plan have sums of different length";
            return Err(
                Error::new(ErrorKind::InvalidData, "merge profiles", message)
                    .remedy("make them again: one is damaged"),
            );
        }
        self.add(other);
        Ok(())
    }

    /// The sum of profiles of one plan; `None` without any.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn merged<'a>(profiles: impl IntoIterator<Item = &'a Self>) -> Result<Option<Self>> {
        let mut profiles = profiles.into_iter();
        let Some(mut all) = profiles.next().cloned() else {
            return Ok(None);
        };
        for profile in profiles {
            all.merge(profile)?;
        }
        Ok(Some(all))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.embeddings.add(&other.embeddings);
        self.properties.add(&other.properties);
        for (mine, theirs) in [
            (&mut self.clusters, &other.clusters),
            (&mut self.classes, &other.classes),
            (&mut self.bins, &other.bins),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = mine.saturating_add(*theirs);
            }
        }
    }
}
