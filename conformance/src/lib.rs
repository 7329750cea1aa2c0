//! What every embedding backend, drift transform and sink must do; backends are checked against a float64 oracle.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`oracle`] | ResNet-18 in float64, written from the architecture; shares no code with any backend |
//! | [`synthetic`] | seeded models and images, so that nothing has to be downloaded |
//! | [`golden`] | PyTorch's answers for real images, where they are at hand |
//! | [`tolerance`] | the named precision classes, and the four measures of a difference |
//! | [`case`] | what a case is, and how it ends |
//! | [`cases`] | the cases for backends, as data |
//! | [`context`] | what they work with: models, images, and what the oracle says about them |
//! | [`suite`] | runs them against a backend |
//! | [`transform`] | the cases for drift transforms |
//! | [`sink`] | the cases for sinks |
//! | [`report`] | the result as text, JSON and JUnit |
//! | [`trials`] | the cases as trials of a test without harness |
//! | [`fault`], [`oracle_backend`] | backends with one fault each, which the suite must catch |
//!
//! A backend's own repository runs the suite with [`conformance_main!`]:
//!
//! ```
//! use driftline_conformance::OracleBackend; // in your repository, the backend that is tested
//! use driftline_core::{BackendConfig, EmbeddingBackend, Result};
//!
//! fn open(config: &BackendConfig) -> Result<Box<dyn EmbeddingBackend>> {
//!     Ok(Box::new(OracleBackend::open(config, None)?))
//! }
//!
//! driftline_conformance::conformance_main!(open);
//! ```

pub mod case;
pub mod cases;
pub mod context;
pub mod fault;
pub mod golden;
pub mod oracle;
pub mod oracle_backend;
pub mod report;
pub mod sink;
pub mod suite;
pub mod synthetic;
pub mod tolerance;
pub mod transform;
pub mod trials;

pub use case::ExpectedFailure;
pub use context::{BackendContext, MakeBackend};
pub use oracle::OracleOutput;
pub use oracle_backend::OracleBackend;
pub use report::{ComponentReport, Outcome, Report, TestedComponent};
pub use suite::Suite;

/// A `main` for a test with `harness = false`: one trial for each case, named `embedding::<package>::<case>`, of the
/// backend that a constructor opens, `Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>>`. Known failures follow
/// as `expecting: [("case", "reason")]`: they count as no failure, and a pass in their place as one.
#[macro_export]
macro_rules! conformance_main {
    ($make:expr $(, expecting: [$(($case:literal, $reason:literal)),* $(,)?])? $(,)?) => {
        fn main() {
            let name = env!("CARGO_PKG_NAME").to_owned();
            let expected = vec![$($($crate::ExpectedFailure {
                backend: name.clone(),
                case: $case.to_owned(),
                reason: $reason.to_owned(),
            }),*)?];
            $crate::trials::main(vec![(name, $crate::trials::ready($make))], expected);
        }
    };
}
