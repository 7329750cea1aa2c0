//! A server in this process over the known store.

use std::path::Path;
use std::thread::JoinHandle;

use driftline_server::{ServeConfig, Server, Shutdown};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

const TOKEN: &str = "secret";

/// A running server and the one model of its store; it is stopped in the end.
pub struct Api {
    url: String,
    client: Client,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
    /// Id of the model.
    pub model: String,
    /// Id of its project.
    pub project: String,
}

impl Api {
    pub fn start(store: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::bind(ServeConfig {
            token: Some(TOKEN.to_owned()),
            ..ServeConfig::new(store.to_owned())
        })
        .unwrap();
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        let mut api = Self {
            url: format!("http://{}", server.local_addr()),
            client: Client::new(),
            shutdown,
            thread: Some(std::thread::spawn(move || server.run(&stop).unwrap())),
            model: String::new(),
            project: String::new(),
        };
        let models = api.get("/v3/models?limit=50&offset=0");
        let model = &models["data"]["items"][0];
        api.model = model["id"].as_str().unwrap().to_owned();
        api.project = model["project"]["id"].as_str().unwrap().to_owned();
        api
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method: Method = method.parse().unwrap();
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().unwrap();
        let status = response.status().as_u16();
        (status, response.json().unwrap())
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", path, None);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send("POST", path, Some(body));
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The message of a refusal with status 400.
    pub fn refused(&self, path: &str, body: &Value) -> String {
        let (status, answer) = self.send("POST", path, Some(body));
        assert_eq!(status, 400, "{path}: {answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    }

    /// Makes a baseline over production and returns its id.
    pub fn baseline(&self, name: &str, terms: Value) -> Value {
        let mut body = json!({
            "name": name, "model_id": self.model, "env_type": "PRODUCTION", "env_id": null,
        });
        let body_terms = body.as_object_mut().unwrap();
        body_terms.extend(terms.as_object().unwrap().clone());
        self.post("/v3/baselines", &body)["data"]["id"].take()
    }

    /// What one query of days answers.
    pub fn query(&self, query: Value) -> Value {
        let mut answer = self.post("/v3/queries", &self.queries(query));
        answer["data"]["results"]["q"].take()
    }

    /// The body of a request with one query of days.
    pub fn queries(&self, query: Value) -> Value {
        let mut whole = json!({"query_key": "q", "model_id": self.model, "viz_type": "line"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(query.as_object().unwrap().clone());
        json!({
            "project_id": self.project,
            "query_type": "MONITORING",
            "filters": {
                "time_range": {"start_time": "2024-01-01 00:00:00", "end_time": "2024-02-01T00:00:00Z"},
                "time_zone": "Etc/GMT",
                "bin_size": "Day",
            },
            "queries": [whole],
        })
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

pub fn close(found: &Value, expected: f64) {
    let found = found
        .as_f64()
        .unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}
