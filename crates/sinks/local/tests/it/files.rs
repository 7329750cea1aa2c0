//! Many small files become few, and only the files that matter are read.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{
    assert_events, assert_same_files, copy, files, id, parts, rows, rows_with, sink,
};
use driftline_core::{EventLabel, MonitorSink};
use driftline_sink_local::{LocalSink, Store, compact};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Ids in no order.
fn scrambled(i: usize) -> String {
    let number: u64 = ChaCha8Rng::seed_from_u64(i as u64).random();
    format!("{number:016x}")
}

#[test]
fn files_that_cannot_hold_an_id_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    for start in (0..1_000).step_by(100) {
        sink.publish_events(&rows_with(start..start + 100, scrambled))
            .unwrap();
    }
    // Whoever reads the rows of one of these files sees that it is damaged.
    for path in parts(folder.path()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes[1_500] ^= 4;
        fs::write(&path, &bytes).unwrap();
    }
    let ack = sink
        .publish_events(&rows_with(1_000..1_100, scrambled))
        .unwrap();
    assert_eq!(ack.accepted, 100);
    assert_eq!(sink.damaged(), []);
    let label = EventLabel {
        event_id: scrambled(1_050),
        target: "cat".to_owned(),
    };
    assert_eq!(sink.publish_labels(&[label]).unwrap().accepted, 1);
    assert_eq!(sink.damaged(), []);
    // One of these ids is known to the first file, which is found to be damaged, and no other is.
    let ack = sink.publish_events(&rows_with([5], scrambled)).unwrap();
    assert_eq!(ack.accepted, 1);
    assert_eq!(sink.damaged().len(), 1);
}

#[test]
fn ids_in_no_order_are_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = sink(folder.path());
    for start in (0..2_000).step_by(250) {
        first
            .publish_events(&rows_with(start..start + 250, scrambled))
            .unwrap();
    }
    let all = rows_with(0..2_100, scrambled);
    assert_eq!(
        sink(folder.path()).publish_events(&all).unwrap().accepted,
        100
    );
    assert_eq!(first.publish_events(&all).unwrap().accepted, 0);
}

/// The median time of publishing one row with a new id, of 21.
fn one_event(sink: &mut LocalSink, first: usize) -> Duration {
    let mut times: Vec<Duration> = (first..first + 21)
        .map(|i| {
            let row = rows_with([i], scrambled);
            let start = Instant::now();
            assert_eq!(sink.publish_events(&row).unwrap().accepted, 1);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[10]
}

/// With `DRIFTLINE_TEST_FULL` the store has 10,000,000 rows, and the times are compared.
#[test]
fn one_event_takes_as_long_into_a_full_store_as_into_an_empty_one() {
    let full = std::env::var_os("DRIFTLINE_TEST_FULL").is_some();
    let (calls, call) = if full { (100, 100_000) } else { (5, 2_000) };
    let folder = tempfile::tempdir().unwrap();
    let empty = one_event(&mut sink(&folder.path().join("empty")), 0);
    let mut filled = sink(&folder.path().join("full"));
    for first in (0..calls * call).step_by(call) {
        let batch = rows_with(first..first + call, scrambled);
        assert_eq!(filled.publish_events(&batch).unwrap().accepted, call as u64);
    }
    let after = one_event(&mut filled, calls * call);
    println!(
        "{empty:?} into an empty store, {after:?} into {} rows",
        calls * call
    );
    if full {
        assert!(after < 2 * empty, "{after:?} and {empty:?}");
    }
}

#[test]
fn a_changed_bit_in_a_filter_lets_no_row_in_twice() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path())
        .publish_events(&rows_with(0..100, scrambled))
        .unwrap();
    let path = parts(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    // All of the file's end, where the filter is, byte by byte.
    for at in (whole.len() / 2..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        sink(folder.path())
            .publish_events(&rows_with(0..100, scrambled))
            .unwrap();
        let store = Store::open(folder.path(), "p", "m").unwrap();
        let mut events = store.events(..).unwrap();
        let there: usize = events.by_ref().map(|rows| rows.unwrap().len()).sum();
        assert_eq!(there, 100, "byte {at}");
    }
}

fn by_single_rows(store: &Path, count: usize) {
    let mut sink = sink(store);
    for i in 0..count {
        sink.publish_events(&rows([i])).unwrap();
    }
}

#[test]
fn many_small_calls_leave_few_files() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    by_single_rows(a.path(), 100);
    assert!(parts(a.path()).len() < 30, "{}", parts(a.path()).len());
    assert_events(a.path(), 0..100);
    // The same calls make the same files, also when some of them are made twice on the way.
    by_single_rows(b.path(), 60);
    by_single_rows(b.path(), 100);
    assert_same_files(a.path(), b.path());
}

#[test]
fn compacting_leaves_one_file_a_day_and_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = sink(folder.path());
    for start in (0..300).step_by(20) {
        writer.publish_events(&rows(start..start + 20)).unwrap();
        writer.publish_baseline(&rows(start..start + 20)).unwrap();
    }
    let done = compact(folder.path()).unwrap();
    assert_eq!((done[0].files_before, done[0].files_after), (30, 4));
    assert_eq!(parts(folder.path()).len(), 4);
    assert_events(folder.path(), 0..300);
    let before = files(folder.path());
    assert_eq!(compact(folder.path()).unwrap()[0].files_after, 4);
    assert!(files(folder.path()) == before);
    // A writer that was there before goes on.
    assert_eq!(writer.publish_events(&rows(0..310)).unwrap().accepted, 10);
    let label = EventLabel {
        event_id: id(150),
        target: "cat".to_owned(),
    };
    assert_eq!(writer.publish_labels(&[label]).unwrap().accepted, 1);
    assert_events(folder.path(), 0..310);
}

#[test]
fn a_damaged_file_is_set_aside_by_compacting_and_the_others_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = sink(folder.path());
    for start in (0..100).step_by(20) {
        writer.publish_events(&rows(start..start + 20)).unwrap();
    }
    let path = parts(folder.path()).remove(2);
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_500] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let done = compact(folder.path()).unwrap();
    assert_eq!((done[0].files_before, done[0].files_after), (5, 1));
    assert_eq!(done[0].damaged.len(), 1);
    assert_events(folder.path(), (0..40).chain(60..100));
    assert_eq!(writer.publish_events(&rows(0..100)).unwrap().accepted, 20);
    assert_events(folder.path(), 0..100);
}

/// Every state in which a kill can leave the folder.
#[test]
fn compacting_that_was_killed_anywhere_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let mut writer = sink(&old);
    for start in (0..60).step_by(20) {
        writer.publish_events(&rows(start..start + 20)).unwrap();
    }
    copy(&old, &new);
    compact(&new).unwrap();
    let merged = parts(&new).remove(0);
    let below = |store: &Path, path: &Path| {
        path.strip_prefix(store.join("p/m"))
            .unwrap()
            .display()
            .to_string()
    };
    let steps: Vec<String> = parts(&old)
        .iter()
        .map(|part| {
            let (old, new) = (below(&old, part), below(&new, &merged));
            format!(r#"{{"old":"{old}","new":"{new}"}}"#)
        })
        .collect();
    let journal = format!(r#"{{"replaced":[{}]}}"#, steps.join(","));
    // The new file gets its name, then the old ones go.
    for done in 0..=4 {
        let store = folder.path().join(format!("killed-{done}"));
        copy(&old, &store);
        let place = store.join("p/m").join(below(&new, &merged));
        let name = place.file_name().unwrap().to_string_lossy().into_owned();
        let hidden = place.with_file_name(format!(".{name}.new"));
        let gone = parts(&store);
        fs::copy(&merged, if done > 0 { &place } else { &hidden }).unwrap();
        for path in gone.iter().take(done.max(1) - 1) {
            fs::remove_file(path).unwrap();
        }
        fs::write(store.join("p/m/rewrite.json"), &journal).unwrap();
        assert_events(&store, 0..60);
        assert_eq!(
            sink(&store).publish_events(&rows(0..60)).unwrap().accepted,
            0
        );
        assert_same_files(&store, &new);
    }
}
