//! The cases as trials of libtest-mimic.

use std::sync::Arc;

use driftline_core::{BackendConfig, EmbeddingBackend, Result};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::case::CASES;
use crate::{Outcome, Suite};

/// A constructor that trials share.
pub type Make = Arc<dyn Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + Send + Sync>;

/// Shares `make`.
pub fn make(
    make: impl Fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>> + Send + Sync + 'static,
) -> Make {
    Arc::new(make)
}

/// Runs every case against every backend, and exits.
pub fn main(backends: Vec<(&'static str, Make)>) {
    let suite = match Suite::new() {
        Ok(suite) => Arc::new(suite),
        Err(error) => {
            eprintln!("the suite cannot start: {error}");
            std::process::exit(2);
        }
    };
    let mut trials = Vec::new();
    for (name, make) in backends {
        for case in &CASES {
            let (suite, make) = (Arc::clone(&suite), Arc::clone(&make));
            let skip = case.skip();
            let trial = Trial::test(
                format!("embedding::{name}::{}", case.name),
                move || match suite.run_case(case, name, make.as_ref()).0 {
                    Outcome::Failed { message } => Err(Failed::from(message)),
                    _ => Ok(()),
                },
            );
            if let Some(reason) = &skip {
                println!("skipped: {}: {reason}", case.name);
            }
            trials.push(trial.with_ignored_flag(skip.is_some()));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
