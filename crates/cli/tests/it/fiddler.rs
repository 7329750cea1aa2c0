//! The sink `fiddler` and `driftline serve`, as a user has them.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common::server::{Served, TOKEN};
use crate::common::{Workspace, stderr};
use driftline_sink_local::Store;
use serde_json::Value;

const MODEL: &str = "sample-resnet18";

/// Runs `driftline` with the server's address and token; it must succeed.
fn json(workspace: &Workspace, server: &Served, arguments: &[&str]) -> Value {
    let output = workspace
        .command(arguments.iter().chain(&["--json", "--quiet"]))
        .env("FIDDLER_URL", server.url())
        .env("FIDDLER_TOKEN", TOKEN)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How often the server was asked for `route`.
fn requests(server: &Served, route: &str) -> u64 {
    let request = reqwest::blocking::Client::new().get(format!("{}/metrics", server.url()));
    let text = request.bearer_auth(TOKEN).send().unwrap().text().unwrap();
    let lines = text
        .lines()
        .filter(|line| line.contains(&format!("\"{route}\"")));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Rows of all events, which the store keeps once each.
fn events(workspace: &Workspace) -> u64 {
    let store = Store::open(&workspace.path("served"), "image_monitoring", MODEL).unwrap();
    let parts = store.events(..).unwrap();
    parts.map(|rows| rows.unwrap().len() as u64).sum()
}

#[test]
fn a_run_published_again_and_labels_change_what_they_name_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workspace = Workspace::new();
    workspace.small_run();
    let server = Served::start(&workspace, "served");
    let first = json(&workspace, &server, &["run", "--sink", "fiddler"]);
    let published = first["sink"]["rows_published"].as_u64().unwrap();
    assert_eq!(published, events(&workspace));
    let again = json(&workspace, &server, &["run", "--sink", "fiddler"]);
    assert_eq!(again["sink"]["rows_published"], 0);
    assert_eq!(again["sink"]["rows_duplicate"], published);

    let stored = || workspace.rows_of("served", "image_monitoring", MODEL);
    let expected = workspace.label_file(stored());
    let labels = ["labels", "publish", "labels.csv", "--sink", "fiddler"];
    assert_eq!(json(&workspace, &server, &labels)["labels"], 2);
    assert_eq!(stored(), expected);

    let flushed = json(&workspace, &server, &["sink", "flush"]);
    assert_eq!(
        (&flushed[0]["queued"], &flushed[0]["dead"]),
        (&0.into(), &0.into())
    );
    let doctor = json(&workspace, &server, &["doctor"]);
    let fiddler = doctor["fiddler"].as_str().unwrap();
    assert!(fiddler.contains("version 25.2.0 (v3)"), "{fiddler}");
}

#[test]
fn what_waits_is_listed_skipped_and_retried() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run"]);
    workspace.label_file(workspace.rows("driftline-store", MODEL));
    let server = Served::start(&workspace, "served");
    let run = |arguments: &[&str]| {
        workspace
            .command(arguments.iter().chain(&["--quiet"]))
            .env("FIDDLER_URL", server.url())
            .env("FIDDLER_TOKEN", TOKEN)
            .output()
            .unwrap()
    };
    // The server has no model, so labels wait.
    let labels = ["labels", "publish", "labels.csv", "--sink", "fiddler"];
    let output = run(&labels);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("publish a baseline first"),
        "{output:?}"
    );

    let listed = json(&workspace, &server, &["sink", "list"]);
    let entry = &listed[0];
    assert_eq!(
        (&entry["kind"], &entry["rows"]),
        (&"labels".into(), &2.into())
    );
    assert_eq!(entry["state"], "waiting");
    let id = entry["id"].as_str().unwrap();
    let table = String::from_utf8(run(&["sink", "list"]).stdout).unwrap();
    assert!(table.contains(id) && table.contains("next try"), "{table}");

    let skipped = json(&workspace, &server, &["sink", "skip", id]);
    assert!(
        skipped["lost"].as_str().unwrap().contains("2 labels"),
        "{skipped}"
    );
    let dead = json(&workspace, &server, &["sink", "list"]);
    assert_eq!(
        (&dead[0]["state"], &dead[0]["error"]),
        (&"dead".into(), &"skipped by the user".into())
    );
    assert!(!run(&["sink", "skip", "batch-99"]).status.success());
    assert!(!run(&["sink", "retry"]).status.success());

    let retried = json(&workspace, &server, &["sink", "retry", "--all"]);
    assert_eq!(retried[0]["problem"], Value::Null);
    json(&workspace, &server, &["run", "--sink", "fiddler"]);
    assert_eq!(
        json(&workspace, &server, &["sink", "list"]),
        Value::Array(vec![])
    );
}

#[test]
fn a_file_of_more_than_100_mib_arrives_in_parts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workspace = Workspace::new();
    let server = Served::start(&workspace, "served");
    let arguments =
        "quickstart --sink fiddler --days 12 --per-day 6000 --set sink.options.batch_rows=200000";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let done = json(&workspace, &server, &arguments);
    assert_eq!(done["sink"]["rows_published"], 216_000);
    assert_eq!(events(&workspace), 216_000);
    assert!(requests(&server, "/v3/files/multipart-upload") >= 2);
    assert_eq!(requests(&server, "/v3/files/multipart-complete"), 1);
}

#[test]
fn a_wrong_token_is_said_and_not_shown() {
    let workspace = Workspace::new();
    workspace.small_run();
    let server = Served::start(&workspace, "served");
    let output = workspace
        .command(["run", "--sink", "fiddler"])
        .env("FIDDLER_URL", server.url())
        .env("FIDDLER_TOKEN", "not-the-token-at-all")
        .output()
        .unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("token"), "{message}");
    assert!(!message.contains("not-the-token-at-all"), "{message}");
}
