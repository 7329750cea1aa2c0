//! A small server that answers like the recorded one, remembers what it was asked, and fails on request.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::TOKEN;

/// Id of the fake's only organization.
const ORGANIZATION: &str = "8ee104ac-abda-5b0a-87f2-1d06161bce25";

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// The host in the request line, `fake` where there is none.
    pub host: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.starts_with(path)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Name and bytes of the uploaded file, if this is a form.
    pub fn form_file(&self) -> Option<(String, Vec<u8>)> {
        let kind = self.headers.get("content-type")?;
        let boundary = kind.split_once("boundary=")?.1;
        let end = format!("\r\n--{boundary}");
        let head_end = find(&self.body, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.body[..head_end]).into_owned();
        assert!(!head.to_lowercase().contains("content-type"), "{head}");
        let name = head.split_once("filename=\"")?.1.split_once('"')?.0;
        let content = &self.body[head_end + 4..];
        let length = find(content, end.as_bytes())?;
        Some((name.to_owned(), content[..length].to_vec()))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Another answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection ends before the request is understood.
    Drop,
    /// The request is done, but its answer never arrives.
    LoseAnswer,
    /// The request is done, but half of the answer arrives.
    HalfAnswer,
    /// Nothing for a while.
    Hang(Duration),
}

impl Fault {
    pub fn status(status: u16) -> Self {
        let body = json!({"error": {"code": status, "message": format!("injected {status}"),
            "errors": [{"reason": "Injected", "message": "", "help": ""}]}});
        Self::Answer(status, vec![], body.to_string())
    }
}

/// How jobs end.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEnd {
    Success,
    Failure(String),
    Never,
    Unknown,
}

type Hook = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    hook: Option<Hook>,
    /// For the n-th job, from 0.
    jobs_end: Option<Box<dyn Fn(usize) -> JobEnd + Send>>,
    ids: u64,
    version: Option<String>,
    v2_only: bool,
    /// Answer of the model factory.
    factory: Option<Value>,
    projects: BTreeMap<String, String>,
    datasets: Vec<String>,
    /// Body of the model, and its id.
    models: Vec<(String, Value)>,
    files: BTreeMap<String, Vec<u8>>,
    /// Polls and number of each job.
    jobs: BTreeMap<String, (usize, usize)>,
    /// How often each event was taken in, and its label.
    events: BTreeMap<String, usize>,
    labels: BTreeMap<String, String>,
    baseline: BTreeMap<String, usize>,
    baseline_rows: usize,
}

/// The server; it ends with the value.
pub struct Fake {
    pub url: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl Fake {
    pub fn start() -> Self {
        Self::listen(None)
    }

    pub fn start_tls(tls: Arc<rustls::ServerConfig>) -> Self {
        Self::listen(Some(tls))
    }

    fn listen(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let fake = Self {
            url: format!("{scheme}://127.0.0.1:{}", address.port()),
            address,
            state: state.clone(),
            stopped: stopped.clone(),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), state, tls) = (stream, state.clone(), tls.clone()) else {
                    continue;
                };
                // A connection that breaks off is the client's affair.
                thread::spawn(move || -> io::Result<()> {
                    stream.set_nodelay(true)?;
                    match tls {
                        None => serve(stream, &state),
                        Some(tls) => {
                            let connection = rustls::ServerConnection::new(tls).unwrap();
                            serve(rustls::StreamOwned::new(connection, stream), &state)
                        }
                    }
                });
            }
        });
        fake
    }

    /// Asks `hook` before each request is answered.
    pub fn on(&self, hook: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.state.lock().unwrap().hook = Some(Box::new(hook));
    }

    /// The first `times` requests that match fail.
    pub fn fail(&self, times: usize, method: &'static str, path: &'static str, fault: Fault) {
        let mut left = times;
        self.on(move |request| {
            if left == 0 || !request.is(method, path) {
                return None;
            }
            left -= 1;
            Some(fault.clone())
        });
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().hook = None;
    }

    pub fn jobs_end(&self, end: impl Fn(usize) -> JobEnd + Send + 'static) {
        self.state.lock().unwrap().jobs_end = Some(Box::new(end));
    }

    pub fn set_version(&self, version: &str) {
        self.state.lock().unwrap().version = Some(version.to_owned());
    }

    pub fn speak_v2_only(&self) {
        self.state.lock().unwrap().v2_only = true;
    }

    pub fn set_factory(&self, answer: Value) {
        self.state.lock().unwrap().factory = Some(answer);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        let state = self.state.lock().unwrap();
        let all = state.requests.iter();
        all.filter(|request| request.is(method, path)).count()
    }

    /// How often each event was taken in.
    pub fn events(&self) -> BTreeMap<String, usize> {
        self.state.lock().unwrap().events.clone()
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        self.state.lock().unwrap().labels.clone()
    }

    pub fn baseline(&self) -> BTreeMap<String, usize> {
        self.state.lock().unwrap().baseline.clone()
    }

    pub fn baseline_rows(&self) -> usize {
        self.state.lock().unwrap().baseline_rows
    }

    /// Changes the model that is there.
    pub fn change_model(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.state.lock().unwrap().models[0].1);
    }

    pub fn forget_model(&self) {
        self.state.lock().unwrap().models.clear();
    }

    pub fn forget_events(&self) {
        let mut state = self.state.lock().unwrap();
        state.events.clear();
        state.labels.clear();
    }

    pub fn forget_files(&self) {
        self.state.lock().unwrap().files.clear();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: impl Read + Write, state: &Mutex<State>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream)? {
        let fault = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            let mut hook = state.hook.take();
            let fault = hook.as_mut().and_then(|hook| hook(&request));
            state.hook = hook;
            fault
        };
        let answered = |state: &Mutex<State>| state.lock().unwrap().answer(&request);
        let out = stream.get_mut();
        match fault {
            None => {
                let (status, body) = answered(state);
                respond(out, status, &[], body.to_string().as_bytes(), usize::MAX)?;
            }
            Some(Fault::Answer(status, headers, body)) => {
                respond(out, status, &headers, body.as_bytes(), usize::MAX)?;
            }
            Some(Fault::Drop) => return Ok(()),
            Some(Fault::LoseAnswer) => {
                answered(state);
                return Ok(());
            }
            Some(Fault::HalfAnswer) => {
                let (status, body) = answered(state);
                let body = body.to_string();
                return respond(out, status, &[], body.as_bytes(), body.len() / 2);
            }
            Some(Fault::Hang(span)) => {
                thread::sleep(span);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    // A proxy is given the whole address.
    let address = match target.starts_with("http://") {
        true => target,
        false => format!("http://fake{target}"),
    };
    let url = reqwest::Url::parse(&address).unwrap();
    Ok(Some(Request {
        method,
        host: url.host_str().unwrap().to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body,
    }))
}

fn respond(
    stream: &mut impl Write,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
    sent: usize,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        head.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body[..sent.min(body.len())])?;
    stream.flush()
}

fn ok(data: Value) -> (u16, Value) {
    (
        200,
        json!({ "data": data, "api_version": "3.0", "kind": "NORMAL" }),
    )
}

fn accepted(data: Value) -> (u16, Value) {
    (202, json!({ "data": data }))
}

fn error(status: u16, message: &str) -> (u16, Value) {
    let body =
        json!({"error": {"code": status, "message": message, "errors": []}, "kind": "ERROR"});
    (status, body)
}

fn list(items: &[Value]) -> (u16, Value) {
    ok(json!({ "total": items.len(), "items": items }))
}

impl State {
    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("00000000-0000-4000-8000-{:012}", self.ids)
    }

    fn new_job(&mut self) -> String {
        let id = self.new_id();
        let number = self.jobs.len();
        self.jobs.insert(id.clone(), (0, number));
        id
    }

    fn job(&mut self, id: &str) -> (u16, Value) {
        let Some((polls, number)) = self.jobs.get_mut(id) else {
            return error(404, "no such job");
        };
        *polls += 1;
        let end = self
            .jobs_end
            .as_ref()
            .map_or(JobEnd::Success, |end| end(*number));
        let (status, reason) = match &end {
            JobEnd::Unknown => return error(404, "no such job"),
            JobEnd::Never => ("STARTED", None),
            _ if *polls == 1 => ("STARTED", None),
            JobEnd::Success => ("SUCCESS", None),
            JobEnd::Failure(reason) => ("FAILURE", Some(reason)),
        };
        ok(
            json!({ "id": id, "uuid": id, "name": "a job", "info": {}, "status": status,
            "progress": 50.0, "error_message": reason, "error_reason": reason.map(|_| "BadRows") }),
        )
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        if request.headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return error(401, &format!("who are you? {:?}", request.headers));
        }
        if let Some(rest) = request.path.strip_prefix("/v3/") {
            if self.v2_only {
                return error(404, "no such route");
            }
            return self.v3(request, rest);
        }
        match request.path.strip_prefix("/v2/") {
            Some(rest) => self.v2(request, rest),
            None => error(404, "no such route"),
        }
    }

    fn version(&self) -> String {
        self.version.clone().unwrap_or_else(|| "25.2.0".to_owned())
    }

    fn v3(&mut self, request: &Request, rest: &str) -> (u16, Value) {
        let wanted = |field: &str| -> Option<String> {
            let (_, filter) = request.query.iter().find(|(name, _)| name == "filter")?;
            let filter: Value = serde_json::from_str(filter).unwrap();
            let rules = filter["rules"].as_array().unwrap();
            let rule = rules.iter().find(|rule| rule["field"] == field)?;
            Some(rule["value"].as_str().unwrap().to_owned())
        };
        match (request.method.as_str(), rest) {
            ("GET", "server-info") => ok(json!({
                "feature_flags": {}, "server_version": self.version(),
                "organization": { "id": ORGANIZATION, "name": "demo_org" } })),
            ("GET", "version-compatibility") => ok(json!({})),
            ("GET", "projects") => {
                let found = self.projects.get(&wanted("name").unwrap());
                list(
                    &found
                        .map(|id| json!({ "id": id }))
                        .into_iter()
                        .collect::<Vec<_>>(),
                )
            }
            ("POST", "projects") => {
                let name = request.json()["name"].as_str().unwrap().to_owned();
                if self.projects.contains_key(&name) {
                    return error(409, "the project exists");
                }
                let id = self.new_id();
                self.projects.insert(name, id.clone());
                ok(json!({ "id": id }))
            }
            ("POST", "files/upload") => {
                let (_, bytes) = request.form_file().unwrap();
                let id = self.new_id();
                self.files.insert(id.clone(), bytes);
                ok(json!({ "id": id }))
            }
            ("POST", "model-factory") => {
                let body = request.json();
                if !self.files.contains_key(body["file_id"].as_str().unwrap()) {
                    return error(404, "no such file");
                }
                match &self.factory {
                    Some(answer) => ok(answer.clone()),
                    None => ok(json!({
                        "schema": { "schema_version": 1, "columns": [
                            { "id": "embeddings", "name": "embeddings", "data_type": "vector",
                              "n_dimensions": 4 }] },
                        "spec": body["spec"] })),
                }
            }
            ("POST", "models") => {
                let body = request.json();
                if self
                    .models
                    .iter()
                    .any(|(_, model)| model["name"] == body["name"])
                {
                    return error(409, "the model exists");
                }
                let id = self.new_id();
                self.models.push((id.clone(), body));
                ok(json!({ "id": id }))
            }
            ("GET", "models") => {
                let name = wanted("name").unwrap();
                let found = self
                    .models
                    .iter()
                    .filter(|(_, model)| model["name"] == name);
                list(&found.map(|(id, _)| json!({ "id": id })).collect::<Vec<_>>())
            }
            ("POST" | "PATCH", "events") => self.v3_events(request),
            ("GET", path) => {
                if let Some(id) = path.strip_prefix("models/") {
                    let found = self.models.iter().find(|(known, _)| known == id);
                    return found.map_or_else(
                        || error(404, "no such model"),
                        |(_, model)| ok(model.clone()),
                    );
                }
                match path.strip_prefix("jobs/") {
                    Some(id) => self.job(id),
                    None => error(404, "no such route"),
                }
            }
            _ => error(404, "no such route"),
        }
    }

    fn v3_events(&mut self, request: &Request) -> (u16, Value) {
        let body = request.json();
        let known = self.models.iter().any(|(id, _)| body["model_id"] == **id);
        if !known {
            return error(404, "no such model");
        }
        let file = body["source"]["file_id"].as_str().unwrap();
        let Some(bytes) = self.files.get(file).cloned() else {
            return error(404, "no such file");
        };
        let job = self.new_job();
        let baseline = body["env_type"] == "PRE_PRODUCTION";
        self.take_in(&bytes, &job, baseline, request.method == "PATCH");
        accepted(json!({ "source_type": "FILE", "job": { "id": job, "name": "Publish events" } }))
    }

    /// Counts the rows of a file, unless its job fails.
    fn take_in(&mut self, bytes: &[u8], job: &str, baseline: bool, labels: bool) {
        let number = self.jobs[job].1;
        let end = self
            .jobs_end
            .as_ref()
            .map_or(JobEnd::Success, |end| end(number));
        if matches!(end, JobEnd::Failure(_)) {
            return;
        }
        for batch in read_parquet(bytes) {
            let Some(ids) = batch.column_by_name("event_id") else {
                self.baseline_rows += batch.num_rows();
                continue;
            };
            for (row, id) in ids.as_string::<i32>().iter().enumerate() {
                let id = id.unwrap().to_owned();
                if labels {
                    let targets = batch["target"].as_string::<i32>();
                    self.labels.insert(id, targets.value(row).to_owned());
                } else if baseline {
                    *self.baseline.entry(id).or_default() += 1;
                } else {
                    *self.events.entry(id).or_default() += 1;
                }
            }
            self.baseline_rows += if baseline { batch.num_rows() } else { 0 };
        }
    }

    fn v2(&mut self, request: &Request, rest: &str) -> (u16, Value) {
        let named = |names: Vec<&str>| {
            list(
                &names
                    .iter()
                    .map(|name| json!({ "name": name }))
                    .collect::<Vec<_>>(),
            )
        };
        match (request.method.as_str(), rest) {
            ("GET", "server-info") => {
                ok(json!({ "feature_flags": {}, "server_version": self.version() }))
            }
            ("GET", "version-compatibility") => ok(json!({})),
            ("GET", "projects") => named(self.projects.keys().map(String::as_str).collect()),
            ("POST", "projects") => {
                let name = request.json()["name"].as_str().unwrap().to_owned();
                if self.projects.insert(name, "1".to_owned()).is_some() {
                    return error(409, "the project exists");
                }
                ok(request.json())
            }
            ("GET", "datasets") => named(self.datasets.iter().map(String::as_str).collect()),
            ("GET", "models") => {
                let models = self.models.iter();
                named(
                    models
                        .map(|(_, model)| model["name"].as_str().unwrap())
                        .collect(),
                )
            }
            ("POST", "models") => {
                let mut body = request.json();
                if !self.models.is_empty() {
                    return error(409, "the model exists");
                }
                let dataset = body["info"]["datasets"][0].as_str().unwrap().to_owned();
                if !self.datasets.contains(&dataset) {
                    return error(404, "no such data set");
                }
                let id = self.new_id();
                self.models.push((id, body.clone()));
                body["job_uuid"] = self.new_job().into();
                ok(body)
            }
            ("PUT", path) if path.ends_with("/upload") => {
                let name = request.query.iter().find(|(name, _)| name == "file_name");
                let name = name.unwrap().1.clone();
                self.files.insert(name.clone(), request.body.clone());
                ok(json!({ "file_name": name }))
            }
            ("POST", path) if path.ends_with("/ingest") => self.v2_ingest(request, path),
            ("GET", path) => {
                if let Some(id) = path.strip_prefix("jobs/") {
                    return self.job(id);
                }
                if path.starts_with("models/") {
                    return match self.models.first() {
                        Some((_, model)) => ok(model.clone()),
                        None => error(404, "no such model"),
                    };
                }
                match path.strip_prefix("projects/demo_org:") {
                    Some(name) if self.projects.contains_key(name) => ok(json!({ "name": name })),
                    _ => error(404, "no such project"),
                }
            }
            _ => error(404, "no such route"),
        }
    }

    fn v2_ingest(&mut self, request: &Request, path: &str) -> (u16, Value) {
        let dataset = path.strip_prefix("datasets/demo_org:image_monitoring:");
        let mut body = request.json();
        if let Some(text) = body.as_str() {
            body = serde_json::from_str(text).unwrap();
        } else {
            assert!(dataset.is_none(), "a data set's body is encoded twice");
        }
        let file = body["file_name"][0].as_str().unwrap();
        let Some(bytes) = self.files.get(file).cloned() else {
            return error(404, "no such file");
        };
        if let Some(name) = dataset.and_then(|rest| rest.strip_suffix("/ingest")) {
            if self.datasets.iter().any(|known| known == name) {
                return error(409, "the data set exists");
            }
            self.datasets.push(name.to_owned());
        }
        let job = self.new_job();
        self.take_in(&bytes, &job, dataset.is_some(), body["is_update"] == true);
        accepted(json!({ "job_uuid": job, "status": 202 }))
    }
}

pub fn read_parquet(bytes: &[u8]) -> Vec<RecordBatch> {
    // The reader wants a file or bytes of its own kind.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}
