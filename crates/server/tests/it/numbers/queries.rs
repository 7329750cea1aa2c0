//! The query routes.

use serde_json::{Value, json};

use super::api::{Api, close};
use super::store::{BASELINE, DAY_MS, DRIFTED, FEATURE, JSD, PSI, START_MS};
use super::store::{publish_day, with_baseline};

/// Two days: one drifted, one as the baseline, ten times.
fn start(store: &std::path::Path) -> Api {
    let mut sink = with_baseline(store);
    publish_day(&mut sink, 0, &DRIFTED);
    publish_day(&mut sink, 1, &BASELINE.map(|count| 10 * count));
    Api::start(store)
}

#[test]
fn drift_is_read_back_by_day_whatever_the_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let drift = |metric: &str, baseline: &Value| {
        let query = json!({"metric": metric, "columns": [FEATURE], "baseline_id": baseline});
        api.query(query)
    };
    let answer = drift("jsd", &Value::Null);
    assert_eq!(answer["col_names"], json!(["timestamp", FEATURE]));
    assert_eq!(answer["data"][0][0], "2024-01-01T00:00:00+00:00");
    assert_eq!(answer["data"][1][0], "2024-01-02T00:00:00+00:00");
    close(&answer["data"][0][1], JSD);
    assert!(answer["data"][1][1].as_f64().unwrap() < 1e-7);
    close(&drift("psi", &Value::Null)["data"][0][1], PSI);

    let static_baseline = api.baseline(
        "second day",
        json!({
            "type": "STATIC",
            "start_time": (START_MS + DAY_MS) / 1000,
            "end_time": START_MS + 2 * DAY_MS,
        }),
    );
    let answer = drift("jsd", &static_baseline);
    close(&answer["data"][0][1], JSD);
    assert_eq!(answer["baseline"]["name"], "second day");
    let rolling = json!({"type": "ROLLING", "offset_delta": 1, "window_bin_size": "Day"});
    let rolling = api.baseline("the day before", rolling);
    let answer = drift("jsd", &rolling);
    assert_eq!(
        answer["data"][0][1],
        Value::Null,
        "nothing lies before the first day"
    );
    close(&answer["data"][1][1], JSD);
}

#[test]
fn other_metrics_and_bins_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let column = |query: Value| -> Vec<Value> {
        let answer = api.query(query);
        let rows = answer["data"].as_array().unwrap();
        rows.iter().map(|row| row[1].clone()).collect()
    };
    assert_eq!(
        column(json!({"metric": "traffic"})),
        [json!(200.0), json!(2000.0)]
    );
    close(&column(json!({"metric": "accuracy"}))[0], 0.5);
    let log_loss = -(0.75_f64.ln() + 0.25_f64.ln()) / 2.0;
    close(&column(json!({"metric": "log_loss"}))[1], log_loss);
    // A column goes by its name and by its id.
    for cat in ["Cat", "cat"] {
        close(
            &column(json!({"metric": "average", "columns": [cat]}))[0],
            0.5,
        );
    }
    assert_eq!(
        column(json!({"metric": "null_violation_count"})),
        [0.0, 0.0]
    );
    let both = api.query(json!({"metric": "sum", "columns": ["Cat", "dog"]}));
    assert_eq!(both["col_names"], json!(["timestamp", "Cat", "dog"]));
    close(&both["data"][0][2], 100.0);
    let frequency = api.query(json!({"metric": "frequency", "columns": ["prediction"]}));
    assert_eq!(frequency["col_names"], json!(["timestamp", "Cat", "dog"]));
    assert_eq!(
        frequency["data"][0].as_array().unwrap()[1..],
        [json!(100), json!(100)]
    );
    let one = json!({"metric": "frequency", "columns": ["prediction"], "categories": ["dog"]});
    assert_eq!(api.query(one)["col_names"], json!(["timestamp", "dog"]));

    let mut weeks = api.queries(json!({"metric": "traffic"}));
    weeks["filters"]["bin_size"] = json!("Week");
    let answer = api.post("/v3/queries", &weeks);
    let rows = &answer["data"]["results"]["q"]["data"];
    assert_eq!(rows, &json!([["2024-01-01T00:00:00+00:00", 2200.0]]));
}

#[test]
fn requests_that_name_what_is_not_there_learn_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let refused = |query: Value| api.refused("/v3/queries", &api.queries(query));
    let message = refused(json!({"metric": "entropy"}));
    assert!(
        message.contains("available: jsd, psi, traffic"),
        "{message}"
    );
    let message = refused(json!({"metric": "jsd", "columns": ["colour"]}));
    assert!(
        message.contains("available: image_feature, Cat, dog, target"),
        "{message}"
    );
    let message = refused(json!({"metric": "jsd"}));
    assert!(message.contains("needs a column"), "{message}");
    let mut body = api.queries(json!({"metric": "traffic"}));
    body["filters"]["time_zone"] = json!("Asia/Tokyo");
    assert!(api.refused("/v3/queries", &body).contains("Etc/GMT"));
    body["filters"] = json!({"bin_size": "Quarter"});
    assert!(
        api.refused("/v3/queries", &body)
            .contains("Hour, Day, Week, Month")
    );
    body["filters"] = json!({"time_range": {"start_time": "soon", "end_time": 0}});
    assert!(api.refused("/v3/queries", &body).contains("soon"));
    body["query_type"] = json!("EDA");
    assert!(api.refused("/v3/queries", &body).contains("MONITORING"));
    assert!(
        api.refused("/v3/queries", &json!({"queries": 1}))
            .contains("body")
    );
    body["query_type"] = json!("MONITORING");
    body["queries"][0]["model_id"] = json!("00000000-0000-0000-0000-000000000000");
    assert_eq!(api.send("POST", "/v3/queries", Some(&body)).0, 404);
}

#[test]
fn histograms_totals_and_the_metrics_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let histogram = |column: &str| {
        let body = json!({
            "model_id": api.model, "start_time": "2024-01-01T12:00:00Z", "bin_size": "Day",
            "column_id": column,
        });
        api.post("/v3/histograms", &body)["data"].take()
    };
    let clusters = histogram(FEATURE);
    assert_eq!(clusters["bins"], json!(["0", "1", "2", "3", "4"]));
    assert_eq!(clusters["baseline_histogram"], json!(BASELINE));
    assert_eq!(clusters["production_histogram"], json!(DRIFTED));
    assert_eq!(clusters["start_time"], "2024-01-01T00:00:00+00:00");
    let scores = histogram("cat");
    assert_eq!(scores["bins"].as_array().unwrap().len(), 11);
    close(&scores["bins"][0], 0.25);
    assert_eq!(
        scores["production_histogram"],
        json!([100, 0, 0, 0, 0, 0, 0, 0, 0, 100])
    );
    let nothing = api.refused(
        "/v3/histograms",
        &json!({"start_time": 0, "column_id": FEATURE}),
    );
    assert!(nothing.contains("model_id"), "{nothing}");

    let body = json!({
        "model_id": api.model,
        "metrics": ["traffic", "accuracy", {"metric": "average", "column": "dog"}],
    });
    let totals = api.post("/v3/analytics/metrics", &body);
    assert_eq!(totals["data"], json!([2200.0, 0.5, 0.5]));

    let metrics = api.get(&format!("/v3/models/{}/metrics", api.model));
    let metrics = metrics["data"]["metrics"].as_array().unwrap();
    let jsd = metrics.iter().find(|metric| metric["id"] == "jsd").unwrap();
    assert_eq!(
        jsd["columns"],
        json!(["image_feature", "cat", "dog", "target", "prediction"])
    );
    assert_eq!(jsd["type"], "drift");
    assert_eq!(jsd["requires_baseline"], true);
}

#[test]
fn the_map_says_that_it_is_pca() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(folder.path());
    let path = format!("/v3/dimensionality-reduction/{}", api.model);
    let body = json!({"time_range": {"start_time": START_MS, "end_time": START_MS + DAY_MS}});
    let map = api.post(&path, &body)["data"].take();
    assert_eq!(map["method"], "PCA");
    // All embeddings lie on the first axis.
    close(&map["explained_variance"][0], 1.0);
    assert_eq!(map["baseline"].as_array().unwrap().len(), 200);
    assert_eq!(map["production"].as_array().unwrap().len(), 200);
    assert_eq!(map["production"][0]["target"], "Cat");
}
