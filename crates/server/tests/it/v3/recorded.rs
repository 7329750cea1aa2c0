//! The recorded requests of client 3, sent again: every answer has what the recorded one has.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::{ArrayRef, Float32Array, Int64Array, StringArray};
use reqwest::blocking::multipart;
use serde_json::{Value, json};

use crate::common::{Api, Running, answer, batch, encoded, parquet, refused};

const DIM: usize = 128;
/// Routes that other tests look at.
const PASSED_OVER: [&str; 12] = [
    "create_alert_rule",
    "list_alert_rules",
    "get_alert_rule",
    "update_alert_rule",
    "set_notification",
    "get_notification",
    "alert_records",
    "delete_alert_rule",
    "custom_metric",
    "segment",
    "webhook",
    "multipart",
];

#[test]
fn recorded_requests_are_answered_as_they_were() {
    let Some(data) = std::env::var_os("DRIFTLINE_TEST_DATA") else {
        println!("skipped: DRIFTLINE_TEST_DATA is not set");
        return;
    };
    let path = Path::new(&data).join("fiddler/exchanges-v3-3.14.1.jsonl");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: there is no {}", path.display());
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let mut replay = Replay {
        api: &server.api,
        ids: HashMap::new(),
        centroids: Value::Null,
    };
    let mut sent = 0;
    for line in text.lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let route = exchange["route"].as_str().unwrap_or("none");
        if route == "none" || PASSED_OVER.iter().any(|part| route.contains(part)) {
            continue;
        }
        replay.send(route, &exchange);
        sent += 1;
    }
    assert!(sent > 60, "{sent} requests were sent");
}

struct Replay<'a> {
    api: &'a Api,
    /// Recorded ids and the server's.
    ids: HashMap<String, String>,
    /// Those of the recording are shortened.
    centroids: Value,
}

impl Replay<'_> {
    fn send(&mut self, route: &str, exchange: &Value) {
        let method = exchange["method"].as_str().unwrap();
        let mut path = self.translated(exchange["path"].as_str().unwrap());
        for (i, pair) in exchange["query"].as_array().unwrap().iter().enumerate() {
            let value = self.translated(pair[1].as_str().unwrap());
            path += if i == 0 { "?" } else { "&" };
            path += &format!("{}={}", pair[0].as_str().unwrap(), encoded(&value));
        }
        let mut request = self.api.request(method, &path);
        let body = &exchange["body"];
        request = match body["kind"].as_str() {
            None => request,
            Some("json") => {
                let text = self.translated(&body["json"].to_string());
                request.json(&self.lengthened(serde_json::from_str(&text).unwrap()))
            }
            Some("multipart") => {
                let field = &body["fields"][0];
                let name = field["filename"].as_str().unwrap().to_owned();
                let part = multipart::Part::bytes(file(&field["file"])).file_name(name);
                request.multipart(multipart::Form::new().part("file", part))
            }
            Some(other) => panic!("a body of kind {other}"),
        };
        let (status, found) = answer(request);
        // The recording adds a column that no row of the store has, which is said instead of lost.
        let added = body["json"]["spec"]["metadata"].as_array();
        if added.is_some_and(|names| names.contains(&json!("camera"))) {
            let message = refused(&(status, found), 400);
            assert!(message.contains("`camera`"), "{message}");
            return;
        }
        let recorded = &exchange["response"];
        assert_eq!(
            status, recorded["status"],
            "{method} {path} ({route}): {found}"
        );
        self.compare(route, "", &recorded["body"], &found);
        if route == "v3.model_factory" {
            self.centroids = found["data"]["spec"]["custom_features"][0]["centroids"].clone();
            assert_eq!(self.centroids.as_array().unwrap().len(), 5);
        }
        // The recording polls once; here the job may take longer.
        if let Some(job) = found["data"]["job"].as_object() {
            self.api.succeeds(&Value::Object(job.clone()));
        }
    }

    fn translated(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, own) in &self.ids {
            text = text.replace(recorded, own);
        }
        text
    }

    /// Numbers and events that the recording left out.
    fn lengthened(&self, mut body: Value) -> Value {
        if let Some(features) = body["spec"]["custom_features"].as_array_mut() {
            for feature in features {
                if feature["centroids"].is_array() {
                    feature["centroids"] = self.centroids.clone();
                }
            }
        }
        if let Some(events) = body["source"]["events"].as_array_mut() {
            events.retain(Value::is_object);
            for event in events {
                if event["embeddings"].is_array() {
                    event["embeddings"] = json!(vec![0.5; DIM]);
                }
            }
        }
        body
    }

    /// Every key of the recorded answer is there, with a value of the same type; ids are noted.
    fn compare(&mut self, route: &str, place: &str, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => {
                for (key, value) in recorded {
                    let place = format!("{place}.{key}");
                    let found = found
                        .get(key)
                        .unwrap_or_else(|| panic!("{route}: no {place}"));
                    self.compare(route, &place, value, found);
                }
            }
            (Value::Array(recorded), Value::Array(found)) => {
                if let (Some(recorded), Some(found)) = (recorded.first(), found.first()) {
                    self.compare(route, place, recorded, found);
                }
            }
            (Value::String(recorded), Value::String(found)) => {
                let id = |text: &str| text.parse::<uuid::Uuid>().is_ok();
                if id(recorded) && place.ends_with(".id") {
                    assert!(id(found), "{route}: {place} is {found}");
                    self.ids.insert(recorded.clone(), found.clone());
                }
            }
            // Left out here or there: nullable.
            (Value::Null, _) | (_, Value::Null) => {}
            (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {}
            _ => panic!("{route}: {place} is {found}, recorded was {recorded}"),
        }
    }
}

/// A file with the columns and rows of the recorded one.
fn file(recorded: &Value) -> Vec<u8> {
    let rows = recorded["rows"].as_u64().unwrap() as usize;
    if recorded["format"] == "csv" {
        let names: Vec<&str> = recorded["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let cell = |name: &&str| match *name {
            "embeddings" => format!("\"{:?}\"", vec![0.5; DIM]),
            "target" => "cat".to_owned(),
            "image_url" => "a.png".to_owned(),
            "timestamp" => "1700000000000".to_owned(),
            _ => "0.25".to_owned(),
        };
        let row = names.iter().map(cell).collect::<Vec<_>>().join(",");
        return format!("{}\n{}", names.join(","), format!("{row}\n").repeat(rows)).into_bytes();
    }
    let columns: Vec<(String, ArrayRef)> = recorded["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let name = column["name"].as_str().unwrap();
            let kind = column["arrow_type"].as_str().unwrap();
            (name.to_owned(), values(name, kind, rows))
        })
        .collect();
    parquet(&batch(
        columns
            .iter()
            .map(|(name, column)| (name.as_str(), Arc::clone(column)))
            .collect(),
    ))
}

fn values(name: &str, kind: &str, rows: usize) -> ArrayRef {
    let number = |row: usize, i: usize| ((row * 31 + i * 17) % 101) as f64 / 101.0;
    if kind.starts_with("list") {
        let mut lists = ListBuilder::new(Float64Builder::new());
        for row in 0..rows {
            lists
                .values()
                .append_slice(&(0..DIM).map(|i| number(row, i)).collect::<Vec<_>>());
            lists.append(true);
        }
        return Arc::new(lists.finish());
    }
    match (kind, name) {
        ("float", _) => Arc::new(
            (0..rows)
                .map(|row| Some(number(row, 1) as f32))
                .collect::<Float32Array>(),
        ),
        ("int64", _) => Arc::new(
            (0..rows)
                .map(|row| Some(1_700_000_000_000 + row as i64))
                .collect::<Int64Array>(),
        ),
        (_, "embeddings") => Arc::new(
            (0..rows)
                .map(|row| {
                    Some(format!(
                        "{:?}",
                        (0..DIM).map(|i| number(row, i)).collect::<Vec<_>>()
                    ))
                })
                .collect::<StringArray>(),
        ),
        (_, "target") => Arc::new(
            (0..rows)
                .map(|row| Some(["cat", "dog"][row % 2]))
                .collect::<StringArray>(),
        ),
        (_, "image_url" | "event_id") => Arc::new(
            (0..rows)
                .map(|row| Some(format!("{name}-{row}")))
                .collect::<StringArray>(),
        ),
        _ => Arc::new(
            (0..rows)
                .map(|row| Some(number(row, 2).to_string()))
                .collect::<StringArray>(),
        ),
    }
}
