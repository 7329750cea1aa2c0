//! Profiles: what is kept of rows when the rows are gone.
//!
//! A profile is a sum over rows, so that one of a window is the merge of those of its hours, in any order and grouping: the
//! counts exactly, the moments up to the rounding of f64. Profiles of one [`ProfilePlan`] can be merged and compared.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `sums` | [`Profile`]: the sums over some rows |
//! | `plan` | [`ProfilePlan`]: how rows are summed up |
//! | `columns` | [`Bucket`]: profiles as Arrow columns, one row a bucket of time |

mod columns;
mod plan;
mod sums;

pub use columns::{Bucket, buckets_from_batch, buckets_to_batch};
pub use plan::ProfilePlan;
pub(crate) use sums::PROPERTY_BINS;
pub use sums::{PROFILE_VERSION, Profile};
