//! The result as text, JSON and JUnit.

use std::fmt::Write;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::suite::tally;
use crate::tolerance::Difference;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// As required.
    Passed,
    /// Not as required.
    Failed {
        /// What was found.
        message: String,
    },
    /// Not run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// Failed, as is known.
    FailedAsExpected {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// In one word or a few.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::FailedAsExpected { .. } => "failed as expected",
        }
    }
}

/// A case and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseReport {
    /// Name of the case.
    pub case: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// A case and a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remark {
    /// Name of the case.
    pub case: &'static str,
    /// The sentence.
    pub reason: String,
}

/// The result for one backend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendReport {
    /// Name of the backend.
    pub name: String,
    /// Cases there are.
    pub cases: usize,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that were not run, with the reason.
    pub skipped: Vec<Remark>,
    /// Cases that failed, with what was found.
    pub failures: Vec<Remark>,
    /// Cases that failed as is known.
    pub expected_failures: Vec<Remark>,
    /// The worst differences from the oracle.
    #[serde(flatten)]
    pub measured: Difference,
    #[serde(skip)]
    results: Vec<CaseReport>,
}

impl BackendReport {
    pub(crate) fn new(name: &str, results: Vec<CaseReport>, measured: Difference) -> Self {
        let counts = tally(&results);
        let count = |name: &str| counts.get(name).copied().unwrap_or_default();
        let remarks = |wanted: &str| {
            let of = results
                .iter()
                .filter(|result| result.outcome.name() == wanted);
            of.filter_map(|result| match &result.outcome {
                Outcome::Passed => None,
                Outcome::Failed { message: reason }
                | Outcome::Skipped { reason }
                | Outcome::FailedAsExpected { reason } => Some(Remark {
                    case: result.case,
                    reason: reason.clone(),
                }),
            })
            .collect()
        };
        Self {
            name: name.to_owned(),
            cases: results.len(),
            passed: count("passed"),
            failed: count("failed"),
            skipped: remarks("skipped"),
            failures: remarks("failed"),
            expected_failures: remarks("failed as expected"),
            measured,
            results,
        }
    }

    /// Whether nothing failed and something passed.
    pub fn is_conformant(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Each case and how it ended.
    pub fn results(&self) -> &[CaseReport] {
        &self.results
    }
}

/// The result for every backend.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// In the order they ran.
    pub backends: Vec<BackendReport>,
}

impl Report {
    /// Whether there is a backend and each [is conformant](BackendReport::is_conformant).
    pub fn is_conformant(&self) -> bool {
        !self.backends.is_empty() && self.backends.iter().all(BackendReport::is_conformant)
    }

    /// A few lines for each backend.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for backend in &self.backends {
            let measured = &backend.measured;
            let _ = writeln!(
                text,
                "{}: {} of {} cases passed, {} failed, {} skipped; from the oracle: max abs {:.2e}, relative L2 {:.2e}, \
                 cosine {:.10}, norm ratio {:.8}",
                backend.name,
                backend.passed,
                backend.cases,
                backend.failed,
                backend.skipped.len(),
                measured.max_abs,
                measured.relative_l2,
                measured.min_cosine,
                measured.norm_ratio
            );
            let sorts = [
                ("failed", &backend.failures),
                ("skipped", &backend.skipped),
                ("failed as expected", &backend.expected_failures),
            ];
            for (sort, remarks) in sorts {
                for remark in remarks {
                    let _ = writeln!(text, "  {sort}: {}: {}", remark.case, remark.reason);
                }
            }
        }
        text
    }

    /// JUnit XML.
    ///
    /// # Errors
    /// The XML cannot be written; never for the text that cases make.
    pub fn junit(&self) -> Result<String, quick_junit::SerializeError> {
        let mut report = quick_junit::Report::new("driftline-conformance");
        for backend in &self.backends {
            let mut suite = TestSuite::new(format!("embedding::{}", backend.name));
            for result in &backend.results {
                let status = match &result.outcome {
                    Outcome::Passed | Outcome::FailedAsExpected { .. } => TestCaseStatus::success(),
                    Outcome::Failed { message } => {
                        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                        status.set_message(message.as_str());
                        status
                    }
                    Outcome::Skipped { reason } => {
                        let mut status = TestCaseStatus::skipped();
                        status.set_message(reason.as_str());
                        status
                    }
                };
                suite.add_test_case(TestCase::new(result.case, status));
            }
            report.add_test_suite(suite);
        }
        report.to_string()
    }
}
