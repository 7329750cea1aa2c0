//! A server whose log, disk or worker fails: it says so, and goes on.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Api, Data, Process, Running, answer, parquet};
use driftline_server::{Limits, ServeConfig};
use reqwest::blocking::Client;
use serde_json::Value;

/// What `/readyz` says to somebody without the token.
fn ready(api: &Api) -> (u16, Value) {
    let (status, mut value) = answer(Client::new().get(format!("{}/readyz", api.url)));
    (status, value["data"].take())
}

/// Waits until the worker has begun.
fn becomes_ready(api: &Api) -> Value {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (status, parts) = ready(api);
        if status == 200 {
            return parts;
        }
        assert!(Instant::now() < deadline, "{status} {parts}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(api: &Api, name: &str) -> f64 {
    let text = api.request("GET", "/metrics").send().unwrap();
    let text = text.text().unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_server_that_can_work_says_so_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let parts = becomes_ready(&server.api);
    for part in ["worker", "database", "queue", "disk"] {
        assert_eq!(parts[part]["ready"], true, "{parts}");
    }
    assert!(parts["disk"]["free_bytes"].as_u64().unwrap() > 0);
    assert!(parts["queue"]["oldest_seconds"].is_null(), "{parts}");
    assert_eq!(parts["worker"]["restarts"], 0);
    // An idle worker is heard of all the time.
    std::thread::sleep(Duration::from_millis(2_500));
    let parts = becomes_ready(&server.api);
    let silence = parts["worker"]["heartbeat_seconds"].as_f64().unwrap();
    assert!(silence < 2.0, "{parts}");
}

#[test]
fn a_full_disk_is_not_ready_and_alive() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.free_bytes = u64::MAX;
    let server = Running::with(ServeConfig {
        limits,
        ..ServeConfig::new(folder.path().to_owned())
    });
    let (status, parts) = ready(&server.api);
    assert_eq!(status, 503, "{parts}");
    assert_eq!(parts["disk"]["ready"], false, "{parts}");
    assert_eq!(parts["database"]["ready"], true, "{parts}");
    let alive = Client::new().get(format!("{}/healthz", server.api.url));
    assert_eq!(answer(alive).0, 200);
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_cannot_be_written_is_lost_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Process::of(
        Process::command(folder.path())
            .env("RUST_LOG", "info")
            .stderr(full),
    );
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    for seed in 1..6 {
        let job = api.publish(&model, None, parquet(&Data::new(20, seed).typed(true)));
        api.succeeds(&job);
    }
    assert!(metric(api, "driftline_log_lines_lost_total") >= 10.0);
    assert_eq!(metric(api, "driftline_worker_restarts_total"), 0.0);
    becomes_ready(api);
}

/// A pipe has room for a few hundred lines.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::of(
        Process::command(folder.path())
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped()),
    );
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let begun = Instant::now();
    for _ in 0..1_500 {
        api.ok_get("/v3/server-info");
    }
    let job = api.publish(&model, None, parquet(&Data::new(20, 1).typed(true)));
    api.succeeds(&job);
    assert!(begun.elapsed() < Duration::from_secs(60));
}
