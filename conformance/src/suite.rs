//! Runs the cases against a backend.

use driftline_core::{Error, ErrorKind, Result};

use crate::case::{self, ExpectedFailure};
use crate::cases::{CASES, EmbeddingCase};
use crate::context::{BackendContext, MakeBackend, Subjects};
use crate::report::{CaseReport, ComponentReport, Outcome, TestedComponent};
use crate::tolerance::Difference;

/// The cases for embedding backends, with all that they need.
pub struct Suite {
    subjects: Subjects,
    expected_failures: Vec<ExpectedFailure>,
}

impl Suite {
    /// Writes the synthetic models into a temporary folder.
    pub fn new() -> Result<Self> {
        Ok(Self {
            subjects: Subjects::new()?,
            expected_failures: Vec::new(),
        })
    }

    /// Has these fail without failing the suite.
    ///
    /// # Errors
    /// `InvalidConfig` for a case that there is not.
    pub fn expecting(mut self, failures: Vec<ExpectedFailure>) -> Result<Self> {
        for failure in &failures {
            if CASES.iter().all(|case| case.name != failure.case) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "expect failures",
                    format!("there is no case `{}`", failure.case),
                ));
            }
        }
        self.expected_failures = failures;
        Ok(self)
    }

    /// Runs every case against the backend `name` that `make` opens; `started` is told the name of each case before it
    /// runs.
    pub fn run(
        &self,
        name: &str,
        make: &MakeBackend<'_>,
        started: &dyn Fn(&'static str),
    ) -> ComponentReport {
        let mut measured = Difference::default();
        let cases = CASES
            .iter()
            .map(|case| {
                started(case.name);
                let (outcome, difference) = self.run_case(case, name, make);
                measured = measured.worst(difference);
                CaseReport {
                    case: case.name,
                    outcome,
                }
            })
            .collect();
        ComponentReport::new(TestedComponent::Embedding, name, cases, Some(measured))
    }

    /// Runs one case; a panic in the backend is a failure.
    pub fn run_case(
        &self,
        case: &EmbeddingCase,
        name: &str,
        make: &MakeBackend<'_>,
    ) -> (Outcome, Difference) {
        let mut context = BackendContext::new(&self.subjects, make);
        let expected = self
            .expected_failures
            .iter()
            .find(|failure| failure.backend == name && failure.case == case.name);
        let outcome = case::outcome(case.needs, expected, || (case.run)(&mut context));
        (outcome, context.measured())
    }
}
