//! What there is beside the notebook: deletions, baselines, alert rules.

use driftline_sink_local::Store;
use serde_json::{Value, json};

use super::api::{Api, As};
use super::{for_each_generation, model, second_info};

#[test]
fn a_data_set_is_kept_however_old_it_gets() {
    let store = tempfile::tempdir().unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 3600);
    {
        let api = Api::start(store.path());
        let client = As {
            api: &api,
            version: "2.5.0",
        };
        model(&client);
        client.upload("p", b"nobody asks for this");
    }
    let uploads = store.path().join(".driftline/uploads");
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&uploads).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(files().len(), 2);
    for file in files() {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(old).unwrap();
    }
    let api = Api::start(store.path());
    let client = As {
        api: &api,
        version: "2.5.0",
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while files().len() > 1 {
        assert!(std::time::Instant::now() < deadline, "{:?}", files());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // A second model over the same data set.
    let body =
        json!({"name": "m2", "project_name": "p", "organization_name": "o", "info": second_info()});
    let (status, answer) = client.post("/v2/models", &body);
    assert_eq!(status, 200, "{answer}");
    client.succeeds(&answer["data"]["job_uuid"]);
}

#[test]
fn what_is_deleted_is_gone_and_its_name_is_free_again() {
    for_each_generation(|client, store| {
        model(client);
        assert_eq!(client.delete("/v2/models/o:p:m").0, 200);
        assert_eq!(client.get("/v2/models/o:p:m").0, 404);
        assert_eq!(client.get("/v2/datasets/o:p:base").0, 200);
        assert_eq!(client.delete("/v2/projects/o:p").0, 200);
        assert_eq!(client.delete("/v2/projects/o:p").0, 404);
        assert_eq!(client.get("/v2/datasets/o:p:base").0, 404);
        let project = json!({"name": "p", "organization_name": "o"});
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while client.post("/v2/projects?organization_name=o", &project).0 != 200 {
            assert!(
                std::time::Instant::now() < deadline,
                "the project is never gone"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(Store::open(store, "p", "m").is_err());
    });
}

#[test]
fn baselines_are_told_in_seconds() {
    for_each_generation(|client, _| {
        model(client);
        let create = |name: &str, more: Value| {
            let mut body = json!({
                "name": name, "project_name": "p", "organization_name": "o", "model_name": "m",
                "dataset_name": null, "start_time": null, "end_time": null, "offset": null, "window_size": null,
            });
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            client.post("/v2/baselines", &body)
        };
        let rolling =
            json!({"type": "ROLLING_PRODUCTION", "offset": 1_209_600, "window_size": 604_800});
        let (status, answer) = create("rolling", rolling.clone());
        assert_eq!(status, 200, "{answer}");
        for (name, value) in rolling.as_object().unwrap() {
            assert_eq!(&answer["data"][name], value, "{answer}");
        }
        for (wanted, (status, answer)) in [
            (
                200,
                create(
                    "week",
                    json!({"type": "STATIC_PRODUCTION", "start_time": 1, "end_time": 2}),
                ),
            ),
            (
                200,
                create(
                    "again",
                    json!({"type": "PRE_PRODUCTION", "dataset_name": "base"}),
                ),
            ),
            (409, create("rolling", rolling)),
            (
                404,
                create(
                    "other",
                    json!({"type": "PRE_PRODUCTION", "dataset_name": "nothing"}),
                ),
            ),
            (
                400,
                create(
                    "other",
                    json!({"type": "STATIC_PRODUCTION", "start_time": 2, "end_time": 1}),
                ),
            ),
            (
                400,
                create(
                    "other",
                    json!({"type": "ROLLING_PRODUCTION", "offset": 5, "window_size": 3_600}),
                ),
            ),
            (
                400,
                create(
                    "other",
                    json!({"type": "ROLLING_PRODUCTION", "offset": 300, "window_size": 300}),
                ),
            ),
            (400, create("other", json!({"type": "WEEKLY"}))),
        ] {
            assert_eq!(status, wanted, "{answer}");
        }
        let query = "organization_name=o&project_name=p&model_name=m";
        let names = || -> Vec<String> {
            let (_, answer) = client.get(&format!("/v2/baselines?{query}"));
            let items = answer["data"]["items"].as_array().unwrap().clone();
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(), ["base", "rolling", "week", "again"]);
        assert_eq!(client.delete(&format!("/v2/baselines?{query}")).0, 400);
        let one = format!("/v2/baselines?{query}&baseline_name=week");
        assert_eq!(client.delete(&one).0, 200);
        assert_eq!(client.delete(&one).0, 404);
        assert_eq!(names(), ["base", "rolling", "again"]);
    });
}

#[test]
fn alert_rules_are_told_in_the_words_of_each_generation() {
    let store = tempfile::tempdir().unwrap();
    let api = Api::start(store.path());
    let [first, second] = ["1.8.6", "2.5.0"].map(|version| As { api: &api, version });
    model(&first);
    let rule = |metric: &str, columns: Value| {
        json!({
            "organization_name": "o", "project_name": "p", "model_name": "m", "name": metric,
            "alert_type": "data_integrity", "metric": metric, "feature_name": null,
            "feature_names": columns, "priority": "HIGH", "compare_to": "raw_value",
            "baseline_name": null, "compare_period": null, "warning_threshold": 1.0,
            "critical_threshold": 2.0, "condition": "greater", "time_bucket": 86_400_000,
        })
    };
    // Client 1 has sent lists as the text of Python's.
    let (status, made) = first.post(
        "/v2/alert-configs",
        &rule("missing_value", json!("['target']")),
    );
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["data"]["metric"], "missing_value");
    let (status, newer) = second.post(
        "/v2/alert-configs",
        &rule("any_violation_count", json!(["__ANY__"])),
    );
    assert_eq!(status, 200, "{newer}");
    let listed = |client: &As, filter: &str| -> Vec<(Value, Value)> {
        let path = "/v2/alert-configs?organization_name=o&offset=0&limit=20";
        let (status, answer) = client.get(&format!("{path}&filter={filter}"));
        assert_eq!(status, 200, "{answer}");
        let items = answer["data"]["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .map(|item| (item["uuid"].clone(), item["metric"].clone()))
            .collect()
    };
    let all =
        r#"{"condition":"AND","rules":[{"field":"model_name","operator":"equal","value":"m"}]}"#;
    let other = r#"{"condition":"AND","rules":[{"field":"metric_id","operator":"contains","value":["psi","any_violation_count"]}]}"#;
    let (old, new) = (made["data"]["uuid"].clone(), newer["data"]["uuid"].clone());
    assert_eq!(listed(&first, all), [(old.clone(), json!("missing_value"))]);
    assert_eq!(
        listed(&second, all),
        [
            (old, json!("null_violation_count")),
            (new.clone(), json!("any_violation_count"))
        ]
    );
    assert_eq!(
        listed(&second, other),
        [(new.clone(), json!("any_violation_count"))]
    );
    for (name, value) in [
        ("time_bucket", json!(1000)),
        ("metric", json!("beauty")),
        ("compare_period", json!(1)),
        ("feature_names", json!("target")),
    ] {
        let mut wrong = rule("missing_value", json!(["target"]));
        wrong[name] = value;
        let (status, answer) = second.post("/v2/alert-configs", &wrong);
        assert_eq!(status, 400, "{name}: {answer}");
    }
    let path = format!("/v2/alert-configs/{}", new.as_str().unwrap());
    assert_eq!(first.get(&path).0, 404);
    assert_eq!(second.get(&path).0, 200);
    assert_eq!(second.delete(&path).0, 200);
    assert_eq!(second.get(&path).0, 404);
}
