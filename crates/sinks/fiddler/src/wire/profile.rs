//! What V2 wants to know about a data set before it takes it: ranges, classes, nulls.

use std::collections::BTreeSet;

use arrow_array::Array;
use driftline_core::rows::{EMBEDDINGS, IMAGE_NUMBER, IMAGE_URL, TARGET};
use driftline_core::{MonitorSpec, Result, RowSchema, Rows};
use driftline_fiddler_api::v2::{Column, DatasetInfo, ModelInfo};
use driftline_fiddler_api::{CustomFeature, Field};
use serde_json::{Number, Value};

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

    fn embeddings(&self) -> Column {
        Column {
            n_dimensions: (self.schema.dim as u64).into(),
            ..Column::new(EMBEDDINGS, "vector")
        }
    }

    fn outputs(&self) -> Vec<Column> {
        let number = |score: f32| Field::from(Number::from_f64(f64::from(score)));
        let columns = self.schema.classes.iter().zip(&self.scores);
        columns
            .map(|(class, (least, greatest))| Column {
                min: number(*least),
                max: number(*greatest),
                ..Column::new(class, "float")
            })
            .collect()
    }

    fn target(&self) -> Column {
        Column {
            is_nullable: self.target_nulls.into(),
            ..category(TARGET, &self.targets)
        }
    }

    fn image_url(&self) -> Column {
        match &self.urls {
            Some(urls) => category(IMAGE_URL, urls),
            None => Column::new(IMAGE_URL, "str"),
        }
    }

    fn image_number(&self) -> Column {
        Column {
            min: Number::from(self.numbers.0).into(),
            max: Number::from(self.numbers.1).into(),
            ..Column::new(IMAGE_NUMBER, "int")
        }
    }

    /// The data set, its columns in the order of the uploaded file.
    pub(crate) fn dataset(&self) -> DatasetInfo {
        let mut columns = vec![self.embeddings()];
        columns.extend(self.outputs());
        columns.extend([self.target(), self.image_number(), self.image_url()]);
        DatasetInfo {
            name: String::new().into(),
            data_type_version: "v1".to_owned().into(),
            columns,
            files: Vec::new().into(),
            ..DatasetInfo::default()
        }
    }

    /// The model that the data set is the baseline of.
    pub(crate) fn model(&self, monitor: &MonitorSpec) -> ModelInfo {
        let feature = &monitor.custom_feature;
        let embedding = CustomFeature::image_embedding(
            &feature.name,
            feature.n_clusters as u64,
            &feature.column,
            &feature.source_column,
        );
        ModelInfo {
            name: " model".to_owned().into(),
            input_type: "structured".to_owned().into(),
            task: "multiclass_classification".to_owned().into(),
            datasets: vec![monitor.dataset.clone()].into(),
            inputs: vec![self.embeddings()].into(),
            outputs: self.outputs().into(),
            targets: vec![self.target()].into(),
            target_class_order: texts(&self.schema.classes).into(),
            metadata: vec![self.image_url()].into(),
            description: "made by driftline".to_owned().into(),
            schema_version: "1.2".to_owned().into(),
            data_type_version: "v1".to_owned().into(),
            custom_explanation_names: Vec::new().into(),
            custom_features: vec![embedding].into(),
            ..ModelInfo::default()
        }
    }
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<Value> {
    texts.into_iter().map(|text| text.as_str().into()).collect()
}

fn category(name: &str, values: &BTreeSet<String>) -> Column {
    Column {
        possible_values: texts(values).into(),
        ..Column::new(name, "category")
    }
}
