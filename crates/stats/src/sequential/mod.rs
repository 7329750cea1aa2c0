//! Over many windows, or over a stream of rows: when to alert somebody.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `budget` | [`AlertBudget`], [`Consecutive`]: alerts from p-values, with a budget of false ones |
//! | `chart` | [`Cusum`], [`PageHinkley`], [`Ewma`]: control charts over any series |
//! | `stream` | [`OnlineTest`]: a stream of rows with a stated expected run time between false alarms |

mod budget;
mod chart;
mod run_length;
mod stream;

pub use budget::{AlertBudget, Consecutive};
pub use chart::{Cusum, Ewma, PageHinkley};
pub use stream::OnlineTest;
