//! The sink's requests are those of Fiddler's own clients: same routes in the same order, same JSON bodies, same columns
//! in the uploads.
//!
//! Compared with two sources: the exchanges recorded from the clients, where `DRIFTLINE_TEST_DATA` names the folder that
//! has them, and what `tests/data/` says about a smaller monitor.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common;
use std::fs;
use std::path::Path;

use crate::common::fake::{Fake, Request, read_parquet};
use crate::common::{Place, rows, spec};
use arrow_schema::DataType;
use driftline_core::{EventLabel, MonitorSink, MonitorSpec};
use serde_json::{Value, json};

/// A difference that is meant: what it does to the client's requests, and why.
struct Difference {
    why: &'static str,
    change: fn(&mut Vec<Value>),
}

const V3_DIFFERENCES: [Difference; 2] = [
    Difference {
        why: "the notebook looks for its project a second time, the sink remembers it",
        change: |requests| remove_second(requests, "GET", "/v3/projects"),
    },
    Difference {
        why: "events have ids, so that one that is sent twice counts once; the notebook has none",
        change: |requests| {
            for request in requests.iter_mut() {
                if request["path"] == "/v3/models" && request["method"] == "POST" {
                    request["json"]["event_id_col"] = "event_id".into();
                }
                if is_upload_of_rows(request) {
                    add_column(request, "event_id", "string");
                }
            }
        },
    },
];

const V2_DIFFERENCES: [Difference; 5] = [
    Difference {
        why: "the notebook looks for its project a second time, the sink remembers it",
        change: |requests| remove_second(requests, "GET", "/v2/projects"),
    },
    Difference {
        why: "events have the declared metadata column image_url, which the notebook leaves out, and ids, so that one that is sent twice counts once",
        change: |requests| {
            for request in requests.iter_mut() {
                if is_upload_of_rows(request) && has_column(request, "timestamp") {
                    let columns = request["columns"].as_array_mut().unwrap();
                    let timestamp = columns.pop().unwrap();
                    columns.extend([json!(["image_url", "string"]), timestamp]);
                    columns.push(json!(["event_id", "string"]));
                }
                if request["json"].get("id_field").is_some() {
                    request["json"]["id_field"] = "event_id".into();
                }
            }
        },
    },
    Difference {
        why: "a row leaves the outbox when its job has succeeded; the notebook does not look",
        change: |requests| {
            let poll = requests
                .iter()
                .find(|request| request["path"] == "/v2/jobs/<id>")
                .unwrap()
                .clone();
            let mut all = Vec::new();
            for request in requests.drain(..) {
                let ingest = request["path"].as_str().unwrap().starts_with("/v2/events/");
                all.push(request);
                if ingest {
                    all.extend([poll.clone(), poll.clone()]);
                }
            }
            *requests = all;
        },
    },
    Difference {
        why: "the description is the author's",
        change: |requests| {
            for request in requests.iter_mut() {
                if request["path"] == "/v2/models" && request["method"] == "POST" {
                    request["json"]["info"]["description"] = "made by driftline".into();
                }
            }
        },
    },
    Difference {
        why: "labels come without the time of their event, which is known by its id",
        change: |requests| {
            for request in requests.iter_mut() {
                if request["columns"]
                    .as_array()
                    .is_some_and(|columns| columns.len() == 3)
                {
                    request["columns"].as_array_mut().unwrap().pop();
                }
                if request["json"]["is_update"] == true {
                    request["json"]["timestamp_field"] = Value::Null;
                }
            }
        },
    },
];

fn remove_second(requests: &mut Vec<Value>, method: &str, path: &str) {
    let same = |request: &Value| request["method"] == method && request["path"] == path;
    let second = (0..requests.len()).filter(|i| same(&requests[*i])).nth(1);
    if let Some(second) = second {
        requests.remove(second);
    }
}

fn has_column(request: &Value, name: &str) -> bool {
    let columns = request["columns"].as_array().into_iter().flatten();
    columns.into_iter().any(|column| column[0] == name)
}

fn is_upload_of_rows(request: &Value) -> bool {
    has_column(request, "embeddings") && request["columns"][0][1] != "string"
}

fn add_column(request: &mut Value, name: &str, kind: &str) {
    let columns = request["columns"].as_array_mut().unwrap();
    columns.push(json!([name, kind]));
}

/// The same in both: ids and names that are made up, and numbers that depend on the data.
fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) => normal_text(text).into(),
        Value::Array(list) => list.iter().map(normal).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let ranged = key.starts_with("value-range");
                (
                    key.clone(),
                    if ranged {
                        "<number>".into()
                    } else {
                        normal(value)
                    },
                )
            })
            .collect(),
        other => other.clone(),
    }
}

fn normal_text(text: &str) -> String {
    let parts: Vec<String> = text.split('/').map(normal_part).collect();
    parts.join("/")
}

fn normal_part(part: &str) -> String {
    let is_id = part.len() == 36 && part.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if is_id {
        return "<id>".to_owned();
    }
    match part.strip_suffix(".parquet") {
        Some("data" | "baseline" | "") | None => part.to_owned(),
        Some(_) => "<file>.parquet".to_owned(),
    }
}

/// A request that the sink sent, in the form that is compared.
fn sent(request: &Request) -> Value {
    let query: Vec<Value> = request
        .query
        .iter()
        .map(|(name, value)| json!([name, normal_text(value)]))
        .collect();
    let mut line = json!({
        "method": request.method,
        "path": normal_text(&request.path),
        "query": query,
    });
    let file = match request.form_file() {
        Some((name, bytes)) => {
            line["file"] = normal_part(&name).into();
            Some(bytes)
        }
        None if request.body.starts_with(b"PAR1") => Some(request.body.clone()),
        None => None,
    };
    if let Some(bytes) = file {
        let batches = read_parquet(&bytes);
        let fields = batches[0].schema().fields().clone();
        line["columns"] = fields
            .iter()
            .map(|field| {
                assert!(field.is_nullable());
                json!([field.name(), type_name(field.data_type())])
            })
            .collect();
        line["rows"] = batches
            .iter()
            .map(|batch| batch.num_rows())
            .sum::<usize>()
            .into();
    } else if !request.body.is_empty() {
        line["json"] = normal(&decoded(request.json()));
    }
    line
}

/// A body that is JSON in a string, decoded and marked.
fn decoded(body: Value) -> Value {
    match body {
        Value::String(text) => json!({"twice": serde_json::from_str::<Value>(&text).unwrap()}),
        other => other,
    }
}

/// Names as in the recording.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::List(child) => {
            format!("list<{}: {}>", child.name(), type_name(child.data_type()))
        }
        other => panic!("unexpected {other}"),
    }
}

/// A request that a client sent, in the form that is compared.
fn recorded(line: &Value) -> Value {
    let query = line["query"].as_array().unwrap().iter();
    let query: Vec<Value> = query
        .map(|pair| json!([pair[0], normal_text(pair[1].as_str().unwrap())]))
        .collect();
    let mut request = json!({
        "method": line["method"],
        "path": normal_text(line["path"].as_str().unwrap()),
        "query": query,
    });
    let body = &line["body"];
    let mut file = &body["file"];
    if let Some(fields) = body["fields"].as_array() {
        request["file"] = normal_part(fields[0]["filename"].as_str().unwrap()).into();
        file = &fields[0]["file"];
    }
    if !file.is_null() {
        let columns = file["columns"].as_array().unwrap().iter();
        request["columns"] = columns
            .map(|column| {
                // Which of the two depends on the version of pandas.
                let kind = column["arrow_type"]
                    .as_str()
                    .unwrap()
                    .replace("large_string", "string");
                json!([column["name"], kind])
            })
            .collect();
        request["rows"] = file["rows"].clone();
        assert_eq!(file["row_groups"], 1);
        assert_eq!(file["compression"], "SNAPPY");
    } else if !body.is_null() {
        let json = normal(&body["json"]);
        let twice = body["kind"].as_str().unwrap().contains("double encoded");
        request["json"] = if twice {
            json!({ "twice": json })
        } else {
            json
        };
    }
    request
}

/// Has the sink do what the notebook does, then a label.
fn notebook(
    fake: &Fake,
    monitor: &MonitorSpec,
    api: &str,
    baseline: usize,
    days: usize,
    day: usize,
) -> Vec<Request> {
    let place = Place::new();
    let options = json!({"api": api, "organization": "demo_org", "batch_rows": day});
    let mut sink = place.sink_for(monitor, &fake.url, options).unwrap();
    sink.publish_baseline(&rows(monitor, 0..baseline)).unwrap();
    for start in (0..days * day).step_by(day) {
        sink.publish_events(&rows(monitor, start..start + day))
            .unwrap();
    }
    // All batches are full, so they are delivered without being asked for.
    place.wait_until_delivered();
    sink.flush().unwrap();
    let label = EventLabel {
        event_id: common::id(0),
        target: monitor.schema.classes[0].clone(),
    };
    sink.publish_labels(&[label]).unwrap();
    sink.flush().unwrap();
    fake.requests()
}

fn assert_same(sent_requests: &[Request], mut expected: Vec<Value>, differences: &[Difference]) {
    for difference in differences {
        let before = expected.clone();
        (difference.change)(&mut expected);
        assert_ne!(before, expected, "no longer true: {}", difference.why);
    }
    let sent: Vec<Value> = sent_requests.iter().map(sent).collect();
    for (i, (sent, expected)) in sent.iter().zip(&expected).enumerate() {
        let show = |value| serde_json::to_string_pretty(value).unwrap();
        assert!(
            sent == expected,
            "request {i}\nsent: {}\nexpected: {}",
            show(sent),
            show(expected)
        );
    }
    assert_eq!(sent.len(), expected.len());
}

const CLASSES: [&str; 10] = [
    "plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
];

fn exchanges(name: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("DRIFTLINE_TEST_DATA") else {
        println!("skipped: {name}, because DRIFTLINE_TEST_DATA is not set");
        return None;
    };
    let path = Path::new(&folder).join("fiddler").join(name);
    let text = fs::read_to_string(path).unwrap();
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn assert_same_headers(requests: &[Request], recorded: &[Value]) {
    for header in [
        "x-fiddler-client-name",
        "x-fiddler-client-version",
        "x-fiddler-python-version",
    ] {
        let theirs = recorded[0]["headers"].as_object().unwrap();
        let theirs = theirs
            .iter()
            .find(|(name, _)| name.to_lowercase() == header);
        let theirs = theirs.map(|(_, value)| value.as_str().unwrap());
        for request in requests {
            assert_eq!(request.headers.get(header).map(String::as_str), theirs);
        }
    }
}

#[test]
fn v3_is_what_client_3_14_1_sends() {
    let Some(lines) = exchanges("exchanges-v3-3.14.1.jsonl") else {
        return;
    };
    let fake = Fake::start();
    let factory = lines
        .iter()
        .find(|line| line["route"] == "v3.model_factory");
    fake.set_factory(factory.unwrap()["response"]["body"]["data"].clone());
    let requests = notebook(&fake, &spec(128, &CLASSES), "v3", 200, 6, 60);
    // The notebook, then the update of one label by a file.
    let update = lines
        .iter()
        .position(|line| line["route"] == "v3.publish_update");
    let update = update.unwrap();
    let mut expected: Vec<Value> = lines[..36].iter().map(recorded).collect();
    expected.extend(lines[update - 1..update + 3].iter().map(recorded));
    assert_same(&requests, expected, &V3_DIFFERENCES);
    assert_same_headers(&requests, &lines);
}

#[test]
fn v2_is_what_client_2_5_0_sends() {
    let Some(lines) = exchanges("exchanges-legacy-2.5.0.jsonl") else {
        return;
    };
    let fake = Fake::start();
    let mut monitor = spec(128, &CLASSES);
    monitor.dataset = "cifar10_baseline".to_owned();
    let requests = notebook(&fake, &monitor, "v2", 200, 6, 60);
    let update = |line: &Value| line["body"]["json"]["is_update"] == true;
    let update = lines.iter().position(update).unwrap();
    let mut expected: Vec<Value> = lines[..28].iter().map(recorded).collect();
    expected.extend(lines[update - 1..=update].iter().map(recorded));
    // Three labels there, one here.
    let label = expected.len() - 2;
    expected[label]["rows"] = 1.into();
    assert_same(&requests, expected, &V2_DIFFERENCES);
    assert_same_headers(&requests, &lines);
}

fn written(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn v3_is_what_is_written_down() {
    let written = written("v3.json");
    let fake = Fake::start();
    fake.set_factory(written["factory"].clone());
    let requests = notebook(&fake, &common::small(), "auto", 10, 2, 3);
    let expected = written["requests"].as_array().unwrap().clone();
    assert_same(&requests, expected, &[]);
}

#[test]
fn v2_is_what_is_written_down() {
    let fake = Fake::start();
    fake.speak_v2_only();
    let requests = notebook(&fake, &common::small(), "auto", 10, 2, 3);
    let expected = written("v2.json")["requests"].as_array().unwrap().clone();
    // The first one finds out that there is no V3.
    assert!(requests[0].is("GET", "/v3/server-info"));
    assert_same(&requests[1..], expected, &[]);
}

#[test]
fn a_sample_is_text_as_python_writes_it() {
    let fake = Fake::start();
    let requests = notebook(&fake, &common::small(), "v3", 10, 1, 3);
    let upload = requests
        .iter()
        .find(|request| request.is("POST", "/v3/files/upload"));
    let (name, bytes) = upload.unwrap().form_file().unwrap();
    assert_eq!(name, "data.parquet");
    let batch = &read_parquet(&bytes)[0];
    let text = |column: &str| {
        use arrow_array::cast::AsArray;
        batch[column].as_string::<i32>().value(0).to_owned()
    };
    assert_eq!(
        text("embeddings"),
        "[0.0, 0.7777777910232544, 1.5555555820465088, 2.3333332538604736]"
    );
    assert_eq!(text("cat"), "0.5");
    assert_eq!(text("target"), "cat");
    assert_eq!(text("image_url"), "img/0.png");
}
