//! What the official clients once sent, sent again: status by status, and what a client cannot do without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::api::{Api, As, Body};
use super::files::{Rows, labels};

const CLASSES: [&str; 10] = [
    "plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
];
const DIM: usize = 128;
/// Stands in a recording for what was left out of a long list.
const SHORTENED: &str = " items in all";

fn recordings() -> Option<PathBuf> {
    let folder =
        std::env::var_os("DRIFTLINE_TEST_DATA").map(|data| Path::new(&data).join("fiddler"));
    if folder.is_none() {
        println!("skipped: DRIFTLINE_TEST_DATA names no folder with recorded exchanges");
    }
    folder
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every column of client 1's data set.
fn columns() -> Vec<String> {
    let vector = (0..DIM).map(|k| format!("emb_{k}"));
    let rest = CLASSES
        .iter()
        .chain(&["target", "image_number", "image_url"]);
    vector.chain(rest.map(|name| (*name).to_owned())).collect()
}

/// A recorded body with its lists made whole again.
fn whole(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), whole(value)))
            .collect(),
        Value::Array(items) => {
            let cut = items
                .iter()
                .position(|item| item.as_str().is_some_and(|text| text.contains(SHORTENED)));
            let Some(cut) = cut else {
                return items.iter().map(whole).collect();
            };
            let count: usize = items[cut]
                .as_str()
                .unwrap()
                .split(' ')
                .nth(1)
                .unwrap()
                .parse()
                .unwrap();
            let name = |item: &Value| item.get("column-name").unwrap_or(item).clone();
            let known: BTreeMap<String, &Value> = items
                .iter()
                .map(|item| (name(item).as_str().unwrap().to_owned(), item))
                .collect();
            let new = |column: &String| match &items[0] {
                Value::String(_) => json!(column),
                _ => json!({"column-name": column, "data-type": "float", "is-nullable": false}),
            };
            let all = columns();
            all[..count]
                .iter()
                .map(|column| {
                    known
                        .get(column)
                        .map_or_else(|| new(column), |item| (*item).clone())
                })
                .collect()
        }
        other => other.clone(),
    }
}

/// What the server called things in place of what the recorded server called them.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// Learns from the same place of both answers.
    fn learn(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(a), Value::Object(b)) => {
                for (name, value) in a {
                    if let Some(ours) = b.get(name) {
                        self.learn(value, ours);
                    }
                }
            }
            (Value::String(a), Value::String(b)) if a != b && (is_id(a) || is_id(b)) => {
                self.0.insert(a.clone(), b.clone());
            }
            _ => {}
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, ours) in &self.0 {
            text = text.replace(recorded, ours);
        }
        text
    }

    fn value(&self, value: &Value) -> Value {
        serde_json::from_str(&self.text(&value.to_string())).unwrap()
    }
}

/// Ids of things, and marks of uploaded parts.
fn is_id(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

/// Every key of `needed` is in `found`, with a value of the same type where it is not null there.
fn has(found: &Value, needed: &Value, place: &str) {
    match needed {
        Value::Object(map) => {
            for (name, needed) in map {
                let part = found
                    .get(name)
                    .unwrap_or_else(|| panic!("{place} has no {name}: {found}"));
                has(part, needed, &format!("{place}.{name}"));
            }
        }
        Value::Array(items) => {
            let found = found
                .as_array()
                .unwrap_or_else(|| panic!("{place} is no list: {found}"));
            if let (Some(first), Some(needed)) = (found.first(), items.first()) {
                has(first, needed, &format!("{place}[0]"));
            }
            assert!(!found.is_empty() || items.is_empty(), "{place} is empty");
        }
        Value::Null => {}
        other => assert_eq!(
            std::mem::discriminant(found),
            std::mem::discriminant(other),
            "{place}: {found} in place of {other}"
        ),
    }
}

/// The file that a recorded upload describes, with rows of its own.
fn file(described: &Value, part: usize) -> Vec<u8> {
    let columns: Vec<&str> = described["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column.as_str().or_else(|| column["name"].as_str()))
        .collect();
    let count = described["rows"].as_u64().unwrap().min(200) as usize;
    let rows = Rows {
        dim: DIM,
        classes: &CLASSES,
        count,
        from: part * 1_000,
    };
    let events = columns.contains(&"timestamp");
    match described["format"].as_str() {
        _ if columns.len() <= 4 => labels(&[("event-0", "cat")]),
        Some("parquet") => rows.parquet(events),
        _ => rows.csv(events),
    }
}

fn query(recorded: &Value, names: &Names) -> String {
    let pairs = recorded.as_array().unwrap().iter().map(|pair| {
        let text = |value: &Value| names.text(value.as_str().unwrap());
        let escaped: String = text(&pair[1])
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    (byte as char).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("{}={escaped}", text(&pair[0]))
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn replay(version: &str) {
    let Some(folder) = recordings() else { return };
    let store = tempfile::tempdir().unwrap();
    let api = Api::start(store.path());
    let client = As { api: &api, version };
    // What the client cannot do without, by route; the last answer has the most in it.
    let minimal: Map<String, Value> = read(&folder.join(format!("minimal-{version}.jsonl")))
        .into_iter()
        .map(|mut exchange| {
            (
                exchange["route"].as_str().unwrap().to_owned(),
                exchange["response"]["body"].take(),
            )
        })
        .collect();
    let mut names = Names::default();
    let mut jobs = 0;
    let exchanges = read(&folder.join(format!("exchanges-legacy-{version}.jsonl")));
    for (number, exchange) in exchanges.iter().enumerate() {
        let route = exchange["route"].as_str().unwrap_or_default();
        let wanted = exchange["response"]["status"].as_u64().unwrap() as u16;
        let path = names.text(exchange["path"].as_str().unwrap());
        let place = format!("{number}: {} {path}", exchange["method"]);
        let path = format!("{path}?{}", query(&exchange["query"], &names));
        let token = if wanted == 401 { "wrong" } else { "secret" };
        let method = exchange["method"].as_str().unwrap();
        let body = &exchange["body"];
        let json = body.get("json").map(|json| {
            let json = names.value(&whole(json));
            match body["kind"].as_str() {
                Some(kind) if kind.contains("double") => json!(json.to_string()),
                _ => json,
            }
        });
        let bytes = body.get("file").map(|described| file(described, number));
        let mut json = json;
        // A recording has no long vectors.
        if let Some(vector) = json
            .as_mut()
            .and_then(|json| json.pointer_mut("/event/embeddings"))
        {
            *vector = json!(vec![0.5; DIM]);
        }
        let body = match (&json, &bytes) {
            (Some(json), _) => Body::Json(json),
            (_, Some(bytes)) => Body::Bytes(bytes),
            _ => Body::Nothing,
        };
        let (status, answer) = api.send(version, token, method, &path, body);
        assert_eq!(status, wanted, "{place}: {answer}");
        names.learn(&exchange["response"]["body"], &answer);
        let empty = exchange["response"]["body"]["data"]["total"] == 0;
        if let Some(needed) = minimal.get(route).filter(|_| status < 300 && !empty) {
            has(&answer, needed, &place);
        }
        if status < 300 && (status == 202 || route == "v2.add_model") {
            client.succeeds(&answer["data"]["job_uuid"]);
            jobs += 1;
        }
    }
    assert!(jobs > 10, "{jobs} jobs");
}

#[test]
fn client_1_as_it_was_recorded() {
    replay("1.8.6");
}

#[test]
fn client_2_as_it_was_recorded() {
    replay("2.5.0");
}
