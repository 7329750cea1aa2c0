//! Routes under `/v2`: all that `fiddler-client` 2 speaks, and most of what `fiddler-client` 1.8 does.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `handshake` | [`ServerInfo`] |
//! | `project` | [`Project`], [`NewProject`] |
//! | `column` | [`Column`]: a column of a data set or of a model |
//! | `dataset` | [`Dataset`], [`NewDataset`] |
//! | `upload` | [`Uploaded`], [`Initialize`], [`Initialized`], [`SentPart`], [`Complete`]: files, whole and in parts |
//! | `model` | [`Model`], [`NewModel`], [`ModelInfo`] |
//! | `events` | [`Publish`], [`Event`], [`Accepted`]: events by files or one by one |
//! | `baseline` | [`Baseline`], [`NewBaseline`] |
//! | `alert` | [`AlertConfig`], [`NewAlertConfig`] |
//!
//! A name in a path is `<organization>:<project>:<name>`. Two routes take a body that is JSON in a JSON string.

mod alert;
mod baseline;
mod column;
mod dataset;
mod events;
mod handshake;
mod model;
mod project;
mod upload;

pub use alert::{AlertConfig, FeatureNames, NewAlertConfig};
pub use baseline::{Baseline, BaselineType, NewBaseline};
pub use column::Column;
pub use dataset::{Dataset, DatasetInfo, FileList, FileNode, NewDataset};
pub use events::{Accepted, Event, EventAccepted, Names, Publish, Scalar};
pub use handshake::ServerInfo;
pub use model::{Model, ModelInfo, NewModel};
pub use project::{Named, NewProject, Project};
pub use upload::{Complete, Initialize, Initialized, Part, SentPart, Uploaded};
