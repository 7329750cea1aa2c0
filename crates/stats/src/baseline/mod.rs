//! A baseline compiled once, against which windows are checked.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `options` | [`BaselineOptions`]: how a baseline is compiled |
//! | `compiled` | [`Baseline`]: compile, keep, restore |
//! | `fitted_tests` | every statistic, fitted to the rows that are kept |
//! | `check` | [`Check`]: a window tested by several statistics |
//! | `calibration`, `false_alarms` | [`Calibration`]: false-alarm rates, measured by [`false_alarms()`] |
//! | `power` | [`power()`]: the share of drifted windows that a check calls drifted |

mod calibration;
mod check;
mod compiled;
mod draw;
mod false_alarms;
mod fitted_tests;
mod options;
mod power;

pub use calibration::{Calibration, CleanWindows, FalseAlarms};
pub use check::Check;
pub use compiled::{Baseline, Compiled};
pub use false_alarms::false_alarms;
pub use options::BaselineOptions;
pub use power::{Power, power};
