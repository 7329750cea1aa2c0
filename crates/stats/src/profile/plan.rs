//! How rows are summed up to be comparable with a baseline.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result, RowSchema};
use sha2::{Digest, Sha256};

use super::sums::{PROFILE_VERSION, PROPERTY_BINS, Profile};
use crate::cluster::KMeans;
use crate::moments::{Moments, tree_sum};
use crate::sample::{Sample, Space};
use crate::vectors::arg_max;

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
        let of_slice = |range: Range<usize>| {
            let mut profile = self.empty();
            let embeddings = embeddings.slice(range.clone());
            self.clusters
                .count(embeddings.values(), &mut profile.clusters);
            profile.embeddings = Moments::of_slice(embeddings);
            if let Some(scores) = &scores {
                for scores in scores.slice(range.clone()).iter() {
                    profile.classes[arg_max(scores).0] += 1;
                }
            }
            if let Some(properties) = &properties {
                let properties = properties.slice(range);
                for row in properties.iter() {
                    for (at, (value, edges)) in row.iter().zip(&self.edges).enumerate() {
                        let bin = edges.partition_point(|edge| edge <= value);
                        profile.bins[at * PROPERTY_BINS + bin] += 1;
                    }
                }
                profile.properties = Moments::of_slice(properties);
            }
            profile
        };
        Ok(tree_sum(0..rows.rows(), &of_slice, &Profile::add))
    }
}
