//! Labels that come later, deletions, and what a process that is stopped in the middle of them leaves.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{DAY_MS, START_MS, assert_events, copy, id, only_part, rows, sink};
use arrow_array::Array;
use driftline_core::{Ack, EventLabel, MonitorSink, SinkConfig};
use driftline_sink_local::{
    Centroids, Deletion, EventUpdate, LocalSink, Store, monitors, remove_model, write_clusters,
};

fn label(i: usize, target: &str) -> EventLabel {
    EventLabel {
        event_id: id(i),
        target: target.to_owned(),
    }
}

/// Target and address of every event by its number.
fn targets(store: &Path) -> BTreeMap<i64, (Option<String>, String)> {
    let mut found = BTreeMap::new();
    for rows in Store::open(store, "p", "m").unwrap().events(..).unwrap() {
        let rows = rows.unwrap();
        for (at, number) in rows.image_numbers().iter().enumerate() {
            let target = (!rows.targets().is_null(at)).then(|| rows.targets().value(at).to_owned());
            let url = rows.image_urls().value(at).to_owned();
            assert_eq!(found.insert(*number, (target, url)), None);
        }
    }
    found
}

#[test]
fn labels_change_the_events_they_name_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_baseline(&rows(0..50)).unwrap();
    sink.publish_events(&rows(0..300)).unwrap();
    let before = targets(folder.path());
    let untouched = only_part(folder.path(), "2026-11-03");

    let labels = [
        label(5, "cat"),
        label(6, "dog"), // it has this label
        label(105, "cat"),
        label(7_000, "cat"), // there is no such event
    ];
    let ack = sink.publish_labels(&labels).unwrap();
    assert_eq!(
        ack,
        Ack {
            accepted: 2,
            duplicates: 2
        }
    );

    let mut expected = before;
    expected.get_mut(&5).unwrap().0 = Some("cat".to_owned());
    expected.get_mut(&105).unwrap().0 = Some("cat".to_owned());
    assert_eq!(targets(folder.path()), expected);
    assert!(untouched.is_file());
    assert_events(folder.path(), 0..300);
    // The baseline has the same ids, and keeps its rows.
    let baseline = Store::open(folder.path(), "p", "m").unwrap().baseline();
    assert_eq!(
        baseline.unwrap().next().unwrap().unwrap().batch(),
        &rows(0..50)
    );

    let again = sink.publish_labels(&labels).unwrap();
    assert_eq!(
        again,
        Ack {
            accepted: 0,
            duplicates: 4
        }
    );
    // Publishing the events again does not take the labels back.
    assert_eq!(sink.publish_events(&rows(0..300)).unwrap().accepted, 0);
    assert_eq!(targets(folder.path()), expected);
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_events(&rows(0..10)).unwrap();
    let update = EventUpdate {
        event_id: id(3),
        target: None,
        image_url: Some("b.png".to_owned()),
    };
    assert_eq!(sink.update_events(&[update]).unwrap().accepted, 1);
    let found = targets(folder.path());
    assert_eq!(found[&3], (Some("dog".to_owned()), "b.png".to_owned()));
    assert_eq!(found[&4], (Some("dog".to_owned()), "a.png".to_owned()));
}

#[test]
fn deleted_events_are_gone_and_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_events(&rows(0..300)).unwrap();
    let ids = Deletion::Ids([id(7), id(205), id(9_999)].into());
    assert_eq!(sink.delete_events(&ids).unwrap(), 2);
    let day = Deletion::Times(START_MS + DAY_MS..START_MS + 2 * DAY_MS);
    assert_eq!(sink.delete_events(&day).unwrap(), 100);
    let left = (0..100).chain(200..300).filter(|i| ![7, 205].contains(i));
    assert_events(folder.path(), left);
    assert_eq!(
        sink.publish_events(&rows(0..300)).unwrap(),
        Ack {
            accepted: 102,
            duplicates: 198
        }
    );
    assert_events(folder.path(), 0..300);
}

/// Every state in which a kill can leave the folder: after the journal, any number of its steps may be done.
#[test]
fn a_change_that_was_killed_anywhere_is_whole_for_readers_and_completed_by_the_next_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let mut writer = sink(&old);
    writer.publish_events(&rows(0..200)).unwrap();
    copy(&old, &new);
    sink(&new)
        .publish_labels(&[label(5, "cat"), label(105, "cat")])
        .unwrap();
    let part = |store: &Path, day: &str| only_part(store, day);
    let days = ["2026-11-01", "2026-11-02"];
    let replaced: Vec<_> = days
        .iter()
        .map(|day| (part(&old, day), part(&new, day)))
        .collect();
    let below = |store: &Path, path: &Path| {
        path.strip_prefix(store.join("p/m"))
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let journal: Vec<_> = replaced
        .iter()
        .map(|(a, b)| {
            format!(
                r#"{{"old":"{}","new":"{}"}}"#,
                below(&old, a),
                below(&new, b)
            )
        })
        .collect();
    let journal = format!(r#"{{"replaced":[{}]}}"#, journal.join(","));
    let expected = targets(&new);

    // Two steps a file: the new one gets its name, the old one goes.
    for steps in 0..=4_u32 {
        let store = folder.path().join(format!("killed-{steps}"));
        copy(&old, &store);
        let mut left = steps;
        for (before, after) in &replaced {
            let folder = store.join("p/m").join(below(&old, before));
            let folder = folder.parent().unwrap();
            let name = after.file_name().unwrap().to_string_lossy().into_owned();
            let staged = if left > 0 {
                name
            } else {
                format!(".{name}.new")
            };
            fs::copy(after, folder.join(staged)).unwrap();
            if left > 1 {
                fs::remove_file(folder.join(before.file_name().unwrap())).unwrap();
            }
            left = left.saturating_sub(2);
        }
        // Before the journal is there, nothing has changed.
        if steps == 0 {
            assert_eq!(targets(&store), targets(&old));
        }
        fs::write(store.join("p/m/rewrite.json"), &journal).unwrap();
        assert_eq!(targets(&store), expected, "reader after {steps} steps");
        let ack = sink(&store).publish_events(&rows(0..200)).unwrap();
        assert_eq!(ack.accepted, 0, "after {steps} steps");
        common::assert_same_files(&store, &new);
    }
}

#[test]
fn a_damaged_file_keeps_no_label_and_no_deletion_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..300)).unwrap();
    let path = only_part(folder.path(), "2026-11-02");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_500] ^= 4;
    fs::write(&path, &bytes).unwrap();
    // Its footer is whole, so only reading its rows shows the damage.
    let labels = [label(5, "cat"), label(150, "cat"), label(205, "cat")];
    let mut first = sink(folder.path());
    let ack = first.publish_labels(&labels).unwrap();
    assert_eq!((ack.accepted, ack.duplicates), (2, 1));
    assert_eq!(first.damaged().len(), 1);
    let text = first.damaged()[0].to_string();
    assert!(
        text.contains("date=2026-11-02") && text.contains("set aside"),
        "{text}"
    );
    assert_events(folder.path(), (0..100).chain(200..300));
    assert_eq!(targets(folder.path())[&205].0.as_deref(), Some("cat"));

    let path = only_part(folder.path(), "2026-11-03");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_500] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let mut second = sink(folder.path());
    let all = Deletion::Times(START_MS + 50..START_MS + 3 * DAY_MS);
    assert_eq!(second.delete_events(&all).unwrap(), 50);
    assert_eq!(second.damaged().len(), 1);
    assert_events(folder.path(), 0..50);
    // What was lost comes back with its rows.
    assert_eq!(second.publish_events(&rows(0..300)).unwrap().accepted, 250);
    assert_events(folder.path(), 0..300);
}

#[test]
fn a_journal_that_names_a_file_that_is_gone_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..200)).unwrap();
    let name = |day: &str| {
        let path = only_part(folder.path(), day);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        format!("events/date={day}/{name}")
    };
    let gone = "events/date=2026-11-01/part-x-1-0123456789abcdef.parquet";
    let journal = format!(
        r#"{{"replaced":[{{"old":"{}","new":"{gone}"}},{{"old":null,"new":"{gone}"}}]}}"#,
        name("2026-11-01")
    );
    fs::write(folder.path().join("p/m/rewrite.json"), journal).unwrap();
    assert_events(folder.path(), 0..200);
    let ack = sink(folder.path()).publish_events(&rows(0..210)).unwrap();
    assert_eq!((ack.accepted, ack.duplicates), (10, 200));
    assert!(!folder.path().join("p/m/rewrite.json").exists());
    assert_events(folder.path(), 0..210);
}

#[test]
fn a_journal_reaches_no_file_outside_the_folders_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let victim = folder.path().join("victim.parquet");
    fs::write(&victim, b"mine").unwrap();
    let before = common::files(folder.path());
    let journal = folder.path().join("p/m/rewrite.json");
    for place in [
        "../../victim.parquet",
        "baseline/../../../victim.parquet",
        "monitor.json",
        &victim.display().to_string(),
    ] {
        fs::write(
            &journal,
            format!(r#"{{"replaced":[{{"old":"{place}","new":null}}]}}"#),
        )
        .unwrap();
        let store = folder.path().to_owned();
        let config = SinkConfig::new(store, common::spec());
        let error = LocalSink::open(&config).unwrap_err().to_string();
        assert!(
            error.contains("rewrite.json") && error.contains("store repair"),
            "{error}"
        );
        fs::remove_file(&journal).unwrap();
        assert!(common::files(folder.path()) == before, "{place}");
    }
}

#[test]
fn what_was_staged_without_a_journal_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let part = only_part(folder.path(), "2026-11-01");
    let staged = part.with_file_name(".part-x-1-0123456789abcdef.parquet.new");
    fs::copy(&part, &staged).unwrap();
    assert_events(folder.path(), 0..10);
    let mut sink = sink(folder.path());
    assert!(!staged.exists());
    sink.flush().unwrap();
}

#[test]
fn clusters_stay_with_their_model_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let centroids = Centroids {
        dim: 2,
        values: vec![0.1, -2.0, 3.5, 1e-7],
    };
    assert!(write_clusters(folder.path(), "p", "m", &centroids).is_err());
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let store = || Store::open(folder.path(), "p", "m").unwrap();
    assert_eq!(store().clusters().unwrap(), None);
    write_clusters(folder.path(), "p", "m", &centroids).unwrap();
    assert_eq!(store().clusters().unwrap(), Some(centroids));
    fs::write(
        folder.path().join("p/m/clusters.json"),
        r#"{"dim":2,"values":[1.0]}"#,
    )
    .unwrap();
    let error = store().clusters().unwrap_err().to_string();
    assert!(error.contains("clusters.json"), "{error}");

    remove_model(folder.path(), "p", "m").unwrap();
    assert_eq!(monitors(folder.path()).unwrap(), []);
    remove_model(folder.path(), "p", "m").unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    assert_events(folder.path(), 0..10);
}
