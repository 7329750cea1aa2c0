//! `store`: check, repair and compact what a store keeps on disk.

use std::path::Path;

use driftline::core::{Error, ErrorKind, Finding};
use driftline::{Settings, server, sink_fiddler, sink_local};

use crate::args::{Output, StoreArgs, StoreCommand};
use crate::outcome::Outcome;
use crate::output;
use crate::table::Table;

/// Looks at one sort of durable files below a store.
type Look = fn(&Path) -> Result<Vec<Finding>, Error>;

/// Everything below a store that can be checked, with the check and the repair.
const PLACES: [(Look, Look); 3] = [
    (sink_local::check, sink_local::repair),
    (sink_fiddler::check, sink_fiddler::repair),
    (server::check, server::repair),
];

/// Does what `args` say.
pub fn store(args: &StoreArgs, output: Output) -> anyhow::Result<Outcome> {
    let given = args.store.as_ref().map(|path| path.display().to_string());
    let overrides: Vec<_> = given
        .map(|store| ("sink.store".to_owned(), store))
        .into_iter()
        .collect();
    let store = Settings::load(&Settings::default(), None, &overrides)?
        .sink
        .store;
    if !store.is_dir() {
        let message = "there is no such store";
        return Err(Error::new(ErrorKind::NotFound, "open the store", message)
            .with("store", store.display())
            .remedy("check --store")
            .into());
    }
    match args.command {
        StoreCommand::Check => show(&look(&store, |(check, _)| check)?, &store, output),
        StoreCommand::Repair => show(&look(&store, |(_, repair)| repair)?, &store, output),
        StoreCommand::Compact => compact(&store, output),
    }
}

fn look(store: &Path, which: fn((Look, Look)) -> Look) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for place in PLACES {
        findings.extend(which(place)(store)?);
    }
    Ok(findings)
}

fn show(findings: &[Finding], store: &Path, output: Output) -> anyhow::Result<Outcome> {
    if output.json {
        output::json(&findings)?;
    } else if findings.is_empty() {
        output::text(&format!("nothing is damaged in {}", store.display()))?;
    } else {
        for finding in findings {
            output::text(&finding.to_string())?;
        }
    }
    if findings.iter().all(|finding| finding.repaired) {
        Ok(Outcome::Done)
    } else {
        Ok(Outcome::Damaged)
    }
}

fn compact(store: &Path, output: Output) -> anyhow::Result<Outcome> {
    let done = sink_local::compact(store)?;
    if output.json {
        output::json(&done)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["project", "model", "files before", "files after"]);
    for model in &done {
        let counts = [model.files_before, model.files_after].map(|count| count.to_string());
        let [before, after] = &counts;
        table.add_row([&model.project, &model.model, before, after]);
    }
    table.print()?;
    for damage in done.iter().flat_map(|model| &model.damaged) {
        output::text(damage)?;
    }
    Ok(Outcome::Done)
}
