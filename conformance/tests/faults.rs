//! The suite can fail: the oracle passes as a backend, and every planted fault is caught by the case meant for it.

use driftline_conformance::fault::{Fault, OracleBackend};
use driftline_conformance::oracle;
use driftline_conformance::synthetic::{DIM, SyntheticModel, images};
use driftline_conformance::tolerance::{BF16, EXACT, FP32, TF32};
use driftline_conformance::{ExpectedFailure, Outcome, Report, Suite};
use driftline_core::ImageShape;

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
    let keys: Vec<_> = backend.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "cases",
            "failed",
            "max_abs",
            "min_cosine",
            "name",
            "passed",
            "relative_l2",
            "skipped"
        ]
    );
    assert_eq!(backend["failed"], backend["cases"]);
}

#[test]
fn a_backend_that_cannot_run_is_reported_with_the_reason_and_proves_nothing() {
    let suite = Suite::new().unwrap();
    let absent = suite.skip("absent", "no library");
    assert!(absent.is_skipped() && !absent.is_conformant());
    let report = Report {
        backends: vec![absent],
    };
    assert!(!report.is_conformant(), "nothing was run");
    assert!(report.text().contains("absent: not run: no library"));
    let junit = report.junit().unwrap();
    assert!(junit.contains("skipped=\"20\"") && junit.contains("no library"));
    assert!(!Report::default().is_conformant(), "no backend at all");
}

#[test]
fn rounded_products_are_within_the_class_of_their_bits_and_in_no_finer_one() {
    let shape = ImageShape {
        height: 40,
        width: 24,
    };
    let model = SyntheticModel::new(16, shape);
    let images = images(shape, 0, 16, 1.0);
    let answers = oracle::run(&model, &images, None);
    for (bits, class, finer) in [(23, FP32, EXACT), (10, TF32, FP32), (7, BF16, TF32)] {
        let rounded = oracle::run(&model, &images, Some(Fault::Rounding(bits)));
        let found: Vec<f32> = rounded
            .iter()
            .flat_map(|answer| answer.embedding.iter().map(|value| *value as f32))
            .collect();
        let expected = |row: usize| answers[row].embedding.as_slice();
        let measured = class.compare(&found, DIM, expected).unwrap();
        println!("{}: {measured:?}", class.name);
        assert!(
            finer.compare(&found, DIM, expected).is_err(),
            "{bits} bits are {}",
            finer.name
        );
    }
}
