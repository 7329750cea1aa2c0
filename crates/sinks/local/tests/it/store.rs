//! What one process sees: idempotence, determinism, damage, refusals.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common;
use std::fs;
use std::path::Path;

use crate::common::{
    DIM, START_MS, assert_events, assert_same_files, files, id, only_part, rows, schema, sink, spec,
};
use driftline_core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, Registry, Row, RowSchema, Rows, RowsBuilder,
    SinkConfig,
};
use driftline_sink_local::{LocalSink, Section, Store, monitors, register};
use jiff::civil::date;

fn ack(accepted: u64, duplicates: u64) -> Ack {
    Ack {
        accepted,
        duplicates,
    }
}

#[test]
fn rows_are_grouped_by_utc_day_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    assert!(sink.info().location.ends_with("p/m"));
    assert_eq!(sink.publish_baseline(&rows(0..50)).unwrap(), ack(50, 0));
    assert_eq!(sink.publish_events(&rows(90..310)).unwrap(), ack(220, 0));
    sink.flush().unwrap();

    let store = Store::open(folder.path(), "p", "m").unwrap();
    assert_eq!(*store.monitor(), spec());
    let sections: Vec<Section> = store.parts().unwrap().iter().map(|p| p.section).collect();
    let day = |d| Section::Events(date(2026, 11, d));
    assert_eq!(
        sections,
        [Section::Baseline, day(1), day(2), day(3), day(4)]
    );
    let names = files(&folder.path().join("p/m"));
    let name = |at: usize| names.keys().nth(at).unwrap().to_string_lossy().into_owned();
    assert!(
        name(0).starts_with("baseline/part-run-week-1-00000000-50-"),
        "{}",
        name(0)
    );
    assert!(name(1).starts_with("events/date=2026-11-01/part-run-week-1-00000090-10-"));
    assert_eq!(name(5), "monitor.json");

    let read =
        |rows: driftline_sink_local::PartRows| -> Vec<Rows> { rows.map(Result::unwrap).collect() };
    assert_eq!(read(store.baseline().unwrap())[0].batch(), &rows(0..50));
    let days = store.events(date(2026, 11, 2)..=date(2026, 11, 3)).unwrap();
    let days = read(days);
    assert_eq!(days.len(), 2);
    assert_eq!(days[0].batch(), &rows(100..200));
    assert_eq!(days[1].batch(), &rows(200..300));
    assert_events(folder.path(), 90..310);
}

#[test]
fn rows_with_and_without_image_properties_live_in_one_store() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let mut spec = spec();
    spec.schema = spec.schema.with_properties(vec!["brightness".to_owned()]);
    let mut builder = RowsBuilder::new(spec.schema.clone());
    for i in 10..20 {
        let row = Row {
            event_id: &id(i),
            timestamp_ms: START_MS,
            embedding: &[0.5; DIM],
            scores: &[0.5; 2],
            target: None,
            image_url: "",
            image_number: 0,
            window: "w",
            properties: &[0.25],
        };
        builder.push(&row).unwrap();
    }
    let mut newer = LocalSink::open(&SinkConfig::new(folder.path().to_owned(), spec)).unwrap();
    newer.publish_events(&builder.finish().unwrap()).unwrap();
    let labels = [5, 15].map(|i| EventLabel {
        event_id: id(i),
        target: "cat".to_owned(),
    });
    assert_eq!(newer.publish_labels(&labels).unwrap(), ack(2, 0));
    let store = Store::open(folder.path(), "p", "m").unwrap();
    let found: Vec<Rows> = store
        .events(date(2026, 11, 1)..=date(2026, 11, 1))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found.iter().map(Rows::len).sum::<usize>(), 20);
    let with: Vec<&Rows> = found
        .iter()
        .filter(|rows| !rows.schema().properties.is_empty())
        .collect();
    assert_eq!(with.len(), 1);
    assert_eq!(with[0].properties(), [0.25; 10]);
}

#[test]
fn the_edge_of_a_day_is_midnight_in_utc_also_before_1970() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = RowsBuilder::new(schema());
    for (i, ms) in [START_MS - 1, START_MS, -1].into_iter().enumerate() {
        builder
            .push(&Row {
                event_id: &format!("e{i}"),
                timestamp_ms: ms,
                embedding: &[0.5; DIM],
                scores: &[0.5; 2],
                target: None,
                image_url: "",
                image_number: 0,
                window: "w",
                properties: &[],
            })
            .unwrap();
    }
    sink(folder.path())
        .publish_events(&builder.finish().unwrap())
        .unwrap();
    for day in ["2026-10-31", "2026-11-01", "1969-12-31"] {
        only_part(folder.path(), day);
    }
}

#[test]
fn no_row_is_kept_twice_in_a_call_across_calls_or_across_sinks() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = sink(folder.path());
    let mut second = sink(folder.path());
    assert_eq!(first.publish_events(&rows(0..250)).unwrap(), ack(250, 0));
    let before = files(folder.path());
    assert_eq!(first.publish_events(&rows(0..250)).unwrap(), ack(0, 250));
    assert_eq!(second.publish_events(&rows(0..250)).unwrap(), ack(0, 250));
    assert_eq!(
        sink(folder.path()).publish_events(&rows(0..250)).unwrap(),
        ack(0, 250)
    );
    assert_eq!(files(folder.path()), before);

    let twice = rows((240..260).chain(250..270));
    assert_eq!(second.publish_events(&twice).unwrap(), ack(20, 20));
    assert_eq!(
        first.publish_events(&rows((0..300).step_by(7))).unwrap(),
        ack(4, 39)
    );
    let kept = (0..270).chain((0..300).step_by(7));
    assert_events(folder.path(), kept);

    assert_eq!(first.publish_baseline(&rows(0..10)).unwrap(), ack(10, 0));
    assert_eq!(first.publish_baseline(&rows(0..12)).unwrap(), ack(2, 10));
    assert_eq!(first.publish_events(&rows(0..0)).unwrap(), ack(0, 0));
}

#[test]
fn an_id_is_known_on_whatever_day_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_events(&rows(0..10)).unwrap();
    let mut moved = RowsBuilder::new(schema());
    moved
        .push(&Row {
            event_id: &common::id(3),
            timestamp_ms: START_MS + 40 * common::DAY_MS,
            embedding: &[9.0; DIM],
            scores: &[0.5; 2],
            target: None,
            image_url: "",
            image_number: 3,
            window: "w",
            properties: &[],
        })
        .unwrap();
    assert_eq!(
        sink.publish_events(&moved.finish().unwrap()).unwrap(),
        ack(0, 1)
    );
    assert_events(folder.path(), 0..10);
}

#[test]
fn the_same_calls_make_the_same_files() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&a, &b] {
        let mut sink = sink(folder.path());
        sink.publish_baseline(&rows(0..333)).unwrap();
        for start in (0..1_000).step_by(130) {
            sink.publish_events(&rows(start..start + 140)).unwrap();
        }
    }
    assert_same_files(a.path(), b.path());
}

#[test]
fn leftovers_of_killed_processes_are_removed_and_other_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let day = folder.path().join("p/m/events/date=2026-11-01");
    let leftover = day.join(".driftline-1-0.tmp");
    let note = day.join(".note");
    fs::write(&leftover, b"PAR1").unwrap();
    fs::write(&note, b"mine").unwrap();
    let sink = sink(folder.path());
    assert!(!leftover.exists() && note.exists());
    assert_eq!(sink.damaged(), []);
}

/// Damages the second of three days by `change`, and checks everything that must follow.
fn damage_and_heal(change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..300)).unwrap();
    let undamaged = files(folder.path());
    let path = only_part(folder.path(), "2026-11-02");
    change(&path);

    // A reader passes over it, names it, and touches nothing.
    let store = Store::open(folder.path(), "p", "m").unwrap();
    let mut events = store.events(..).unwrap();
    let read: usize = events.by_ref().map(|rows| rows.unwrap().len()).sum();
    assert_eq!(read, 200);
    assert_eq!(events.damaged().len(), 1);
    assert_eq!(events.damaged()[0].path, path);
    assert_eq!(events.damaged()[0].moved_to, None);
    assert!(path.exists());

    // The sink names it, sets it aside, and takes its rows again.
    let mut sink = sink(folder.path());
    assert_eq!(sink.publish_events(&rows(0..300)).unwrap(), ack(100, 200));
    assert_eq!(sink.damaged().len(), 1);
    let damage = sink.damaged()[0].clone();
    assert_eq!(damage.path, path);
    let aside = damage.moved_to.clone().unwrap();
    assert!(aside.starts_with(folder.path().join("p/m/damaged")) && aside.exists());
    assert!(aside.extension().is_some_and(|e| e == "damaged"));
    let text = damage.to_string();
    assert!(
        text.contains("date=2026-11-02") && text.contains("set aside as"),
        "{text}"
    );

    fs::remove_dir_all(folder.path().join("p/m/damaged")).unwrap();
    assert!(
        files(folder.path()) == undamaged,
        "the healed store is as before"
    );
    assert_events(folder.path(), 0..300);
}

#[test]
fn a_truncated_file_is_named_and_healed() {
    damage_and_heal(|path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn an_empty_file_is_named_and_healed() {
    damage_and_heal(|path| fs::write(path, b"").unwrap());
}

#[test]
fn one_changed_bit_in_the_data_is_named_and_healed() {
    damage_and_heal(|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[1_500] ^= 4;
        fs::write(path, &bytes).unwrap();
    });
}

#[test]
fn changed_statistics_in_the_footer_are_named_and_healed() {
    damage_and_heal(|path| {
        let mut bytes = fs::read(path).unwrap();
        // The last place where the least id of the file is written is in the footer.
        let least = common::id(100).into_bytes();
        let at = bytes
            .windows(least.len())
            .rposition(|w| w == least)
            .unwrap();
        bytes[at + least.len() - 1] = b'9';
        fs::write(path, &bytes).unwrap();
    });
}

#[test]
fn a_file_that_damages_twice_is_set_aside_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    for _ in 0..2 {
        sink.publish_events(&rows(0..10)).unwrap();
        fs::write(only_part(folder.path(), "2026-11-01"), b"garbage").unwrap();
    }
    assert_eq!(sink.publish_events(&rows(0..10)).unwrap(), ack(10, 0));
    assert_eq!(sink.damaged().len(), 2);
    assert_eq!(
        fs::read_dir(folder.path().join("p/m/damaged"))
            .unwrap()
            .count(),
        2
    );
    assert_events(folder.path(), 0..10);
}

#[test]
fn files_of_other_people_count_if_they_fit_and_are_never_moved() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let day = folder.path().join("p/m/events/date=2026-11-01");
    driftline_rows::write(&day.join("imported.parquet"), &rows(10..20)).unwrap();
    let mut other = RowsBuilder::new(RowSchema::new(3, vec![]).unwrap());
    let other = other.finish().unwrap();
    driftline_rows::write(&day.join("other.parquet"), &other).unwrap();
    fs::write(day.join("garbage.parquet"), b"garbage").unwrap();

    let mut sink = sink(folder.path());
    assert_eq!(sink.publish_events(&rows(0..25)).unwrap(), ack(5, 20));
    for name in ["imported.parquet", "other.parquet", "garbage.parquet"] {
        assert!(day.join(name).exists(), "{name}");
    }
    let texts: Vec<String> = sink.damaged().iter().map(ToString::to_string).collect();
    assert!(
        texts
            .iter()
            .any(|t| t.contains("garbage.parquet") && t.contains("not Parquet"))
    );
    assert!(
        texts
            .iter()
            .any(|t| t.contains("other.parquet") && t.contains("embeddings of 3"))
    );
}

#[test]
fn another_schema_or_other_weights_are_refused_with_both_values() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path());
    let before = files(folder.path());
    let refusal = |change: &dyn Fn(&mut driftline_core::MonitorSpec)| -> Error {
        let mut spec = spec();
        change(&mut spec);
        let store = folder.path().to_owned();
        LocalSink::open(&SinkConfig::new(store, spec)).unwrap_err()
    };
    let dim = refusal(&|s| s.schema.dim = 16);
    let classes = refusal(&|s| s.schema.classes[1] = "fox".to_owned());
    let weights = refusal(&|s| s.model_sha256 = "cd".repeat(32));
    for (error, expected) in [
        (dim, "embedding length: 8 there, 16 now"),
        (classes, "list of classes: cat, dog there, cat, fox now"),
        (weights, "abab there, cdcd"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("monitor.json") && text.contains("another --store"),
            "{text}"
        );
    }
    assert_eq!(files(folder.path()), before);

    let mut more_clusters = spec();
    more_clusters.custom_feature.n_clusters = 20;
    let config = SinkConfig::new(folder.path().to_owned(), more_clusters.clone());
    LocalSink::open(&config).unwrap();
    let store = Store::open(folder.path(), "p", "m").unwrap();
    assert_eq!(*store.monitor(), more_clusters);
}

#[test]
fn a_monitor_json_that_cannot_be_used_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).publish_events(&rows(0..10)).unwrap();
    let path = folder.path().join("p/m/monitor.json");
    let good = fs::read_to_string(&path).unwrap();
    for (text, expected) in [
        ("{", "not JSON"),
        ("[1]", "no format"),
        ("{\"format\": 1}", "incomplete"),
        ("{\"format\": 99}", "has format 99, this driftline reads 1"),
        (&good.replace("\"dim\": 8", "\"dim\": 0"), "incomplete"),
    ] {
        fs::write(&path, text).unwrap();
        let store = folder.path().to_owned();
        for error in [
            LocalSink::open(&SinkConfig::new(store, spec())).unwrap_err(),
            Store::open(folder.path(), "p", "m").unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains(expected) && error.contains("monitor.json"),
                "{error}"
            );
        }
    }
    fs::remove_file(&path).unwrap();
    sink(folder.path());
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_events(folder.path(), 0..10);
}

#[test]
fn bad_rows_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let before = files(folder.path());
    let mut publish = |schema: RowSchema, timestamp_ms: i64, value: f32| {
        let mut builder = RowsBuilder::new(schema.clone());
        for timestamp_ms in [START_MS, timestamp_ms] {
            builder
                .push(&Row {
                    event_id: "e",
                    timestamp_ms,
                    embedding: &vec![value; schema.dim],
                    scores: &vec![0.5; schema.classes.len()],
                    target: None,
                    image_url: "",
                    image_number: 0,
                    window: "w",
                    properties: &[],
                })
                .unwrap();
        }
        let error = sink.publish_events(&builder.finish().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        error.to_string()
    };
    let dim = publish(RowSchema::new(3, vec![]).unwrap(), START_MS, 0.0);
    assert!(
        dim.contains("embeddings of 3 values") && dim.contains("prepared for 8"),
        "{dim}"
    );
    let nan = publish(schema(), START_MS, f32::NAN);
    assert!(
        nan.contains("not a finite number") && nan.contains("row: 0"),
        "{nan}"
    );
    let time = publish(schema(), i64::MAX, 0.0);
    assert!(
        time.contains("no calendar knows") && time.contains("row: 1"),
        "{time}"
    );
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_store_that_is_missing_or_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&folder.path().join("none"), "p", "m").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing in it yet"), "{error}");
    sink(folder.path());
    let error = Store::open(folder.path(), "p", "other").unwrap_err();
    assert!(error.to_string().contains("it has: p/m"), "{error}");
    assert_eq!(
        monitors(folder.path()).unwrap(),
        [("p".to_owned(), "m".to_owned())]
    );

    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = LocalSink::open(&SinkConfig::new(file, spec())).unwrap_err();
    assert!(error.to_string().contains("not a folder"), "{error}");
}

#[test]
fn an_entry_named_local_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = Registry::new("sink");
    register(&mut registry).unwrap();
    let store = folder.path().to_owned();
    let config = SinkConfig::new(store, spec());
    let mut sink = registry.build("local", &config).unwrap();
    assert_eq!(sink.publish_events(&rows(0..5)).unwrap(), ack(5, 0));
    assert_eq!(sink.info().name, "local");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_written_to_is_a_resource_error() {
    let config = SinkConfig::new(Path::new("/proc/driftline").to_owned(), spec());
    let error = LocalSink::open(&config).unwrap_err();
    assert!(error.to_string().contains("/proc/driftline"), "{error}");
    assert!(
        matches!(error.kind(), ErrorKind::Resource | ErrorKind::NotFound),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
mod mounted {
    //! A full disk and a read-only one, on a small file system in memory.

    use super::*;
    use std::process::Command;

    fn mount(options: &str, folder: &Path) -> bool {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder)
            .output();
        mount.is_ok_and(|output| output.status.success())
    }

    struct Mounted(tempfile::TempDir);

    impl Mounted {
        fn new(check: &str) -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            if mount("size=512k", folder.path()) {
                return Some(Self(folder));
            }
            println!("skipped: {check}, because this user may not mount a tmpfs");
            None
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0.path()).status();
        }
    }

    #[test]
    fn a_full_disk_keeps_nothing_of_the_call_that_fails_and_it_can_be_made_again_later() {
        let Some(mounted) = Mounted::new("full disk") else {
            return;
        };
        let store = mounted.0.path();
        let mut filled = sink(store);
        let mut kept = 0;
        let error = loop {
            match filled.publish_events(&rows(kept..kept + 250)) {
                Ok(ack) => kept += ack.accepted as usize,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Resource);
        assert!(error.to_string().contains("free some space"), "{error}");
        let leftover = files(store)
            .keys()
            .any(|name| name.to_string_lossy().ends_with(".tmp"));
        assert!(kept > 0 && !leftover);
        let events = Store::open(store, "p", "m").unwrap().events(..).unwrap();
        let there: usize = events.map(|rows| rows.unwrap().len()).sum();
        assert_eq!(there, kept, "acknowledged and there");

        assert!(mount("remount,size=4m", store));
        let again = filled.publish_events(&rows(0..kept + 250)).unwrap();
        assert_eq!(again, ack(250, kept as u64));
        assert_events(store, 0..kept + 250);
    }

    #[test]
    fn a_read_only_store_can_be_read_and_says_why_it_cannot_be_written() {
        let Some(mounted) = Mounted::new("read-only store") else {
            return;
        };
        let store = mounted.0.path();
        let mut opened = sink(store);
        opened.publish_events(&rows(0..120)).unwrap();
        assert!(mount("remount,ro", store));
        assert_events(store, 0..120);
        let config = SinkConfig::new(store.to_owned(), spec());
        for error in [
            opened.publish_events(&rows(0..130)).unwrap_err(),
            LocalSink::open(&config).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Resource);
            assert!(
                error.to_string().contains("a place you may write to"),
                "{error}"
            );
        }
    }
}
