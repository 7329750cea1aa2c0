//! Profiles: what is kept of rows when the rows are gone.
//!
//! A profile is a sum over rows, so that one of a window is the merge of those of its hours, in any order and grouping: the
//! counts exactly, the moments up to the rounding of f64. Profiles of one [`ProfilePlan`] can be merged and compared.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result, RowSchema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::moments::sum_of_parts;
use crate::scores::prediction;
use crate::{KMeans, Moments, Sample, Space};

/// Version of what a profile holds.
pub const PROFILE_VERSION: u32 = 1;

/// Bins of an image property, of equal share in the baseline.
pub(crate) const PROPERTY_BINS: usize = 32;

/// How rows are summed up: the clusters and the bins, both of a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfilePlan {
    clusters: KMeans,
    classes: usize,
    dim: usize,
    /// For each image property the ascending edges between its bins.
    edges: Vec<Vec<f32>>,
    fingerprint: String,
}

/// The sums over some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`PROFILE_VERSION`] of the driftline that made it.
    pub version: u32,
    /// [`ProfilePlan::fingerprint`] of its plan.
    pub plan: String,
    /// Moments of the embeddings; they also tell the number of rows.
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

impl ProfilePlan {
    /// The plan of a baseline with these clusters.
    ///
    /// # Errors
    /// `InvalidData` naming a row with a value that is not finite.
    pub fn new(baseline: &Sample, clusters: KMeans) -> Result<Self> {
        let mut edges = Vec::new();
        if let Some(properties) = baseline.space(Space::Properties)? {
            for at in 0..properties.dim() {
                let mut values: Vec<f32> = properties.component(at).collect();
                values.sort_by(f32::total_cmp);
                let edge = |bin| values.get(bin * values.len() / PROPERTY_BINS).copied();
                edges.push((1..PROPERTY_BINS).filter_map(edge).collect());
            }
        }
        Ok(Self::restore(baseline.schema(), clusters, edges))
    }

    /// A plan whose edges were found before.
    pub(crate) fn restore(schema: &RowSchema, clusters: KMeans, edges: Vec<Vec<f32>>) -> Self {
        let mut plan = Self {
            classes: schema.classes.len(),
            dim: schema.dim,
            clusters,
            edges,
            fingerprint: String::new(),
        };
        plan.fingerprint = plan.hashed();
        plan
    }

    /// For each image property the ascending edges between its bins.
    pub fn edges(&self) -> &[Vec<f32>] {
        &self.edges
    }

    fn hashed(&self) -> String {
        let mut hash = Sha256::new();
        for size in [
            PROFILE_VERSION as usize,
            self.dim,
            self.classes,
            self.edges.len(),
        ] {
            hash.update((size as u64).to_le_bytes());
        }
        let edges = self.edges.iter().flatten();
        for value in self.clusters.centroids().iter().chain(edges) {
            hash.update(value.to_le_bytes());
        }
        let bytes = hash.finalize();
        bytes
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Changes with anything that profiles of the plan depend on, 16 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The profile of no rows.
    pub fn empty(&self) -> Profile {
        Profile {
            version: PROFILE_VERSION,
            plan: self.fingerprint.clone(),
            embeddings: Moments::new(self.dim),
            properties: Moments::new(self.edges.len()),
            clusters: vec![0; self.clusters.clusters()],
            classes: vec![0; self.classes],
            bins: vec![0; self.edges.len() * PROPERTY_BINS],
        }
    }

    /// The profile of some rows, in one pass, on all threads; their number changes nothing.
    ///
    /// Image properties are summed up if the rows have as many as the baseline.
    ///
    /// # Errors
    /// `InvalidData` for rows of another model, or naming a row with a value that is not finite.
    pub fn profile(&self, rows: &Sample) -> Result<Profile> {
        let schema = rows.schema();
        if (schema.dim, schema.classes.len()) != (self.dim, self.classes) {
            let message = "the rows have another embedding length or other classes";
            return Err(Error::new(ErrorKind::InvalidData, "sum up rows", message)
                .remedy("sum up rows of the baseline's model"));
        }
        let Some(embeddings) = rows.space(Space::Embeddings)? else {
            return Ok(self.empty());
        };
        let scores = rows.space(Space::Scores)?;
        let properties = rows
            .space(Space::Properties)?
            .filter(|properties| properties.dim() == self.edges.len());
        let part = |range: Range<usize>| {
            let mut profile = self.empty();
            let embeddings = embeddings.part(range.clone());
            self.clusters
                .count(embeddings.values(), &mut profile.clusters);
            profile.embeddings = Moments::of_part(embeddings);
            if let Some(scores) = &scores {
                for scores in scores.part(range.clone()).iter() {
                    profile.classes[prediction(scores).0] += 1;
                }
            }
            if let Some(properties) = &properties {
                let properties = properties.part(range);
                for row in properties.iter() {
                    for (at, (value, edges)) in row.iter().zip(&self.edges).enumerate() {
                        let bin = edges.partition_point(|edge| edge <= value);
                        profile.bins[at * PROPERTY_BINS + bin] += 1;
                    }
                }
                profile.properties = Moments::of_part(properties);
            }
            profile
        };
        Ok(sum_of_parts(0..rows.rows(), &part, &Profile::add))
    }
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

    fn add(&mut self, other: &Self) {
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
