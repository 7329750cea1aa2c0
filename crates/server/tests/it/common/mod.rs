//! Servers, requests, and files as Fiddler's clients make them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::{ArrayRef, Float32Array, Int64Array, LargeStringArray, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use driftline_server::{ServeConfig, Server, Shutdown};
use parquet::arrow::ArrowWriter;
use reqwest::blocking::{Client, RequestBuilder, multipart};
use serde_json::{Value, json};

pub const TOKEN: &str = "secret";
pub const DIM: usize = 8;
pub const CLASSES: [&str; 3] = ["plane", "car", "bird"];

/// A client of a server at `url`.
#[derive(Clone)]
pub struct Api {
    pub url: String,
    client: Client,
}

impl Api {
    pub fn new(url: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        Self { url, client }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .bearer_auth(TOKEN)
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path))
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request(method, path).json(body))
    }

    /// The data of an answer that must be a success.
    pub fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, mut value) = self.send(method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {value}"
        );
        value["data"].take()
    }

    pub fn ok_get(&self, path: &str) -> Value {
        let (status, mut value) = self.get(path);
        assert_eq!(status, 200, "{path}: {value}");
        value["data"].take()
    }

    pub fn upload(&self, name: &str, bytes: Vec<u8>) -> Value {
        let part = multipart::Part::bytes(bytes).file_name(name.to_owned());
        let form = multipart::Form::new().part("file", part);
        let (status, mut value) = answer(self.request("POST", "/v3/files/upload").multipart(form));
        assert_eq!(status, 200, "{value}");
        value["data"].take()
    }

    /// The final state of a job.
    pub fn finished(&self, job: &Value) -> Value {
        let path = format!("/v3/jobs/{}", job["id"].as_str().unwrap());
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let job = self.ok_get(&path);
            match job["status"].as_str() {
                Some("PENDING" | "STARTED") => assert!(Instant::now() < deadline, "{job}"),
                _ => return job,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn succeeds(&self, job: &Value) {
        let job = self.finished(job);
        assert_eq!(job["status"], "SUCCESS", "{job}");
    }

    pub fn fails(&self, job: &Value) -> String {
        let job = self.finished(job);
        assert_eq!(job["status"], "FAILURE", "{job}");
        job["error_message"].as_str().unwrap().to_owned()
    }

    pub fn project(&self, name: &str) -> Value {
        self.ok("POST", "/v3/projects", &json!({"name": name}))
    }

    /// A model over [`Data`], with event ids if `ids` says so.
    pub fn model(&self, project: &Value, name: &str, ids: bool) -> Value {
        self.ok("POST", "/v3/models", &model_body(project, name, ids))
    }

    /// Uploads and publishes; the job.
    pub fn publish(&self, model: &Value, env: Option<&str>, bytes: Vec<u8>) -> Value {
        let file = self.upload("rows.parquet", bytes);
        let (status, mut value) = self.send("POST", "/v3/events", &publish_body(model, env, &file));
        assert_eq!(status, 202, "{value}");
        value["data"]["job"].take()
    }
}

pub fn publish_body(model: &Value, env: Option<&str>, file: &Value) -> Value {
    json!({
        "source": {"file_id": file["id"], "type": "FILE"},
        "model_id": model["id"],
        "env_type": if env.is_some() { "PRE_PRODUCTION" } else { "PRODUCTION" },
        "env_name": env,
    })
}

pub fn events_body(model: &Value, events: Value) -> Value {
    json!({
        "source": {"events": events, "type": "EVENTS"},
        "model_id": model["id"],
        "env_type": "PRODUCTION",
        "env_name": null,
    })
}

pub fn model_body(project: &Value, name: &str, ids: bool) -> Value {
    let score = |class: &&str| json!({"name": class, "data_type": "float", "min": 0.0, "max": 1.0});
    let mut columns =
        vec![json!({"name": "embeddings", "data_type": "vector", "n_dimensions": DIM})];
    columns.extend(CLASSES.iter().map(score));
    columns.push(json!({"name": "target", "data_type": "category", "categories": CLASSES}));
    columns.push(json!({"name": "image_url", "data_type": "str"}));
    json!({
        "name": name,
        "project_id": project["id"],
        "schema": {"schema_version": 1, "columns": columns},
        "spec": {
            "schema_version": 1,
            "inputs": ["embeddings"],
            "outputs": CLASSES,
            "targets": ["target"],
            "decisions": [],
            "metadata": ["image_url"],
            "custom_features": [{
                "name": "image_feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 3,
                "centroids": null, "column": "embeddings", "source_column": "image_url",
            }],
        },
        "input_type": "structured",
        "task": "multiclass_classification",
        "task_params": {"target_class_order": CLASSES},
        "description": null,
        "event_id_col": ids.then_some("event_id"),
        "event_ts_col": "timestamp",
        "event_ts_format": null,
        "xai_params": {"custom_explain_methods": [], "default_explain_method": null},
    })
}

/// Text as the value of a query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

pub fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().unwrap();
    let status = response.status().as_u16();
    let text = response.text().unwrap();
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{status} with something else than JSON: {text:?}"));
    (status, value)
}

/// What every refusal must look like.
pub fn refused(answer: &(u16, Value), status: u16) -> String {
    let (found, value) = answer;
    assert_eq!(*found, status, "{value}");
    let error = &value["error"];
    assert_eq!(error["code"], status, "{value}");
    let detail = &error["errors"][0];
    for text in [
        &error["message"],
        &detail["reason"],
        &detail["message"],
        &detail["help"],
    ] {
        assert!(text.is_string(), "{value}");
    }
    error["message"].as_str().unwrap().to_owned()
}

/// A server in this process; it is stopped in the end.
pub struct Running {
    pub api: Api,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(store: &Path) -> Self {
        Self::with(ServeConfig::new(store.to_owned()))
    }

    pub fn with(config: ServeConfig) -> Self {
        let server = Server::bind(ServeConfig {
            token: Some(TOKEN.to_owned()),
            ..config
        })
        .unwrap();
        let api = Api::new(format!("http://{}", server.local_addr()));
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || server.run(&stop).unwrap());
        Self {
            api,
            shutdown,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// A server in a process of its own; it is killed in the end.
pub struct Process {
    pub api: Api,
    child: Child,
}

impl Process {
    pub fn start(store: &Path) -> Self {
        Self::of(Self::command(store).env("RUST_LOG", "warn"))
    }

    /// A server that was not started yet.
    pub fn command(store: &Path) -> Command {
        let mut command = Command::new(example("serve"));
        command.arg(store);
        command
    }

    /// The server that `command` starts.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example `serve` is built by `cargo build --examples`");
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        Self {
            api: Api::new(format!("http://{}", line.trim())),
            child,
        }
    }

    /// The most memory that it had so far, in MiB.
    pub fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds examples beside the tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    profile.join("examples").join(name)
}

/// Whether this process may have so many open files; says so if not.
pub fn may_open(files: u64) -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let allowed = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let enough = allowed.is_some_and(|allowed| allowed >= files);
    if !enough {
        println!("skipped: a process may have {allowed:?} open files here");
    }
    enough
}

/// Rows of a data set that follows from a seed.
#[derive(Debug, Clone)]
pub struct Data {
    pub embeddings: Vec<f32>,
    pub scores: Vec<[f32; 3]>,
    pub targets: Vec<&'static str>,
    pub urls: Vec<String>,
    pub times: Vec<i64>,
    pub ids: Vec<String>,
}

impl Data {
    pub fn new(rows: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let embeddings = (0..rows * DIM)
            .map(|i| next() + 4.0 * ((i / DIM) % 3) as f32)
            .collect();
        let scores = (0..rows).map(|_| [next(), next(), next()]).collect();
        Self {
            embeddings,
            scores,
            targets: (0..rows).map(|i| CLASSES[i % 3]).collect(),
            urls: (0..rows).map(|i| format!("img/{seed}-{i}.png")).collect(),
            times: (0..rows as i64)
                .map(|i| 1_763_942_400_000 + 1_000 * i)
                .collect(),
            ids: (0..rows).map(|i| format!("e{seed}-{i:06}")).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn vector(&self, row: usize) -> &[f32] {
        &self.embeddings[row * DIM..(row + 1) * DIM]
    }

    /// As `publish()` of client 3 writes it.
    pub fn typed(&self, production: bool) -> RecordBatch {
        let mut vectors = ListBuilder::new(Float64Builder::new()).with_field(Field::new(
            "element",
            arrow_schema::DataType::Float64,
            true,
        ));
        for row in 0..self.len() {
            vectors.values().append_slice(
                &self
                    .vector(row)
                    .iter()
                    .map(|v| f64::from(*v))
                    .collect::<Vec<_>>(),
            );
            vectors.append(true);
        }
        let mut columns: Vec<(&str, ArrayRef)> = vec![("embeddings", Arc::new(vectors.finish()))];
        for (i, class) in CLASSES.iter().enumerate() {
            let scores: Float32Array = self.scores.iter().map(|scores| Some(scores[i])).collect();
            columns.push((class, Arc::new(scores)));
        }
        columns.push((
            "target",
            Arc::new(LargeStringArray::from(self.targets.clone())),
        ));
        columns.push(("image_url", Arc::new(StringArray::from(self.urls.clone()))));
        if production {
            columns.push(("timestamp", Arc::new(Int64Array::from(self.times.clone()))));
            columns.push(("event_id", Arc::new(StringArray::from(self.ids.clone()))));
        }
        batch(columns)
    }

    /// As `from_data()` of client 3 writes it: everything is text.
    pub fn text(&self) -> RecordBatch {
        let texts = |texts: Vec<String>| Arc::new(LargeStringArray::from(texts)) as ArrayRef;
        let vector = |row: usize| {
            let numbers: Vec<String> = self
                .vector(row)
                .iter()
                .map(|v| f64::from(*v).to_string())
                .collect();
            format!("[{}]", numbers.join(", "))
        };
        let mut columns: Vec<(&str, ArrayRef)> =
            vec![("embeddings", texts((0..self.len()).map(vector).collect()))];
        for (i, class) in CLASSES.iter().enumerate() {
            columns.push((
                class,
                texts(self.scores.iter().map(|s| s[i].to_string()).collect()),
            ));
        }
        columns.push((
            "target",
            texts(self.targets.iter().map(|t| (*t).to_owned()).collect()),
        ));
        columns.push(("image_url", texts(self.urls.clone())));
        batch(columns)
    }

    /// As the fallback of client 3 writes it.
    pub fn csv(&self) -> Vec<u8> {
        let mut text = format!(
            "embeddings,{},target,image_url,timestamp,event_id\n",
            CLASSES.join(",")
        );
        for row in 0..self.len() {
            let numbers: Vec<String> = self
                .vector(row)
                .iter()
                .map(|v| f64::from(*v).to_string())
                .collect();
            let [a, b, c] = self.scores[row];
            text += &format!(
                "\"[{}]\",{a},{b},{c},{},{},{},{}\n",
                numbers.join(", "),
                self.targets[row],
                self.urls[row],
                self.times[row],
                self.ids[row],
            );
        }
        text.into_bytes()
    }

    /// As dictionaries.
    pub fn events(&self) -> Value {
        (0..self.len())
            .map(|row| {
                let [a, b, c] = self.scores[row];
                json!({
                    "embeddings": self.vector(row), "plane": a, "car": b, "bird": c,
                    "target": self.targets[row], "image_url": self.urls[row],
                    "timestamp": self.times[row], "event_id": self.ids[row],
                })
            })
            .collect()
    }
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}
