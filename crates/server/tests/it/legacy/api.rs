//! A server in this process, and requests as a legacy client sends them.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driftline_server::{ServeConfig, Server, Shutdown};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;

const TOKEN: &str = "secret";

/// A running server; it is stopped in the end.
pub struct Api {
    url: String,
    client: Client,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

/// What a request carries.
pub enum Body<'a> {
    Nothing,
    Json(&'a Value),
    Bytes(&'a [u8]),
}

impl Api {
    pub fn start(store: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::bind(ServeConfig {
            token: Some(TOKEN.to_owned()),
            ..ServeConfig::new(store.to_owned())
        })
        .unwrap();
        let url = format!("http://{}", server.local_addr());
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        Self {
            url,
            client: Client::new(),
            shutdown,
            thread: Some(std::thread::spawn(move || server.run(&stop).unwrap())),
        }
    }

    /// Status and JSON of an answer to client `version`; with another token than the server's if `token` says so.
    pub fn send(
        &self,
        version: &str,
        token: &str,
        method: &str,
        path: &str,
        body: Body,
    ) -> (u16, Value) {
        let method: Method = method.parse().unwrap();
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token)
            .header("X-Fiddler-Client-Version", version);
        let request = match body {
            Body::Nothing => request,
            Body::Json(value) => request.json(value),
            Body::Bytes(bytes) => request
                .header("Content-Type", "application/octet-stream")
                .body(bytes.to_vec()),
        };
        let response = request.send().unwrap();
        let status = response.status().as_u16();
        let text = response.text().unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|_| {
            panic!("{path} answered {status} with something else than JSON: {text}")
        });
        (status, value)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// One client of a server.
pub struct As<'a> {
    pub api: &'a Api,
    pub version: &'a str,
}

impl As<'_> {
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.api
            .send(self.version, TOKEN, "GET", path, Body::Nothing)
    }

    pub fn delete(&self, path: &str) -> (u16, Value) {
        self.api
            .send(self.version, TOKEN, "DELETE", path, Body::Nothing)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.api
            .send(self.version, TOKEN, "POST", path, Body::Json(body))
    }

    pub fn put(&self, path: &str, bytes: &[u8]) -> (u16, Value) {
        self.api
            .send(self.version, TOKEN, "PUT", path, Body::Bytes(bytes))
    }

    pub fn stranger(&self, path: &str) -> (u16, Value) {
        self.api
            .send(self.version, "wrong", "GET", path, Body::Nothing)
    }

    /// Uploads a file in one request; the name to quote later.
    pub fn upload(&self, project: &str, bytes: &[u8]) -> Value {
        let query =
            "upload_type=event&multipart_upload=False&resource_identifier=x&file_name=x.csv";
        let (status, mut answer) =
            self.put(&format!("/v2/datasets/o:{project}/upload?{query}"), bytes);
        assert_eq!(status, 200, "{answer}");
        answer["data"]["file_name"].take()
    }

    /// The final state of a job.
    pub fn wait(&self, job: &Value) -> Value {
        let path = format!("/v2/jobs/{}", job.as_str().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (status, mut answer) = self.get(&path);
            assert_eq!(status, 200, "{answer}");
            let job = answer["data"].take();
            match job["status"].as_str() {
                Some("PENDING" | "STARTED") => assert!(Instant::now() < deadline, "{job}"),
                _ => return job,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a job that must succeed.
    pub fn succeeds(&self, job: &Value) {
        let job = self.wait(job);
        assert_eq!(job["status"], "SUCCESS", "{job}");
    }
}
