//! The rows of a call, or of many calls, are there all or none.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::fs;
use std::path::Path;

use crate::common::{
    DAY_MS, DIM, START_MS, assert_events, assert_same_files, copy, files, id, parts, rows,
    rows_with, schema, sink,
};
use driftline_core::{ErrorKind, MonitorSink, Row, RowsBuilder};
use driftline_sink_local::Store;

/// `count` rows, of which each is of another of 30 days than the one before.
fn scattered(range: std::ops::Range<usize>) -> arrow_array::RecordBatch {
    let mut builder = RowsBuilder::new(schema());
    for i in range {
        builder
            .push(&Row {
                event_id: &id(i),
                timestamp_ms: START_MS + (i % 30) as i64 * DAY_MS,
                embedding: &[0.5; DIM],
                scores: &[0.5; 2],
                target: None,
                image_url: "",
                image_number: i as i64,
                window: "w",
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

#[cfg(unix)]
#[test]
fn a_date_that_cannot_be_written_leaves_nothing_of_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_events(&rows(0..50)).unwrap();
    let before = files(folder.path());
    // A link to nowhere stands where the folder of the third day should be.
    let day = folder.path().join("p/m/events/date=2026-11-03");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &day).unwrap();
    let error = sink.publish_events(&rows(50..400)).unwrap_err().to_string();
    assert!(error.contains("date=2026-11-03"), "{error}");
    assert_events(folder.path(), 0..50);

    // The same data without its ids is not there twice afterwards.
    fs::remove_file(&day).unwrap();
    assert!(files(folder.path()) == before);
    let renamed = rows_with(50..400, |i| format!("again-{i}"));
    assert_eq!(sink.publish_events(&renamed).unwrap().accepted, 350);
    let store = Store::open(folder.path(), "p", "m").unwrap();
    let there: usize = store.events(..).unwrap().map(|r| r.unwrap().len()).sum();
    assert_eq!(there, 400);
}

#[test]
fn rows_of_many_calls_appear_together_in_one_file_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_events(&rows(0..10)).unwrap();
    let mut transaction = sink.begin_events().unwrap();
    let mut accepted = 0;
    for start in (0..3_000).step_by(100) {
        accepted += transaction
            .add(&scattered(start..start + 128))
            .unwrap()
            .accepted;
    }
    assert_events(folder.path(), 0..10);
    let ack = transaction.commit().unwrap();
    // Ten were there, and 28 of each call come again in the next one.
    assert_eq!(ack.accepted, 3_028 - 10);
    assert_eq!((ack.accepted, ack.duplicates), (accepted, 30 * 128 - 3_018));
    assert_events(folder.path(), 0..3_028);
    assert_eq!(parts(folder.path()).len(), 31);
    assert!(!folder.path().join("p/m/rewrite.json").exists());

    // Done again, it changes nothing.
    let before = files(folder.path());
    let mut transaction = sink.begin_events().unwrap();
    for start in (0..3_000).step_by(100) {
        assert_eq!(
            transaction
                .add(&scattered(start..start + 128))
                .unwrap()
                .accepted,
            0
        );
    }
    assert_eq!(transaction.commit().unwrap().accepted, 0);
    assert!(files(folder.path()) == before);
}

#[test]
fn a_transaction_that_is_dropped_or_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_baseline(&rows(0..10)).unwrap();
    let before = files(folder.path());
    let mut transaction = sink.begin_events().unwrap();
    transaction.add(&rows(0..500)).unwrap();
    drop(transaction);
    assert!(files(folder.path()) == before);

    let mut transaction = sink.begin_events().unwrap();
    transaction.add(&rows(0..500)).unwrap();
    let bad = rows(0..5).project(&[0, 1, 2]).unwrap();
    let error = transaction.add(&bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    drop(transaction);
    assert!(files(folder.path()) == before);
    assert_eq!(sink.publish_events(&rows(0..500)).unwrap().accepted, 500);
}

#[test]
fn more_rows_than_memory_may_hold_still_make_few_files_and_no_row_twice() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let wide = 2_000;
    let mut spec = crate::common::spec();
    spec.schema = driftline_core::RowSchema::new(wide, vec![]).unwrap();
    let batch = |first: usize| {
        let mut builder = RowsBuilder::new(spec.schema.clone());
        for i in first..first + 1_000 {
            builder
                .push(&Row {
                    event_id: &id(i),
                    timestamp_ms: START_MS + (i % 3) as i64 * DAY_MS,
                    embedding: &vec![i as f32; wide],
                    scores: &[],
                    target: None,
                    image_url: "",
                    image_number: i as i64,
                    window: "w",
                    properties: &[],
                })
                .unwrap();
        }
        builder.finish().unwrap()
    };
    for folder in &folders {
        let config = driftline_core::SinkConfig::new(folder.path().to_owned(), spec.clone());
        let mut sink = driftline_sink_local::LocalSink::open(&config).unwrap();
        let mut transaction = sink.begin_events().unwrap();
        // 8 MB each: rows are written to hidden files once on the way.
        for first in (0..10_000).step_by(1_000) {
            assert_eq!(transaction.add(&batch(first)).unwrap().accepted, 1_000);
        }
        assert!(
            !parts(folder.path()).is_empty(),
            "nothing is written before the end"
        );
        // Also those that have a hidden file already.
        assert_eq!(transaction.add(&batch(500)).unwrap().duplicates, 1_000);
        assert_eq!(transaction.commit().unwrap().accepted, 10_000);
        assert_eq!(parts(folder.path()).len(), 3);
        assert_events(folder.path(), 0..10_000);
    }
    assert_same_files(folders[0].path(), folders[1].path());
}

/// Every state in which a kill can leave the folder of a call that adds to three days.
#[test]
fn a_call_that_was_killed_anywhere_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    sink(&old).publish_events(&rows(0..50)).unwrap();
    copy(&old, &new);
    sink(&new).publish_events(&rows(50..400)).unwrap();
    let known = parts(&old);
    let added: Vec<_> = parts(&new)
        .into_iter()
        .map(|path| path.strip_prefix(new.join("p/m")).unwrap().to_owned())
        .filter(|below| !known.contains(&old.join("p/m").join(below)))
        .collect();
    assert_eq!(added.len(), 4);
    let steps: Vec<String> = added
        .iter()
        .map(|below| format!(r#"{{"old":null,"new":"{}"}}"#, below.display()))
        .collect();
    let journal = format!(r#"{{"replaced":[{}]}}"#, steps.join(","));

    for renamed in 0..=added.len() {
        let store = folder.path().join(format!("killed-{renamed}"));
        copy(&old, &store);
        for (at, below) in added.iter().enumerate() {
            let place = store.join("p/m").join(below);
            let name = place.file_name().unwrap().to_string_lossy().into_owned();
            let hidden = place.with_file_name(format!(".{name}.new"));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            let there = if at < renamed { &place } else { &hidden };
            fs::copy(new.join("p/m").join(below), there).unwrap();
        }
        if renamed == 0 {
            assert_events(&store, 0..50);
        }
        fs::write(store.join("p/m/rewrite.json"), &journal).unwrap();
        assert_events(&store, 0..400);
        let ack = sink(&store).publish_events(&rows(0..400)).unwrap();
        assert_eq!(ack.accepted, 0, "after {renamed} renames");
        assert_same_files(&store, &new);
    }
}

#[test]
fn a_file_in_place_of_a_day_is_named_and_keeps_the_other_days_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..100)).unwrap();
    let stray = folder.path().join("p/m/events/date=2026-11-02");
    fs::write(&stray, b"mine").unwrap();
    let mut sink = sink(folder.path());
    assert_eq!(sink.damaged()[0].path, stray);
    assert_eq!(sink.publish_events(&rows(200..300)).unwrap().accepted, 100);
    let error = sink
        .publish_events(&rows(150..350))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("date=2026-11-02") && error.contains("a file where a folder"),
        "{error}"
    );
    assert_events(folder.path(), (0..100).chain(200..300));
    assert_eq!(fs::read(&stray).unwrap(), b"mine");
}

/// The system calls of a process that publishes, labels and publishes again, in order.
#[cfg(target_os = "linux")]
#[test]
fn a_journal_is_gone_for_good_before_the_next_rows_are_acknowledged() {
    const STORE: &str = "DRIFTLINE_TEST_TRACED_STORE";
    if let Ok(store) = std::env::var(STORE) {
        let mut sink = sink(Path::new(&store));
        sink.publish_events(&rows(0..250)).unwrap();
        sink.publish_events(&rows(250..260)).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let traced = std::process::Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,unlink,unlinkat,rename", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "transactions::a_journal_is_gone_for_good_before_the_next_rows_are_acknowledged",
        ])
        .env(STORE, folder.path().join("store"))
        .output();
    let Ok(output) = traced else {
        println!("skipped: there is no strace to see system calls with");
        return;
    };
    if !log.exists() {
        println!("skipped: strace may not trace here");
        return;
    }
    assert!(output.status.success());
    let calls = fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    let unlinked = calls
        .iter()
        .rposition(|c| c.contains("unlink") && c.contains("rewrite.json"));
    let unlinked = unlinked.expect("a call for three days has a journal");
    let next = &calls[unlinked + 1..];
    let synced = next
        .iter()
        .position(|c| c.contains("fsync") && c.contains("/p/m>"));
    let appeared = next
        .iter()
        .position(|c| c.contains("rename") && c.contains("date=2026-11-03/part-"));
    assert!(synced < appeared && synced.is_some(), "{next:#?}");
}
