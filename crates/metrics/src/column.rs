//! What a drift, a frequency or a mean is of.

use driftline_core::rows::{EMBEDDINGS, TARGET};
use driftline_core::{Error, ErrorKind, Result};

use crate::{RowCounts, StoredModel};

/// A column whose values are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The custom feature over the embeddings; its bins are the clusters.
    Feature,
    /// The score of a class, by its place among the score columns.
    Score(usize),
    /// The true class.
    Target,
    /// The class with the highest score.
    Prediction,
}

/// Name of [`Column::Prediction`], unless a score column has that name.
const PREDICTION: &str = "prediction";

impl StoredModel {
    /// Every column whose values are counted, with its name.
    pub fn columns(&self) -> Vec<(Column, &str)> {
        let monitor = self.monitor();
        let mut columns = vec![(Column::Feature, monitor.custom_feature.name.as_str())];
        let scores = monitor.schema.classes.iter().enumerate();
        columns.extend(scores.map(|(class, name)| (Column::Score(class), name.as_str())));
        columns.push((Column::Target, TARGET));
        columns.push((Column::Prediction, PREDICTION));
        columns
    }

    /// The column of a name, or of its id: the name in lower case with `_` for everything that is no letter or digit.
    /// The embeddings go by the name of the feature over them as well as their own.
    ///
    /// # Errors
    /// `NotFound`, listing what there is.
    pub fn column(&self, name: &str) -> Result<Column> {
        let columns = self.columns();
        let by_name = columns.iter().find(|(_, known)| *known == name);
        let by_id = || columns.iter().find(|(_, known)| column_id(known) == name);
        if let Some((column, _)) = by_name.or_else(by_id) {
            return Ok(*column);
        }
        if name == EMBEDDINGS || name == self.monitor().custom_feature.column {
            return Ok(Column::Feature);
        }
        let message = format!("nothing is counted of a column `{name}`");
        let names: Vec<&str> = columns.into_iter().map(|(_, name)| name).collect();
        Err(Error::new(ErrorKind::NotFound, "look up a column", message)
            .remedy(format!("available: {}", names.join(", "))))
    }

    /// Name of a column; empty for a class that the model does not have.
    pub fn column_name(&self, column: Column) -> &str {
        let columns = self.columns();
        let found = columns.into_iter().find(|(known, _)| *known == column);
        found.map_or("", |(_, name)| name)
    }

    /// Names of a column's bins: numbers for clusters, lower edges for scores, names for categories.
    pub fn bin_names(&self, column: Column) -> Vec<String> {
        let binning = self.binning();
        match column {
            Column::Feature => (0..binning.clusters())
                .map(|cluster| cluster.to_string())
                .collect(),
            Column::Score(class) => {
                let edges = binning.score_edges(class);
                edges[..edges.len() - 1]
                    .iter()
                    .map(f64::to_string)
                    .collect()
            }
            Column::Target => {
                let mut names = binning.categories().to_vec();
                names.push("(other)".to_owned());
                names
            }
            Column::Prediction => binning.classes().to_vec(),
        }
    }
}

/// The id that Fiddler gives to a column: its name in lower case with `_` for everything that is no letter or digit.
pub fn column_id(name: &str) -> String {
    let id = |c: char| if c.is_alphanumeric() { c } else { '_' };
    name.to_lowercase().chars().map(id).collect()
}

impl RowCounts {
    /// Rows in each bin of a column; empty for a class that the model does not have.
    pub fn histogram(&self, column: Column) -> &[u64] {
        match column {
            Column::Feature => &self.clusters,
            Column::Score(class) => self.scores.get(class).map_or(&[], |score| &score.histogram),
            Column::Target => &self.targets,
            Column::Prediction => &self.predictions,
        }
    }
}
