//! What cannot be delivered: it keeps its place, everything else passes it, and a person can decide on it.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::fs;
use std::path::Path;

use crate::common::fake::{Fake, Fault, JobEnd, Request, read_parquet};
use crate::common::{Place, files, id, rows, small};
use arrow_array::cast::AsArray;
use driftline_core::{Error, ErrorKind, EventLabel, MonitorSink};
use driftline_sink_fiddler::{Entry, FiddlerSink, State, entries, outboxes, retry, skip};
use serde_json::{Value, json};

fn assert_says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn labels(range: impl IntoIterator<Item = usize>, target: &str) -> Vec<EventLabel> {
    let label = |i| EventLabel {
        event_id: id(i),
        target: target.to_owned(),
    };
    range.into_iter().map(label).collect()
}

/// A sink whose server has the model and a baseline of 10 rows.
fn with_baseline(fake: &Fake, place: &Place, more: Value) -> FiddlerSink {
    let mut sink = place.sink(&fake.url, more).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    sink
}

/// The event ids in an uploaded file; none of another request.
fn ids_in(request: &Request) -> Vec<String> {
    let Some((_, bytes)) = request.form_file() else {
        return Vec::new();
    };
    let mut ids = Vec::new();
    for batch in read_parquet(&bytes) {
        if let Some(column) = batch.column_by_name("event_id") {
            let column = column.as_string::<i32>().iter().flatten();
            ids.extend(column.map(str::to_owned));
        }
    }
    ids
}

/// Fails uploads named `name` that have the row.
fn poison(fake: &Fake, name: &'static str, row: usize, status: u16) {
    fake.on(move |request| {
        let (file, _) = request.form_file()?;
        let is_poisoned = file.starts_with(name) && ids_in(request).contains(&id(row));
        is_poisoned.then(|| Fault::status(status))
    });
}

fn assert_events(fake: &Fake, ids: impl IntoIterator<Item = usize>) {
    let expected: Vec<String> = ids.into_iter().map(id).collect();
    let events = fake.events();
    assert_eq!(events.keys().cloned().collect::<Vec<_>>(), expected);
    assert!(events.values().all(|times| *times == 1), "{events:?}");
}

fn states(place: &Place) -> Vec<(State, String, u64)> {
    let all = entries(&place.store()).unwrap();
    let state = |entry: Entry| (entry.state, entry.kind, entry.rows);
    all.into_iter().map(state).collect()
}

#[test]
fn labels_before_any_baseline_wait_and_are_passed() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_labels(&labels(0..5, "cat")).unwrap();
    let error = sink.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_says(&error, &["5 rows", "no model", "publish a baseline first"]);
    assert_eq!(states(&place), [(State::Waiting, "labels".to_owned(), 5)]);

    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    sink.flush().unwrap();
    assert_events(&fake, 0..20);
    assert_eq!((fake.baseline_rows(), fake.labels().len()), (10, 5));
    assert_eq!(place.status(), (0, 0));
    assert!(states(&place).is_empty());
}

#[test]
fn v2_events_before_any_baseline_wait_and_are_passed() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.speak_v2_only();
    let options = json!({"organization": "demo_org"});
    let mut sink = place.sink(&fake.url, options).unwrap();
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    assert_says(&sink.flush().unwrap_err(), &["20 rows", "no model"]);
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    assert_events(&fake, 0..20);
    assert_eq!(fake.baseline_rows(), 10);
}

#[test]
fn a_baseline_goes_before_events_that_came_first() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place
        .sink(&fake.url, json!({"retry_seconds": 0.3}))
        .unwrap();
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    // While the baseline cannot make the model, the events must not.
    fake.on(|request| {
        request
            .is("POST", "/v3/model-factory")
            .then(|| Fault::status(500))
    });
    assert_says(&sink.flush().unwrap_err(), &["30 rows", "injected 500"]);
    assert_eq!(fake.count("POST", "/v3/events"), 0);
    fake.heal();
    sink.flush().unwrap();
    let ingests = fake.requests().into_iter();
    let ingests = ingests.filter(|request| request.is("POST", "/v3/events"));
    let kinds: Vec<_> = ingests.map(|r| r.json()["env_type"].clone()).collect();
    assert_eq!(kinds, ["PRE_PRODUCTION", "PRODUCTION"]);
}

/// Waits until the thread in the background has nothing in hand: no segment, which no harm could reach, and no lock.
fn settle(fake: &Fake) {
    let mut seen = 0;
    while fake.requests().len() > seen {
        seen = fake.requests().len();
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}

/// Flushes three calls of ten events of which the middle one is damaged by `harm`, in batches of `batch_rows`.
fn assert_quarantined(batch_rows: u64, harm: impl Fn(&Path)) {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({"batch_rows": batch_rows}));
    fake.on(|_| Some(Fault::status(401)));
    for start in [0, 10, 20] {
        sink.publish_events(&rows(&small(), start..start + 10))
            .unwrap();
    }
    sink.flush().unwrap_err();
    settle(&fake);
    assert_eq!(place.status(), (30, 0));
    let segments = place.segments();
    let middle = segments.iter().find(|file| {
        let mut reader = driftline_rows::RowsReader::open(file).unwrap();
        reader.next().unwrap().unwrap().event_ids().value(0) == id(10)
    });
    harm(middle.unwrap());
    fake.heal();

    let error = sink.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_says(
        &error,
        &["10 rows", "damaged", "run the same command again"],
    );
    assert!(!error.to_string().contains("nothing is lost"), "{error}");
    assert_events(&fake, (0..10).chain(20..30));
    let status = outboxes(&place.store()).unwrap().remove(0);
    assert_eq!((status.queued, status.dead, status.damaged), (0, 0, 10));
    assert_eq!(status.damaged_files.len(), 1);
    assert!(status.damaged_files[0].starts_with(place.outbox().join("damaged")));
    assert_eq!(states(&place), [(State::Damaged, "events".to_owned(), 10)]);
    // It is told once, and keeps nothing else.
    sink.flush().unwrap();

    // The ids are forgotten, so the same rows go out again.
    let ack = sink.publish_events(&rows(&small(), 0..30)).unwrap();
    assert_eq!((ack.accepted, ack.duplicates), (10, 20));
    sink.flush().unwrap();
    assert_events(&fake, 0..30);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_segment_is_moved_aside_and_its_rows_can_be_published_again() {
    assert_quarantined(10, |path| flip(path, 200));
    // In one batch with sound ones.
    assert_quarantined(100, |path| flip(path, 200));
}

#[test]
fn a_segment_that_is_cut_off_or_missing_is_moved_aside_too() {
    assert_quarantined(10, |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert_quarantined(100, |path| fs::remove_file(path).unwrap());
}

#[test]
fn events_wait_for_a_baseline_that_is_damaged_as_a_whole() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    fs::write(&place.segments()[0], b"damaged").unwrap();
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(
        &error,
        &["20 rows", "rows of the baseline", "damaged: 10 rows"],
    );
    assert_eq!(fake.count("POST", "/v3/events"), 0);
    let ack = sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    assert_eq!(ack.accepted, 10);
    sink.flush().unwrap();
    assert_eq!(fake.baseline_rows(), 10);
    assert_events(&fake, 0..20);
}

#[test]
fn a_single_row_that_is_too_large_is_a_dead_letter() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({}));
    poison(&fake, "events", 3, 413);
    sink.publish_events(&rows(&small(), 0..8)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["1 rows", "no body that large", "dead-letter"]);
    assert_events(&fake, (0..3).chain(4..8));
    assert_eq!(place.status(), (0, 1));
    fake.heal();
    let ack = sink.publish_events(&rows(&small(), 0..8)).unwrap();
    assert_eq!(ack.accepted, 1);
    sink.flush().unwrap();
    assert_events(&fake, 0..8);
}

#[test]
fn labels_that_are_too_large_are_halved_down_to_a_dead_letter() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({}));
    sink.publish_events(&rows(&small(), 0..8)).unwrap();
    sink.flush().unwrap();
    // The upload passes, the call does not: for one label never, for more than two not at once.
    fake.on(|request| {
        let ids = ids_in(request);
        (ids.contains(&id(3)) || ids.len() > 2).then(|| Fault::status(413))
    });
    sink.publish_labels(&labels(0..8, "cat")).unwrap();
    // Later labels of the same events arrive later.
    sink.publish_labels(&labels(0..3, "dog")).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["1 rows", "no body that large", "dead-letter"]);
    let labels = fake.labels();
    for i in 0..8 {
        let expected = match i {
            0..3 => Some("dog"),
            3 => None,
            _ => Some("cat"),
        };
        assert_eq!(labels.get(&id(i)).map(String::as_str), expected, "{i}");
    }
    assert_eq!(place.status(), (0, 1));
}

#[test]
fn a_413_to_the_ingest_itself_ends_as_well() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({}));
    fake.on(|request| {
        request
            .is("PATCH", "/v3/events")
            .then(|| Fault::status(413))
    });
    sink.publish_events(&rows(&small(), 0..2)).unwrap();
    sink.publish_labels(&labels(0..2, "cat")).unwrap();
    assert_says(
        &sink.flush().unwrap_err(),
        &["2 rows", "no body that large"],
    );
    assert_events(&fake, 0..2);
    assert_eq!(place.status(), (0, 2));
}

#[test]
fn one_poisoned_batch_delays_only_what_depends_on_it() {
    let (fake, place) = (Fake::start(), Place::new());
    let options = json!({"batch_rows": 10, "retry_seconds": 0.3});
    let mut sink = with_baseline(&fake, &place, options);
    poison(&fake, "events", 12, 500);
    sink.publish_events(&rows(&small(), 0..40)).unwrap();
    sink.publish_labels(&labels([1], "cat")).unwrap();
    sink.publish_events(&rows(&small(), 40..41)).unwrap();
    sink.publish_labels(&labels([12], "cat")).unwrap();
    sink.publish_events(&rows(&small(), 41..42)).unwrap();
    sink.publish_labels(&labels([1, 12], "dog")).unwrap();
    sink.publish_events(&rows(&small(), 42..43)).unwrap();
    sink.publish_labels(&labels([2], "cat")).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["13 rows", "injected 500", "nothing is lost"]);
    assert_events(&fake, (0..10).chain(20..43));
    let arrived: Vec<_> = fake.labels().into_iter().collect();
    assert_eq!(arrived, [(id(1), "cat".into()), (id(2), "cat".into())]);

    let all = entries(&place.store()).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].state, all[0].rows), (State::Delayed, 10));
    assert!(all[0].tries >= 1 && all[0].next_try.is_some());
    assert!(all[0].error.as_ref().unwrap().contains("injected 500"));
    assert_eq!((all[1].kind.as_str(), all[1].rows), ("labels", 3));

    fake.heal();
    let retried = retry(&place.store(), Some(&all[0].id)).unwrap();
    assert_eq!((retried.len(), retried[0].problem.as_ref()), (1, None));
    let due = &entries(&place.store()).unwrap()[0];
    assert_eq!((due.state, due.next_try), (State::Waiting, None));
    sink.flush().unwrap();
    assert_events(&fake, 0..43);
    let labels = fake.labels();
    assert_eq!(
        (&labels[&id(1)], &labels[&id(12)]),
        (&"dog".into(), &"dog".into())
    );
    assert_eq!(place.status(), (0, 0));
}

#[test]
fn delivery_in_the_background_passes_a_poisoned_batch() {
    let (fake, place) = (Fake::start(), Place::new());
    let options = json!({"batch_rows": 10, "retry_seconds": 0.3});
    let mut sink = with_baseline(&fake, &place, options);
    poison(&fake, "events", 12, 500);
    sink.publish_events(&rows(&small(), 0..40)).unwrap();
    let start = std::time::Instant::now();
    while fake.events().len() < 30 {
        assert!(start.elapsed().as_secs() < 20, "{:?}", states(&place));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // It is left alone until it is due.
    let before = fake.count("POST", "/v3/files");
    sink.publish_events(&rows(&small(), 40..50)).unwrap();
    while fake.events().len() < 40 {
        assert!(start.elapsed().as_secs() < 20, "{:?}", states(&place));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(fake.count("POST", "/v3/files"), before + 1);
}

#[test]
fn a_server_that_fails_on_everything_is_given_up_soon() {
    let (fake, place) = (Fake::start(), Place::new());
    let options = json!({"batch_rows": 10, "retry_seconds": 0.3});
    let mut sink = with_baseline(&fake, &place, options);
    fake.on(|request| request.is("POST", "/v3/files").then(|| Fault::status(403)));
    sink.publish_events(&rows(&small(), 0..100)).unwrap();
    let before = fake.count("POST", "/v3/files");
    assert_says(
        &sink.flush().unwrap_err(),
        &["100 rows", "has not the right"],
    );
    let asked = fake.count("POST", "/v3/files") - before;
    // Three in the background, three by the flush.
    assert!(asked <= 6, "{asked}");
    fake.heal();
    sink.flush().unwrap();
    assert_events(&fake, 0..100);
}

#[test]
fn what_is_skipped_becomes_a_dead_letter_and_can_be_published_again() {
    let (fake, place) = (Fake::start(), Place::new());
    let options = json!({"batch_rows": 10, "retry_seconds": 0.3});
    let mut sink = with_baseline(&fake, &place, options);
    fake.on(|_| Some(Fault::status(401)));
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    sink.publish_labels(&labels(0..2, "cat")).unwrap();
    sink.flush().unwrap_err();
    settle(&fake);
    let all = entries(&place.store()).unwrap();
    let ids: Vec<_> = all.iter().map(|entry| entry.id.as_str()).collect();
    assert!(ids[0].starts_with("batch-"), "{ids:?}");
    assert!(ids.last().unwrap().starts_with("calls-"), "{ids:?}");
    for entry in &all {
        let whole = format!("{}/{}/{}", entry.project, entry.model, entry.id);
        let skipped = skip(&place.store(), &whole).unwrap();
        assert_eq!(skipped.entry.id, entry.id);
        assert!(skipped.lost.contains("not sent"), "{}", skipped.lost);
        let note = fs::read_to_string(&skipped.note).unwrap();
        assert!(note.contains("skipped by the user"), "{note}");
    }
    assert_eq!(place.status(), (0, 22));
    fake.heal();
    sink.flush().unwrap();
    assert!(fake.events().is_empty());

    let error = skip(&place.store(), "batch-99").unwrap_err();
    assert_says(&error, &["nothing", "`batch-99`", "sink list"]);
    let dead = entries(&place.store()).unwrap();
    let error = skip(&place.store(), &dead[0].id).unwrap_err();
    assert_says(&error, &["dead letter already"]);

    // Some are published again, the rest is retried.
    let ack = sink.publish_events(&rows(&small(), 0..5)).unwrap();
    assert_eq!(ack.accepted, 5);
    settle(&fake);
    let retried = retry(&place.store(), None).unwrap();
    assert!(
        retried.iter().all(|one| one.problem.is_none()),
        "{retried:?}"
    );
    sink.flush().unwrap();
    assert_events(&fake, 0..20);
    assert_eq!(fake.labels().len(), 2);
    assert_eq!(place.status(), (0, 0));
    assert!(files(&place.outbox().join("dead-letter")).is_empty());
}

#[test]
fn a_damaged_segment_that_can_be_read_again_is_retried_and_another_is_skipped() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({"batch_rows": 10}));
    fake.on(|_| Some(Fault::status(401)));
    sink.publish_events(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap_err();
    let sound = fs::read(&place.segments()[0]).unwrap();
    flip(&place.segments()[0], 200);
    fake.heal();
    sink.flush().unwrap_err();
    let damaged = entries(&place.store()).unwrap().remove(0);
    assert!(damaged.id.starts_with("damaged/events-"), "{}", damaged.id);
    let retried = retry(&place.store(), None).unwrap();
    assert!(retried[0].problem.as_ref().unwrap().contains("damaged"));
    assert_eq!(states(&place), [(State::Damaged, "events".to_owned(), 10)]);

    let file = outboxes(&place.store())
        .unwrap()
        .remove(0)
        .damaged_files
        .remove(0);
    let unsound = fs::read(&file).unwrap();
    fs::write(&file, &sound).unwrap();
    assert_eq!(
        retry(&place.store(), Some(&damaged.id)).unwrap()[0].problem,
        None
    );
    assert!(!file.exists());
    assert_eq!(states(&place), [(State::Waiting, "events".to_owned(), 10)]);
    let waiting = place.segments();
    fs::write(&waiting[0], unsound).unwrap();
    sink.flush().unwrap_err();
    let damaged = entries(&place.store()).unwrap().remove(0);
    let skipped = skip(&place.store(), &damaged.id).unwrap();
    assert!(skipped.note.starts_with(place.outbox().join("dead-letter")));
    assert_eq!(states(&place), [(State::Dead, "events".to_owned(), 10)]);
}

#[test]
fn dead_letters_have_a_bound_beyond_which_rows_stay_in_the_queue() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = with_baseline(&fake, &place, json!({"batch_rows": 10}));
    let folder = place.outbox().join("dead-letter");
    fs::create_dir_all(&folder).unwrap();
    for i in 0..1_000 {
        fs::write(folder.join(format!("events-9{i:07}.json")), "{}").unwrap();
    }
    fake.jobs_end(|job| match job {
        1 => JobEnd::Failure("odd".to_owned()),
        _ => JobEnd::Success,
    });
    sink.publish_events(&rows(&small(), 0..30)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["10 rows", "1000", "already", "odd"]);
    assert_eq!(fake.events().len(), 20);
    // One more goes in where there is room.
    fs::remove_file(folder.join("events-90000000.json")).unwrap();
    sink.flush().unwrap_err();
    assert_eq!(place.status().0, 0);
}
