//! Uploaded bytes to rows of the store: the work of jobs.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `table` | a file as batches of loosely typed columns |
//! | `batches`, `parquet`, `csv` | the two forms of files, with bounds on what they may grow to |
//! | `events` | JSON objects as such a batch |
//! | `cells`, `vectors` | columns of any type as what a row needs |
//! | `rows` | such batches to rows of the store |
//! | `sinks` | writers that stay prepared between jobs |
//! | `perform` | [`Ingest`]: the work of jobs, done |
//! | `inference` | the schema of a sample, and its clusters |

mod batches;
mod cells;
mod csv;
mod events;
mod inference;
mod parquet;
mod perform;
mod rows;
mod sinks;
mod table;
mod vectors;

pub(crate) use events::batch as event_batch;
pub(crate) use inference::{Question, infer};
pub(crate) use perform::{Ingest, check_files};
pub(crate) use rows::{Mapping, Unnamed};
pub(crate) use table::{Format, Table};
pub(crate) use vectors::parse as parse_vector;
