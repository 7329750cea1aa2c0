//! The rows of a job become visible in one step, in few files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{Data, Process, parquet};
use driftline_sink_local::Store;

const DAY_MS: i64 = 86_400_000;

/// Rows of which each is of another of 30 days than the one before.
fn scattered(rows: usize, seed: u64) -> Data {
    let mut data = Data::new(rows, seed);
    for (row, time) in data.times.iter_mut().enumerate() {
        *time += (row % 30) as i64 * DAY_MS;
    }
    data
}

fn rows(store: &Path) -> usize {
    let store = Store::open(store, "images", "m").unwrap();
    store
        .events(..)
        .unwrap()
        .map(|rows| rows.unwrap().len())
        .sum()
}

fn part_files(folder: &Path) -> Vec<PathBuf> {
    let days = fs::read_dir(folder.join("images/m/events")).unwrap();
    days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

#[test]
fn rows_over_thirty_days_make_a_file_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    let count = match std::env::var_os("DRIFTLINE_TEST_FULL") {
        Some(_) => 300_000,
        None => 3_000,
    };
    let data = scattered(count, 1);
    api.succeeds(&api.publish(&model, None, data.csv()));
    assert_eq!(rows(folder.path()), count);
    let files = part_files(folder.path());
    assert!(files.len() <= 60, "{} files", files.len());
    // The same rows once more change nothing.
    api.succeeds(&api.publish(&model, None, data.csv()));
    assert_eq!(part_files(folder.path()).len(), files.len());
}

#[cfg(unix)]
#[test]
fn a_job_that_cannot_write_one_day_has_written_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let api = &server.api;
    // Without event ids, so that rows that stay from a failure would be there twice.
    let model = api.model(&api.project("images"), "m", false);
    api.succeeds(&api.publish(&model, None, parquet(&Data::new(10, 1).typed(true))));
    // A link to nowhere stands where the folder of one day should be.
    let day = folder.path().join("images/m/events/date=2025-12-20");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &day).unwrap();
    let job = api.publish(&model, None, parquet(&scattered(600, 2).typed(true)));
    let again = |server: &Process| {
        let state = server
            .api
            .ok_get(&format!("/v3/jobs/{}", job["id"].as_str().unwrap()));
        state["status"].as_str().unwrap().to_owned()
    };
    while again(&server) == "PENDING" {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(rows(folder.path()), 10, "job is {}", again(&server));
    fs::remove_file(&day).unwrap();
    let state = api.finished(&job);
    if state["status"] == "FAILURE" {
        assert_eq!(rows(folder.path()), 10);
        api.succeeds(&api.publish(&model, None, parquet(&scattered(600, 2).typed(true))));
    }
    assert_eq!(rows(folder.path()), 610);
}
