//! The result as text, JSON and JUnit.

use std::collections::BTreeMap;
use std::fmt::Write;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::synthetic::SEED;
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

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TestedComponent {
    /// An embedding backend.
    Embedding,
    /// A drift transform.
    Transform,
    /// A sink.
    Sink,
}

impl TestedComponent {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Transform => "transform",
            Self::Sink => "sink",
        }
    }
}

/// The result for one component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentReport {
    /// What it is.
    pub kind: TestedComponent,
    /// Its name.
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
    #[serde(skip)]
    pub failures: Vec<Remark>,
    /// Cases that failed as is known.
    #[serde(skip)]
    pub expected_failures: Vec<Remark>,
    /// The worst differences of an embedding backend from the oracle.
    #[serde(flatten)]
    pub measured: Option<Difference>,
    /// Whether it was asked for, so that its absence is a failure.
    #[serde(skip)]
    wanted: bool,
    #[serde(skip)]
    results: Vec<CaseReport>,
}

impl ComponentReport {
    pub(crate) fn new(
        kind: TestedComponent,
        name: &str,
        results: Vec<CaseReport>,
        measured: Option<Difference>,
    ) -> Self {
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
            kind,
            name: name.to_owned(),
            cases: results.len(),
            passed: count("passed"),
            failed: count("failed"),
            skipped: remarks("skipped"),
            failures: remarks("failed"),
            expected_failures: remarks("failed as expected"),
            measured,
            wanted: true,
            results,
        }
    }

    /// What is reported of a backend that cannot run here: no case, and the reason. It is a failure where the backend
    /// is `wanted`.
    pub fn absent(name: &str, reason: &str, wanted: bool) -> Self {
        let mut report = Self::new(
            TestedComponent::Embedding,
            name,
            Vec::new(),
            Some(Difference::default()),
        );
        report.skipped.push(Remark {
            case: "all",
            reason: reason.to_owned(),
        });
        report.wanted = wanted;
        report
    }

    /// Whether nothing failed and something passed.
    pub fn is_conformant(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Whether it could not run here.
    pub fn is_absent(&self) -> bool {
        self.cases == 0
    }

    /// Whether the suite as a whole fails because of it.
    pub fn is_failure(&self) -> bool {
        !self.is_conformant() && (self.wanted || !self.is_absent())
    }

    /// Each case and how it ended.
    pub fn results(&self) -> &[CaseReport] {
        &self.results
    }
}

/// The result for every component.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// In the order they ran.
    pub components: Vec<ComponentReport>,
}

impl Report {
    /// Whether a component [is conformant](ComponentReport::is_conformant) and none
    /// [is a failure](ComponentReport::is_failure).
    pub fn is_conformant(&self) -> bool {
        self.components.iter().any(ComponentReport::is_conformant)
            && !self.components.iter().any(ComponentReport::is_failure)
    }

    /// The seed, and a few lines for each component.
    pub fn text(&self) -> String {
        let mut text = format!("seed {SEED}\n");
        for component in &self.components {
            if let Some(remark) = component.skipped.first().filter(|_| component.is_absent()) {
                let _ = writeln!(text, "{}: absent: {}", component.name, remark.reason);
                continue;
            }
            let _ = write!(
                text,
                "{}: {} of {} cases passed, {} failed, {} skipped",
                component.name,
                component.passed,
                component.cases,
                component.failed,
                component.skipped.len(),
            );
            if let Some(measured) = &component.measured {
                let _ = write!(
                    text,
                    "; from the oracle: max abs {:.2e}, relative L2 {:.2e}, 1 - cosine {:.1e}, norm ratio {:.8}",
                    measured.max_abs,
                    measured.relative_l2,
                    1.0 - measured.min_cosine,
                    measured.norm_ratio
                );
            }
            text.push('\n');
            let sorts = [
                ("failed", &component.failures),
                ("skipped", &component.skipped),
                ("failed as expected", &component.expected_failures),
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
        for component in &self.components {
            let mut suite =
                TestSuite::new(format!("{}::{}", component.kind.name(), component.name));
            for result in &component.results {
                let mut case = TestCase::new(result.case, TestCaseStatus::success());
                match &result.outcome {
                    Outcome::Passed => {}
                    Outcome::Failed { message } => case.status = failure(message),
                    Outcome::Skipped { reason } => case.status = skip(reason),
                    Outcome::FailedAsExpected { reason } => {
                        case.set_system_out(format!("failed as expected: {reason}"));
                    }
                }
                suite.add_test_case(case);
            }
            if let Some(remark) = component.skipped.first().filter(|_| component.is_absent()) {
                let status = if component.is_failure() {
                    failure(&remark.reason)
                } else {
                    skip(&remark.reason)
                };
                suite.add_test_case(TestCase::new(remark.case, status));
            }
            report.add_test_suite(suite);
        }
        report.to_string()
    }
}

fn failure(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status
}

fn skip(reason: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(reason);
    status
}

/// Counts of outcomes, by name.
fn tally(cases: &[CaseReport]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for case in cases {
        *counts.entry(case.outcome.name()).or_default() += 1;
    }
    counts
}
