//! What every embedding backend must do, checked against a float64 oracle.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`oracle`] | ResNet-18 in float64, written from the architecture; shares no code with any backend |
//! | [`synthetic`] | seeded models and images, so that nothing has to be downloaded |
//! | [`tolerance`] | the named precision classes, and the four measures of a difference |
//! | [`case`] | the cases, as data |
//! | [`suite`] | runs the cases against a backend |
//! | [`report`] | the result as text, JSON and JUnit |
//! | [`trials`] | the cases as trials of a test without harness |
//! | [`fault`] | backends with one fault each, which the suite must catch |
//!
//! A backend's own repository runs the suite with [`conformance_main!`]:
//!
//! ```no_run
//! # use driftline_core::{BackendConfig, EmbeddingBackend, Result};
//! # fn open(config: &BackendConfig) -> Result<Box<dyn EmbeddingBackend>> { unimplemented!() }
//! driftline_conformance::conformance_main!("mine" => open);
//! ```

pub mod case;
pub mod fault;
pub mod oracle;
pub mod report;
pub mod suite;
pub mod synthetic;
pub mod tolerance;
pub mod trials;

pub use report::{Outcome, Report};
pub use suite::{ExpectedFailure, Suite};

/// A `main` for a test without harness: one trial for each case, named `embedding::<backend>::<case>`, of one backend
/// or several, each `name => constructor`, where a constructor is `Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>>`.
#[macro_export]
macro_rules! conformance_main {
    ($($name:literal => $make:expr),+ $(,)?) => {
        fn main() {
            $crate::trials::main(vec![$(($name, $crate::trials::make($make))),+]);
        }
    };
}
