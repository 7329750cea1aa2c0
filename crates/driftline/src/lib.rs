//! driftline detects drift in image data: images become embeddings with a backend of your choice, are compared with a
//! baseline, and go to a sink.
//!
//! Images to rows, and rows beside rows:
//!
//! ```
//! use driftline::core::Result;
//! use driftline::pipeline::Cancel;
//! use driftline::stats::Verdict;
//! use driftline::{Components, DriftOptions, EmbedOptions, drift, embed};
//!
//! # fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let (clean, dark) = (folder.path().join("clean.parquet"), folder.path().join("dark.parquet"));
//! let components = Components::built_in()?;
//! let darkened = EmbedOptions { transform: "brightness(0.5)".to_owned(), ..EmbedOptions::default() };
//! // `sample#test` ships with driftline; your images are a folder, a Parquet file, ...
//! embed("sample#test", &clean, &EmbedOptions::default(), &components, &Cancel::default(), &())?;
//! embed("sample#test", &dark, &darkened, &components, &Cancel::default(), &())?;
//!
//! let report = drift(&clean, &dark, &DriftOptions::default())?;
//! assert_eq!(report.verdict, Verdict::Drift);
//! println!("{}", report.explanation.changes.join(", "));
//! # Ok(())
//! # }
//! ```
//!
//! | job | what it does |
//! | --- | --- |
//! | [`embed()`] | images -> a row file |
//! | [`drift()`], [`compare()`] | a window beside a baseline: statistics, verdict, what changed |
//! | [`baseline()`] | a row file -> a compiled baseline file |
//! | [`power()`] | from which strength and after how many images drift would be seen |
//! | [`calibrate()`] | false alarms on clean windows, beside what is promised |
//! | [`run()`] | baseline and windows of [`Settings`] into a sink, checked, resumed after a stop |
//! | [`report()`] | a store -> one page that opens offline |
//!
//! A job takes options that have defaults, and returns a report that serialises as the command's `--json`. It chooses
//! backends, transforms and sinks by name from [`Components`], where a program registers its own. It tells its progress to
//! [`pipeline::Progress`], `&()` where nobody listens, and stops when [`pipeline::Cancel`] asks.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`baselines`] | row files and baseline files |
//! | [`labels`] | files of true classes that came later |
//! | [`models`] | a model by path or name |
//! | [`monitors`] | what runs into a store have monitored |
//! | [`registries`] | every backend, transform and sink there is on this machine, by name |
//! | `runtimes` | libraries of engines, in the cache or the user's own |
//! | [`sources`] | a path or name -> images |
//!
//! The parts are re-exported under their own names: [`core`], [`data`], [`stats`] and so on.
//!
//! | feature | what it adds; all but `keyring` are on by default |
//! | --- | --- |
//! | `candle` | the backend `candle`; without it the same network is the backend `kernels`, and no code of candle is compiled |
//! | `download` | the model and the data set `cifar10` |
//! | `fiddler` | the sink `fiddler`; `keyring` lets it read its token from the desktop's keyring |
//! | `onnx` | the backend `onnx` |
//! | `plugins` | backends, transforms and sinks of plugins; without it there are none |
//! | `report` | the page of a run and of a store |
//! | `server` | a store behind the interface of Fiddler |

mod baseline;
pub mod baselines;
mod calibrate;
mod components;
mod drift;
mod embed;
mod embedder;
mod hash;
pub mod labels;
pub mod models;
pub mod monitors;
mod plan;
#[cfg(feature = "plugins")]
mod plugins;
#[cfg(not(feature = "plugins"))]
#[path = "no_plugins.rs"]
mod plugins;
mod power;
pub mod registries;
#[cfg(feature = "report")]
mod report;
mod run;
#[cfg(feature = "runtimes")]
pub mod runtimes;
mod settings;
pub mod sources;
mod tch;

pub use driftline_core as core;
pub use driftline_data as data;
pub use driftline_fetch as fetch;
pub use driftline_model as model;
pub use driftline_pipeline as pipeline;
#[cfg(feature = "plugins")]
pub use driftline_plugin_host as plugin_host;
pub use driftline_properties as properties;
#[cfg(feature = "report")]
pub use driftline_report as pages;
pub use driftline_rows as rows;
#[cfg(feature = "server")]
pub use driftline_server as server;
#[cfg(feature = "fiddler")]
pub use driftline_sink_fiddler as sink_fiddler;
pub use driftline_sink_local as sink_local;
pub use driftline_stats as stats;

// Crates whose types stand in the interface.
pub use arrow_array;
pub use jiff;
pub use serde_json;

pub use baseline::{BaselineFileOptions, BaselineFileReport, Block, baseline};
pub use calibrate::{CalibrateOptions, calibrate};
pub use components::Components;
pub use drift::{
    BaselineSide, DriftOptions, DriftReport, StatisticReport, WindowSide, compare, drift,
};
pub use embed::{EmbedOptions, EmbedReport, embed};
pub use embedder::{Embedder, EmbedderOptions, Images, all_threads};
pub use plan::{FinishedRun, PreparedRun};
#[cfg(feature = "plugins")]
pub use plugins::prepare_runtime;
pub use plugins::{Plugins, Probe};
pub use power::{ENOUGH_POWER, PowerAtSize, PowerOptions, PowerReport, Strength, Sweep, power};
#[cfg(feature = "report")]
pub use report::{ReportFile, ReportOptions, report};
pub use run::{QuickstartOptions, run};
pub use settings::{
    BackendSettings, BaselineSettings, ModelSettings, MonitorSettings, PluginSettings, RunSettings,
    Settings, SinkSettings, WindowSettings, three_weeks,
};

use std::path::Path;

/// Serialises a path as it is shown, so that one that is not UTF-8 fails no report.
fn as_shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
