//! The embedded store: an append-only folder of plain Parquet files.
//!
//! ```text
//! <store>/<project>/<model>/
//!   monitor.json                          what is monitored
//!   clusters.json                         its clusters, if they were found elsewhere
//!   baseline/part-….parquet
//!   events/date=2026-11-01/part-….parquet
//!   damaged/part-….parquet.damaged        files that were set aside
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`sink`] | [`LocalSink`]: the writing side, a `MonitorSink` |
//! | [`transaction`] | [`Transaction`]: rows of many calls that become visible together |
//! | [`store`] | [`Store`]: the reading side; [`write_clusters`] and [`remove_model`] |
//! | [`change`] | [`EventUpdate`] and [`Deletion`]: events that change after they were published |
//! | [`clusters`] | [`Centroids`]: clusters that belong to a model |
//! | [`damage`] | [`Damage`]: a file that could not be used, and where it is now |
//! | [`maintenance`] | [`check()`], [`repair`] and [`compact`]: a whole store, looked after |
//! | `part`, `layout`, `listing` | [`PartFile`]: names of files, folders, and the files there are |
//! | `catalog` | which rows are there already |
//! | `journal` | files that appear and go together, through `rewrite.json` |
//! | `rewrite`, `merge` | files with changed rows, and small files that become few |
//!
//! # Guarantees
//! - A row is there once, known by its `event_id`, however often and by however many processes it is published.
//! - The rows of a call, or of a [`Transaction`], are there all or none; what was acknowledged stays.
//! - A damaged file is named and never hides the others; publishing its rows again brings them back.
//! - The same calls make the same files, byte by byte.

pub mod change;
pub mod clusters;
pub mod damage;
pub mod maintenance;
pub mod sink;
pub mod store;
pub mod transaction;

mod catalog;
mod journal;
mod layout;
mod listing;
mod lock;
mod merge;
mod monitor;
mod part;
mod prepared;
mod rewrite;

pub use change::{Deletion, EventUpdate};
pub use clusters::Centroids;
pub use damage::Damage;
pub use maintenance::{Compacted, check, compact, repair};
pub use part::{PartFile, Section};
pub use sink::LocalSink;
pub use store::{PartRows, Store, monitors, remove_model, write_clusters};
pub use transaction::Transaction;

use driftline_core::{MonitorSink, Registration, Registry, Result, SinkConfig};

/// The file at the top of a store that a run writes its report to; no project can have this name.
pub const REPORT: &str = "report.html";

/// Registers the sink as `local`.
pub fn register(registry: &mut Registry<SinkConfig, Box<dyn MonitorSink>>) -> Result<()> {
    registry.register(Registration::built_in(
        "local",
        &[],
        "Parquet files in a folder of this machine",
        |config| Ok(Box::new(LocalSink::open(config)?) as Box<dyn MonitorSink>),
    ))
}
