//! A store as one self-contained page.

use std::collections::BTreeMap;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use driftline_metrics::{BinSize, StoredModel, monitors};
use serde::Serialize;

use crate::pictures::Pictures;
use crate::site;
use crate::view::{BinView, Detail, ModelView, addresses, bin_views, model_view, own_baselines};

/// Images and points of all bins of the page together, which bound its size.
const IMAGES: usize = 1_500;
const POINTS: usize = 30_000;

/// What the page carries.
#[derive(Serialize)]
struct Carried {
    about: String,
    models: Vec<CarriedModel>,
    /// Pictures by url.
    pictures: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct CarriedModel {
    #[serde(flatten)]
    view: ModelView,
    /// One for each bin.
    details: Vec<BinView>,
}

/// The models `chosen` (project and name) of the store at `store`, or all without any, as one HTML page in bins of a day.
/// It opens offline, and holds the pictures that `pictures` has.
///
/// A year of one model is less than 1 MB, pictures apart: the longer the time, the fewer images and points a bin has.
///
/// # Errors
/// `NotFound` for a model that is not there or a store without any; otherwise those of reading the store.
pub fn store_page(
    store: &Path,
    chosen: &[(String, String)],
    pictures: &Pictures,
) -> Result<String> {
    let found = match chosen {
        [] => monitors(store)?,
        chosen => chosen.to_vec(),
    };
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "report",
            "there is no model in the store",
        )
        .with("store", store.display())
        .remedy("check --store, or make a first run: `driftline quickstart`"));
    }
    let opened = found
        .iter()
        .map(|(project, model)| StoredModel::open(store, project, model))
        .collect::<Result<Vec<_>>>()?;
    let bins: usize = opened
        .iter()
        .map(|monitored| {
            let bins = monitored.bins(&monitored.extent(), BinSize::Day).len();
            bins * own_baselines(monitored).len()
        })
        .sum();
    let detail = detail(bins);
    let mut models = Vec::new();
    for monitored in &opened {
        let baselines = own_baselines(monitored);
        for baseline in &baselines {
            let size = BinSize::Day;
            let view = model_view(monitored, &baselines, baseline, size, &[size], None)?;
            let starts: Vec<i64> = view.bins.iter().map(|bin| bin.start).collect();
            let rows = &baseline.baseline;
            let details = bin_views(monitored, rows, size, &starts, detail, pictures)?;
            models.push(CarriedModel { view, details });
        }
    }
    let pictures = addresses(models.iter().flat_map(|model| &model.details), pictures);
    let carried = Carried {
        about: format!("Made by driftline {}.", env!("CARGO_PKG_VERSION")),
        models,
        pictures,
    };
    let data = serde_json::to_string(&carried).map_err(|e| {
        Error::new(ErrorKind::Internal, "report", "the page has no JSON").because(e)
    })?;
    Ok(site::carrying(&data))
}

/// How much each of so many bins shows.
fn detail(bins: usize) -> Detail {
    let bins = bins.max(1);
    Detail {
        images: (IMAGES / bins).clamp(1, Detail::FULL.images),
        points: (POINTS / bins).clamp(10, Detail::FULL.points),
    }
}
