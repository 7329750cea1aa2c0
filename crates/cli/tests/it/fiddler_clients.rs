//! Fiddler's own clients of three generations take `driftline serve` for Fiddler.
//!
//! `DRIFTLINE_FIDDLER_CLIENTS` names a folder with a Python environment for each of them; `cargo xtask test` makes it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::common::server::{Served, TOKEN};
use crate::common::{Workspace, stderr};
use driftline::data::Split;
use serde_json::{Value, json};

/// The clients' versions, and the projects that their notebooks make.
const CLIENTS: [(&str, &str); 3] = [
    ("3.14.1", "notebook_v3"),
    ("2.5.0", "notebook_v2"),
    ("1.8.6", "notebook_v1"),
];
/// As in `clients/rows.py`.
const FIRST_DAY: &str = "2026-11-02T00:00:00Z";
const FEATURE: &str = "image_feature";

/// Days of production: the name of the row file, rows, and how the images drift.
const DAYS: [(&str, u64, &str); 6] = [
    ("week-1-day-1", 60, "none"),
    ("week-1-day-2", 80, "none"),
    ("week-2-day-1", 60, "blur(sigma=0.5..2)"),
    ("week-2-day-2", 80, "blur(sigma=0.5..2)"),
    ("week-3-day-1", 60, "brightness(0.4..0.6)"),
    ("week-3-day-2", 80, "brightness(0.4..0.6)"),
];
const BASELINE: u64 = 300;

/// What the test asks a server for.
struct Server(Served);

impl Server {
    fn start(workspace: &Workspace) -> Self {
        Self(Served::start(workspace, "store"))
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = reqwest::blocking::Client::new().post(format!("{}{path}", self.url()));
        answer(request.json(body))
    }

    /// All objects of a list.
    fn list(&self, path: &str) -> Vec<Value> {
        let request = reqwest::blocking::Client::new().get(format!("{}{path}", self.url()));
        let mut answer = answer(request);
        match answer["data"]["items"].take() {
            Value::Array(items) => items,
            _ => panic!("{path} is no list: {answer}"),
        }
    }

    /// The drift of each day against the baseline, by the route that Fiddler has for charts.
    fn drift(&self, project: &str, model: &Value, baseline: &str, metric: &str) -> Vec<f64> {
        let model_id = model["id"].as_str().unwrap();
        let baselines = self.list(&format!(
            "/v3/models/{model_id}/baselines?limit=50&offset=0"
        ));
        let baseline = baselines
            .iter()
            .find(|item| item["name"] == baseline)
            .unwrap_or_else(|| panic!("{project} has no baseline {baseline}: {baselines:?}"));
        let answer = self.post(
            "/v3/queries",
            &json!({
                "project_id": model["project"]["id"],
                "query_type": "MONITORING",
                "filters": {
                    "time_range": {"start_time": FIRST_DAY, "end_time": "2026-11-08T00:00:00Z"},
                    "time_zone": "Etc/GMT",
                    "bin_size": "Day",
                },
                "queries": [{
                    "query_key": "drift",
                    "model_id": model_id,
                    "baseline_id": baseline["id"],
                    "metric": metric,
                    "columns": [FEATURE],
                    "viz_type": "line",
                }],
            }),
        );
        let rows = answer["data"]["results"]["drift"]["data"].as_array();
        let rows = rows.unwrap_or_else(|| panic!("no data in {answer}"));
        rows.iter()
            .map(|row| {
                row[1]
                    .as_f64()
                    .unwrap_or_else(|| panic!("no number in {row}"))
            })
            .collect()
    }
}

fn answer(request: reqwest::blocking::RequestBuilder) -> Value {
    let response = request.bearer_auth(TOKEN).send().unwrap();
    let status = response.status();
    let body = response.text().unwrap();
    assert!(status.is_success(), "{status}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Row files of a baseline and of the days; the drift of each day, as `driftline drift` says it: JSD and PSI.
fn rows(workspace: &Workspace) -> Vec<[f64; 2]> {
    std::fs::create_dir(workspace.path("rows")).unwrap();
    workspace.images("train", Split::Train, BASELINE);
    workspace.json(&["embed", "train", "-o", "rows/baseline.parquet"]);
    let mut expected = Vec::new();
    for (name, images, transform) in DAYS {
        let file = format!("rows/{name}.parquet");
        workspace.images(name, Split::Test, images);
        workspace.json(&["embed", name, "-o", &file, "--transform", transform]);
        let drift = workspace.json(&[
            "drift",
            "--baseline",
            "rows/baseline.parquet",
            "--window",
            &file,
            "--clusters",
            "5",
            "--seed",
            "42",
        ]);
        let value = |statistic: &str| drift["statistics"][statistic]["value"].as_f64().unwrap();
        expected.push([value("jsd"), value("psi")]);
    }
    expected
}

/// A notebook that runs.
struct Notebook {
    version: &'static str,
    process: Child,
    start: Instant,
}

impl Notebook {
    fn start(clients: &Path, version: &'static str, server: &Server, rows: &Path) -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let process = Command::new(clients.join(version).join("bin/python"))
            .arg(scripts.join(format!("notebook-{version}.py")))
            .args([&server.url(), TOKEN])
            .arg(rows)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(rows)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            version,
            process,
            start: Instant::now(),
        }
    }

    /// What it says that it did.
    fn report(self) -> Value {
        let output = self.process.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "client {}: {text}\n{}",
            self.version,
            stderr(&output)
        );
        println!(
            "client {}: {:.0} s",
            self.version,
            self.start.elapsed().as_secs_f64()
        );
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

fn clients() -> Option<PathBuf> {
    let clients = std::env::var_os("DRIFTLINE_FIDDLER_CLIENTS").map(PathBuf::from);
    if clients.is_none() {
        println!(
            "skipped: DRIFTLINE_FIDDLER_CLIENTS names no folder; `cargo xtask test` makes one"
        );
    }
    clients
}

#[test]
fn three_generations_run_the_notebook_and_read_back_the_drift_that_driftline_computes() {
    let Some(clients) = clients() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workspace = Workspace::new();
    let expected = rows(&workspace);
    let server = Server::start(&workspace);
    let folder = workspace.path("rows");
    let running = CLIENTS.map(|(version, _)| Notebook::start(&clients, version, &server, &folder));
    for (notebook, (version, project)) in running.into_iter().zip(CLIENTS) {
        let report = notebook.report();
        assert_eq!(report["project"], project);
        assert_eq!(report["models"], json!(["resnet18"]), "client {version}");
        assert!(
            report["projects"]
                .as_array()
                .unwrap()
                .contains(&json!(project)),
            "client {version}: {report}"
        );
        assert!(
            report["conflict"]
                .as_str()
                .unwrap()
                .contains("already exists"),
            "client {version}: {report}"
        );
        let baseline = report["baseline"].as_str().unwrap();
        same_drift(&server, project, baseline, &expected);
        same_rows(&workspace, project);
    }
    // What was accepted is there after a crash.
    drop(server);
    let server = Server::start(&workspace);
    same_drift(&server, "notebook_v3", "train_time_reference", &expected);
    same_drift(&server, "notebook_v1", "cifar10_baseline", &expected);
}

fn same_drift(server: &Server, project: &str, baseline: &str, expected: &[[f64; 2]]) {
    let models = server.list("/v3/models?limit=50&offset=0");
    let model = models
        .iter()
        .find(|model| model["project"]["name"] == project)
        .unwrap_or_else(|| panic!("no model of {project} in {models:?}"));
    for (metric, statistic) in [("jsd", 0), ("psi", 1)] {
        let found = server.drift(project, model, baseline, metric);
        let wanted: Vec<f64> = expected.iter().map(|day| day[statistic]).collect();
        assert_eq!(found, wanted, "{metric} of {project}");
    }
}

/// Every row is in the store, bit by bit, but for the labels that came later.
fn same_rows(workspace: &Workspace, project: &str) {
    let mut stored = workspace.rows_of("store", project, "resnet18");
    for (day, _, _) in DAYS {
        for (id, sent) in workspace.row_file(&format!("rows/{day}.parquet")) {
            let kept = stored
                .remove(&id)
                .unwrap_or_else(|| panic!("{project} has no {id}"));
            assert_eq!(kept.window, "production");
            assert_eq!(
                (kept.embedding, kept.scores),
                (sent.embedding, sent.scores),
                "{id}"
            );
            if !relabelled(project, day, &id) {
                assert_eq!(kept.target, sent.target, "{project}: {id}");
            } else {
                assert_ne!(kept.target, sent.target, "{project}: {id}");
            }
        }
    }
    assert_eq!(stored.len() as u64, BASELINE, "{project}");
    let first = workspace.row_file("rows/baseline.parquet").into_values();
    let sent: Vec<_> = first
        .map(|row| (row.url, row.target, row.embedding))
        .collect();
    for row in stored.into_values() {
        assert!(
            sent.contains(&(row.url, row.target, row.embedding)),
            "{project}"
        );
    }
}

/// Whether a notebook gave the event another true class: the first five of the first day, and one more by itself.
fn relabelled(project: &str, day: &str, id: &str) -> bool {
    let number: usize = id.rsplit('-').next().unwrap().parse().unwrap();
    let alone = usize::from(project != "notebook_v3");
    day == DAYS[0].0 && number < 5 + alone
}
