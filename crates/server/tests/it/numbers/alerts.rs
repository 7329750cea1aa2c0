//! Alert rules and their records.

use std::time::{Duration, Instant};

use driftline_core::MonitorSink;
use driftline_sink_local::LocalSink;
use serde_json::{Value, json};

use super::api::{Api, close};
use super::store::{BASELINE, DAY_MS, DRIFTED, FEATURE, JSD, MODEL, PROJECT, START_MS};
use super::store::{publish_day, with_baseline};

fn start(store: &std::path::Path) -> (LocalSink, Api) {
    let mut sink = with_baseline(store);
    publish_day(&mut sink, 0, &BASELINE);
    publish_day(&mut sink, 1, &DRIFTED);
    (sink, Api::start(store))
}

impl Api {
    /// A rule as client 3 sends it, with other terms.
    fn rule(&self, terms: Value) -> Value {
        let mut rule = json!({
            "name": "embedding drift", "model_id": self.model, "metric_id": "jsd", "priority": "HIGH",
            "compare_to": "raw_value", "condition": "greater", "bin_size": "Day",
            "segment_id": null, "threshold_type": "manual", "auto_threshold_params": null,
            "critical_threshold": 0.2, "warning_threshold": 0.1, "feature_names": [FEATURE],
            "compare_bin_delta": null, "evaluation_delay": 0, "category": null, "baseline_id": null,
        });
        rule.as_object_mut()
            .unwrap()
            .extend(terms.as_object().unwrap().clone());
        rule
    }

    fn add(&self, terms: Value) -> Value {
        self.post("/v3/alert-rules", &self.rule(terms))["data"].take()
    }

    /// Every record of a rule.
    fn records(&self, rule: &Value) -> Vec<Value> {
        let id = rule["id"].as_str().unwrap();
        let path =
            format!("/v2/alert-configs/{id}/records?start_time=2023-12-01&limit=50&offset=0");
        match self.get(&path)["data"]["items"].take() {
            Value::Array(items) => items,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_rule_is_made_read_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, api) = start(folder.path());
    let rule = api.add(json!({}));
    assert_eq!(rule["metric"]["id"], "jsd");
    assert_eq!(rule["metric"]["type_display_name"], "Data Drift");
    assert_eq!(rule["model"]["id"], api.model);
    assert_eq!(rule["evaluation_delay"], 0);
    let path = format!("/v3/alert-rules/{}", rule["id"].as_str().unwrap());
    assert_eq!(api.get(&path)["data"], rule);

    let filter = |field: &str, operator: &str, value: &str| {
        let rules = json!([{"field": field, "operator": operator, "value": value}]);
        let filter = json!({"condition": "AND", "rules": rules}).to_string();
        let filter: String = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let list = api.get(&format!(
            "/v3/alert-rules?filter={filter}&limit=50&offset=0"
        ));
        list["data"]["total"].as_u64().unwrap()
    };
    assert_eq!(filter("model_id", "equal", &api.model), 1);
    assert_eq!(filter("feature_names", "any", FEATURE), 1);
    assert_eq!(filter("metric_id", "equal", "psi"), 0);

    let update = json!({
        "critical_threshold": 0.3, "warning_threshold": null, "evaluation_delay": 2,
        "auto_threshold_params": null,
    });
    let (status, changed) = api.send("PATCH", &path, Some(&update));
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["data"]["critical_threshold"], 0.3);
    assert_eq!(changed["data"]["warning_threshold"], Value::Null);
    assert_eq!(changed["data"]["evaluation_delay"], 2);
    let enabled = json!({"enable_notification": true});
    assert_eq!(api.send("PATCH", &path, Some(&enabled)).1, changed);

    let notification = format!("{path}/notification");
    let emails = json!({"emails": ["a@example.invalid"], "carrier_pigeon": true});
    let (status, told) = api.send("PATCH", &notification, Some(&emails));
    assert_eq!((status, &told["data"]["emails"]), (200, &emails["emails"]));
    assert_eq!(api.get(&notification), told);
    assert_eq!(told["data"].as_object().unwrap().len(), 4);

    assert_eq!(api.send("DELETE", &path, None).0, 200);
    assert_eq!(api.send("GET", &path, None).0, 404);
    assert_eq!(api.send("DELETE", &path, None).0, 404);
}

#[test]
fn records_appear_once_for_each_bin_that_is_beyond_a_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sink, api) = start(folder.path());
    let rule = api.add(json!({}));
    let first = api.records(&rule);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["alert_time_bucket"], START_MS + DAY_MS);
    close(&first[0]["alert_value"], JSD);
    assert_eq!(first[0]["severity"], "CRITICAL");
    assert_eq!(first[0]["feature_name"], FEATURE);
    assert_eq!(first[0]["alert_config_uuid"], rule["id"]);
    assert_eq!(api.records(&rule), first, "asking again adds nothing");

    publish_day(&mut sink, 2, &[40, 60, 30, 50, 60]);
    let both = api.records(&rule);
    assert_eq!(both.len(), 2);
    assert_eq!(both[0], first[0]);
    assert_eq!(both[1]["severity"], "WARNING");

    // Rows that come late change what was found, not that it was found.
    let id = rule["id"].as_str().unwrap();
    publish_day(&mut sink, 12, &BASELINE);
    let late = driftline_sink_local::Deletion::Times(START_MS + DAY_MS..START_MS + 2 * DAY_MS);
    sink.delete_events(&late).unwrap();
    assert_eq!(api.records(&rule), both);
    let path = format!("/v2/alert-configs/{id}/records?start_time=2024-01-03%2000:00:00.0");
    assert_eq!(api.get(&path)["data"]["total"], 1);

    let psi =
        api.add(json!({"metric_id": "psi", "critical_threshold": 99.0, "warning_threshold": null}));
    assert!(api.records(&psi).is_empty());
    sink.flush().unwrap();
}

#[test]
fn every_column_changes_over_time_and_missing_days_can_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sink, api) = start(folder.path());
    publish_day(&mut sink, 4, &[1, 1]);
    let any = api.add(json!({
        "feature_names": ["__ANY__"], "critical_threshold": 0.25, "warning_threshold": null,
    }));
    let columns: Vec<Value> = api
        .records(&any)
        .iter()
        .map(|r| r["feature_name"].clone())
        .collect();
    assert_eq!(columns, [FEATURE, "Cat", "dog", FEATURE]);

    let less = json!({
        "metric_id": "traffic", "feature_names": null, "condition": "lesser", "compare_to": "time_period",
        "compare_bin_delta": 1, "critical_threshold": 0.1, "warning_threshold": null,
    });
    let dropped = api.records(&api.add(less.clone()));
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    assert_eq!(dropped[0]["alert_time_bucket"], START_MS + 2 * DAY_MS);
    assert_eq!(dropped[0]["alert_value"], 0.0);
    assert_eq!(dropped[0]["baseline_value"], 200.0);
    assert_eq!(dropped[0]["baseline_time_bucket"], START_MS + DAY_MS);
    assert_eq!(dropped[0]["feature_name"], Value::Null);
    let mut weekly = less;
    weekly["compare_bin_delta"] = json!(7);
    assert!(api.records(&api.add(weekly)).is_empty());
}

/// What `driftline run` put there is not held against the server's clock.
#[test]
fn an_event_of_the_year_9999_costs_no_more_than_another() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sink, api) = start(folder.path());
    publish_day(&mut sink, 2_913_164, &[1]);
    let begin = Instant::now();
    let rule = json!({
        "metric_id": "traffic", "feature_names": null, "condition": "lesser", "bin_size": "Hour",
        "critical_threshold": 0.5, "warning_threshold": null,
    });
    // All hours of the day between the two days with events, and the first thousand hours after them.
    let records = api.add(rule);
    let path = format!(
        "/v2/alert-configs/{}/records?start_time=2023-12-01&limit=2000&offset=0",
        records["id"].as_str().unwrap()
    );
    let found = api.get(&path)["data"]["total"].as_u64().unwrap();
    assert_eq!(found, 23 + 1_000);
    let query = json!({
        "query_type": "MONITORING",
        "filters": {"bin_size": "Hour"},
        "queries": [{"query_key": "q", "model_id": api.model, "metric": "traffic"}],
    });
    let answer = api.post("/v3/queries", &query);
    let bins = &answer["data"]["results"]["q"]["data"];
    assert_eq!(bins.as_array().map(Vec::len), Some(3), "{answer}");
    let taken = begin.elapsed();
    assert!(taken < Duration::from_secs(15), "{taken:?}");
}

#[test]
fn rules_that_can_never_be_measured_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, api) = start(folder.path());
    for (terms, part) in [
        (json!({"metric_id": "entropy"}), "available: jsd"),
        (
            json!({"feature_names": ["colour"]}),
            "available: image_feature",
        ),
        (json!({"feature_names": []}), "needs a column"),
        (
            json!({"metric_id": "average", "feature_names": ["target"]}),
            "available: Cat, dog",
        ),
        (json!({"critical_threshold": null}), "critical_threshold"),
        (
            json!({"threshold_type": "standard_deviation_auto_threshold"}),
            "auto_threshold_params",
        ),
        (
            json!({"compare_to": "time_period", "compare_bin_delta": 2}),
            "[1, 7, 30, 90]",
        ),
        (json!({"bin_size": "Year"}), "Day"),
        (json!({"name": " "}), "name"),
    ] {
        let message = api.refused("/v3/alert-rules", &api.rule(terms.clone()));
        assert!(message.contains(part), "{terms}: {message}");
    }
    let unknown = api.rule(json!({"baseline_id": "00000000-0000-0000-0000-000000000000"}));
    assert_eq!(api.send("POST", "/v3/alert-rules", Some(&unknown)).0, 404);
}

#[test]
fn rules_are_held_against_rows_when_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, api) = start(folder.path());
    api.add(json!({"critical_threshold": 0.3}));
    // The page reads what was found before, and does not look for more.
    let critical = || {
        let view = api.get(&format!("/ui/model?project={PROJECT}&model={MODEL}"));
        let alerts = view["alerts"].as_array().unwrap().clone();
        alerts
            .into_iter()
            .find(|alert| alert["severity"] == "critical")
    };
    assert_eq!(critical(), None);
    let bin = START_MS + 20 * DAY_MS;
    let event = json!({
        "event_id": "new", "timestamp": bin, "embeddings": [40.0, 0.0], "Cat": 0.75, "dog": 0.25,
        "target": "Cat", "image_url": "", "image_number": 0, "window": "production",
    });
    let body = json!({
        "source": {"events": [event], "type": "EVENTS"}, "model_id": api.model,
        "env_type": "PRODUCTION", "env_name": null,
    });
    let (status, answer) = api.send("POST", "/v3/events", Some(&body));
    assert_eq!(status, 202, "{answer}");
    let deadline = Instant::now() + Duration::from_secs(60);
    let alert = loop {
        match critical() {
            Some(alert) => break alert,
            None => assert!(
                Instant::now() < deadline,
                "no rule was held against the new row"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(alert["bin"], bin);
    assert_eq!(alert["rule"], "embedding drift");
}
