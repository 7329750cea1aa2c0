//! A run that is killed or interrupted, and started again.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{NOW, StoredRow, Workspace, paths, stderr};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A run that has the machine for itself is as long as it was measured.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SEED: u64 = 20;

/// A baseline of two parts (8192 rows and the rest), and three windows of one part and ten days each.
const TRAIN_ROWS_PER_BATCH: u64 = 1_700;
const TEST_ROWS: u64 = 600;
const RUN: [&str; 13] = [
    "quickstart",
    "--quiet",
    "--dataset",
    "images#train",
    "--events",
    "images#test",
    "--model",
    "sample",
    "--now",
    NOW,
    "--days",
    "10",
    "--per-day=100",
];
const ROWS: usize = 5 * TRAIN_ROWS_PER_BATCH as usize + 3 * 10 * 100;

fn spawn(workspace: &Workspace, store: &str) -> Child {
    workspace
        .command(RUN.iter().chain(&["--store", store]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to the end and gives what is in the store.
fn finish(workspace: &Workspace, store: &str) -> BTreeMap<String, StoredRow> {
    let output = spawn(workspace, store).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    workspace.rows(store, "sample-resnet18")
}

/// Parts that runs into `store` left, and files of rows that are in it.
fn left(workspace: &Workspace, store: &str) -> (usize, usize) {
    let parquet = |folder: &str| {
        let mut paths = paths(&workspace.path(store).join(folder));
        paths.retain(|path| path.extension() == Some("parquet".as_ref()));
        paths.len()
    };
    (parquet(".driftline"), parquet("image_monitoring"))
}

#[test]
fn kill_9_at_any_moment_and_again_gives_the_store_of_an_undisturbed_run() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Workspace::new();
    workspace.cifar("images", TRAIN_ROWS_PER_BATCH, TEST_ROWS);
    let start = Instant::now();
    assert!(spawn(&workspace, "calm").wait().unwrap().success());
    let whole = start.elapsed();
    let expected = workspace.rows("calm", "sample-resnet18");
    assert_eq!(expected.len(), ROWS);
    println!("seed {SEED}, an undisturbed run takes {whole:?}");

    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let kills = if common::is_full() { 24 } else { 6 };
    let mut killed = 0;
    // A run that went through has nothing left to kill, so the next one starts with an empty store.
    for round in 0.. {
        let store = format!("killed-{round}");
        let found = loop {
            if killed == kills {
                break finish(&workspace, &store);
            }
            let mut child = spawn(&workspace, &store);
            let moment = whole.mul_f64(random.random_range(0.0..1.0));
            std::thread::sleep(moment);
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            if let Some(code) = output.status.code() {
                assert_eq!(code, 0, "it failed by itself: {}", stderr(&output));
                break workspace.rows(&store, "sample-resnet18");
            }
            killed += 1;
            let (parts, files) = left(&workspace, &store);
            println!("{store}: killed after {moment:?}, {parts} parts, {files} files of rows");
        };
        assert!(found == expected, "{store} differs from the calm one");
        if killed == kills {
            break;
        }
    }
}

#[test]
fn an_interrupt_ends_cleanly_and_says_how_to_go_on() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Workspace::new();
    workspace.cifar("images", TRAIN_ROWS_PER_BATCH, TEST_ROWS);
    let child = spawn(&workspace, "store");
    // Once the first part is there, the run is in its middle.
    let deadline = Instant::now() + Duration::from_secs(120);
    while left(&workspace, "store").0 == 0 {
        assert!(Instant::now() < deadline, "no part was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in [
        "stopping after the current batch",
        "what was written is kept",
        "run the same command again",
    ] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    let (parts, _) = left(&workspace, "store");
    assert!(parts > 0, "the parts are gone");
    assert_eq!(finish(&workspace, "store").len(), ROWS);
    assert_eq!(
        left(&workspace, "store").0,
        0,
        "parts are there after the end"
    );
}
