//! What the web page shows, as JSON: a model over time, and one of its bins.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driftline_core::{Error, ErrorKind, Result};
use driftline_metrics::{
    BIN_ALPHA, BaselineRows, BinNumbers, BinSize, Map, MapPoint, ShownRow, StoredModel,
};
use driftline_stats::drift_factor;
use jiff::Timestamp;
use serde::Serialize;

use crate::headline::{Headline, headline};
use crate::numbers::{BinRow, Numbers, WindowView};
use crate::pictures::Pictures;

/// A baseline by the name that the page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownBaseline {
    /// Shown name.
    pub name: String,
    /// Which rows.
    pub baseline: BaselineRows,
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownAlert {
    /// Name of the rule.
    pub rule: String,
    /// What it watches.
    pub metric: String,
    /// Start of the bin, in milliseconds.
    pub bin: i64,
    /// Value of the bin.
    pub value: f64,
    /// Value from which on the rule fires.
    pub threshold: f64,
    /// `critical` or `warning`.
    pub severity: String,
}

/// A model over time, against one baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelView {
    /// Project of the model.
    pub project: String,
    /// Name of the model.
    pub model: String,
    /// Names of the baselines there are.
    pub baselines: Vec<String>,
    /// The one that the numbers compare with.
    pub baseline: String,
    /// Sizes of bins that can be asked for.
    pub sizes: Vec<String>,
    /// The one that was asked for.
    pub size: String,
    /// Rows of the baseline. A rolling baseline is another for each bin; this is that of the last.
    pub baseline_rows: u64,
    /// Its rows in each cluster.
    pub baseline_counts: Vec<u64>,
    /// Its accuracy.
    pub baseline_accuracy: Option<f64>,
    /// Noise floors above which there is drift.
    pub drift_factor: f64,
    /// All in one sentence.
    pub verdict: Headline,
    /// The windows in order of time.
    pub windows: Vec<WindowView>,
    /// The bins that have events, in order of time.
    pub bins: Vec<BinRow>,
    /// Rules that fired, `None` where rules are not known.
    pub alerts: Option<Vec<ShownAlert>>,
    /// Points of the baseline on the map, see [`Points`].
    pub map: Points,
    /// Files whose rows are missing, and why.
    pub damaged: Vec<String>,
}

/// Points of a map; in units in which the baseline reaches from -1000 to 1000.
pub type Points = Vec<[i32; 2]>;

/// The rows of one bin that are looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BinView {
    /// Number of the cluster that grew most, from 0; the images are typical of it.
    pub grown: Option<usize>,
    /// Images with the nearest one of the baseline.
    pub images: Vec<ImagePair>,
    /// Points on the map.
    pub map: Points,
}

/// An image and the nearest one of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImagePair {
    /// The image.
    #[serde(flatten)]
    pub image: ImageRow,
    /// The nearest one of the baseline.
    pub nearest: Option<ImageRow>,
}

/// What is shown of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageRow {
    /// Its address.
    pub url: String,
    /// True class.
    pub target: Option<String>,
    /// Class with the best score.
    pub prediction: Option<String>,
    /// Whether there is a picture of it.
    pub pictured: bool,
}

impl ImageRow {
    fn new(row: ShownRow, pictures: &Pictures) -> Self {
        Self {
            pictured: pictures.knows(&row.image_url),
            url: row.image_url,
            target: row.target,
            prediction: row.prediction,
        }
    }
}

/// How much is shown of a bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Images.
    pub images: usize,
    /// Points on the map.
    pub points: usize,
}

impl Detail {
    /// What a server answers for one bin.
    pub const FULL: Self = Self {
        images: 8,
        points: 200,
    };
}

/// The baselines that a model has by itself: each environment of its baseline rows, or all of them.
pub fn own_baselines(monitored: &StoredModel) -> Vec<ShownBaseline> {
    let mut names: Vec<String> = monitored.environments().into_keys().collect();
    let whole = ShownBaseline {
        name: match names.as_slice() {
            [only] => only.clone(),
            _ => "all baseline rows".to_owned(),
        },
        baseline: BaselineRows::Whole,
    };
    if names.len() < 2 {
        names.clear();
    }
    let environments = names.into_iter().map(|name| ShownBaseline {
        baseline: BaselineRows::Environment { name: name.clone() },
        name,
    });
    std::iter::once(whole).chain(environments).collect()
}

/// A model over time against the baseline at `chosen` of `baselines`, in bins of `size`; `sizes` and `alerts` are handed
/// on.
///
/// # Errors
/// Those of [`StoredModel::series`].
pub fn model_view(
    monitored: &StoredModel,
    baselines: &[ShownBaseline],
    chosen: &ShownBaseline,
    size: BinSize,
    sizes: &[BinSize],
    alerts: Option<Vec<ShownAlert>>,
) -> Result<ModelView> {
    let series = monitored.series(&chosen.baseline, &monitored.extent(), size)?;
    let windows = window_views(monitored, chosen)?;
    let bins: Vec<BinRow> = series.iter().map(|bin| bin_row(bin, monitored)).collect();
    let last = series.last().map_or(Timestamp::UNIX_EPOCH, |bin| bin.start);
    let reference = monitored.baseline(&chosen.baseline, last)?;
    // Without two rows of the baseline there is no plane to draw on.
    let map = monitored.map(&chosen.baseline, &[]).ok();
    Ok(ModelView {
        project: monitored.monitor().project.clone(),
        model: monitored.monitor().model.clone(),
        baselines: baselines.iter().map(|one| one.name.clone()).collect(),
        baseline: chosen.name.clone(),
        sizes: sizes.iter().copied().map(size_name).collect(),
        size: size_name(size),
        baseline_rows: reference.rows,
        baseline_counts: reference.clusters.clone(),
        baseline_accuracy: reference.accuracy(),
        drift_factor: drift_factor(reference.clusters.len(), BIN_ALPHA),
        verdict: headline(&windows, &bins, size),
        windows,
        bins,
        alerts,
        map: map.map_or(Vec::new(), |map| {
            points(&map, &map.baseline, Detail::FULL.points * 2)
        }),
        damaged: monitored.damaged().into_iter().map(str::to_owned).collect(),
    })
}

/// The bins of `size` that start at `starts`, in milliseconds, looked at as closely as `detail` says. All of them together
/// take little longer than one.
///
/// # Errors
/// `InvalidData` for a moment that the calendar does not have; those of [`StoredModel::exemplars`] and [`StoredModel::map`].
pub fn bin_views(
    monitored: &StoredModel,
    baseline: &BaselineRows,
    size: BinSize,
    starts: &[i64],
    detail: Detail,
    pictures: &Pictures,
) -> Result<Vec<BinView>> {
    let times = starts
        .iter()
        .map(|start| {
            let end = start.saturating_add(size.milliseconds());
            // The last bin of the calendar ends with it.
            Ok(moment(*start)?..Timestamp::from_millisecond(end).unwrap_or(Timestamp::MAX))
        })
        .collect::<Result<Vec<_>>>()?;
    let found = monitored.exemplars(baseline, &times, detail.images, 1)?;
    let map = monitored.map(baseline, &times).ok();
    let views = found.into_iter().enumerate().map(|(i, found)| BinView {
        grown: found.cluster,
        images: found
            .exemplars
            .into_iter()
            .map(|exemplar| ImagePair {
                image: ImageRow::new(exemplar.row, pictures),
                nearest: exemplar
                    .neighbours
                    .into_iter()
                    .next()
                    .map(|near| ImageRow::new(near.row, pictures)),
            })
            .collect(),
        map: map
            .as_ref()
            .and_then(|map| Some(points(map, map.windows.get(i)?, detail.points)))
            .unwrap_or_default(),
    });
    Ok(views.collect())
}

/// The name of a size that the page knows.
pub fn size_name(size: BinSize) -> String {
    size.name().to_lowercase()
}

fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|e| {
        let message = format!("the calendar has no moment {ms}");
        Error::new(ErrorKind::InvalidData, "look at a bin", message).because(e)
    })
}

fn bin_row(bin: &BinNumbers, monitored: &StoredModel) -> BinRow {
    BinRow {
        start: bin.start.as_millisecond(),
        windows: monitored.windows_within(&(bin.start..bin.end)),
        counts: bin.clusters.clone(),
        numbers: Numbers::from(bin),
    }
}

fn window_views(monitored: &StoredModel, chosen: &ShownBaseline) -> Result<Vec<WindowView>> {
    let windows = monitored.windows().into_iter();
    let views = windows.map(|window| {
        let start = window.times.start;
        let reference = monitored.baseline(&chosen.baseline, start)?;
        let numbers = monitored.numbers(window.times, &window.counts, &reference);
        Ok(WindowView {
            name: window.name,
            numbers: Numbers::from(&numbers),
        })
    });
    views.collect()
}

/// The first `most` of `from`, in the units of [`Points`].
fn points(map: &Map, from: &[MapPoint], most: usize) -> Points {
    let sizes = map
        .baseline
        .iter()
        .flat_map(|point| [point.x.abs(), point.y.abs()]);
    let unit = sizes.fold(0.0, f64::max).max(f64::MIN_POSITIVE) / 1000.0;
    let scaled = |value: f64| (value / unit).round().clamp(-1e6, 1e6) as i32;
    let points = from.iter().take(most);
    points
        .map(|point| [scaled(point.x), scaled(point.y)])
        .collect()
}

/// The pictures of `views` by url, as addresses that hold them, each once.
pub fn addresses<'a>(
    views: impl IntoIterator<Item = &'a BinView>,
    pictures: &Pictures,
) -> BTreeMap<String, String> {
    let pairs = views.into_iter().flat_map(|view| &view.images);
    let rows = pairs.flat_map(|pair| std::iter::once(&pair.image).chain(&pair.nearest));
    let mut found = BTreeMap::new();
    for row in rows.filter(|row| row.pictured) {
        if !found.contains_key(&row.url)
            && let Some(png) = pictures.png(&row.url)
        {
            found.insert(row.url.clone(), data_address(&png));
        }
    }
    found
}

fn data_address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}
