//! The instrument itself: a trace replays to what was really there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{Ended, folder, outbox, server, store};
use crate::drivers::command;
use driftline_faults::inject::{Fault, Kind};
use driftline_faults::record;
use driftline_faults::replay::{Choice, History, State};

/// Every file and folder below `folder`, without the files that are mapped into memory.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else {
                found.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    found.retain(|name, _| !name.to_string_lossy().ends_with("-shm"));
    found
}

fn assert_replays(log: &Path, store: &Path) {
    let history = History::new(record::read(log).unwrap());
    let at = history.operations().len();
    let mut replayed = history.tree(State {
        at,
        choice: Choice::All,
    });
    replayed.retain(|name, _| !name.to_string_lossy().ends_with("-shm"));
    let found = tree(store);
    let names = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&replayed), names(&found));
    for (name, bytes) in &found {
        assert!(replayed[name] == *bytes, "{} differs", name.display());
    }
    println!("{at} operations");
}

#[test]
fn a_trace_of_the_store_replays_to_what_is_on_disk() {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let ended = Ended::run(command("store", &root, &log, 1), &root, &log, None);
    ended.is_orderly(&[0]).unwrap();
    assert_replays(&log, &root);
    store::Content::undamaged(&root).unwrap();
}

#[test]
fn a_trace_of_the_outbox_and_its_database_replays_to_what_is_on_disk() {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let fake = outbox::server(Some(&log));
    let command = crate::drivers::outbox_command(&fake.url, &root, &log, 1);
    let ended = Ended::run(command, &root, &log, None);
    ended.is_orderly(&[0]).unwrap();
    assert_replays(&log, &root);
    outbox::complete(&fake).unwrap();
}

#[test]
fn a_trace_of_the_server_replays_to_what_is_on_disk() {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let process = server::Process::start(&root, &log, None)
        .map_err(|e| e.text)
        .unwrap();
    let mut script = server::Script::new(&process.url, Some(&log), &Default::default());
    for step in server::script() {
        script.run(&step).unwrap();
    }
    script.jobs().unwrap();
    drop(script);
    process.stop(&log).is_orderly(&[0]).unwrap();
    assert_replays(&log, &root);
    server::complete(&root).unwrap();
}

#[test]
fn the_named_call_fails_and_no_other() {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let fault = Fault {
        kind: Kind::Enospc,
        number: 1,
        lasting: false,
    };
    let once = Ended::run(command("store", &root, &log, 1), &root, &log, Some(fault));
    once.is_orderly(&[crate::drivers::REFUSED]).unwrap();
    assert!(
        once.hit
            .as_deref()
            .is_some_and(|hit| hit.starts_with("ENOSPC from mkdir 1:")),
        "{once:?}"
    );
    assert!(once.text.contains("refused: prepare"), "{once:?}");
    let none = place.path().join("none");
    let beyond = Fault {
        number: 100_000,
        ..fault
    };
    let through = Ended::run(
        command("store", &root, &none, 1),
        &root,
        &none,
        Some(beyond),
    );
    through.is_orderly(&[0]).unwrap();
    assert_eq!(through.hit, None);
}
