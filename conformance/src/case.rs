//! What a case is, and how it ends. A case without a need is mandatory; one with a need that is not met is skipped with the
//! reason.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::report::Outcome;

/// Why a case ends before it passes.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// What was found is not what is required.
    Failed(String),
    /// What the case needs is not there.
    Skipped(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// A failure that is known, with the reason; a pass is then a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedFailure {
    /// Name of the backend.
    pub backend: String,
    /// Name of the case.
    pub case: String,
    /// Why, with a link to where it is followed up.
    pub reason: String,
}

/// One requirement; `F` is the function that checks it.
pub struct Case<F> {
    /// Its name.
    pub name: &'static str,
    /// What is required, in a sentence.
    pub requirement: &'static str,
    /// What must be there besides the component, or what the component must be able to do; without it the case is
    /// skipped.
    pub needs: Option<&'static str>,
    pub(crate) run: F,
}

impl<F> Case<F> {
    pub(crate) const fn new(name: &'static str, requirement: &'static str, run: F) -> Self {
        Self {
            name,
            requirement,
            needs: None,
            run,
        }
    }
}

/// How a case ends whose function is `run`; a panic is a failure.
pub(crate) fn outcome(
    needs: Option<&'static str>,
    expected: Option<&ExpectedFailure>,
    run: impl FnOnce() -> Result<(), Stop>,
) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", text(panic.as_ref())).into()));
    match (result, expected, needs) {
        (Err(Stop::Skipped(why)), _, Some(needs)) => Outcome::Skipped {
            reason: format!("it needs {needs}: {why}"),
        },
        (Err(Stop::Failed(message) | Stop::Skipped(message)), None, _) => {
            Outcome::Failed { message }
        }
        (Err(_), Some(failure), _) => Outcome::FailedAsExpected {
            reason: failure.reason.clone(),
        },
        (Ok(()), None, _) => Outcome::Passed,
        (Ok(()), Some(failure), _) => Outcome::Failed {
            message: format!("it passed, but was expected to fail: {}", failure.reason),
        },
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

pub(crate) fn require(condition: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(message()) }
}
