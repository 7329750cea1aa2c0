//! Damage to the files of an outbox, found and repaired.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::fs;
use std::path::Path;

use crate::common::fake::{Fake, Fault};
use crate::common::{Place, files, id, rows, small};
use driftline_core::{EventLabel, Finding, MonitorSink};
use driftline_sink_fiddler::{FiddlerSink, check, repair};
use serde_json::json;

/// A store with 30 events in three segments and two labels that wait; the server has the baseline.
fn waiting(fake: &Fake, place: &Place) {
    let mut sink = place.sink(&fake.url, json!({"batch_rows": 10})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.publish_events(&rows(&small(), 100..110)).unwrap();
    sink.flush().unwrap();
    fake.on(|request| request.is("POST", "/v3/files").then(|| Fault::status(401)));
    sink.publish_events(&rows(&small(), 0..30)).unwrap();
    let label = EventLabel {
        event_id: id(1),
        target: "cat".to_owned(),
    };
    sink.publish_labels(&[label]).unwrap();
    sink.flush().unwrap_err();
    close(place, sink);
    fake.heal();
}

/// Drops a sink, and waits until the thread that delivers has closed the database too.
fn close(place: &Place, sink: FiddlerSink) {
    drop(sink);
    let log = place.outbox().join("outbox.db-wal");
    while log.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn again(fake: &Fake, place: &Place) -> FiddlerSink {
    place.sink(&fake.url, json!({"batch_rows": 10})).unwrap()
}

fn assert_repaired(place: &Place) -> Vec<Finding> {
    let found = check(&place.store()).unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|finding| !finding.repaired));
    let repaired = repair(&place.store()).unwrap();
    assert!(
        repaired.iter().all(|finding| finding.repaired),
        "{repaired:?}"
    );
    assert_eq!(check(&place.store()).unwrap(), []);
    assert_eq!(repair(&place.store()).unwrap(), []);
    repaired
}

fn damage(path: &Path, at: usize, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, all).unwrap();
}

#[test]
fn a_sound_outbox_and_none_have_no_findings() {
    let (fake, place) = (Fake::start(), Place::new());
    assert_eq!(check(&place.store()).unwrap(), []);
    waiting(&fake, &place);
    assert_eq!(check(&place.store()).unwrap(), []);
    assert_eq!(repair(&place.store()).unwrap(), []);
    again(&fake, &place).flush().unwrap();
    assert_eq!(fake.events().len(), 40);
}

#[test]
fn segments_that_are_missing_damaged_or_unnamed_are_found_and_put_in_order() {
    let (fake, place) = (Fake::start(), Place::new());
    waiting(&fake, &place);
    let segments = place.segments();
    fs::remove_file(&segments[0]).unwrap();
    damage(&segments[1], 200, b"\xff\x00\xff\x00");
    let unnamed = segments[0].with_file_name("events-unnamed.parquet");
    fs::copy(&segments[2], &unnamed).unwrap();
    let mut lost: Vec<_> = check(&place.store())
        .unwrap()
        .into_iter()
        .map(|finding| (finding.path, finding.rows_lost))
        .collect();
    lost.sort();
    let mut expected = vec![
        (segments[0].clone(), Some(10)),
        (segments[1].clone(), Some(10)),
        (unnamed.clone(), Some(0)),
    ];
    expected.sort();
    assert_eq!(lost, expected);
    assert_repaired(&place);
    assert!(!unnamed.exists());

    let mut sink = again(&fake, &place);
    assert_eq!(
        sink.publish_events(&rows(&small(), 0..30))
            .unwrap()
            .accepted,
        20
    );
    sink.flush().unwrap();
    assert_eq!(fake.events().len(), 40);
    assert!(fake.events().values().all(|times| *times == 1));
    assert_eq!(fake.labels().len(), 1);
}

#[test]
fn a_database_that_is_partly_damaged_is_made_anew_without_loss_of_rows() {
    let (fake, place) = (Fake::start(), Place::new());
    waiting(&fake, &place);
    let database = place.outbox().join("outbox.db");
    let bytes = fs::read(&database).unwrap();
    // Every page but the first and those of the last tables, one after the other.
    let mut repaired = 0;
    for page in 1..bytes.len() / 4_096 {
        damage(&database, page * 4_096, &[0xA5; 600]);
        let found = check(&place.store()).unwrap();
        if !found.is_empty() {
            assert_repaired(&place);
            repaired += 1;
        }
        let mut sink = again(&fake, &place);
        sink.publish_events(&rows(&small(), 0..30)).unwrap();
        sink.flush().unwrap();
        let events = fake.events();
        assert!((0..30).all(|i| events.contains_key(&id(i))), "page {page}");
        break_off(&fake, &place, sink);
    }
    assert!(repaired > 0);
}

/// Has the 30 events wait again.
fn break_off(fake: &Fake, place: &Place, sink: FiddlerSink) {
    close(place, sink);
    fs::remove_dir_all(place.outbox()).unwrap();
    fake.forget_events();
    waiting(fake, place);
}

#[test]
fn a_database_that_is_no_database_or_gone_is_made_anew_from_the_segments() {
    for harm in [
        |path: &Path| fs::write(path, vec![0x5A; 40_000]).unwrap(),
        |path: &Path| fs::write(path, b"").unwrap(),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let (fake, place) = (Fake::start(), Place::new());
        waiting(&fake, &place);
        harm(&place.outbox().join("outbox.db"));
        // Nothing that opens it takes the rows for leftovers.
        assert!(place.sink(&fake.url, json!({})).is_err());
        assert_eq!(place.segments().len(), 3);
        let found = assert_repaired(&place);
        assert_eq!(found[0].rows_lost, None, "the labels are gone");
        again(&fake, &place).flush().unwrap();
        let events = fake.events();
        assert!((0..30).all(|i| events.get(&id(i)) == Some(&1)));
        assert!(place.segments().is_empty());
    }
}

#[test]
fn a_repair_that_was_interrupted_goes_on() {
    let (fake, place) = (Fake::start(), Place::new());
    waiting(&fake, &place);
    let database = place.outbox().join("outbox.db");
    let repaired = place.outbox().join("outbox.repaired.db");
    fs::rename(&database, &repaired).unwrap();
    fs::write(&database, b"half a repair").unwrap();
    fs::write(place.outbox().join("outbox.repairing.db"), b"junk").unwrap();
    let error = place.sink(&fake.url, json!({})).err().unwrap().to_string();
    assert!(error.contains("driftline store repair"), "{error}");
    assert_repaired(&place);
    assert!(!repaired.exists());
    again(&fake, &place).flush().unwrap();
    assert_eq!(fake.events().len(), 40);
    assert_eq!(fake.labels().len(), 1);
}

/// Flips of one bit, each in a fresh copy of a store with waiting rows.
fn flips(choose: fn(&Path) -> bool, mut tried: impl FnMut(&Fake, &Place, &Path)) {
    let full = std::env::var_os("DRIFTLINE_TEST_FULL").is_some();
    let (fake, template) = (Fake::start(), Place::new());
    waiting(&fake, &template);
    let all: Vec<_> = files(&template.outbox())
        .into_iter()
        .filter(|f| choose(f))
        .collect();
    let mut random = 20_261_127_u64;
    for _ in 0..if full { 1_000 } else { 24 } {
        fake.forget_events();
        let place = Place::new();
        for file in files(&template.store()) {
            let to = place
                .store()
                .join(file.strip_prefix(template.store()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file, to).unwrap();
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let chosen = &all[(random >> 33) as usize % all.len()];
        let chosen = place
            .store()
            .join(chosen.strip_prefix(template.store()).unwrap());
        let mut bytes = fs::read(&chosen).unwrap();
        let bit = (random >> 20) as usize % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&chosen, bytes).unwrap();
        tried(&fake, &place, &chosen);
    }
}

fn assert_all_once(fake: &Fake) {
    let events = fake.events();
    assert!(
        (0..30).all(|i| events.get(&id(i)) == Some(&1)),
        "{events:?}"
    );
}

#[test]
fn a_flipped_bit_in_a_segment_costs_no_other_rows_and_none_for_good() {
    let mut named = 0;
    let segments = |path: &Path| path.extension().is_some_and(|end| end == "parquet");
    flips(segments, |fake, place, chosen| {
        let mut sink = again(fake, place);
        match sink.flush() {
            Ok(()) => assert_all_once(fake),
            Err(error) => {
                named += 1;
                assert!(
                    error
                        .to_string()
                        .contains("10 rows in the outbox are damaged"),
                    "{error}"
                );
                assert_eq!(fake.events().len(), 20, "{}", chosen.display());
                sink.publish_events(&rows(&small(), 0..30)).unwrap();
                sink.flush().unwrap();
                assert_all_once(fake);
            }
        }
        assert_eq!(fake.labels().len(), 1);
    });
    assert!(named > 0);
}

#[test]
fn a_flipped_bit_in_the_database_loses_no_rows_in_silence() {
    let mut repaired = 0;
    let database = |path: &Path| path.ends_with("outbox.db");
    flips(database, |fake, place, _| {
        repaired += usize::from(!repair(&place.store()).unwrap().is_empty());
        assert!(check(&place.store()).unwrap().is_empty());
        let mut sink = again(fake, place);
        sink.publish_events(&rows(&small(), 0..30)).unwrap();
        if sink.flush().is_ok() {
            let events = fake.events();
            assert!((0..30).all(|i| events.contains_key(&id(i))), "{events:?}");
        }
    });
    assert!(repaired > 0);
}
