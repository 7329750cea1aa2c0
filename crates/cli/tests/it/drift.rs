//! Baselines, verdicts, power and calibration, as a user meets them.

use crate::common::Workspace;
use driftline::data::{Split, sample};
use serde_json::Value;

/// A workspace with rows of clean and of dark images.
fn embedded() -> Workspace {
    let workspace = Workspace::new();
    workspace.small_run();
    for (source, rows, transform) in [
        ("train", "baseline.parquet", "none"),
        ("test", "same.parquet", "none"),
        ("test", "dark.parquet", "brightness(0.5)"),
    ] {
        workspace.json(&["embed", source, "-o", rows, "--transform", transform]);
    }
    workspace
}

fn drift(workspace: &Workspace, flags: &[&str]) -> (Option<i32>, Value, String) {
    let output = workspace.run(["drift", "--json"].iter().chain(flags));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), report, text)
}

#[test]
fn a_compiled_baseline_says_what_its_rows_say() {
    let workspace = embedded();
    let compiled = workspace.json(&["baseline", "baseline.parquet", "-o", "compiled.parquet"]);
    assert_eq!(
        (&compiled["rows"], &compiled["kept"]),
        (&300.into(), &300.into())
    );
    for (window, verdict) in [("same.parquet", "none"), ("dark.parquet", "drift")] {
        let of =
            |baseline: &str| drift(&workspace, &["--baseline", baseline, "--window", window]).1;
        let (rows, mut compiled) = (of("baseline.parquet"), of("compiled.parquet"));
        assert!(compiled["baseline"]["calibration"].is_object());
        compiled["baseline"]["calibration"] = Value::Null;
        assert_eq!(rows, compiled);
        assert_eq!(rows["verdict"], verdict, "{rows:#}");
        for (name, told) in rows["statistics"].as_object().unwrap() {
            for key in [
                "value",
                "expected",
                "effect",
                "p_value",
                "minimum_detectable_effect",
            ] {
                assert!(told[key].as_f64().is_some(), "{name}: {told}");
            }
        }
    }
}

#[test]
fn a_baseline_says_what_its_own_clean_windows_give() {
    let workspace = Workspace::new();
    // Every scene of the second folder is in eight frames.
    for (folder, images, frames) in [("mixed", 600, 1), ("video", 800, 8)] {
        let folder = workspace.path(folder).join("cat");
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..images {
            let (_, pixels) = sample::scene(Split::Train, image / frames);
            let file = folder.join(format!("{image:05}.png"));
            image::save_buffer(file, &pixels, 32, 32, image::ColorType::Rgb8).unwrap();
        }
    }
    workspace.json(&["embed", "mixed", "-o", "mixed.parquet"]);
    workspace.json(&["embed", "video", "-o", "video.parquet"]);
    let compile = |rows: &str, flags: &[&str]| {
        let report =
            workspace.json(&[&["baseline", rows, "-o", "compiled.parquet"], flags].concat());
        let rate = report["calibration"]["check"]["rate"].as_f64();
        (report["block"].as_u64().unwrap(), rate, report)
    };
    let (block, rate, report) = compile("mixed.parquet", &["--block", "auto"]);
    assert_eq!(block, 1);
    // 5 % are promised: 15 % of 200 windows are 6 standard errors above.
    assert!(rate.unwrap() < 0.15, "{report:#}");
    assert_eq!(report["warnings"].as_array().unwrap().len(), 0);

    let (block, rate, report) = compile("video.parquet", &[]);
    assert!(block == 1 && rate.unwrap() > 0.5, "{report:#}");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("`--block auto`"), "{warning}");
    let (block, rate, report) = compile("video.parquet", &["--block", "auto"]);
    assert!((7..=9).contains(&block), "{report:#}");
    assert!(rate.unwrap() < 0.15, "{report:#}");

    let window = [
        "--baseline",
        "compiled.parquet",
        "--window",
        "video.parquet",
    ];
    let output = workspace.run(["drift"].iter().chain(&window));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("800 window rows in blocks of {block}: no drift")),
        "{text}"
    );
    assert!(text.contains("baseline's clean windows of "), "{text}");

    let kept = compile("mixed.parquet", &["--calibrate", "0"]).2;
    assert_eq!(kept["calibration"], Value::Null);
    let flags = ["baseline", "mixed.parquet", "-o", "x", "--block", "0"];
    workspace.fails(&flags, 2, &["above 0, or `auto`"]);
}

#[test]
fn drift_is_told_in_words_and_ends_with_3_where_that_is_asked() {
    let workspace = embedded();
    let files = ["--baseline", "baseline.parquet", "--window", "dark.parquet"];
    let (code, report, _) = drift(&workspace, &files);
    assert_eq!(code, Some(0));
    let words = report["explanation"]["changes"].to_string();
    assert!(words.contains("brightness -"), "{words}");
    assert_eq!(
        report["explanation"]["exemplars"].as_array().unwrap().len(),
        5
    );
    let (code, ..) = drift(&workspace, &[&files[..], &["--fail-on-drift"]].concat());
    assert_eq!(code, Some(3));
    let output = workspace.run(["drift"].iter().chain(&files));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("drift (p ") && text.contains("what changed: "),
        "{text}"
    );
}

#[test]
fn rows_of_another_precision_or_model_are_refused() {
    let workspace = embedded();
    let other = workspace.run([
        "embed",
        "test",
        "-o",
        "other.parquet",
        "--precision",
        "bf16",
    ]);
    // Where the processor has no bf16 there is nothing to refuse.
    if !other.status.success() {
        return;
    }
    let files = [
        "--baseline",
        "baseline.parquet",
        "--window",
        "other.parquet",
    ];
    let (code, _, error) = drift(&workspace, &files);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("precision fp32") && error.contains("bf16"),
        "{error}"
    );
}

#[test]
fn power_and_calibration_are_measured_on_ones_own_data() {
    let workspace = embedded();
    let power = workspace.json(&[
        "power",
        "test",
        "--transform",
        "brightness",
        "--sweep",
        "factor=0.4..1",
        "--steps",
        "2",
        "--window-rows",
        "10,50",
        "--windows",
        "20",
    ]);
    let strengths = power["strengths"].as_array().unwrap();
    let share = |strength: usize, size: usize| {
        strengths[strength]["power"][size]["power"]
            .as_f64()
            .unwrap()
    };
    assert!(share(0, 1) >= 0.9, "{power:#}");
    assert!(share(1, 0) <= 0.3 && share(1, 1) <= 0.3, "{power:#}");
    assert_eq!(strengths[1]["rows_needed"], Value::Null);
    let calibration = workspace.json(&[
        "calibrate",
        "baseline.parquet",
        "--baseline-rows",
        "200",
        "--window-rows",
        "20,60",
        "--windows",
        "100",
    ]);
    for size in calibration.as_array().unwrap() {
        let rate = size["check"]["rate"].as_f64().unwrap();
        // 5 in 100 at most are expected; 15 have a probability of 1e-4.
        assert!(rate <= 0.15, "{size:#}");
        assert_eq!(size["alpha"], 0.05);
    }
}

#[test]
fn wrong_flags_are_named() {
    let workspace = embedded();
    let files = ["--baseline", "baseline.parquet", "--window", "same.parquet"];
    for (flags, named) in [
        (
            &["--alpha", "2"][..],
            "`2` is not a valid false-alarm rate; give `--alpha`",
        ),
        (&["--statistic", "nonsense"], "available: hotelling"),
        (&["--fail-above", "jsd=x"], "--fail-above jsd=x"),
    ] {
        let (code, _, error) = drift(&workspace, &[&files[..], flags].concat());
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(named), "{error}");
    }
    for (flags, named) in [
        (
            ["--transform", "blur", "--sweep", "sigma"],
            "'--sweep <PARAMETER=LOW..HIGH>': `sigma` is not a parameter and a range",
        ),
        (
            ["--transform", "nonsense", "--sweep", "sigma=1..2"],
            "nonsense",
        ),
    ] {
        let output = workspace.run(["power", "test"].iter().chain(&flags));
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(named), "{error}");
    }
    let output = workspace.run(["calibrate", "same.parquet"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("bring more rows"), "{error}");
}
