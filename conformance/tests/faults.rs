//! The suite can fail: the oracle passes as a backend, and every planted fault is caught by the case meant for it.

use driftline_conformance::fault::{Fault, OracleBackend};
use driftline_conformance::{ExpectedFailure, Outcome, Report, Suite};

#[test]
fn the_oracle_passes_and_every_planted_fault_is_caught_by_name() {
    // Where the real weights are at hand: the oracle as a backend reads synthetic models only.
    let suite = Suite::new().unwrap().expecting(vec![ExpectedFailure {
        backend: "oracle".to_owned(),
        case: "pytorch_golden".to_owned(),
        reason: "it reads synthetic models only".to_owned(),
    }]);
    let clean = suite.run("oracle", &|config| {
        Ok(Box::new(OracleBackend::open(config, None)?))
    });
    assert!(clean.is_conformant(), "{:?}", clean.failures);
    for (fault, case) in Fault::ALL {
        let report = suite.run("oracle", &|config| {
            Ok(Box::new(OracleBackend::open(config, Some(fault))?))
        });
        let caught: Vec<_> = report.failures.iter().map(|failure| failure.case).collect();
        println!("{fault:?}: {caught:?}");
        assert!(
            caught.contains(&case),
            "{fault:?} was not caught by {case}, only by {caught:?}"
        );
    }
}

#[test]
fn an_expected_failure_is_no_failure_and_an_unexpected_pass_is_one() {
    let expect = |case: &str| {
        vec![ExpectedFailure {
            backend: "relu".to_owned(),
            case: case.to_owned(),
            reason: "takes the wrong layer".to_owned(),
        }]
    };
    let make: &driftline_conformance::suite::Make<'_> = &|config| {
        Ok(Box::new(OracleBackend::open(
            config,
            Some(Fault::ReluApplied),
        )?))
    };
    let case = |name: &str| {
        let mut cases = driftline_conformance::case::CASES.into_iter();
        cases.find(|case| case.name == name).unwrap()
    };
    let suite = Suite::new().unwrap().expecting(expect("oracle_width_8"));
    let (outcome, _) = suite.run_case(&case("oracle_width_8"), "relu", make);
    assert!(
        matches!(outcome, Outcome::FailedAsExpected { .. }),
        "{outcome:?}"
    );
    let suite = Suite::new().unwrap().expecting(expect("empty_batch"));
    let (outcome, _) = suite.run_case(&case("empty_batch"), "relu", make);
    assert!(
        matches!(&outcome, Outcome::Failed { message } if message.contains("it passed")),
        "{outcome:?}"
    );
}

#[test]
fn a_panic_is_a_failure_and_a_backend_that_does_not_open_is_not_conformant() {
    let suite = Suite::new().unwrap();
    let panics = suite.run("panics", &|_| panic!("on purpose"));
    assert_eq!(panics.passed, 0);
    assert!(!panics.is_conformant());
    assert!(
        panics.failures[0].reason.contains("on purpose"),
        "{:?}",
        panics.failures[0]
    );
    let report = Report {
        backends: vec![panics],
    };
    let junit = report.junit().unwrap();
    assert!(
        junit.contains("embedding::panics") && junit.contains("on purpose"),
        "{junit}"
    );
    let json = serde_json::to_value(&report).unwrap();
    let backend = &json["backends"][0];
    for key in [
        "name",
        "cases",
        "passed",
        "failed",
        "skipped",
        "max_abs",
        "relative_l2",
        "min_cosine",
    ] {
        assert!(!backend[key].is_null(), "no {key} in {backend}");
    }
    assert!(!Report::default().is_conformant(), "no backend at all");
}
