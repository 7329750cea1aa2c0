//! Over many windows: when to page somebody.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`budget`] | [`PageBudget`]: pages from p-values, at most one false page in a stated number of windows |
//! | [`chart`] | [`Cusum`], [`PageHinkley`], [`Ewma`]: control charts over any series |
//! | [`stream`] | [`OnlineTest`]: a stream of rows with a stated expected run time between false alarms |

pub mod budget;
pub mod chart;
mod run_length;
pub mod stream;

pub use budget::{Consecutive, PageBudget};
pub use chart::{Cusum, Ewma, PageHinkley};
pub use stream::OnlineTest;
