//! Random histories of uploads, publications, labels and deletions by several clients at once. What the store has in the
//! end is what a reference in memory has that does the accepted jobs one after the other.
//!
//! With `DRIFTLINE_TEST_FULL` there are 100,000 of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Api, CLASSES, DIM, Running, answer, publish_body};
use driftline_sink_local::Store;
use reqwest::blocking::multipart;
use rusqlite::Connection;
use serde_json::{Value, json};

/// Histories in one store.
const EACH: u64 = 20;
/// Clients of one history, and what each of them does.
const CLIENTS: u64 = 3;
const STEPS: u64 = 3;
/// Events that the clients of a history contend for.
const EVENTS: u64 = 6;
const MODELS: [&str; 2] = ["a", "b"];

fn histories() -> u64 {
    match std::env::var_os("DRIFTLINE_TEST_FULL") {
        Some(_) => 100_000,
        None => 20,
    }
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % end
    }

    /// Some of the events of a history, each once.
    fn events(&mut self, history: u64) -> Vec<String> {
        let chosen: Vec<u64> = (0..EVENTS).filter(|_| self.below(2) == 0).collect();
        let chosen = if chosen.is_empty() { vec![0] } else { chosen };
        let name = |event: u64| format!("h{history}-{event}");
        chosen.into_iter().map(name).collect()
    }
}

/// What an accepted job does to a model.
#[derive(Clone)]
enum Change {
    /// Events with this address.
    Publish {
        ids: Vec<String>,
        url: String,
    },
    Label {
        ids: Vec<String>,
        target: &'static str,
    },
    Delete {
        ids: Vec<String>,
    },
}

/// Events of a model by id: address and target.
type Events = BTreeMap<String, (String, String)>;

impl Change {
    fn apply(self, events: &mut Events) {
        match self {
            Self::Publish { ids, url } => {
                for id in ids {
                    let row = (url.clone(), CLASSES[0].to_owned());
                    events.entry(id).or_insert(row);
                }
            }
            Self::Label { ids, target } => {
                for id in ids {
                    if let Some(event) = events.get_mut(&id) {
                        target.clone_into(&mut event.1);
                    }
                }
            }
            Self::Delete { ids } => {
                for id in ids {
                    events.remove(&id);
                }
            }
        }
    }
}

fn rows(ids: &[String], url: &str) -> Vec<u8> {
    let mut text = format!(
        "embeddings,{},target,image_url,timestamp,event_id\n",
        CLASSES.join(",")
    );
    let vector = ["0.5"; DIM].join(", ");
    for (row, id) in (0..).zip(ids) {
        // Rows of one file lie on several days.
        let time = 1_763_942_400_000_i64 + row * 50_000_000;
        let class = CLASSES[0];
        writeln!(
            text,
            "\"[{vector}]\",0.5,0.25,0.25,{class},{url},{time},{id}"
        )
        .unwrap();
    }
    text.into_bytes()
}

/// The clients of one store, and what they were told.
struct Session<'a> {
    api: &'a Api,
    models: Vec<Value>,
    accepted: Mutex<HashMap<String, (usize, Change)>>,
}

impl Session<'_> {
    fn client(&self, history: u64, client: u64) {
        let mut random = Random::new(history * CLIENTS + client + 1);
        for step in 0..STEPS {
            let model = random.below(MODELS.len() as u64) as usize;
            let ids = random.events(history);
            match random.below(6) {
                0 => {
                    let body = json!({"model_id": self.models[model]["id"], "event_ids": ids});
                    let data = self.api.ok("DELETE", "/v3/events", &body);
                    self.keep(&data["job"], model, Change::Delete { ids });
                }
                1 | 2 => {
                    let target = CLASSES[random.below(3) as usize];
                    let mut text = "event_id,target\n".to_owned();
                    for id in &ids {
                        writeln!(text, "{id},{target}").unwrap();
                    }
                    let file = self.api.upload("labels.csv", text.into_bytes());
                    let body = publish_body(&self.models[model], None, &file);
                    let data = self.api.ok("PATCH", "/v3/events", &body);
                    self.keep(&data["job"], model, Change::Label { ids, target });
                }
                kind => {
                    let url = format!("{history}-{client}-{step}.png");
                    let bytes = rows(&ids, &url);
                    let file = match kind {
                        3 => self.in_parts(&bytes, 1 + random.below(3) as usize),
                        _ => self.api.upload("rows.csv", bytes),
                    };
                    let change = Change::Publish { ids, url };
                    self.publish(&file, model, &change);
                    // The same request again, and the same file for the other model.
                    if random.below(2) == 0 {
                        self.publish(&file, model, &change);
                    }
                    if random.below(2) == 0 {
                        self.publish(&file, 1 - model, &change);
                    }
                }
            }
        }
    }

    /// Publishes a file, unless earlier jobs have used it up.
    fn publish(&self, file: &Value, model: usize, change: &Change) {
        let body = publish_body(&self.models[model], None, file);
        match self.api.send("POST", "/v3/events", &body) {
            (202, value) => self.keep(&value["data"]["job"], model, change.clone()),
            (400, value) => {
                let message = value["error"]["message"].as_str().unwrap();
                assert!(message.contains("upload it again"), "{value}");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Uploads a file in parts, and completes it twice at the same time.
    fn in_parts(&self, bytes: &[u8], parts: usize) -> Value {
        let name = json!({"filename": "rows.csv"});
        let file = self.api.ok("POST", "/v3/files/multipart-init", &name);
        let id = file["id"].as_str().unwrap();
        let mut listed = Vec::new();
        for (number, chunk) in (1..).zip(bytes.chunks(bytes.len().div_ceil(parts))) {
            let part = multipart::Part::bytes(chunk.to_vec()).file_name("part");
            let form = multipart::Form::new()
                .part("file", part)
                .text("file_id", id.to_owned())
                .text("part_number", number.to_string());
            let request = self.api.request("POST", "/v3/files/multipart-upload");
            assert_eq!(answer(request.multipart(form)).0, 200);
            listed.push(json!({"number": number, "id": number}));
        }
        let body = json!({"file_id": id, "parts": listed});
        let complete = || self.api.ok("POST", "/v3/files/multipart-complete", &body);
        std::thread::scope(|scope| {
            let other = scope.spawn(complete);
            let file = complete();
            assert_eq!(other.join().unwrap(), file);
            file
        })
    }

    fn keep(&self, job: &Value, model: usize, change: Change) {
        let id = job["id"].as_str().unwrap().to_owned();
        self.accepted.lock().unwrap().insert(id, (model, change));
    }
}

/// Jobs in the order in which they were accepted.
fn in_order(store: &Path) -> Vec<String> {
    let database = Connection::open(store.join(".driftline/server.db")).unwrap();
    let mut statement = database
        .prepare("SELECT id FROM document WHERE kind = 'job' ORDER BY seq")
        .unwrap();
    let ids = statement.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

fn stored(store: &Path, model: &str) -> Events {
    let mut events = Events::new();
    let store = Store::open(store, "images", model).unwrap();
    for rows in store.events(..).unwrap() {
        let rows = rows.unwrap();
        let columns = rows
            .event_ids()
            .iter()
            .zip(rows.image_urls())
            .zip(rows.targets());
        for ((id, url), target) in columns {
            let row = (url.unwrap().to_owned(), target.unwrap().to_owned());
            let before = events.insert(id.unwrap().to_owned(), row);
            assert!(before.is_none(), "{id:?} is there twice");
        }
    }
    events
}

fn session(from: u64, to: u64) {
    // Nothing is cut off here, so that nothing need reach a disk.
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let server = Running::start(folder.path());
    let project = server.api.project("images");
    let session = Session {
        api: &server.api,
        models: MODELS
            .map(|name| server.api.model(&project, name, true))
            .to_vec(),
        accepted: Mutex::default(),
    };
    for history in from..to {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let session = &session;
                scope.spawn(move || session.client(history, client));
            }
        });
    }
    let mut accepted = session.accepted.into_inner().unwrap();
    let mut expected = [Events::new(), Events::new()];
    for job in in_order(folder.path()) {
        server.api.succeeds(&json!({"id": job}));
        let (model, change) = accepted.remove(&job).unwrap();
        change.apply(&mut expected[model]);
    }
    assert!(accepted.is_empty(), "an accepted job is not there");
    for (model, expected) in MODELS.iter().zip(&expected) {
        let found = stored(folder.path(), model);
        assert_eq!(&found, expected, "histories {from} to {to}, model {model}");
    }
    let uploads = folder.path().join(".driftline/uploads");
    let deadline = Instant::now() + Duration::from_secs(10);
    while uploads.read_dir().unwrap().count() > 0 {
        assert!(
            Instant::now() < deadline,
            "histories {from} to {to}: uploads are left"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_store_has_what_a_reference_has() {
    let end = histories();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(EACH, Ordering::Relaxed);
                    if from >= end {
                        break;
                    }
                    session(from, (from + EACH).min(end));
                }
            });
        }
    });
    println!("{end} histories");
}
