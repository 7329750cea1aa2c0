//! The routes of clients 1 and 2, asked as those clients ask.

mod api;
mod beside;
mod files;
mod replay;

use api::{Api, As};
use driftline_sink_local::Store;
use files::Rows;
use serde_json::{Value, json};

const CLASSES: [&str; 3] = ["cat", "dog", "frog"];
const DIM: usize = 4;

fn rows(from: usize, count: usize) -> Rows<'static> {
    Rows {
        dim: DIM,
        classes: &CLASSES,
        count,
        from,
    }
}

fn column(name: &str, data_type: &str) -> Value {
    json!({"column-name": name, "data-type": data_type, "is-nullable": false})
}

/// The parts of an `info` in which the generations agree.
fn info() -> Value {
    json!({
        "name": " model",
        "input-type": "structured",
        "model-task": "multiclass_classification",
        "datasets": ["base"],
        "outputs": CLASSES.map(|class| column(class, "float")),
        "targets": [column("target", "category")],
        "target-class-order": CLASSES,
        "metadata": [column("image_url", "str")],
        "schema_version": "1.2",
        "custom-explanation-names": [],
    })
}

fn first_info() -> Value {
    let names: Vec<String> = (0..DIM).map(|k| format!("emb_{k}")).collect();
    let mut info = info();
    info["inputs"] = names.iter().map(|name| column(name, "float")).collect();
    info["custom_features"] = json!([{
        "name": "feature", "columns": names, "type": "FROM_COLUMNS",
        "transformation": null, "n_clusters": 3, "monitor": true,
    }]);
    info
}

fn second_info() -> Value {
    let mut info = info();
    info["inputs"] = json!([{
        "column-name": "embeddings", "data-type": "vector", "is-nullable": false, "n-dimensions": DIM,
    }]);
    info["custom_features"] = json!([{
        "name": "feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 3,
        "column": "embeddings", "source_column": "image_url",
    }]);
    info
}

/// All columns of a data set, from the roles of a model's `info`.
fn columns(info: &Value) -> Value {
    let roles = ["inputs", "outputs", "targets", "metadata"];
    let columns = roles.iter().flat_map(|role| info[role].as_array().unwrap());
    json!({"columns": columns.collect::<Vec<_>>()})
}

/// Project `p` with data set `base` of 60 rows and model `m`.
fn model(client: &As) {
    let (info, file) = match client.version {
        "1.8.6" => (first_info(), rows(0, 60).csv(false)),
        _ => (second_info(), rows(0, 60).parquet(false)),
    };
    let project = json!({"name": "p", "organization_name": "o"});
    assert_eq!(
        client.post("/v2/projects?organization_name=o", &project).0,
        200
    );
    let name = client.upload("p", &file);
    let body = json!({"name": "base", "file_name": [name], "info": columns(&info), "upload_type": "dataset"});
    // The body is a string that holds JSON.
    let (status, answer) = client.post("/v2/datasets/o:p:base/ingest", &json!(body.to_string()));
    assert_eq!(status, 202, "{answer}");
    client.succeeds(&answer["data"]["job_uuid"]);
    let body = json!({"name": "m", "project_name": "p", "organization_name": "o", "info": info});
    let (status, answer) = client.post("/v2/models", &body);
    assert_eq!(
        (status, &answer["data"]["name"]),
        (200, &json!("m")),
        "{answer}"
    );
    client.succeeds(&answer["data"]["job_uuid"]);
}

/// Rows as the client has them: scalars in CSV, or vectors in Parquet.
fn file(client: &As, rows: &Rows) -> Vec<u8> {
    match client.version {
        "1.8.6" => rows.csv(true),
        _ => rows.parquet(true),
    }
}

fn ingest(client: &As, file: &[u8], more: Value) -> Value {
    let mut body = json!({
        "file_name": [client.upload("p", file)],
        "batch_id": null, "events_schema": null, "id_field": "event_id", "is_update": false,
        "timestamp_field": "timestamp", "timestamp_format": "infer", "group_by": null,
        "file_type": ".parquet", "upload_type": "event",
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, mut answer) = client.post("/v2/events/o:p:m/ingest", &body);
    assert_eq!(status, 202, "{answer}");
    answer["data"]["job_uuid"].take()
}

/// Event ids of the store with their targets, in order.
fn events(store: &std::path::Path) -> Vec<(String, Option<String>)> {
    let store = Store::open(store, "p", "m").unwrap();
    let mut found = Vec::new();
    for rows in store.events(..).unwrap() {
        let rows = rows.unwrap();
        for i in 0..rows.len() {
            let target = (!arrow_array::Array::is_null(rows.targets(), i))
                .then(|| rows.targets().value(i).to_owned());
            found.push((rows.event_ids().value(i).to_owned(), target));
        }
    }
    found.sort();
    found
}

fn for_each_generation(test: impl Fn(&As, &std::path::Path)) {
    for version in ["1.8.6", "2.5.0"] {
        let store = tempfile::tempdir().unwrap();
        let api = Api::start(store.path());
        test(&As { api: &api, version }, store.path());
    }
}

#[test]
fn a_notebook_runs_from_the_project_to_the_events() {
    for_each_generation(|client, store| {
        model(client);
        let files = [rows(100, 30), rows(130, 30)];
        let jobs = files.map(|rows| ingest(client, &file(client, &rows), json!({})));
        for job in jobs {
            client.succeeds(&job);
        }
        assert_eq!(events(store).len(), 60);
        let baseline = Store::open(store, "p", "m").unwrap().baseline().unwrap();
        let windows: Vec<String> = baseline
            .flat_map(|rows| {
                let rows = rows.unwrap();
                (0..rows.len())
                    .map(move |i| rows.windows().value(i).to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(windows, vec!["base"; 60]);
        let query = "organization_name=o&project_name=p&model_name=m";
        let (_, baselines) = client.get(&format!("/v2/baselines?{query}"));
        assert_eq!(baselines["data"]["items"][0]["name"], "base", "{baselines}");
    });
}

#[test]
fn labels_that_come_later_change_events() {
    for_each_generation(|client, store| {
        model(client);
        client.succeeds(&ingest(client, &file(client, &rows(0, 4)), json!({})));
        let labels = files::labels(&[("event-0", "frog"), ("event-1", "frog"), ("unknown", "cat")]);
        let update = json!({"is_update": true, "timestamp_field": null, "file_type": null});
        client.succeeds(&ingest(client, &labels, update));
        let body = json!({
            "event": {"target": "dog"}, "event_id": "event-2", "id_field": null, "is_update": true,
            "event_timestamp": null, "timestamp_format": "infer",
        });
        let (status, answer) = client.post("/v2/events/o:p:m/ingest/event", &body);
        assert_eq!(
            (status, &answer["data"]["__fiddler_id"]),
            (202, &json!("event-2")),
            "{answer}"
        );
        client.succeeds(&answer["data"]["job_uuid"]);
        let targets: Vec<_> = events(store)
            .into_iter()
            .map(|(_, target)| target.unwrap())
            .collect();
        assert_eq!(targets, ["frog", "frog", "dog", "cat"]);
    });
}

#[test]
fn an_event_can_come_alone() {
    for_each_generation(|client, store| {
        model(client);
        let mut event = match client.version {
            "1.8.6" => json!({"emb_0": 0.5, "emb_1": 0.25, "emb_2": -1, "emb_3": 2.0}),
            _ => json!({"embeddings": [0.5, 0.25, -1, 2.0]}),
        };
        for class in CLASSES {
            event[class] = json!(0.25);
        }
        event["target"] = json!("cat");
        let send = |event: &Value, id: Value, time: Value| {
            let body = json!({
                "event": event, "event_id": id, "id_field": null, "is_update": null,
                "event_timestamp": time, "timestamp_format": "infer",
            });
            client.post("/v2/events/o:p:m/ingest/event", &body)
        };
        let (status, answer) = send(&event, json!("alone"), json!("1793577600000"));
        assert_eq!(
            (status, &answer["data"]["__fiddler_id"]),
            (202, &json!("alone")),
            "{answer}"
        );
        // Without an id it gets one; again under the same id it changes nothing.
        let (status, answer) = send(&event, Value::Null, Value::Null);
        assert_eq!(status, 202, "{answer}");
        let made = answer["data"]["__fiddler_id"].as_str().unwrap().to_owned();
        let (status, answer) = send(&event, json!("alone"), json!("1793577600000"));
        assert_eq!(status, 202, "{answer}");
        client.succeeds(&answer["data"]["job_uuid"]);
        let ids: Vec<String> = events(store).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert!(ids.contains(&made) && ids.contains(&"alone".to_owned()));
        event["target"] = json!("cat");
        let first = if client.version == "1.8.6" {
            "emb_0"
        } else {
            "embeddings"
        };
        event[first] = Value::Null;
        assert_eq!(send(&event, json!("null"), Value::Null).0, 400);
        assert_eq!(events(store).len(), 2);
    });
}

#[test]
fn rows_that_cannot_be_kept_fail_their_job_and_say_where() {
    for_each_generation(|client, store| {
        model(client);
        let (columns, vector, column) = match client.version {
            "1.8.6" => ("emb_0,emb_1,emb_2,emb_3", "0.5,NaN,0.5,0.5", "emb_1"),
            _ => ("embeddings", "\"[0.5, NaN, 0.5, 0.5]\"", "embeddings"),
        };
        let good = vector.replace("NaN", "0.5");
        let rows = format!("{good},1,0,0,a\n{vector},1,0,0,b\n");
        let text = format!("{columns},cat,dog,frog,event_id\n{rows}");
        let untimed = json!({"file_type": null, "timestamp_field": null});
        let job = client.wait(&ingest(client, text.as_bytes(), untimed));
        assert_eq!(job["status"], "FAILURE", "{job}");
        let message = job["error_message"].as_str().unwrap();
        assert!(
            message.contains(column) && message.contains("row 1"),
            "{job}"
        );
        // What the head of a file shows is refused at once.
        for bytes in [&b"PAR1 and no more"[..], b"", b"a,b\n1,2\n"] {
            let body = json!({"file_name": [client.upload("p", bytes)]});
            let (status, answer) = client.post("/v2/events/o:p:m/ingest", &body);
            assert_eq!(status, 400, "{answer}");
        }
        assert_eq!(events(store), []);
    });
}

#[test]
fn two_splits_make_one_data_set() {
    for_each_generation(|client, _| {
        let project = json!({"name": "p", "organization_name": "o"});
        client.post("/v2/projects?organization_name=o", &project);
        let names = [rows(0, 5), rows(5, 5)].map(|rows| client.upload("p", &rows.csv(false)));
        let info = columns(&first_info());
        // As an object, which is easier to write by hand than a string that holds one.
        let body =
            json!({"name": "base", "file_name": names, "info": info, "upload_type": "DATASET"});
        let (status, answer) = client.post("/v2/datasets/o:p:base/ingest", &body);
        assert_eq!(status, 202, "{answer}");
        client.succeeds(&answer["data"]["job_uuid"]);
        let (_, dataset) = client.get("/v2/datasets/o:p:base");
        assert_eq!(
            dataset["data"]["file_list"]["tree"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(dataset["data"]["info"], info);
        assert_eq!(client.delete("/v2/datasets/o:p:base").0, 200);
        assert_eq!(client.get("/v2/datasets/o:p:base").0, 404);
    });
}

#[test]
fn a_large_file_comes_in_parts() {
    for_each_generation(|client, store| {
        model(client);
        let file = file(client, &rows(0, 50));
        let body = json!({
            "resource_identifier": "m", "file_name": "t.csv", "upload_type": "event", "num_cols": 4, "num_rows": 9,
        });
        let (_, answer) = client.post("/v2/datasets/o:p/initialize", &body);
        let upload = answer["data"]["upload_id"].as_str().unwrap().to_owned();
        let name = answer["data"]["file_name"].as_str().unwrap();
        let (left, right) = file.split_at(file.len() / 2);
        let mut parts = Vec::new();
        // The parts arrive in any order.
        for (number, bytes) in [(2, right), (1, left)] {
            let query = format!(
                "upload_type=event&multipart_upload=True&resource_identifier=m&file_name={name}\
                 &upload_id={upload}&part_number={number}"
            );
            let (status, mut answer) =
                client.put(&format!("/v2/datasets/o:p/upload?{query}"), bytes);
            assert_eq!(status, 200, "{answer}");
            parts.push(answer["data"]["info"].take());
        }
        let path = format!(
            "/v2/datasets/o:p/complete?upload_type=event&resource_identifier=m&file_name={name}&upload_id={upload}"
        );
        let missing = json!({"parts": [{"ETag": "no", "PartNumber": 3}]});
        assert_eq!(client.post(&path, &missing).0, 400);
        let (status, answer) = client.post(&path, &json!({"parts": parts}));
        assert_eq!(status, 200, "{answer}");
        let body = json!({
            "file_name": [answer["data"]["file_name"]], "id_field": "event_id", "is_update": false,
            "timestamp_field": "timestamp", "timestamp_format": "epoch milliseconds",
        });
        let (_, answer) = client.post("/v2/events/o:p:m/ingest", &body);
        client.succeeds(&answer["data"]["job_uuid"]);
        assert_eq!(events(store).len(), 50);
    });
}

#[test]
fn each_generation_is_shown_what_it_can_read() {
    let store = tempfile::tempdir().unwrap();
    let api = Api::start(store.path());
    let [first, second] = ["1.8.6", "2.5.0"].map(|version| As { api: &api, version });
    model(&second);
    let (_, own) = second.get("/v2/models/o:p:m");
    assert_eq!(own["data"]["info"], second_info());
    assert_eq!(second.get("/v2/datasets/o:p:base").0, 200);
    // A vector column makes client 1 fail on the whole list.
    assert_eq!(first.get("/v2/datasets/o:p:base").0, 404);
    assert_eq!(first.get("/v2/models/o:p:m").0, 404);
    let lists = ["datasets", "models"];
    for list in lists {
        let path = format!("/v2/{list}?organization_name=o&project_name=p");
        assert_eq!(first.get(&path).1["data"]["items"], json!([]), "{list}");
        assert_eq!(second.get(&path).1["data"]["total"], 1, "{list}");
    }
}

#[test]
fn client_1_reads_back_what_it_wrote() {
    let store = tempfile::tempdir().unwrap();
    let api = Api::start(store.path());
    let [first, second] = ["1.8.6", "2.5.0"].map(|version| As { api: &api, version });
    model(&first);
    let (status, answer) = first.get("/model_info/o/p/m");
    assert_eq!((status, &answer["status"]), (200, &json!("SUCCESS")));
    assert_eq!(answer["result"]["model"], first_info());
    let body = json!({"model": "m", "dataset": "base"});
    let (status, answer) = first.post("/model_predictions_exist/o/p", &body);
    assert_eq!(
        (status, answer),
        (200, json!({"status": "SUCCESS", "result": true}))
    );
    let (status, answer) = first.post("/init_monitoring/o/p/m", &json!({"version": "fiddler2"}));
    assert_eq!(
        (status, &answer["result"]["status"]),
        (200, &json!(202)),
        "{answer}"
    );
    first.succeeds(&answer["result"]["task_id"]);
    let (_, answer) = second.get("/v2/models/o:p:m");
    let feature = answer["data"]["info"]["custom_features"][0]
        .as_object()
        .unwrap();
    // Client 2 refuses what only client 1 says.
    assert!(!feature.contains_key("monitor") && !feature.contains_key("transformation"));
}

#[test]
fn what_is_not_there_or_taken_is_said_in_the_envelope() {
    for_each_generation(|client, _| {
        model(client);
        let info = if client.version == "1.8.6" {
            first_info()
        } else {
            second_info()
        };
        let file = json!([client.upload("p", &rows(0, 1).csv(false))]);
        let dataset = json!({"name": "base", "file_name": file, "info": columns(&info)});
        let again =
            json!({"name": "m", "project_name": "p", "organization_name": "o", "info": info});
        let mut elsewhere = again.clone();
        elsewhere["project_name"] = json!("nowhere");
        let mut without = again.clone();
        (without["name"], without["info"]["datasets"]) = (json!("m2"), json!(["nothing"]));
        let project = json!({"name": "p", "organization_name": "o"});
        let events = json!({"file_name": [uuid::Uuid::new_v4()], "is_update": false});
        let format = json!({"file_name": file, "timestamp_format": "%d.%m.%Y"});
        for (wanted, (status, answer)) in [
            (
                409,
                client.post("/v2/projects?organization_name=o", &project),
            ),
            (409, client.post("/v2/datasets/o:p:base/ingest", &dataset)),
            (409, client.post("/v2/models", &again)),
            (404, client.post("/v2/models", &elsewhere)),
            (404, client.post("/v2/models", &without)),
            (404, client.get("/v2/projects/o:nowhere")),
            (404, client.get("/v2/projects/o")),
            (404, client.get("/v2/datasets/o:p:nothing")),
            (404, client.get("/v2/models/o:p:nothing")),
            (404, client.get("/v2/jobs/nope")),
            (
                404,
                client.get(&format!("/v2/jobs/{}", uuid::Uuid::new_v4())),
            ),
            (
                404,
                client.post("/v2/events/o:p:nothing/ingest", &json!({"file_name": file})),
            ),
            (404, client.get("/fiddler/v2/server-info")),
            (400, client.post("/v2/events/o:p:m/ingest", &events)),
            (400, client.post("/v2/events/o:p:m/ingest", &json!([]))),
            (400, client.post("/v2/events/o:p:m/ingest", &format)),
            (
                400,
                client.post(
                    "/v2/projects?organization_name=o",
                    &json!({"name": "../up"}),
                ),
            ),
            (401, client.stranger("/v2/server-info?organization_name=o")),
            (401, client.stranger("/get_supported_features/o")),
        ] {
            assert_eq!(status, wanted, "{answer}");
            assert_eq!(answer["error"]["code"], wanted);
            assert!(answer["error"]["message"].is_string(), "{answer}");
            for part in ["reason", "message", "help"] {
                assert!(answer["error"]["errors"][0][part].is_string(), "{answer}");
            }
        }
    });
}

#[test]
fn lists_come_as_the_clients_read_them() {
    for_each_generation(|client, _| {
        for number in 0..321 {
            let project = json!({"name": format!("p{number}"), "organization_name": "o"});
            client.post("/v2/projects?organization_name=o", &project);
        }
        let (_, answer) = client.get("/v2/projects?organization_name=o&limit=300&offset=0");
        assert_eq!(answer["data"]["items"].as_array().unwrap().len(), 300);
        assert_eq!(answer["data"]["total"], 321);
        let (_, answer) = client.get("/v2/projects?organization_name=o&limit=300&offset=300");
        assert_eq!(answer["data"]["items"].as_array().unwrap().len(), 21);
        assert_eq!(
            answer["data"]["items"][20]["organization_name"],
            "driftline"
        );
    });
}
