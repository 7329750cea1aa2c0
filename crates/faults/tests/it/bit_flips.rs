//! One flipped bit in a durable file: the others are unharmed, what is lost is named, and nothing panics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::run::{self, Workspace};
use crate::common::store::{self, Content, Step, script};
use crate::common::{
    Ended, Extent, Failure, Known, Progress, Tally, folder, outbox, server, without_panic,
};
use crate::drivers::{command, outbox_command};
use crate::power_cut::{last_with, progress};
use driftline_core::MonitorSink;
use driftline_faults::flip::flip;
use driftline_faults::record::{self, Operation};
use driftline_faults::replay::{Choice, History, State, write_tree};

/// What fails today; empty this list when it is mended.
const KNOWN: &[Known] = &[Known {
    what: "a flipped bit in outbox.db-wal makes SQLite drop all later commits, and the outbox removes their segments without a word",
    is: |failure| {
        failure.case.starts_with("outbox.db-wal,")
            && failure.text.contains("that were accepted did not arrive")
    },
}];

type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Flips bits of the files of `tree` that `wanted` selects, one at a time, and lets `check` look at each folder. It is
/// given the name of the damaged file.
fn flipped(
    name: &str,
    tree: &Tree,
    flips: u64,
    wanted: impl Fn(&Path) -> bool,
    mut check: impl FnMut(&Path, &Path) -> Result<(), String>,
) {
    let files: Vec<&PathBuf> = tree
        .iter()
        .filter(|(path, bytes)| wanted(path) && bytes.as_ref().is_some_and(|b| !b.is_empty()))
        .map(|(path, _)| path)
        .collect();
    assert!(!files.is_empty(), "{name}: there is no such file");
    let mut tally = Tally::new(&format!("flips, {name}"));
    for seed in 0..flips {
        let file = files[seed as usize % files.len()];
        let folder = folder();
        write_tree(tree, folder.path()).unwrap();
        let (at, bit) = flip(&folder.path().join(file), seed).unwrap();
        let outcome = without_panic(|| check(folder.path(), file));
        tally.add(
            KNOWN,
            outcome.map_err(|text| Failure {
                case: format!(
                    "{name}, seed {seed}: bit {bit} of byte {at} of {}",
                    file.display()
                ),
                text,
            }),
        );
    }
    tally.finish();
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.to_string_lossy().ends_with(end)
}

/// The name of a file, as messages have it.
fn short(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A trace of the store driver.
fn store_history() -> History {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    Ended::run(command("store", &root, &log, 1), &root, &log, None)
        .is_orderly(&[0])
        .unwrap();
    History::new(record::read(&log).unwrap())
}

fn finished(history: &History) -> State {
    last_with(history, |path| ends_with(path, "monitor.json")).unwrap()
}

/// Rows 0 to 40 are 18 to 37 labelled and so on; these are of a day that no other step has.
const NEW: std::ops::Range<usize> = 60..70;

#[test]
fn a_damaged_part_loses_its_own_rows_only_and_they_can_be_published_again() {
    let history = store_history();
    let tree = history.tree(finished(&history));
    let whole = Content::after(&script());
    let part = |path: &Path| ends_with(path, ".parquet");
    flipped(
        "part",
        &tree,
        2 * Extent::chosen().flips,
        part,
        |folder, file| {
            let day = |row: &usize| format!("date=2026-11-{:02}", row / store::PER_DAY + 1);
            let of_file = |row: &usize| file.to_string_lossy().contains(&day(row));
            let (found, damaged) = Content::read(folder)?;
            if found != whole && !damaged.iter().any(|text| text.contains(&short(file))) {
                return Err(format!("a reader does not name it: {damaged:?}"));
            }
            for (row, label) in &whole.events {
                if !of_file(row) && found.events.get(row) != Some(label) {
                    return Err(format!("event {row} of another file is harmed"));
                }
            }
            let mut sink = store::sink(folder).map_err(|e| format!("prepare: {e}"))?;
            Step::Events(NEW)
                .run(folder, &mut sink)
                .map_err(|e| format!("publish: {e}"))?;
            Step::Labels(NEW, "cat")
                .run(folder, &mut sink)
                .map_err(|e| format!("label: {e}"))?;
            // All ids, those of the damaged file too.
            let labelled = Step::Labels(0..70, "dog").run(folder, &mut sink);
            let deleted = Step::DeleteIds(0..1).run(folder, &mut sink);
            Step::DeleteIds(NEW)
                .run(folder, &mut sink)
                .map_err(|e| format!("delete: {e}"))?;
            for step in [Step::Baseline(0..12), Step::Events(0..40)] {
                step.run(folder, &mut sink)
                    .map_err(|e| format!("{step:?} again: {e}"))?;
            }
            let again = Content::undamaged(folder)?;
            if again.baseline != whole.baseline || again.events.len() < whole.events.len() {
                return Err("publishing the rows again did not bring them back".to_owned());
            }
            labelled.map_err(|e| format!("labels of all rows: {e}"))?;
            deleted.map_err(|e| format!("deletion of a row: {e}"))
        },
    );
}

/// What an operation must say: that it worked, or which file is damaged.
fn named(what: &str, done: Result<(), String>, file: &Path) -> Result<bool, String> {
    match done {
        Ok(()) => Ok(true),
        Err(text) if text.contains(&short(file)) => Ok(false),
        Err(text) => Err(format!("{what} does not name the file: {text}")),
    }
}

#[test]
fn a_damaged_description_is_named_and_hides_nothing_for_good() {
    let history = store_history();
    let tree = history.tree(finished(&history));
    let whole = Content::after(&script());
    let description = |path: &Path| ends_with(path, "monitor.json");
    flipped(
        "monitor.json",
        &tree,
        Extent::chosen().flips,
        description,
        |folder, file| {
            let prepared = store::sink(folder).map(drop).map_err(|e| e.to_string());
            let read = Content::undamaged(folder);
            if named("prepare", prepared, file)? {
                return match read {
                    Ok(found) if found == whole => Ok(()),
                    Ok(_) => Err("rows are missing, and nothing says so".to_owned()),
                    Err(text) => Err(format!("a reader: {text}")),
                };
            }
            // As the message says.
            std::fs::remove_file(folder.join(file)).unwrap();
            drop(store::sink(folder).map_err(|e| format!("after its removal: {e}"))?);
            match Content::undamaged(folder)? == whole {
                true => Ok(()),
                false => Err("rows are missing after its removal".to_owned()),
            }
        },
    );
}

#[test]
fn damaged_clusters_are_named() {
    let history = store_history();
    let tree = history.tree(finished(&history));
    let clusters = |path: &Path| ends_with(path, "clusters.json");
    let values: Vec<f32> = (0..2 * store::DIM).map(|i| i as f32).collect();
    flipped(
        "clusters.json",
        &tree,
        Extent::chosen().flips,
        clusters,
        |folder, file| {
            let store =
                driftline_sink_local::Store::open(folder, "p", "m").map_err(|e| e.to_string())?;
            match store.clusters() {
                Err(error) => named("clusters", Err(error.to_string()), file).map(drop)?,
                Ok(Some(found)) if found.values == values => {}
                Ok(found) => return Err(format!("other clusters are read: {found:?}")),
            }
            let mut sink = store::sink(folder).map_err(|e| format!("prepare: {e}"))?;
            Step::Events(NEW)
                .run(folder, &mut sink)
                .map_err(|e| format!("publish: {e}"))
        },
    );
}

#[test]
fn a_damaged_journal_is_named_and_doubles_nothing() {
    let history = store_history();
    // The last journal, at the moment from which on it counts.
    let begun = history
        .operations()
        .iter()
        .rposition(|operation| match operation {
            Operation::Rename { to, .. } => ends_with(to, "rewrite.json"),
            _ => false,
        });
    let state = State {
        at: begun.unwrap() + 1,
        choice: Choice::All,
    };
    let tree = history.tree(state);
    let progress = progress(&history, state);
    let journal = |path: &Path| ends_with(path, "rewrite.json");
    flipped(
        "rewrite.json",
        &tree,
        Extent::chosen().flips,
        journal,
        |folder, file| {
            let read =
                Content::undamaged(folder).and_then(|found| found.fits(&script(), &progress));
            let read = named("a reader", read, file);
            let prepared = store::sink(folder).map(drop).map_err(|e| e.to_string());
            if named("prepare", prepared, file)? {
                read?;
                return store::check(folder, &script(), &progress);
            }
            read.map(drop)
        },
    );
}

/// The outbox before the first row was delivered, as a kill leaves it.
fn outbox_tree() -> Tree {
    let place = folder();
    let (root, log) = (place.path().join("store"), place.path().join("log"));
    let fake = outbox::server(Some(&log));
    let command = outbox_command(&fake.url, &root, &log, 1);
    Ended::run(command, &root, &log, None)
        .is_orderly(&[0])
        .unwrap();
    let history = History::new(record::read(&log).unwrap());
    let at = history
        .operations()
        .iter()
        .position(|operation| *operation == Operation::Mark("ack 3".to_owned()));
    history.tree(State {
        at: at.unwrap() + 1,
        choice: Choice::All,
    })
}

/// Delivers what an outbox has, and more; everything arrives, or something says what does not.
fn deliver(folder: &Path) -> Result<(), String> {
    let fake = outbox::server(None);
    let said = |text: String| match text.contains("outbox") {
        true => Ok(()),
        false => Err(format!("an error that does not name the outbox: {text}")),
    };
    let mut sink = match outbox::sink(folder, &fake.url) {
        Ok(sink) => sink,
        Err(error) => return said(error.to_string()),
    };
    if let Err(error) = sink.publish_events(&store::rows(NEW)) {
        said(error.to_string())?;
    }
    if let Err(error) = sink.flush() {
        return said(error.to_string());
    }
    outbox::once(&fake, 1)?;
    outbox::complete(&fake)
}

#[test]
fn a_damaged_segment_holds_nothing_else_up() {
    let tree = outbox_tree();
    let segment = |path: &Path| ends_with(path, ".parquet");
    flipped(
        "segment",
        &tree,
        Extent::chosen().flips,
        segment,
        |folder, file| {
            let fake = outbox::server(None);
            let mut sink = outbox::sink(folder, &fake.url).map_err(|e| format!("prepare: {e}"))?;
            let flushed = sink.flush();
            if let Err(error) = &flushed {
                let text = error.to_string();
                // The file, or the folder where it is now.
                let aside = file.parent().unwrap_or(folder).with_file_name("damaged");
                let there = std::fs::read_dir(folder.join(&aside));
                let moved = there.is_ok_and(|mut files| files.next().is_some());
                if !(moved && text.contains(&*aside.to_string_lossy())) {
                    named("flush", Err(text), file)?;
                }
            }
            for step in &outbox::script()[..3] {
                step.run(&mut sink).map_err(|e| format!("{step:?}: {e}"))?;
            }
            sink.flush().map_err(|e| format!("the rows again: {e}"))?;
            outbox::complete(&fake)?;
            outbox::once(&fake, 1)
        },
    );
}

#[test]
fn a_damaged_database_of_the_outbox_is_named() {
    let flips = Extent::chosen().flips;
    let tree = outbox_tree();
    let journal = |path: &Path| ends_with(path, "outbox.db-wal");
    flipped("outbox.db-wal", &tree, flips, journal, |folder, _| {
        deliver(folder)
    });
    // Once the last process has closed it, all is in the file itself.
    let place = folder();
    write_tree(&tree, place.path()).unwrap();
    let fake = outbox::server(None);
    drop(outbox::sink(place.path(), &fake.url).unwrap());
    let companion = place.path().join(".driftline/outbox/p/m/outbox.db-wal");
    for _ in 0..500 {
        if companion.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    assert!(!companion.exists(), "somebody has it open");
    let tree = crate::interposed::tree(place.path());
    let database = |path: &Path| ends_with(path, "outbox.db");
    flipped("outbox.db", &tree, flips, database, |folder, _| {
        deliver(folder)
    });
}

/// The server's folder with an accepted job that did not run yet, and what was done.
fn server_tree() -> (Tree, Progress) {
    let history = server::history();
    let upload = |path: &Path| {
        path.parent()
            .is_some_and(|folder| folder.ends_with("uploads"))
    };
    let state = last_with(&history, upload).unwrap();
    (history.tree(state), progress(&history, state))
}

/// Starts a server, which may refuse to, and sends it the rest of the script, which it may refuse too.
fn serve(folder: &Path, progress: &Progress) -> Result<(), String> {
    let server = match server::Running::start(folder) {
        Ok(server) => server,
        Err(text) if text.contains("database") || text.contains("server.db") => return Ok(()),
        // What it read from the database makes no sense, and it says so.
        Err(text) if text.contains("catalog") || text.contains("the token") => return Ok(()),
        Err(text) => return Err(text),
    };
    let mut script = server::Script::new(&server.url, None, &progress.notes);
    let mut said = Vec::new();
    for step in server::script().iter().skip(progress.acknowledged) {
        said.extend(script.run(step).err());
    }
    match said
        .iter()
        .find(|text| text.starts_with("no answer") || text.contains("without JSON"))
    {
        Some(text) => Err(text.clone()),
        None => Ok(()),
    }
}

#[test]
fn damage_to_what_the_server_keeps_is_refused_in_order() {
    let (tree, progress) = server_tree();
    let flips = Extent::chosen().flips;
    for (name, end) in [
        ("server.db", "server.db"),
        ("server.db-wal", "server.db-wal"),
    ] {
        let database = |path: &Path| ends_with(path, end);
        flipped(name, &tree, flips, database, |folder, _| {
            serve(folder, &progress)
        });
    }
    let upload = |path: &Path| {
        path.parent()
            .is_some_and(|folder| folder.ends_with("uploads"))
    };
    flipped("upload", &tree, flips, upload, |folder, _| {
        serve(folder, &progress)
    });
}

#[test]
fn damage_to_the_folder_of_a_run_is_named_or_made_good() {
    let workspace = Workspace::new();
    let (root, log) = (workspace.path("store"), workspace.path("log"));
    Ended::run(workspace.run(&root), &root, &log, None)
        .is_orderly(&[0])
        .unwrap();
    let calm = run::rows(&root).unwrap();
    let history = History::new(record::read(&log).unwrap());
    let of_run = |path: &Path| path.starts_with(".driftline") && !ends_with(path, ".lock");
    let part = |path: &Path| of_run(path) && ends_with(path, ".parquet");
    let tree = history.tree(last_with(&history, part).unwrap());
    flipped(
        "run folder",
        &tree,
        Extent::chosen().run_flips,
        of_run,
        |folder, file| {
            let ended = Ended::of(&workspace.run(folder).output().unwrap(), &log);
            ended.is_orderly(&[0, 1])?;
            if ended.code == Some(1) {
                return named("the run", Err(ended.text), file).map(drop);
            }
            match run::rows(folder)? == calm {
                true => Ok(()),
                false => Err("the store differs from the one of a calm run".to_owned()),
            }
        },
    );
}

#[test]
fn a_damaged_baseline_file_is_named() {
    let workspace = Workspace::new();
    let embed = [
        "embed",
        "images#train",
        "--model",
        "sample",
        "--output",
        "rows.parquet",
    ];
    run::succeeded(workspace.command(&embed)).unwrap();
    let compile = ["baseline", "rows.parquet", "--output", "baseline.parquet"];
    run::succeeded(workspace.command(&compile)).unwrap();
    let bytes = std::fs::read(workspace.path("baseline.parquet")).unwrap();
    let tree = Tree::from([("baseline.parquet".into(), Some(bytes))]);
    let calm = drift(&workspace, &workspace.path("baseline.parquet"));
    calm.is_orderly(&[0]).unwrap();
    flipped(
        "baseline file",
        &tree,
        Extent::chosen().run_flips,
        |_| true,
        |folder, file| {
            let ended = drift(&workspace, &folder.join(file));
            ended.is_orderly(&[0, 1])?;
            if ended.code == Some(1) {
                return named("drift", Err(ended.text), file).map(drop);
            }
            match ended.text == calm.text {
                true => Ok(()),
                false => Err(format!(
                    "other numbers, and nothing says so: {}",
                    ended.text
                )),
            }
        },
    );
}

fn drift(workspace: &Workspace, baseline: &Path) -> Ended {
    let mut command =
        workspace.command(&["drift", "--json", "--quiet", "--window", "rows.parquet"]);
    command.arg("--baseline").arg(baseline);
    Ended::of(&command.output().unwrap(), Path::new("/nowhere"))
}

#[test]
fn a_report_names_the_damage() {
    let history = store_history();
    let tree = history.tree(finished(&history));
    let workspace = Workspace::new();
    let any = |path: &Path| ends_with(path, ".parquet") || ends_with(path, ".json");
    flipped(
        "report",
        &tree,
        Extent::chosen().run_flips,
        any,
        |folder, file| {
            let mut command = workspace.command(&["report", "--store"]);
            command
                .arg(folder)
                .arg("--output")
                .arg(workspace.path("page.html"));
            let ended = Ended::of(&command.output().unwrap(), Path::new("/nowhere"));
            ended.is_orderly(&[0, 1])?;
            let page = std::fs::read_to_string(workspace.path("page.html")).unwrap_or_default();
            let told = ended.text.contains(&short(file)) || page.contains(&short(file));
            let (found, damaged) = Content::read(folder).unwrap_or_default();
            match told || (damaged.is_empty() && found == Content::after(&script())) {
                true => Ok(()),
                false => Err(format!("the damage is not told: {}", ended.text)),
            }
        },
    );
}
