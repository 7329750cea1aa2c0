//! Simulated power cuts: nothing that was acknowledged is lost, and nothing is there twice.

use std::path::Path;

use crate::common::{Ended, Extent, Progress, Tally, folder, outbox, replay, run, server, store};
use crate::drivers::{outbox_command, store_command};
use driftline_faults::record;
use driftline_faults::replay::{Choice, History, State};

const SEED: u64 = 20_261_127;

fn history(log: &Path) -> History {
    let history = History::new(record::read(log).unwrap());
    println!("{} operations", history.operations().len());
    history
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_in_the_store() {
    let mut tally = Tally::new("power cut, store");
    let extent = Extent::chosen();
    for seed in 0..extent.store_scripts {
        let place = folder();
        let (root, log) = (place.path().join("store"), place.path().join("log"));
        Ended::run(store_command(seed, &root, &log), &root, &log, None)
            .is_orderly(&[0])
            .unwrap();
        let history = history(&log);
        let script = store::script_by_lot(seed);
        let states = history.states(extent.store_states, SEED + seed);
        replay(&mut tally, &history, states, |folder, progress| {
            store::check(folder, &script, progress).map_err(|text| format!("script {seed}: {text}"))
        });
    }
    tally.finish();
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_in_the_outbox() {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let fake = outbox::server(Some(&log));
    let command = outbox_command(&fake.url, &root, &log, 1);
    Ended::run(command, &root, &log, None)
        .is_orderly(&[0])
        .unwrap();
    let history = history(&log);
    let mut tally = Tally::new("power cut, outbox");
    let states = history.states(Extent::chosen().outbox_states, SEED);
    replay(&mut tally, &history, states, outbox::check);
    tally.finish();
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_that_the_server_accepted() {
    let history = server::history();
    let mut tally = Tally::new("power cut, server");
    let states = history.states(Extent::chosen().server_states, SEED);
    replay(&mut tally, &history, states, server::check);
    tally.finish();
}

#[test]
fn a_run_that_lost_power_is_completed_by_the_same_command() {
    let workspace = run::Workspace::new();
    let (root, log) = (workspace.path("store"), workspace.path("log"));
    Ended::run(workspace.run(&root), &root, &log, None)
        .is_orderly(&[0])
        .unwrap();
    let calm = run::rows(&root).unwrap();
    assert_eq!(calm.len(), 60 + 3 * 2 * 8);
    let history = history(&log);
    let mut tally = Tally::new("power cut, run");
    let states = history.states(Extent::chosen().run_states, SEED);
    replay(&mut tally, &history, states, |folder, _| {
        run::succeeded(workspace.run(folder))?;
        match run::rows(folder)? == calm {
            true => Ok(()),
            false => Err("the store differs from the one of a calm run".to_owned()),
        }
    });
    tally.finish();
}

/// The states that files are damaged in: the whole folder as it was when `wanted` was last there.
pub fn last_with(history: &History, wanted: impl Fn(&Path) -> bool) -> Option<State> {
    (0..=history.operations().len()).rev().find_map(|at| {
        let state = State {
            at,
            choice: Choice::All,
        };
        let found = history.tree(state).iter().any(|(path, bytes)| {
            wanted(path) && bytes.as_ref().is_some_and(|bytes| !bytes.is_empty())
        });
        found.then_some(state)
    })
}

/// Steps and notes before a state.
pub fn progress(history: &History, state: State) -> Progress {
    Progress::of(history.marks(state))
}
