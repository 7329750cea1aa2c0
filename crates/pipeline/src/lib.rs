//! From images to published rows and drift statistics.
//!
//! | name | what it is |
//! | --- | --- |
//! | [`run()`] | does a whole run: the stage of the baseline, then that of each window |
//! | [`RunSpec`] | what a run is asked to do |
//! | [`RunSummary`], [`summary`] | its result, as it is printed and written |
//! | [`profiles`] | what it leaves of its rows: sums of each day, as one file |
//! | [`embed()`] | images -> embeddings, over threads with bounded queues between |
//! | [`PartBuilder`] | embedded rows in parts of fixed extent |
//! | [`Progress`], [`Cancel`] | how far the work is, and a request to stop it |
//!
//! A stage reads its rows in parts: those that an earlier start of the run left on disk, then those that it embeds.
//!
//! Memory is set by batch size, queue depth and part size, not by the number of images. What is written does not
//! depend on batch size or threads.

mod accuracy;
mod baseline;
mod calendar;
mod control;
mod day;
mod embed;
mod folder;
mod part;
pub mod profiles;
mod run;
mod schedule;
mod spec;
mod stage;
pub mod summary;
mod window;

pub use control::{Cancel, Progress};
pub use embed::{EmbedOptions, Embedded, OnError, embed};
pub use part::{EmbeddedPart, PART_ROWS, PartBuilder, RowNames};
pub use run::run;
pub use spec::{RunSpec, WindowSpec};
pub use summary::RunSummary;
