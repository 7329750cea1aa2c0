//! Numbers of a stored model by time bin.
//!
//! ```no_run
//! # use std::path::Path;
//! # use driftline_metrics::{BaselineRows, BinSize, StoredModel};
//! let monitored = StoredModel::open(Path::new("store"), "demo", "resnet18")?;
//! for bin in monitored.series(&BaselineRows::Whole, &monitored.extent(), BinSize::Day)? {
//!     println!("{} {} rows, jsd {:?}", bin.start, bin.rows, bin.jsd);
//! }
//! # Ok::<(), driftline_core::Error>(())
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`stored_model`] | [`StoredModel`]: a model of a store and what is counted of its rows |
//! | [`bins`] | [`BinSize`] and [`Bin`]: stretches of time |
//! | [`baseline`] | [`BaselineRows`]: which rows a bin is compared with |
//! | [`binning`] | [`Binning`]: clusters, score bins and categories, the bins of every histogram |
//! | [`counts`] | [`RowCounts`]: what is counted of rows, mergeable |
//! | [`sum`] | [`ExactSum`]: a sum that does not depend on the order of its terms |
//! | [`mod@column`] | [`Column`]: what a drift, a frequency or a mean is of |
//! | [`metric`] | [`Metric`]: the numbers by name, and their values |
//! | [`series`] | [`BinNumbers`]: everything about a bin, to be shown |
//! | [`exemplars`] | [`Exemplars`]: typical rows of a bin beside the nearest ones of the baseline |
//! | [`windows`] | [`Window`]: the windows of the events, by name |
//! | [`map`] | [`Map`]: embeddings in two dimensions |
//!
//! Rows are read once: what is kept in memory is counts by hour and file, so it grows with the number of hours and files,
//! not with the number of rows.

pub mod baseline;
pub mod binning;
pub mod bins;
pub mod column;
pub mod counts;
pub mod exemplars;
pub mod map;
pub mod metric;
pub mod series;
pub mod stored_model;
pub mod sum;
pub mod windows;

mod counted;
mod event_windows;
mod part;
mod projection;
mod sample;
mod select;

pub use baseline::BaselineRows;
pub use binning::Binning;
pub use bins::{Bin, BinSize};
pub use column::Column;
pub use counts::{RowCounts, ScoreCounts, Violating};
pub use exemplars::{Exemplar, Exemplars, Neighbour};
pub use map::{Map, PROJECTED_ROWS, WINDOW_POINTS};
pub use metric::{Metric, MetricGroup};
pub use projection::{BASELINE_POINTS, MapPoint};
pub use select::ShownRow;
pub use series::{BIN_ALPHA, BinNumbers};
pub use stored_model::StoredModel;
pub use sum::ExactSum;
pub use windows::Window;

pub use driftline_sink_local::monitors;
