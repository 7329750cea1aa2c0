//! The two-sample permutation test, of rows or of blocks of rows.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `null_distribution` | [`NullDistribution`]: p-value, expected value and smallest detectable effect |
//! | `blocks` | sums of blocks of rows, for statistics of the means |
//! | `pooled_rows` | the rows of baseline and window, for statistics of pairs of rows |
//! | `split_halves` | one half of a baseline to fit to, one that is not seen by the fit |
//! | `dependence`, `autocorrelation` | rows that depend on their neighbours |

mod autocorrelation;
mod blocks;
mod dependence;
mod enough_rows;
mod generator;
mod null_distribution;
mod pooled_rows;
mod split_halves;

pub use autocorrelation::block_length;
pub(crate) use blocks::Blocks;
pub(crate) use dependence::independent_rows;
pub(crate) use enough_rows::not_enough_rows;
pub(crate) use generator::generator;
pub use null_distribution::NullDistribution;
pub(crate) use null_distribution::minimum_detectable_normal_shift;
pub(crate) use pooled_rows::PooledRows;
pub(crate) use split_halves::split_halves;
