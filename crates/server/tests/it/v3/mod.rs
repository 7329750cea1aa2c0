//! Client 3 against the server: the notebook, what lies beyond it, and the recorded exchange.

mod recorded;

use crate::common;
use std::collections::HashSet;

use crate::common::{
    CLASSES, DIM, Data, Running, answer, encoded, events_body, parquet, publish_body, refused,
};
use driftline_core::rows::{Row, RowsBuilder};
use driftline_core::{MonitorSink, RowSchema, Rows, SinkConfig};
use driftline_sink_local::{LocalSink, Store};
use driftline_stats::{Clusters, KMeans, KMeansConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

fn spec() -> Value {
    json!({
        "schema_version": 1, "inputs": ["embeddings"], "outputs": CLASSES, "targets": ["target"],
        "decisions": [], "metadata": ["image_url"],
        "custom_features": [{
            "name": "image_feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 3,
            "centroids": null, "column": "embeddings", "source_column": "image_url",
        }],
    })
}

fn stored(store: &std::path::Path, project: &str, model: &str) -> (Vec<Rows>, Vec<Rows>) {
    let store = Store::open(store, project, model).unwrap();
    let rows = |rows: driftline_sink_local::PartRows| rows.map(Result::unwrap).collect();
    (
        rows(store.baseline().unwrap()),
        rows(store.events(..).unwrap()),
    )
}

fn count(rows: &[Rows]) -> usize {
    rows.iter().map(Rows::len).sum()
}

#[test]
fn a_store_has_an_organisation_of_its_own() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let organization = |store: &TempDir, name| {
        let server = Running::start(store.path());
        let told = server.api.ok_get("/v3/server-info")["organization"].take();
        assert_eq!(told["name"], "driftline");
        assert_eq!(server.api.project(name)["organization"], told);
        told
    };
    let first = organization(&one, "images");
    assert_eq!(organization(&one, "more"), first);
    assert_ne!(organization(&other, "images")["id"], first["id"]);
}

#[test]
fn the_notebook_ends_in_rows_that_are_those_of_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let info = api.ok_get("/v3/server-info");
    assert_eq!(info["server_version"], "25.2.0");
    assert!(
        info["organization"]["id"]
            .as_str()
            .unwrap()
            .parse::<uuid::Uuid>()
            .is_ok()
    );
    let (status, _) =
        api.get("/v3/version-compatibility?client_version=3.14.1&client_name=python-sdk");
    assert_eq!(status, 200);

    let wanted =
        r#"{"condition":"AND","rules":[{"field":"name","operator":"equal","value":"images"}]}"#;
    let lookup = || {
        let (status, value) = api.get(&format!("/v3/projects?filter={}", encoded(wanted)));
        assert_eq!(status, 200);
        value["data"]["total"].as_u64().unwrap()
    };
    assert_eq!(lookup(), 0);
    let project = api.project("images");
    assert_eq!(lookup(), 1);

    let sample = Data::new(600, 1);
    let file = api.upload("data.parquet", parquet(&sample.text()));
    assert_eq!(file["type"], "PARQUET");
    let made = api.ok(
        "POST",
        "/v3/model-factory",
        &json!({"file_id": file["id"], "spec": spec()}),
    );
    let columns = made["schema"]["columns"].as_array().unwrap();
    let column = |name: &str| {
        columns
            .iter()
            .find(|column| column["name"] == name)
            .unwrap()
    };
    assert_eq!(column("embeddings")["data_type"], "vector");
    assert_eq!(column("embeddings")["n_dimensions"], DIM);
    assert_eq!(column("plane")["data_type"], "float");
    assert_eq!(column("plane")["bins"].as_array().unwrap().len(), 11);
    assert_eq!(column("plane")["bins"][0], column("plane")["min"]);
    assert_eq!(column("plane")["bins"][10], column("plane")["max"]);
    assert_eq!(column("target")["data_type"], "category");
    assert_eq!(
        column("target")["categories"],
        json!(["bird", "car", "plane"])
    );
    assert_eq!(column("image_url")["data_type"], "str");

    // The clusters are those of `driftline drift` on the same rows.
    let fitted = KMeans::fit(
        &sample.embeddings,
        DIM,
        3,
        &KMeansConfig {
            seed: 42,
            ..KMeansConfig::default()
        },
    )
    .unwrap();
    let centroids = &made["spec"]["custom_features"][0]["centroids"];
    let centroids: Vec<f32> = centroids
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| {
            row.as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap() as f32)
        })
        .collect();
    assert_eq!(centroids, fitted.centroids());
    assert_eq!(
        Clusters::fit(&sample.embeddings, DIM, 3, 42)
            .unwrap()
            .counts(),
        fitted.histogram(&sample.embeddings).unwrap(),
    );
    // A typed sample gives the same.
    let typed = api.upload("typed.parquet", parquet(&sample.typed(false)));
    let again = api.ok(
        "POST",
        "/v3/model-factory",
        &json!({"file_id": typed["id"], "spec": spec()}),
    );
    assert_eq!(again["spec"], made["spec"]);
    assert_eq!(again["schema"], made["schema"]);

    let mut body = common::model_body(&project, "resnet18", true);
    body["schema"] = made["schema"].clone();
    body["spec"] = made["spec"].clone();
    let model = api.ok("POST", "/v3/models", &body);
    assert_eq!(model["version"], "v1");
    assert_eq!(model["spec"], made["spec"]);
    refused(&api.send("POST", "/v3/models", &body), 409);

    api.succeeds(&api.publish(
        &model,
        Some("train_time_reference"),
        parquet(&sample.typed(false)),
    ));
    let events = Data::new(500, 2);
    api.succeeds(&api.publish(&model, None, parquet(&events.typed(true))));

    let environments = api.ok_get(&format!(
        "/v3/models/{}/environments?type=PRE_PRODUCTION&limit=50&offset=0",
        model["id"].as_str().unwrap()
    ));
    assert_eq!(environments["total"], 1);
    assert_eq!(environments["items"][0]["row_count"], 600);
    let wanted = json!({"condition": "AND", "rules": [
        {"field": "name", "operator": "equal", "value": "train_time_reference"},
        {"field": "model_id", "operator": "equal", "value": model["id"]},
    ]})
    .to_string();
    let (_, baselines) = api.get(&format!("/v3/baselines?filter={}", encoded(&wanted)));
    assert_eq!(baselines["data"]["total"], 1, "{baselines}");
    let baseline = &baselines["data"]["items"][0];
    assert_eq!(
        (&baseline["type"], &baseline["row_count"]),
        (&json!("STATIC"), &json!(600))
    );

    let (baseline, stored_events) = stored(folder.path(), "images", "resnet18");
    assert_eq!(count(&baseline), 600);
    assert_eq!(baseline[0].embeddings(), sample.embeddings);
    assert_eq!(baseline[0].windows().value(0), "train_time_reference");
    assert_eq!(count(&stored_events), 500);
    let rows = &stored_events[0];
    assert_eq!(rows.embeddings(), events.embeddings);
    assert_eq!(rows.timestamps_ms(), events.times);
    assert_eq!(rows.event_ids().value(7), events.ids[7]);
    assert_eq!(rows.scores(1)[7], events.scores[7][1]);
    assert_eq!(rows.targets().value(7), events.targets[7]);
    assert_eq!(rows.image_urls().value(7), events.urls[7]);
    let store = Store::open(folder.path(), "images", "resnet18").unwrap();
    assert_eq!(
        store.clusters().unwrap().unwrap().values,
        fitted.centroids()
    );
}

#[test]
fn parquet_csv_and_dictionaries_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let data = Data::new(40, 3);
    let mut found = Vec::new();
    for name in ["parquet", "csv", "events"] {
        let model = api.model(&project, name, true);
        match name {
            "parquet" => api.succeeds(&api.publish(&model, None, parquet(&data.typed(true)))),
            "csv" => api.succeeds(&api.publish(&model, None, data.csv())),
            _ => {
                let accepted = api.ok("POST", "/v3/events", &events_body(&model, data.events()));
                assert_eq!(accepted["event_ids"], json!(data.ids));
                // A job that is accepted later ends later.
                api.succeeds(&api.publish(&model, None, parquet(&data.typed(true))));
            }
        }
        let (_, events) = stored(folder.path(), "images", name);
        assert_eq!(count(&events), 40, "{name}");
        found.push(events[0].batch().clone());
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn events_change_and_go_and_pre_production_stays() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let data = Data::new(10, 4);
    api.succeeds(&api.publish(&model, Some("base"), parquet(&data.typed(true))));
    api.succeeds(&api.publish(&model, None, parquet(&data.typed(true))));

    let change = json!([{"event_id": data.ids[0], "target": "zebra", "plane": 9.0}, {"event_id": "unknown", "target": "x"}]);
    let changed = api.ok("PATCH", "/v3/events", &events_body(&model, change));
    assert_eq!(changed["event_ids"], json!([data.ids[0], "unknown"]));
    let mut pre = publish_body(&model, Some("base"), &json!({"id": uuid::Uuid::new_v4()}));
    refused(&api.send("PATCH", "/v3/events", &pre), 400);
    pre["source"] = json!({"type": "EVENTS", "events": data.events()});
    refused(&api.send("POST", "/v3/events", &pre), 400);

    let mut file = String::from("event_id,target\n");
    file += &format!("{},yak\n", data.ids[1]);
    let upload = api.upload("labels.csv", file.into_bytes());
    assert_eq!(upload["type"], "CSV");
    let job = api.ok("PATCH", "/v3/events", &publish_body(&model, None, &upload));
    api.succeeds(&job["job"]);
    let (baseline, events) = stored(folder.path(), "images", "m");
    let targets = |rows: &Rows| {
        (0..3)
            .map(|i| rows.targets().value(i).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(targets(&events[0]), ["zebra", "yak", "bird"]);
    assert_eq!(events[0].scores(0)[0], data.scores[0][0]);
    assert_eq!(targets(&baseline[0]), ["plane", "car", "bird"]);

    let mut body =
        json!({"model_id": model["id"], "update_metrics": false, "event_ids": [data.ids[9]]});
    api.succeeds(&api.ok("DELETE", "/v3/events", &body)["job"]);
    body["event_ids"] = json!([]);
    refused(&api.send("DELETE", "/v3/events", &body), 400);
    let time = |i: usize| {
        jiff::Timestamp::from_millisecond(data.times[i])
            .unwrap()
            .to_string()
    };
    body["time_range"] = json!({"start_time": time(0), "end_time": time(3)});
    api.succeeds(&api.ok("DELETE", "/v3/events", &body)["job"]);
    let (baseline, events) = stored(folder.path(), "images", "m");
    let left: HashSet<String> = events
        .iter()
        .flat_map(|rows| {
            (0..rows.len())
                .map(|i| rows.event_ids().value(i).to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(left, data.ids[3..9].iter().cloned().collect());
    assert_eq!(count(&baseline), 10);
}

#[test]
fn what_is_sent_twice_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    // Without event ids: only the server can know.
    let model = api.model(&project, "m", false);
    let data = Data::new(10, 5);
    let file = api.upload("rows.parquet", parquet(&data.typed(true)));
    let body = publish_body(&model, None, &file);
    let first = api.ok("POST", "/v3/events", &body)["job"].take();
    assert_eq!(api.ok("POST", "/v3/events", &body)["job"], first);
    api.succeeds(&first);
    assert_eq!(api.ok("POST", "/v3/events", &body)["job"], first);

    let events = events_body(&model, Data::new(5, 6).events());
    let first = api.ok("POST", "/v3/events", &events);
    let again = api
        .request("POST", "/v3/events")
        .header("X-Fiddler-Client-Retry", "1")
        .json(&events);
    let (status, again) = answer(again);
    assert_eq!((status, &again["data"]), (202, &first));
    for id in first["event_ids"].as_array().unwrap() {
        assert!(id.as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    }
    // The same events once more are other events, as the client did not say that it tries again.
    assert_ne!(
        api.ok("POST", "/v3/events", &events)["event_ids"],
        first["event_ids"]
    );
    api.succeeds(&api.publish(&model, None, parquet(&Data::new(1, 7).typed(true))));
    let (_, events) = stored(folder.path(), "images", "m");
    assert_eq!(count(&events), 10 + 5 + 5 + 1);
}

#[test]
fn models_and_projects_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let path = format!("/v3/models/{}", model["id"].as_str().unwrap());
    let changed = api.ok(
        "PATCH",
        &path,
        &json!({"description": "a model", "event_id_col": null}),
    );
    assert_eq!(changed["description"], "a model");
    assert_eq!(api.ok_get(&path)["description"], "a model");
    let mut schema = model["schema"].clone();
    schema["columns"][0]["n_dimensions"] = json!(DIM + 1);
    let message = refused(&api.send("PATCH", &path, &json!({"schema": schema})), 400);
    assert!(message.contains("cannot become"), "{message}");
    refused(&api.send("PATCH", &path, &json!({"version": "v2"})), 400);

    let mut second = common::model_body(&project, "m", true);
    second["version"] = json!("v2");
    api.ok("POST", "/v3/models", &second);
    assert!(folder.path().join("images/m.v2/monitor.json").is_file());
    let mut taken = common::model_body(&project, "m.v2", true);
    let message = refused(&api.send("POST", "/v3/models", &taken), 409);
    assert!(message.contains("m.v2"), "{message}");
    taken["name"] = json!("other");
    api.ok("POST", "/v3/models", &taken);

    api.succeeds(&api.publish(&model, None, parquet(&Data::new(3, 8).typed(true))));
    let job = api.ok("DELETE", &path, &json!({}))["job"].take();
    refused(&api.get(&path), 404);
    api.succeeds(&job);
    assert!(!folder.path().join("images/m").exists());
    assert!(folder.path().join("images/m.v2").exists());
    api.model(&project, "m", true);

    let (status, _) = api.send(
        "DELETE",
        &format!("/v3/projects/{}", project["id"].as_str().unwrap()),
        &json!({}),
    );
    assert_eq!(status, 200);
    assert_eq!(api.ok_get("/v3/projects?limit=50&offset=0")["total"], 0);
    assert_eq!(api.ok_get("/v3/models")["total"], 0);
}

#[test]
fn lists_are_ordered_and_come_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    for name in ["b", "c", "a"] {
        api.project(name);
    }
    let names = |query: &str| {
        let page = api.ok_get(&format!("/v3/projects?{query}"));
        let names: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect();
        (
            names.concat(),
            page["page_index"].as_u64().unwrap(),
            page["page_count"].as_u64().unwrap(),
        )
    };
    assert_eq!(names(""), ("bca".to_owned(), 1, 1));
    assert_eq!(names("ordering=name"), ("abc".to_owned(), 1, 1));
    assert_eq!(names("ordering=-created_at"), ("acb".to_owned(), 1, 1));
    assert_eq!(names("limit=2&offset=0"), ("bc".to_owned(), 1, 2));
    assert_eq!(names("limit=2&offset=2"), ("a".to_owned(), 2, 2));
    for query in ["limit=0", "limit=x", "offset=-1", "filter=x", "filter={}"] {
        refused(&api.get(&format!("/v3/projects?{query}")), 400);
    }
    for path in ["/v3/custom-metrics", "/v3/segments", "/v2/webhooks"] {
        assert_eq!(api.ok_get(&format!("{path}?limit=50&offset=0"))["total"], 0);
        refused(&api.send("POST", path, &json!({"name": "x"})), 501);
    }
}

#[test]
fn what_a_run_put_into_the_store_is_there_for_clients_before_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let schema = RowSchema::new(2, vec!["cat".to_owned(), "dog".to_owned()]).unwrap();
    let spec = driftline_core::MonitorSpec {
        project: "local".to_owned(),
        dataset: "baseline".to_owned(),
        model: "resnet".to_owned(),
        model_sha256: "00".to_owned(),
        schema: schema.clone(),
        custom_feature: driftline_core::sink::ImageEmbedding {
            name: "feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 2,
        },
    };
    let mut sink = LocalSink::open(&SinkConfig::new(folder.path().to_owned(), spec)).unwrap();
    let mut rows = RowsBuilder::new(schema);
    for i in 0..4 {
        rows.push(&Row {
            event_id: &format!("b{i}"),
            timestamp_ms: 0,
            embedding: &[i as f32, 1.0],
            scores: &[0.5, 0.5],
            target: None,
            image_url: "",
            image_number: i,
            window: "baseline",
            properties: &[],
        })
        .unwrap();
    }
    sink.publish_baseline(&rows.finish().unwrap()).unwrap();
    drop(sink);

    let seen = || {
        let server = Running::start(folder.path());
        let api = &server.api;
        let projects = api.ok_get("/v3/projects");
        assert_eq!(projects["items"][0]["name"], "local");
        let model = api.ok_get("/v3/models")["items"][0].take();
        assert_eq!(model["name"], "resnet");
        let baselines = api.ok_get(&format!(
            "/v3/models/{}/baselines",
            model["id"].as_str().unwrap()
        ));
        assert_eq!(baselines["items"][0]["name"], "baseline");
        assert_eq!(baselines["items"][0]["row_count"], 4);
        model["id"].clone()
    };
    assert_eq!(seen(), seen());
}

#[test]
fn a_file_in_parts_is_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let bytes = Data::new(30, 9).csv();
    let file = api.ok(
        "POST",
        "/v3/files/multipart-init",
        &json!({"filename": "events.csv"}),
    );
    assert_eq!(file["status"], "INITIATED");
    refused(
        &api.send("POST", "/v3/events", &publish_body(&model, None, &file)),
        400,
    );
    let id = file["id"].as_str().unwrap().to_owned();
    let third = bytes.len() / 3;
    let mut parts = Vec::new();
    // The second part comes first, and the first comes twice.
    for number in [2, 1, 1, 3] {
        let end = if number == 3 {
            bytes.len()
        } else {
            third * number
        };
        let part =
            reqwest::blocking::multipart::Part::bytes(bytes[third * (number - 1)..end].to_vec())
                .file_name(format!("part_{number}_events.csv"));
        let form = reqwest::blocking::multipart::Form::new()
            .part("file", part)
            .text("file_id", id.clone())
            .text("part_number", number.to_string());
        let (status, value) = answer(
            api.request("POST", "/v3/files/multipart-upload")
                .multipart(form),
        );
        assert_eq!(status, 200, "{value}");
        parts.push(json!({"number": number, "id": value["data"]["part_id"]}));
    }
    parts.remove(2);
    let missing = json!({"file_id": id, "parts": [parts[0], {"number": 7, "id": 7}]});
    refused(
        &api.send("POST", "/v3/files/multipart-complete", &missing),
        400,
    );
    let whole = api.ok(
        "POST",
        "/v3/files/multipart-complete",
        &json!({"file_id": id, "parts": parts}),
    );
    assert_eq!(
        (&whole["status"], &whole["type"]),
        (&json!("SUCCESSFUL"), &json!("CSV"))
    );
    let job = api.ok("POST", "/v3/events", &publish_body(&model, None, &whole));
    api.succeeds(&job["job"]);
    let (_, events) = stored(folder.path(), "images", "m");
    assert_eq!(count(&events), 30);
}
