//! The cases as trials of libtest-mimic.

use std::sync::Arc;

use driftline_core::{BackendConfig, EmbeddingBackend, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::cases::CASES;
use crate::synthetic::SEED;
use crate::{ExpectedFailure, Outcome, Suite};

/// A constructor that trials share.
pub type SharedMakeBackend =
    Arc<dyn Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + Send + Sync>;

/// A backend that trials are made of.
pub enum Candidate {
    /// It can be opened.
    Ready(SharedMakeBackend),
    /// It cannot run here.
    Absent {
        /// Why.
        reason: String,
        /// Whether that is a failure.
        required: bool,
    },
}

/// A backend that `make` opens.
pub fn ready(
    make: impl Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + Send + Sync + 'static,
) -> Candidate {
    Candidate::Ready(Arc::new(make))
}

/// Runs every case against every backend, and exits. A case whose need is not met, and a backend that is absent and not
/// required, are ignored with the reason.
pub fn main(backends: Vec<(String, Candidate)>, expected: Vec<ExpectedFailure>) {
    let suite = match Suite::new().and_then(|suite| suite.expecting(expected)) {
        Ok(suite) => Arc::new(suite),
        Err(error) => {
            eprintln!("the suite cannot start: {error}");
            std::process::exit(2);
        }
    };
    // Not to stdout, where `--list` is read by other programs.
    eprintln!("seed {SEED}");
    let mut trials = Vec::new();
    for (name, candidate) in backends {
        match candidate {
            Candidate::Ready(make) => {
                for case in &CASES {
                    let (suite, make, name) = (Arc::clone(&suite), Arc::clone(&make), name.clone());
                    let trial = format!("embedding::{name}::{}", case.name);
                    trials.push(Trial::ignorable_test(trial, move || {
                        match suite.run_case(case, &name, make.as_ref()).0 {
                            Outcome::Failed { message } => Err(Failed::from(message)),
                            Outcome::Skipped { reason } => Ok(Completion::ignored_with(reason)),
                            Outcome::Passed | Outcome::FailedAsExpected { .. } => {
                                Ok(Completion::Completed)
                            }
                        }
                    }));
                }
            }
            Candidate::Absent { reason, required } => {
                let trial = format!("embedding::{name}::all");
                trials.push(Trial::ignorable_test(trial, move || {
                    if required {
                        Err(Failed::from(format!("it cannot run here: {reason}")))
                    } else {
                        Ok(Completion::ignored_with(reason))
                    }
                }));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
