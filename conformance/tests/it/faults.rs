//! The suite can fail: the oracle passes as a backend, and every planted fault is caught by the case meant for it.

use driftline_conformance::OracleBackend;
use driftline_conformance::cases::CASES;
use driftline_conformance::fault::Fault;
use driftline_conformance::oracle;
use driftline_conformance::synthetic::{CLASSES, DIM, SyntheticModel, images};
use driftline_conformance::tolerance::{EXACT, FP32, TF32};
use driftline_conformance::{ComponentReport, ExpectedFailure, Outcome, Report, Suite};
use driftline_core::{ImageShape, Precision};

/// Where the real weights are at hand: the oracle as a backend reads synthetic models only.
fn suite() -> Suite {
    let golden = ExpectedFailure {
        backend: "oracle".to_owned(),
        case: "pytorch_golden".to_owned(),
        reason: "it reads synthetic models only".to_owned(),
    };
    Suite::new()
        .and_then(|suite| suite.expecting(vec![golden]))
        .expect("the case is there")
}

#[test]
fn the_oracle_passes_and_every_planted_fault_is_caught_by_name() {
    let suite = suite();
    let clean = suite.run(
        "oracle",
        &|config| Ok(Box::new(OracleBackend::open(config, None)?)),
        &|_| {},
    );
    assert!(clean.is_conformant(), "{:?}", clean.failures);
    for (fault, name) in Fault::ALL {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let (outcome, _) = suite.run_case(case, "oracle", &|config| {
            Ok(Box::new(OracleBackend::open(config, Some(fault))?))
        });
        println!("{fault:?}: {name}: {outcome:?}");
        assert!(
            matches!(outcome, Outcome::Failed { .. }),
            "{fault:?} was not caught by {name}: {outcome:?}"
        );
    }
}

#[test]
fn noise_of_tf32_passes_where_tf32_is_declared() {
    let suite = Suite::new().unwrap();
    for name in [
        "oracle_width_8",
        "oracle_width_16_not_square",
        "extremes",
        "drift_is_the_same",
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let (outcome, measured) = suite.run_case(case, "oracle", &|config| {
            let backend = OracleBackend::open(config, Some(Fault::Rounding(10)))?;
            Ok(Box::new(backend.declaring(Precision::Tf32)))
        });
        assert_eq!(outcome, Outcome::Passed, "{name}: {measured:?}");
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
    let make: &driftline_conformance::MakeBackend<'_> = &|config| {
        Ok(Box::new(OracleBackend::open(
            config,
            Some(Fault::ReluApplied),
        )?))
    };
    let case = |name: &str| CASES.iter().find(|case| case.name == name).unwrap();
    assert!(Suite::new().unwrap().expecting(expect("no_such")).is_err());
    let suite = Suite::new()
        .unwrap()
        .expecting(expect("oracle_width_8"))
        .unwrap();
    let (outcome, _) = suite.run_case(case("oracle_width_8"), "relu", make);
    assert!(
        matches!(outcome, Outcome::FailedAsExpected { .. }),
        "{outcome:?}"
    );
    let suite = Suite::new()
        .unwrap()
        .expecting(expect("empty_batch"))
        .unwrap();
    let (outcome, _) = suite.run_case(case("empty_batch"), "relu", make);
    assert!(
        matches!(&outcome, Outcome::Failed { message } if message.contains("it passed")),
        "{outcome:?}"
    );
}

#[test]
fn a_panic_is_a_failure_and_a_backend_that_does_not_open_is_not_conformant() {
    let suite = Suite::new().unwrap();
    let panics = suite.run("panics", &|_| panic!("on purpose"), &|_| {});
    assert_eq!(panics.passed, 0);
    assert!(!panics.is_conformant());
    assert!(
        panics.failures[0].reason.contains("on purpose"),
        "{:?}",
        panics.failures[0]
    );
    let report = Report {
        components: vec![panics],
    };
    let junit = report.junit().unwrap();
    assert!(
        junit.contains("embedding::panics") && junit.contains("on purpose"),
        "{junit}"
    );
    let json = serde_json::json!({"backends": report.components});
    let backend = &json["backends"][0];
    let keys: Vec<_> = backend.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "cases",
            "failed",
            "kind",
            "max_abs",
            "min_cosine",
            "name",
            "passed",
            "relative_l2",
            "skipped"
        ]
    );
    // Every case but one that needs data of another place.
    let skipped = backend["skipped"].as_array().unwrap().len() as u64;
    let failed = backend["failed"].as_u64().unwrap();
    assert_eq!(Some(failed + skipped), backend["cases"].as_u64());
    assert!(skipped <= 1);
}

#[test]
fn an_absent_backend_is_reported_with_the_reason_and_fails_only_where_it_is_wanted() {
    let suite = suite();
    let of = |components| Report { components };
    let absent = |wanted| ComponentReport::absent("absent", "no library", wanted);
    assert!(!of(vec![absent(false)]).is_conformant(), "nothing was run");
    assert!(!Report::default().is_conformant(), "no backend at all");
    let open: &driftline_conformance::MakeBackend<'_> =
        &|config| Ok(Box::new(OracleBackend::open(config, None)?));
    let passes = suite.run("oracle", open, &|_| {});
    assert!(of(vec![passes.clone(), absent(false)]).is_conformant());
    let wanted = of(vec![passes, absent(true)]);
    assert!(!wanted.is_conformant());
    assert!(
        wanted
            .junit()
            .unwrap()
            .contains("<failure message=\"no library\"")
    );
    let report = of(vec![absent(false)]);
    assert!(report.text().contains("absent: absent: no library"));
    assert!(
        report
            .junit()
            .unwrap()
            .contains("<skipped message=\"no library\"")
    );
    let json = serde_json::json!({"backends": report.components});
    let backend = &json["backends"][0];
    assert_eq!(backend["cases"], 0);
    let skipped = serde_json::json!([{"case": "all", "reason": "no library"}]);
    assert_eq!(backend["skipped"], skipped);
}

#[test]
fn rounded_products_are_within_the_class_of_their_bits_and_in_no_finer_one() {
    for (base_width, height, width) in [(8, 32, 32), (16, 40, 24)] {
        let shape = ImageShape { height, width };
        let model = SyntheticModel::new(base_width, shape);
        let images = images(shape, 0, 64, 1.0);
        let answers = oracle::run(&model, &images, None);
        for (bits, class, finer) in [(23, FP32, EXACT), (10, TF32, FP32.embeddings)] {
            let rounded = oracle::run(&model, &images, Some(Fault::Rounding(bits)));
            let found: Vec<f32> = rounded
                .iter()
                .flat_map(|answer| answer.embedding.iter().map(|value| *value as f32))
                .collect();
            let expected = |row: usize| answers[row].embedding.as_slice();
            let measured = class.embeddings.compare(&found, DIM, expected).unwrap();
            let scores: Vec<f32> = rounded
                .iter()
                .flat_map(|answer| answer.scores.iter().map(|value| *value as f32))
                .collect();
            let of_scores = |row: usize| answers[row].scores.as_slice();
            class.scores.compare(&scores, CLASSES, of_scores).unwrap();
            println!("{}: {measured:?}", class.name);
            assert!(
                finer.compare(&found, DIM, expected).is_err(),
                "{bits} bits are within {finer:?}"
            );
        }
    }
}
