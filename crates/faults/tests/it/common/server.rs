//! A server, what clients send to it, and what its store must hold then.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::Array;
use driftline_faults::inject::{self, Fault};
use driftline_faults::record::{self, mark};
use driftline_faults::replay::History;
use driftline_server::{ServeConfig, Server, Shutdown};
use driftline_sink_local::Store;
use reqwest::blocking::{Client, RequestBuilder, multipart};
use serde_json::{Value, json};

use super::Progress;
use super::store::{DIM, embedding, id};

pub const TOKEN: &str = "secret";
/// What a driver prints before its address.
pub const ADDRESS: &str = "address ";
const PATIENCE: Duration = Duration::from_secs(60);

/// One request, or a few that belong together.
#[derive(Debug, Clone)]
pub enum Step {
    Project,
    Model,
    /// Rows as CSV, under a name.
    Upload(&'static str, Range<usize>),
    /// The same in two parts.
    Parts(&'static str, Range<usize>),
    Baseline(&'static str),
    Publish(&'static str),
    /// Rows in the request itself.
    List(Range<usize>),
    Relabel(Range<usize>),
    Delete(Range<usize>),
}

pub fn script() -> Vec<Step> {
    vec![
        Step::Project,
        Step::Model,
        Step::Upload("baseline", 0..12),
        Step::Baseline("baseline"),
        Step::List(0..15),
        Step::Upload("csv", 10..30),
        Step::Publish("csv"),
        Step::Parts("parts", 30..45),
        Step::Publish("parts"),
        Step::Relabel(0..12),
        Step::Delete(40..44),
        Step::Upload("last", 50..52),
        Step::Publish("last"),
    ]
}

/// A client of a server, and the names that it was given.
pub struct Script<'a> {
    url: String,
    http: Client,
    /// `model`, `upload csv`, `job csv` and so on, with their ids.
    names: BTreeMap<String, String>,
    log: Option<&'a Path>,
}

type Said = Result<Value, String>;

impl<'a> Script<'a> {
    pub fn new(url: &str, log: Option<&'a Path>, notes: &BTreeSet<String>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = |note: &String| {
            let (name, id) = note.strip_prefix("name ")?.rsplit_once(' ')?;
            Some((name.to_owned(), id.to_owned()))
        };
        Self {
            url: url.to_owned(),
            http: Client::builder().timeout(PATIENCE).build().unwrap(),
            names: notes.iter().filter_map(name).collect(),
            log,
        }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.http
            .request(method.parse().unwrap(), url)
            .bearer_auth(TOKEN)
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Said {
        said(self.request(method, path).json(body))
    }

    fn note(&mut self, name: String, answer: &Value) -> Result<(), String> {
        let id = answer["id"]
            .as_str()
            .ok_or_else(|| format!("no id in {answer}"))?;
        if let Some(log) = self.log {
            mark(log, format!("name {name} {id}")).unwrap();
        }
        self.names.insert(name, id.to_owned());
        Ok(())
    }

    fn name(&self, name: &str) -> Result<&String, String> {
        self.names
            .get(name)
            .ok_or_else(|| format!("there is no {name}"))
    }

    /// What exists, by its name.
    fn listed(&self, what: &str, name: &str) -> Said {
        let all = said(self.request("GET", &format!("/v3/{what}")))?;
        let mut items = all["items"].as_array().into_iter().flatten();
        let found = items.find(|item| item["name"] == name);
        found.cloned().ok_or_else(|| format!("no {name} in {all}"))
    }

    fn made(&self, what: &str, name: &str, body: &Value) -> Said {
        match self.json("POST", &format!("/v3/{what}"), body) {
            Err(text) if text.starts_with("409") => self.listed(what, name),
            answer => answer,
        }
    }

    pub fn run(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Project => {
                let made = self.made("projects", "p", &json!({"name": "p"}))?;
                self.note("project".to_owned(), &made)
            }
            Step::Model => {
                let body = model(self.name("project")?);
                let made = self.made("models", "m", &body)?;
                self.note("model".to_owned(), &made)
            }
            Step::Upload(name, range) => {
                let part = multipart::Part::bytes(csv(range)).file_name("rows.csv");
                let form = multipart::Form::new().part("file", part);
                let upload = said(self.request("POST", "/v3/files/upload").multipart(form))?;
                self.note(format!("upload {name}"), &upload)
            }
            Step::Parts(name, range) => self.parts(name, range),
            Step::Baseline(name) => self.publish(name, Some("first")),
            Step::Publish(name) => self.publish(name, None),
            Step::List(range) => {
                let events: Vec<Value> = range.clone().map(event).collect();
                self.list("POST", &events)
            }
            Step::Relabel(range) => {
                let label = |row| json!({"event_id": id(row), "target": "cat"});
                let events: Vec<Value> = range.clone().map(label).collect();
                self.list("PATCH", &events)
            }
            Step::Delete(range) => {
                let ids: Vec<String> = range.clone().map(id).collect();
                let body = json!({"model_id": self.name("model")?, "event_ids": ids});
                let answer = self.json("DELETE", "/v3/events", &body)?;
                self.note(format!("job delete-{}", range.start), &answer["job"])
            }
        }
    }

    /// Sends it up to three times.
    pub fn run_until_taken(&mut self, step: &Step) -> Result<(), String> {
        let mut tried = self.run(step);
        for _ in 0..2 {
            if tried.is_ok() {
                break;
            }
            tried = self.run(step);
        }
        tried.map_err(|text| format!("{step:?} again: {text}"))
    }

    fn parts(&mut self, name: &str, range: &Range<usize>) -> Result<(), String> {
        let init = json!({"filename": "rows.csv"});
        let upload = self.json("POST", "/v3/files/multipart-init", &init)?;
        let file = upload["id"]
            .as_str()
            .ok_or("no id of the upload")?
            .to_owned();
        let bytes = csv(range);
        let mut parts = Vec::new();
        for (number, bytes) in (1..).zip(bytes.chunks(bytes.len() / 2 + 1)) {
            let part = multipart::Part::bytes(bytes.to_vec()).file_name("part.csv");
            let form = multipart::Form::new()
                .part("file", part)
                .text("file_id", file.clone())
                .text("part_number", number.to_string());
            said(
                self.request("POST", "/v3/files/multipart-upload")
                    .multipart(form),
            )?;
            parts.push(json!({"number": number, "id": number}));
        }
        let body = json!({"file_id": file, "parts": parts});
        let whole = self.json("POST", "/v3/files/multipart-complete", &body)?;
        self.note(format!("upload {name}"), &whole)
    }

    fn publish(&mut self, name: &str, environment: Option<&str>) -> Result<(), String> {
        let body = json!({
            "source": {"file_id": self.name(&format!("upload {name}"))?, "type": "FILE"},
            "model_id": self.name("model")?,
            "env_type": if environment.is_some() { "PRE_PRODUCTION" } else { "PRODUCTION" },
            "env_name": environment,
        });
        let answer = self.json("POST", "/v3/events", &body)?;
        self.note(format!("job {name}"), &answer["job"])
    }

    fn list(&self, method: &str, events: &[Value]) -> Result<(), String> {
        let body = json!({
            "source": {"events": events, "type": "EVENTS"},
            "model_id": self.name("model")?,
            "env_type": "PRODUCTION",
            "env_name": null,
        });
        self.json(method, "/v3/events", &body).map(drop)
    }

    /// Waits for a job; an error if it failed.
    fn job(&self, id: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = said(self.request("GET", &format!("/v3/jobs/{id}")))?;
            match job["status"].as_str() {
                Some("SUCCESS") => return Ok(()),
                Some("PENDING" | "STARTED") if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return Err(format!("a job that was accepted did not succeed: {job}")),
            }
        }
    }

    /// Waits for every job that was accepted, the last one last.
    pub fn jobs(&self) -> Result<(), String> {
        let jobs = self
            .names
            .iter()
            .filter(|(name, _)| name.starts_with("job "));
        for (_, id) in jobs {
            self.job(id)?;
        }
        Ok(())
    }

    /// Sends the files of jobs that failed once more, after a fault.
    pub fn mend_jobs(&mut self, script: &[Step]) -> Result<(), String> {
        for step in script {
            let name = match step {
                Step::Publish(name) | Step::Baseline(name) => name,
                _ => continue,
            };
            if let Some(id) = self.names.get(&format!("job {name}")).cloned()
                && self.job(&id).is_err()
            {
                self.run_until_taken(step)?;
            }
        }
        Ok(())
    }
}

fn said(request: RequestBuilder) -> Said {
    let answer = request.send().map_err(|e| format!("no answer: {e}"))?;
    let status = answer.status().as_u16();
    let text = answer.text().map_err(|e| format!("half an answer: {e}"))?;
    let mut value: Value =
        serde_json::from_str(&text).map_err(|_| format!("{status} without JSON: {text:?}"))?;
    match status {
        200..300 => Ok(value["data"].take()),
        _ => Err(format!("{status} {value}")),
    }
}

fn label(row: usize) -> &'static str {
    if row.is_multiple_of(5) { "cat" } else { "dog" }
}

fn event(row: usize) -> Value {
    json!({
        "embeddings": embedding(row), "cat": 0.25, "dog": 0.75, "target": label(row),
        "image_url": "a.png", "timestamp": time(row), "event_id": id(row),
    })
}

/// Twenty events a day.
fn time(row: usize) -> i64 {
    1_763_942_400_000 + (row / 20) as i64 * 86_400_000 + (row % 20) as i64
}

fn csv(range: &Range<usize>) -> Vec<u8> {
    let mut text = "embeddings,cat,dog,target,image_url,timestamp,event_id\n".to_owned();
    for row in range.clone() {
        text += &format!(
            "\"{:?}\",0.25,0.75,{},a.png,{},{}\n",
            embedding(row),
            label(row),
            time(row),
            id(row)
        );
    }
    text.into_bytes()
}

fn model(project: &str) -> Value {
    let score = |class: &str| json!({"name": class, "data_type": "float", "min": 0.0, "max": 1.0});
    json!({
        "name": "m",
        "project_id": project,
        "schema": {"schema_version": 1, "columns": [
            {"name": "embeddings", "data_type": "vector", "n_dimensions": DIM},
            score("cat"), score("dog"),
            {"name": "target", "data_type": "category", "categories": ["cat", "dog"]},
            {"name": "image_url", "data_type": "str"},
        ]},
        "spec": {
            "schema_version": 1,
            "inputs": ["embeddings"],
            "outputs": ["cat", "dog"],
            "targets": ["target"],
            "decisions": [],
            "metadata": ["image_url"],
            "custom_features": [{
                "name": "image_feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 2,
                "centroids": null, "column": "embeddings", "source_column": "image_url",
            }],
        },
        "input_type": "structured",
        "task": "multiclass_classification",
        "task_params": {"target_class_order": ["cat", "dog"]},
        "description": null,
        "event_id_col": "event_id",
        "event_ts_col": "timestamp",
        "event_ts_format": null,
        "xai_params": {"custom_explain_methods": [], "default_explain_method": null},
    })
}

/// That the store holds what the whole script leaves, each row once.
pub fn complete(folder: &Path) -> Result<(), String> {
    let mut wanted: BTreeMap<usize, String> = BTreeMap::new();
    for row in (0..40).chain(44..45).chain(50..52) {
        let label = if row < 12 { "cat" } else { label(row) };
        wanted.insert(row, label.to_owned());
    }
    let store = Store::open(folder, "p", "m").map_err(|e| e.to_string())?;
    let mut found = BTreeMap::new();
    let mut events = store.events(..).map_err(|e| e.to_string())?;
    for rows in events.by_ref() {
        let rows = rows.map_err(|e| e.to_string())?;
        for at in 0..rows.len() {
            let name = rows.event_ids().value(at);
            let row = name.rsplit('-').next().and_then(|row| row.parse().ok());
            let row: usize = row.ok_or_else(|| format!("a strange event {name}"))?;
            let targets = rows.targets();
            let label = targets.is_valid(at).then(|| targets.value(at).to_owned());
            let whole = rows.embeddings()[at * DIM..(at + 1) * DIM] == embedding(row);
            if !whole {
                return Err(format!("event {row} has another embedding"));
            }
            if found.insert(row, label.unwrap_or_default()).is_some() {
                return Err(format!("event {row} is there twice"));
            }
        }
    }
    if !events.damaged().is_empty() {
        return Err(format!("damaged: {:?}", events.damaged()));
    }
    let mut baseline = 0;
    for rows in store.baseline().map_err(|e| e.to_string())? {
        baseline += rows.map_err(|e| e.to_string())?.len();
    }
    if baseline != 12 {
        return Err(format!("the baseline has {baseline} rows, not 12"));
    }
    match found == wanted {
        true => Ok(()),
        false => Err(format!("there is {found:?}, not {wanted:?}")),
    }
}

/// A server in this process; it is stopped in the end.
pub struct Running {
    pub url: String,
    shutdown: Shutdown,
    thread: Option<JoinHandle<driftline_core::Result<()>>>,
}

impl Running {
    pub fn start(folder: &Path) -> Result<Self, String> {
        let server = Server::bind(ServeConfig {
            token: Some(TOKEN.to_owned()),
            ..ServeConfig::new(folder.to_owned())
        })
        .map_err(|e| format!("the server does not start: {e}"))?;
        let url = format!("http://{}", server.local_addr());
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || server.run(&stop));
        Ok(Self {
            url,
            shutdown,
            thread: Some(thread),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the server panicked"
            );
        }
    }
}

/// A server in a process of its own, under the interposing library.
pub struct Process {
    pub url: String,
    child: Child,
}

impl Process {
    /// `Err` with how it ended, if it ended before it listened.
    // It is waited for in `stop`, and where it ended early.
    #[allow(clippy::zombie_processes)]
    pub fn start(folder: &Path, log: &Path, fault: Option<Fault>) -> Result<Self, super::Ended> {
        std::fs::create_dir_all(folder).unwrap();
        let mut command = crate::drivers::command("server", folder, log, 1);
        inject::interpose(&mut command, &super::library(), folder, log, fault).unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() == 0 {
                let mut ended = super::Ended::of(&child.wait_with_output().unwrap(), log);
                ended.text.insert_str(0, &text);
                return Err(ended);
            }
            if let Some(address) = line.strip_prefix(ADDRESS) {
                let url = format!("http://{}", address.trim());
                // Nobody reads on: what it still prints must not block it.
                std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
                return Ok(Self { url, child });
            }
            text += &line;
        }
    }

    /// Ends it in order, and says how it ended.
    pub fn stop(mut self, log: &Path) -> super::Ended {
        drop(self.child.stdin.take());
        super::Ended::of(&self.child.wait_with_output().unwrap(), log)
    }
}

/// The trace of a server that was sent the whole script, each step between its marks.
pub fn history() -> History {
    let place = super::folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let process = Process::start(&root, &log, None)
        .map_err(|e| e.text)
        .unwrap();
    let mut requests = Script::new(&process.url, Some(&log), &Default::default());
    for (number, step) in script().iter().enumerate() {
        mark(&log, format!("begin {number}")).unwrap();
        requests.run(step).unwrap();
        mark(&log, format!("ack {number}")).unwrap();
    }
    requests.jobs().unwrap();
    drop(requests);
    process.stop(&log).is_orderly(&[0]).unwrap();
    History::new(record::read(&log).unwrap())
}

/// That a server started on a folder with this history does what was accepted, and takes the rest of the script.
pub fn check(folder: &Path, progress: &Progress) -> Result<(), String> {
    let steps = script();
    {
        let server = Running::start(folder)?;
        let mut script = Script::new(&server.url, None, &progress.notes);
        script.jobs()?;
        for (number, step) in steps.iter().enumerate().skip(progress.acknowledged) {
            let again = number == progress.acknowledged && progress.begun;
            match script.run(step) {
                Ok(()) => {}
                // Its file was published and removed before the answer was seen.
                Err(text) if again && text.contains("published or removed already") => {}
                Err(text) => return Err(format!("{step:?} again: {text}")),
            }
        }
        script.jobs()?;
        drain(&mut script)?;
    }
    complete(folder)
}

/// The queue is in order: once a job accepted now is done, all are.
pub fn drain(script: &mut Script<'_>) -> Result<(), String> {
    script.run_until_taken(&Step::Upload("drain", 50..52))?;
    script.run_until_taken(&Step::Publish("drain"))?;
    script.jobs()
}
