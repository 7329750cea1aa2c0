//! Routes under `/v3`: all that `fiddler-client` 3 speaks, and the routes by which numbers are read back.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `handshake` | [`ServerInfo`]; [`Named`], [`User`], [`ModelRef`]: how objects refer to others |
//! | `filter` | [`Filter`]: which objects of a list are wanted |
//! | `project` | [`Project`], [`NewProject`] |
//! | `file` | [`File`], [`StartFile`], [`Part`], [`FinishFile`]: files, whole and in parts |
//! | `schema` | [`Schema`], [`Column`], [`Spec`]: columns and their roles |
//! | `factory` | [`Infer`], [`Inferred`]: the schema of a sample |
//! | `model` | [`Model`], [`NewModel`], [`ModelChange`], [`Definition`] |
//! | `events` | [`Publish`], [`Published`], [`DeleteEvents`] |
//! | `environment`, `baseline` | [`Environment`]; [`Baseline`], [`NewBaseline`] |
//! | `alert` | [`AlertRule`], [`AlertRuleChange`] |
//! | `queries` | [`Queries`] and the other requests for numbers, with their answers |
//!
//! Every id is a UUID; the client refuses any other.

mod alert;
mod baseline;
mod environment;
mod events;
mod factory;
mod file;
mod filter;
mod handshake;
mod model;
mod project;
mod queries;
mod schema;

pub use alert::{
    AlertRule, AlertRuleChange, CompareTo, Condition, Metric, MetricGroup, Multipliers,
    Notification, Priority, ThresholdType,
};
pub use baseline::{Baseline, BaselineType, NewBaseline};
pub use environment::{Environment, EnvironmentRef, EnvironmentType};
pub use events::{
    DeleteEvents, JobRef, Publish, Published, Source, SourceType, Started, TimeRange,
};
pub use factory::{Infer, Inferred};
pub use file::{File, FileStatus, FileType, FinishFile, Part, SentPart, StartFile};
pub use filter::{Combination, Filter, Group, Operator, Rule};
pub use handshake::{Identified, ModelRef, Named, ServerInfo, User};
pub use model::{Definition, Model, ModelChange, NewModel, TaskParams};
pub use project::{NewProject, Project};
pub use queries::{
    Bins, ColumnEntry, Histograms, HistogramsRequest, MetricEntry, Metrics, MetricsRequest,
    MonitoringResult, MonitoringResults, Queries, Query, Reduction, ReductionPoint,
    ReductionRequest, TimeFilter, WantedMetric,
};
pub use schema::{Column, Schema, Spec};
