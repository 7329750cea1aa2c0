//! The rows of a file, some at a time.

use arrow_array::RecordBatch;
use driftline_core::Result;

/// Batches of loosely typed columns.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;
