//! The first command, and the lists beside it.

use crate::common::{NOW, Workspace, stderr};
use serde_json::Value;

/// The keys of `value`, nested ones as `a.b`, those of the first element of an array as `a[].b`.
fn keys(value: &Value, prefix: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                found.push(name.clone());
                keys(value, &name, found);
            }
        }
        Value::Array(values) => {
            if let Some(first) = values.first() {
                keys(first, &format!("{prefix}[]"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_first_week_shows_no_drift_and_the_others_do() {
    let workspace = Workspace::new();
    let summary = workspace.json(&["quickstart", "--now", NOW]);
    let mut found = Vec::new();
    keys(&summary, "", &mut found);
    for key in [
        "run_id",
        "driftline",
        "backend.name",
        "backend.engine",
        "backend.device",
        "backend.precision",
        "backend.threads",
        "model.name",
        "model.sha256",
        "model.dim",
        "model.classes",
        "baseline.rows",
        "baseline.accuracy",
        "windows[].name",
        "windows[].transform",
        "windows[].rows",
        "windows[].accuracy",
        "windows[].published",
        "windows[].statistics.jsd",
        "windows[].statistics.psi",
        "windows[].bins[].start",
        "windows[].bins[].rows",
        "windows[].bins[].jsd",
        "windows[].bins[].psi",
        "sink.name",
        "sink.location",
        "sink.rows_published",
        "sink.rows_duplicate",
        "timing.total_seconds",
        "timing.embed_seconds",
        "timing.images",
        "timing.images_per_second",
        "peak_memory_bytes",
        "skipped_images",
        "report",
    ] {
        assert!(
            found.iter().any(|name| name == key),
            "no {key} in {found:?}"
        );
    }
    assert_eq!(summary["baseline"]["rows"], 10_000);
    assert!(summary["baseline"]["accuracy"].as_f64().unwrap() > 0.9);
    let windows = summary["windows"].as_array().unwrap();
    let drifted: Vec<_> = windows.iter().map(|window| &window["drifted"]).collect();
    assert_eq!(drifted, [false, true, true]);
    let accuracy = |i: usize| windows[i]["accuracy"].as_f64().unwrap();
    assert!(
        accuracy(0) > 0.9 && accuracy(1) < 0.8 && accuracy(2) < 0.8,
        "{windows:?}"
    );
    for window in windows {
        assert_eq!(window["published"], 6000);
        assert_eq!(window["bins"].as_array().unwrap().len(), 6);
    }
    // Three weeks of six days; the last begins a week before the given moment.
    assert_eq!(windows[2]["bins"][0]["start"], "2026-11-17T00:00:00Z");
    assert_eq!(windows[0]["bins"][0]["start"], "2026-11-03T00:00:00Z");
    assert_eq!(
        workspace.rows("driftline-store", "sample-resnet18").len(),
        28_000
    );
    let page = std::fs::read_to_string(workspace.path("driftline-store/report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("week-3"));
}

#[test]
fn a_run_prints_its_tables_and_its_progress() {
    let workspace = Workspace::new();
    workspace.small_run();
    let output = workspace.run(["run", "--now", NOW]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for part in [
        "october",
        "november",
        "brightness(factor=0.4..0.6)",
        "noise floor",
        "400 events new",
        "report",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(stderr(&output).contains("baseline"), "{}", stderr(&output));
    let quiet = workspace.run(["run", "--now", NOW, "--quiet"]);
    assert_eq!(stderr(&quiet), "");
}

#[test]
fn the_lists_name_what_is_built_in() {
    let workspace = Workspace::new();
    for (list, names) in [
        ("backends", &["candle", "onnx", "tch"][..]),
        ("transforms", &["gaussian_blur", "brightness"]),
        ("sinks", &["local", "fiddler"]),
        (
            "statistics",
            &[
                "hotelling",
                "properties",
                "predictions",
                "mmd",
                "outliers",
                "components",
                "scores",
                "exact-mmd",
                "energy",
                "wasserstein",
                "centroid",
                "cosine",
                "frechet",
                "classifier",
                "logistic",
                "reconstruction",
                "jsd",
                "psi",
                "kl",
                "hellinger",
                "total-variation",
            ],
        ),
    ] {
        let entries = workspace.json(&[list]);
        let found: Vec<_> = entries
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["name"])
            .collect();
        assert_eq!(found, names);
    }
    let doctor = workspace.json(&["doctor"]);
    assert_eq!(doctor["driftline"], env!("CARGO_PKG_VERSION"));
    let bash = workspace.run(["completions", "bash"]);
    assert!(
        String::from_utf8(bash.stdout)
            .unwrap()
            .contains("quickstart")
    );
}

#[test]
fn embed_and_drift_are_the_two_halves_of_a_run() {
    let workspace = Workspace::new();
    workspace.small_run();
    for (source, rows, transform) in [
        ("train", "baseline.parquet", "none"),
        ("test", "same.parquet", "none"),
        ("test", "dark.parquet", "brightness(0.2)"),
    ] {
        let report = workspace.json(&["embed", source, "-o", rows, "--transform", transform]);
        assert_eq!(report["rows"], if source == "train" { 300 } else { 200 });
    }
    let drift = |window: &str, limit: &str| {
        let output = workspace.run([
            "drift",
            "--baseline",
            "baseline.parquet",
            "--window",
            window,
            "--fail-above",
            limit,
            "--json",
        ]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (code, same) = drift("same.parquet", "jsd=0.2");
    assert_eq!(code, Some(0), "{same}");
    assert_eq!(same["baseline"]["rows"], 300);
    assert_eq!(same["window"]["rows"], 200);
    assert_eq!(same["statistics"]["jsd"]["threshold"], 0.2);
    for statistic in ["jsd", "psi"] {
        let [same_p, expected] =
            ["p_value", "expected"].map(|key| same["statistics"][statistic][key].as_f64().unwrap());
        assert!(same_p > 0.001, "{same}");
        assert!(expected > 0.0 && expected < 0.2, "{same}");
    }
    let (code, dark) = drift("dark.parquet", "jsd=0.2");
    assert_eq!(code, Some(3), "{dark}");
    assert_eq!(dark["statistics"]["jsd"]["drifted"], true);
    assert_eq!(dark["statistics"]["jsd"]["p_value"], 0.001);
    assert_eq!(dark["statistics"]["psi"]["p_value"], 0.001);
}
