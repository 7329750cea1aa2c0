//! What requests for numbers name, and what the numbers come from.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `counts` | [`Counts`]: models whose rows were counted |
//! | `baselines` | baselines, and the rows they stand for |
//! | `columns` | columns and metrics |

mod baselines;
mod columns;
mod counts;

pub(crate) use baselines::{NamedBaseline, baseline, baseline_of, named_baseline, rows_of};
pub(crate) use columns::{column, column_name, metric};
pub(crate) use counts::Counts;
