//! A run that is killed or interrupted, and started again.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{NOW, Workspace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KILLS: usize = 20;
const SEED: u64 = 20;
/// Two parts for the baseline and one for each window.
const RUN: [&str; 8] = [
    "quickstart",
    "--quiet",
    "--now",
    NOW,
    "--per-day",
    "300",
    "--days",
    "6",
];

fn spawn(workspace: &Workspace, store: &str) -> Child {
    workspace
        .command(RUN.iter().chain(&["--store", store]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn kill_9_at_any_moment_and_again_gives_the_store_of_an_undisturbed_run() {
    let workspace = Workspace::new();
    let start = Instant::now();
    let output = spawn(&workspace, "calm").wait_with_output().unwrap();
    let whole = start.elapsed();
    assert!(output.status.success(), "{}", common::stderr(&output));

    println!("seed {SEED}, undisturbed {whole:?}");
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let (mut killed, mut finished) = (0, 0);
    while killed < KILLS {
        let mut child = spawn(&workspace, "killed");
        // Up to half a run: a resumed run has less to do.
        std::thread::sleep(whole.mul_f64(random.random_range(0.0..0.5)));
        child.kill().unwrap();
        match child.wait().unwrap().code() {
            None => killed += 1,
            Some(code) => {
                assert_eq!(code, 0, "it failed by itself");
                finished += 1;
            }
        }
    }
    println!("killed {killed} times, finished {finished} times in between");
    let output = spawn(&workspace, "killed").wait_with_output().unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    let expected = workspace.rows("calm", "sample-resnet18");
    assert_eq!(expected.len(), 10_000 + 3 * 6 * 300);
    let found = workspace.rows("killed", "sample-resnet18");
    assert!(found == expected, "the stores differ");
}

#[test]
fn an_interrupt_ends_cleanly_and_says_how_to_go_on() {
    let workspace = Workspace::new();
    let child = spawn(&workspace, "store");
    // Once the first part is there, the run is in its middle.
    let runs = workspace.path("store/.driftline");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !has_part(&runs) {
        assert!(Instant::now() < deadline, "no part was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let message = common::stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("run the same command again"), "{message}");
    let output = spawn(&workspace, "store").wait_with_output().unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    let rows = workspace.rows("store", "sample-resnet18");
    assert_eq!(rows.len(), 10_000 + 3 * 6 * 300);
}

fn has_part(runs: &std::path::Path) -> bool {
    let Ok(runs) = std::fs::read_dir(runs) else {
        return false;
    };
    runs.flatten().any(|run| {
        std::fs::read_dir(run.path()).is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.path().extension() == Some("parquet".as_ref()))
            })
        })
    })
}
