//! driftline watches image data for drift: images become embeddings with a backend of your choice, are compared with a
//! baseline, and go to a sink.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`registries`] | every backend, transform and sink there is, by name |
//! | [`settings`] | `driftline.toml`, environment and flags in layers |
//! | [`plan`] | settings -> a checked [`Run`](pipeline::Run) with its backend and sink |
//! | [`labels`] | files of true classes that came later |
//! | [`models`] | a model by path or name |
//! | [`monitors`] | what runs into a store have monitored |
//! | [`plugins`] | plugins of this machine in the registries |
//! | [`runtimes`] | libraries of engines, in the cache or the user's own |
//! | [`sources`] | a `SRC` on the command line -> images |
//!
//! The parts are re-exported under their own names.
//!
//! | feature | what it adds; all but `keyring` are on by default |
//! | --- | --- |
//! | `candle` | candle itself: without it the backend `candle` is the built-in network alone |
//! | `download` | the model and the data set `cifar10` |
//! | `fiddler` | the sink `fiddler`; `keyring` lets it read its token from the desktop's keyring |
//! | `onnx` | the backend `onnx` |
//! | `plugins` | backends, transforms and sinks of plugins; without it there are none |
//! | `report` | the page of a run and of a store |
//! | `server` | a store behind the interface of Fiddler |

pub mod baselines;
pub mod labels;
pub mod models;
pub mod monitors;
pub mod plan;
#[cfg(feature = "plugins")]
pub mod plugins;
#[cfg(not(feature = "plugins"))]
#[path = "no_plugins.rs"]
pub mod plugins;
pub mod registries;
#[cfg(feature = "runtimes")]
pub mod runtimes;
pub mod settings;
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
pub use driftline_report as report;
pub use driftline_rows as rows;
#[cfg(feature = "server")]
pub use driftline_server as server;
#[cfg(feature = "fiddler")]
pub use driftline_sink_fiddler as sink_fiddler;
pub use driftline_sink_local as sink_local;
pub use driftline_stats as stats;

pub use plan::{Finished, Plan};
pub use plugins::Plugins;
pub use settings::Settings;
