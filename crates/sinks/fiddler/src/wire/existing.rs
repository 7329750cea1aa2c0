//! A model that is already there: whether it is the one that is to be monitored.

use std::fmt::Display;

use driftline_core::rows::{EVENT_ID, TARGET, TIMESTAMP};
use driftline_core::sink::ImageEmbedding;
use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_fiddler_api::{CustomFeature, Field};

/// What a model on the server looks like, whichever generation described it.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// Name of the vector column, and its length if the server says so.
    pub(crate) vectors: Vec<(String, Option<u64>)>,
    /// Score columns in the order of classes.
    pub(crate) outputs: Vec<String>,
    pub(crate) targets: Vec<String>,
    pub(crate) metadata: Vec<String>,
    pub(crate) features: Vec<ImageEmbedding>,
    /// Columns with event id and time, where the model fixes them.
    pub(crate) event_columns: Option<(Option<String>, Option<String>)>,
}

/// The custom features of a model's description; what a feature lacks is empty or 0.
pub(crate) fn features(list: &[CustomFeature]) -> Vec<ImageEmbedding> {
    let text = |text: &Field<String>| text.get().cloned().unwrap_or_default();
    list.iter()
        .map(|feature| {
            let clusters = feature.n_clusters.get();
            ImageEmbedding {
                name: text(&feature.name),
                source_column: text(&feature.source_column),
                column: text(&feature.column),
                n_clusters: clusters.and_then(|k| (*k).try_into().ok()).unwrap_or(0),
            }
        })
        .collect()
}

impl Existing {
    /// Whether rows of `monitor` can be published to it.
    ///
    /// # Errors
    /// `InvalidConfig` naming the first column that differs.
    pub(crate) fn agree(&self, monitor: &MonitorSpec) -> Result<()> {
        let feature = &monitor.custom_feature;
        let dim = monitor.schema.dim as u64;
        match self
            .vectors
            .iter()
            .find(|(name, _)| *name == feature.column)
        {
            None => return Err(missing(monitor, &feature.column)),
            Some((name, Some(there))) if *there != dim => {
                return Err(differs(
                    monitor,
                    name,
                    format!("{there} values"),
                    format!("{dim}"),
                ));
            }
            Some(_) => {}
        }
        let classes = &monitor.schema.classes;
        for (here, there) in classes.iter().zip(&self.outputs) {
            if here != there {
                return Err(differs(
                    monitor,
                    there,
                    "this place among the outputs",
                    format!("`{here}`"),
                ));
            }
        }
        if let Some(extra) = self.outputs.get(classes.len()) {
            return Err(differs(
                monitor,
                extra,
                "a place among the outputs",
                "no such class",
            ));
        }
        if let Some(lacking) = classes.get(self.outputs.len()) {
            return Err(missing(monitor, lacking));
        }
        if self.targets != [TARGET] {
            let there = self.targets.join(", ");
            return Err(differs(
                monitor,
                TARGET,
                format!("targets `{there}`"),
                "this one",
            ));
        }
        if !self.metadata.contains(&feature.source_column) {
            return Err(missing(monitor, &feature.source_column));
        }
        if !self.features.contains(feature) {
            let show = |feature: &ImageEmbedding| {
                format!(
                    "`{}` over `{}` and `{}` with {} clusters",
                    feature.name, feature.column, feature.source_column, feature.n_clusters
                )
            };
            let there: Vec<String> = self.features.iter().map(show).collect();
            let there = match there.is_empty() {
                true => "no custom feature".to_owned(),
                false => there.join(", "),
            };
            return Err(differs(monitor, &feature.column, there, show(feature)));
        }
        if let Some((id, time)) = &self.event_columns {
            for (there, here, what) in [(id, EVENT_ID, "event ids"), (time, TIMESTAMP, "times")] {
                if there.as_deref() != Some(here) {
                    let there = match there {
                        Some(there) => format!("{what} in `{there}`"),
                        None => format!("no column for {what}"),
                    };
                    return Err(differs(monitor, here, there, "this one"));
                }
            }
        }
        Ok(())
    }
}

fn missing(monitor: &MonitorSpec, column: &str) -> Error {
    refuse(
        monitor,
        format!("it has no column `{column}` where driftline has one"),
    )
}

fn differs(monitor: &MonitorSpec, column: &str, there: impl Display, here: impl Display) -> Error {
    refuse(
        monitor,
        format!("column `{column}`: there {there}, here {here}"),
    )
}

fn refuse(monitor: &MonitorSpec, difference: String) -> Error {
    let message = format!(
        "the model `{}` in the project `{}` is on the server with another schema: {difference}",
        monitor.model, monitor.project
    );
    Error::new(ErrorKind::InvalidConfig, "prepare the model", message)
        .remedy("give the model another name, or remove it on the server; nothing was changed")
}
