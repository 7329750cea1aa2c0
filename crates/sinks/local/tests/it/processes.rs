//! Several processes, and processes that are killed. The children are this test program itself.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{assert_events, assert_same_files, rows, sink};
use driftline_core::MonitorSink;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STORE: &str = "DRIFTLINE_TEST_CHILD_STORE";
const FIRST: &str = "DRIFTLINE_TEST_CHILD_FIRST";
const ROWS: usize = 1_500;
const CALL: usize = 60;

#[test]
#[ignore = "the other tests of this file run it as a child process"]
fn child() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut sink = sink(Path::new(&store));
    sink.publish_baseline(&rows(0..400)).unwrap();
    for start in (first..first + ROWS).step_by(CALL) {
        sink.publish_events(&rows(start..start + CALL)).unwrap();
    }
    assert_eq!(sink.damaged(), []);
}

fn start(store: &Path, first: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::child"])
        .env(STORE, store)
        .env(FIRST, first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn after_kill_9_at_any_moment_the_same_command_completes_the_store() {
    let undisturbed = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert!(start(undisturbed.path(), 0).wait().unwrap().success());
    let mut span = begun.elapsed();
    assert_events(undisturbed.path(), 0..ROWS);

    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut killed, mut in_the_middle) = (0, 0);
    while killed < 24 {
        let folder = tempfile::tempdir().unwrap();
        // One to three kills of the same command, the later ones in a store that is partly there.
        for _ in 0..random.random_range(1..=3) {
            let mut child = start(folder.path(), 0);
            sleep(span.mul_f64(random.random_range(0.0..1.0)));
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                // It was done before; the machine is quicker now than at first.
                span = span.mul_f64(0.9).max(Duration::from_millis(5));
                continue;
            }
            killed += 1;
            let names = common::files(folder.path());
            let parts = names
                .keys()
                .filter(|n| n.extension().is_some_and(|e| e == "parquet"));
            let parts: Vec<_> = parts.collect();
            for part in &parts {
                let rows = driftline_rows::RowsReader::open(&folder.path().join(part)).unwrap();
                assert!(rows.map(|rows| rows.unwrap().len()).sum::<usize>() > 0);
            }
            let whole = common::files(undisturbed.path()).len() - 1;
            in_the_middle += usize::from((1..whole).contains(&parts.len()));
        }
        assert!(start(folder.path(), 0).wait().unwrap().success());
        assert_same_files(folder.path(), undisturbed.path());
    }
    println!("{killed} kills, {in_the_middle} of them in the middle of the store");
    assert!(in_the_middle > 0, "no kill hit the middle of the work");
}

#[test]
fn processes_that_append_overlapping_rows_at_once_lose_and_double_nothing() {
    for processes in [2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let firsts: Vec<usize> = (0..processes).map(|p| p * 410).collect();
        let children: Vec<Child> = firsts.iter().map(|f| start(folder.path(), *f)).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_events(folder.path(), 0..(processes - 1) * 410 + ROWS);
    }
}
