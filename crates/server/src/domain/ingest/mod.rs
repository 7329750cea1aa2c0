//! Uploaded bytes to rows of the store: the work of jobs.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `table` | a file as batches of loosely typed columns |
//! | `parquet`, `csv` | the two forms of files, with bounds on what they may grow to |
//! | `events` | JSON objects as such a batch |
//! | `cells`, `vectors` | columns of any type as what a row needs |
//! | `rows` | such batches to rows of the store |
//! | `sinks` | writers that stay prepared between jobs |
//! | `work` | what a job does |
//! | `inference` | the schema of a sample, and its clusters |

mod cells;
mod csv;
mod events;
pub(crate) mod inference;
mod parquet;
mod rows;
mod sinks;
mod table;
mod vectors;
mod work;

pub use sinks::Sinks;
pub use table::Format;
pub use work::{Events, Files, Update, Work};

pub(crate) use events::batch as event_batch;
pub(crate) use rows::{Mapping, Unnamed};
pub(crate) use table::Table;
pub(crate) use vectors::parse as parse_vector;
pub(crate) use work::check_files;
