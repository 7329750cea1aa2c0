//! Rows of a baseline or a window, as the statistics look at them.

use arrow_array::Array;
use driftline_core::{Error, ErrorKind, Result, RowSchema, Rows};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::vectors::{Vectors, arg_max};

/// What a statistic looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// The embeddings, f32 `[N, dim]`.
    Embeddings,
    /// The scores of the classes, f32 `[N, classes]`.
    Scores,
    /// The image properties, f32 `[N, properties]`.
    Properties,
}

/// Embeddings, scores and image properties of rows, each row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    schema: RowSchema,
    rows: usize,
    embeddings: Vec<f32>,
    scores: Vec<f32>,
    properties: Vec<f32>,
    /// Index of the true class, where it is known.
    targets: Vec<Option<u32>>,
}

impl Sample {
    /// No rows.
    pub fn new(schema: RowSchema) -> Self {
        Self {
            schema,
            rows: 0,
            embeddings: Vec::new(),
            scores: Vec::new(),
            properties: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Rows without true classes, from their values row by row.
    ///
    /// # Errors
    /// `InvalidData` when the lengths are not those of one number of rows.
    pub fn from_parts(
        schema: RowSchema,
        embeddings: Vec<f32>,
        scores: Vec<f32>,
        properties: Vec<f32>,
    ) -> Result<Self> {
        let rows = embeddings.len() / schema.dim;
        let lengths = [
            (embeddings.len(), schema.dim),
            (scores.len(), schema.classes.len()),
            (properties.len(), schema.properties.len()),
        ];
        if let Some((length, dim)) = lengths.iter().find(|(length, dim)| *length != rows * dim) {
            let message = format!("{length} values are no {rows} rows of {dim}");
            return Err(Error::new(ErrorKind::InvalidData, "collect rows", message));
        }
        Ok(Self {
            schema,
            rows,
            embeddings,
            scores,
            properties,
            targets: vec![None; rows],
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `InvalidData` when they have another embedding length or other classes. Rows without the image properties of those
    /// before take the properties from all.
    pub fn push(&mut self, rows: &Rows) -> Result<()> {
        self.push_some(rows, 0..rows.len())
    }

    /// Adds the rows `which`, each below `rows.len()`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_some(
        &mut self,
        rows: &Rows,
        which: impl Iterator<Item = usize> + Clone,
    ) -> Result<()> {
        let schema = rows.schema();
        if schema.dim != self.schema.dim || schema.classes != self.schema.classes {
            let message = "the rows have another embedding length or other classes";
            return Err(Error::new(ErrorKind::InvalidData, "collect rows", message)
                .remedy("compare rows of one model"));
        }
        if schema.properties != self.schema.properties {
            self.schema.properties.clear();
            self.properties.clear();
        }
        let (dim, embeddings) = (schema.dim, rows.embeddings());
        let classes: Vec<&[f32]> = (0..schema.classes.len()).map(|c| rows.scores(c)).collect();
        let (properties, count) = (rows.properties(), self.schema.properties.len());
        let class_of = |name: &str| schema.classes.iter().position(|class| class == name);
        let targets = rows.targets();
        for row in which {
            self.embeddings
                .extend_from_slice(&embeddings[row * dim..][..dim]);
            self.scores.extend(classes.iter().map(|column| column[row]));
            if count > 0 {
                self.properties
                    .extend_from_slice(&properties[row * count..][..count]);
            }
            let target = targets.is_valid(row).then(|| targets.value(row));
            let class = target.and_then(class_of).map(|class| class as u32);
            self.targets.push(class);
            self.rows += 1;
        }
        Ok(())
    }

    /// Embedding length, classes and image properties.
    pub fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of a space; `None` where the rows have none of it.
    ///
    /// # Errors
    /// `InvalidData` naming a row with a value that is not finite.
    pub fn space(&self, space: Space) -> Result<Option<Vectors<'_>>> {
        let (what, values, dim) = match space {
            Space::Embeddings => ("embeddings", &self.embeddings, self.schema.dim),
            Space::Scores => ("scores", &self.scores, self.schema.classes.len()),
            Space::Properties => (
                "image properties",
                &self.properties,
                self.schema.properties.len(),
            ),
        };
        (dim > 0)
            .then(|| Vectors::new(what, values, dim))
            .transpose()
    }

    /// The class with the best score of each row; empty for a model without classes.
    pub fn predicted(&self) -> Vec<u32> {
        match self.schema.classes.len() {
            0 => Vec::new(),
            classes => {
                let rows = self.scores.chunks_exact(classes);
                rows.map(|row| arg_max(row).0 as u32).collect()
            }
        }
    }

    /// Share of labelled rows whose best score is their target, if any row is labelled.
    pub fn accuracy(&self) -> Option<f64> {
        let labelled = self.predicted().into_iter().zip(&self.targets);
        let labelled = labelled.filter_map(|(predicted, target)| Some(predicted == (*target)?));
        let right: Vec<bool> = labelled.collect();
        let count = right.iter().filter(|right| **right).count();
        (!right.is_empty()).then(|| count as f64 / right.len() as f64)
    }

    /// Index of the true class of each row, where it is known.
    pub fn targets(&self) -> &[Option<u32>] {
        &self.targets
    }

    /// The rows with these numbers, in this order; a number may repeat.
    pub fn select(&self, rows: &[usize]) -> Self {
        let take = |values: &[f32], dim: usize| -> Vec<f32> {
            let each = rows.iter().flat_map(|row| &values[row * dim..][..dim]);
            each.copied().collect()
        };
        Self {
            schema: self.schema.clone(),
            rows: rows.len(),
            embeddings: take(&self.embeddings, self.schema.dim),
            scores: take(&self.scores, self.schema.classes.len()),
            properties: take(&self.properties, self.schema.properties.len()),
            targets: rows.iter().map(|row| self.targets[*row]).collect(),
        }
    }

    /// Row numbers of a subsample of at most `most` rows, ascending: all, or stretches of `block` consecutive rows, spread evenly for dependent rows and drawn from
    /// `seed` for independent ones.
    pub(crate) fn subsample(&self, most: usize, block: usize, seed: u64) -> Vec<usize> {
        if self.rows <= most {
            return (0..self.rows).collect();
        }
        let block = block.min(most);
        if block <= 1 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = rand::seq::index::sample(&mut random, self.rows, most).into_vec();
            chosen.sort_unstable();
            chosen
        } else {
            let stretches = (most / block).max(1);
            let start = |i: usize| i * (self.rows - block) / stretches.max(2).saturating_sub(1);
            let starts = (0..stretches).map(start);
            starts.flat_map(|start| start..start + block).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_subsample_is_of_all_rows(
            rows in 0_usize..300,
            most in 0_usize..300,
            block in 0_usize..400,
        ) {
            let sample = Sample {
                rows,
                ..Sample::new(RowSchema::new(1, vec![]).unwrap())
            };
            let chosen = sample.subsample(most, block, 1);
            prop_assert!(chosen.len() <= most.min(rows));
            prop_assert!(chosen.is_sorted_by(|a, b| a < b));
            prop_assert!(chosen.last().is_none_or(|last| *last < rows));
            if rows > most && block > 1 && most > 0 {
                // Whole stretches, the first from the first row.
                let block = block.min(most);
                prop_assert_eq!(chosen.len(), most / block * block);
                for stretch in chosen.chunks(block) {
                    prop_assert_eq!(stretch[block - 1], stretch[0] + block - 1);
                }
                if most / block > 1 {
                    prop_assert_eq!(chosen.last(), Some(&(rows - 1)));
                }
            } else {
                prop_assert_eq!(chosen.len(), most.min(rows));
            }
        }
    }
}
