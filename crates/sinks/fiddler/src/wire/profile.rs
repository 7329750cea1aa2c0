//! What V2 wants to know about a data set before it takes it: ranges, classes, nulls.

use std::collections::BTreeSet;

use arrow_array::Array;
use driftline_core::rows::{EMBEDDINGS, IMAGE_NUMBER, IMAGE_URL, TARGET};
use driftline_core::{Result, RowSchema, Rows};
use serde_json::{Value, json};

/// The most different texts a column may have and still be a category, as in Fiddler's own client.
const MOST_CATEGORIES: usize = 100;

/// What was seen in the rows of a data set.
#[derive(Debug)]
pub(crate) struct Profile {
    schema: RowSchema,
    scores: Vec<(f32, f32)>,
    numbers: (i64, i64),
    targets: BTreeSet<String>,
    target_nulls: bool,
    /// None once there are too many.
    urls: Option<BTreeSet<String>>,
}

impl Profile {
    /// Looks at all rows.
    pub(crate) fn of(schema: &RowSchema, rows: impl Iterator<Item = Result<Rows>>) -> Result<Self> {
        let mut profile = Self {
            schema: schema.clone(),
            scores: vec![(f32::INFINITY, f32::NEG_INFINITY); schema.classes.len()],
            numbers: (i64::MAX, i64::MIN),
            // A class that the baseline lacks is one all the same.
            targets: schema.classes.iter().cloned().collect(),
            target_nulls: false,
            urls: Some(BTreeSet::new()),
        };
        for rows in rows {
            profile.add(&rows?);
        }
        Ok(profile)
    }

    fn add(&mut self, rows: &Rows) {
        for (class, range) in self.scores.iter_mut().enumerate() {
            for score in rows.scores(class) {
                *range = (range.0.min(*score), range.1.max(*score));
            }
        }
        for number in rows.image_numbers() {
            self.numbers = (self.numbers.0.min(*number), self.numbers.1.max(*number));
        }
        self.target_nulls |= rows.targets().null_count() > 0;
        for target in rows.targets().iter().flatten() {
            if !self.targets.contains(target) {
                self.targets.insert(target.to_owned());
            }
        }
        for url in rows.image_urls().iter().flatten() {
            if let Some(urls) = &mut self.urls {
                if !urls.contains(url) {
                    urls.insert(url.to_owned());
                }
                if urls.len() > MOST_CATEGORIES {
                    self.urls = None;
                }
            }
        }
    }

    pub(crate) fn embeddings(&self) -> Value {
        json!({
            "column-name": EMBEDDINGS,
            "data-type": "vector",
            "is-nullable": false,
            "n-dimensions": self.schema.dim,
        })
    }

    pub(crate) fn outputs(&self) -> Vec<Value> {
        let columns = self.schema.classes.iter().zip(&self.scores);
        columns
            .map(|(class, (least, greatest))| {
                json!({
                    "column-name": class,
                    "data-type": "float",
                    "is-nullable": false,
                    "value-range-min": f64::from(*least),
                    "value-range-max": f64::from(*greatest),
                })
            })
            .collect()
    }

    pub(crate) fn target(&self) -> Value {
        json!({
            "column-name": TARGET,
            "data-type": "category",
            "possible-values": self.targets,
            "is-nullable": self.target_nulls,
        })
    }

    pub(crate) fn image_url(&self) -> Value {
        match &self.urls {
            Some(urls) => json!({
                "column-name": IMAGE_URL,
                "data-type": "category",
                "possible-values": urls,
                "is-nullable": false,
            }),
            None => json!({
                "column-name": IMAGE_URL,
                "data-type": "str",
                "is-nullable": false,
            }),
        }
    }

    fn image_number(&self) -> Value {
        json!({
            "column-name": IMAGE_NUMBER,
            "data-type": "int",
            "is-nullable": false,
            "value-range-min": self.numbers.0,
            "value-range-max": self.numbers.1,
        })
    }

    /// All columns, in the order of the uploaded file.
    pub(crate) fn columns(&self) -> Vec<Value> {
        let mut columns = vec![self.embeddings()];
        columns.extend(self.outputs());
        columns.extend([self.target(), self.image_number(), self.image_url()]);
        columns
    }
}
