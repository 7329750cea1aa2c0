//! `doctor`: one screen about this installation.

use std::path::Path;

use driftline::core::Error;
use driftline::fetch::Cache;
use driftline::sink_fiddler::{URL_VARIABLE, outboxes, reachability};
use driftline::{Plugins, all_threads, registries};
use serde::Serialize;
use serde_json::Map;

use crate::args::{DoctorArgs, Output};
use crate::flags::explain;
use crate::outcome::Outcome;
use crate::output;
use crate::table::Table;

#[derive(Serialize)]
struct Report {
    driftline: &'static str,
    threads: usize,
    backends: Vec<String>,
    transforms: Vec<String>,
    sinks: Vec<String>,
    cache: String,
    store: String,
    fiddler: String,
}

/// Who answers at the address in the environment, and what waits for it.
fn fiddler(store: &Path) -> Result<String, Error> {
    let waiting: u64 = outboxes(store)?.iter().map(|outbox| outbox.queued).sum();
    let server = if std::env::var_os(URL_VARIABLE).is_some() {
        match reachability(&Map::new()) {
            Ok(server) => format!(
                "{} answers, version {} ({}), organization {}",
                server.url, server.version, server.api, server.organization
            ),
            Err(error) => explain(&error),
        }
    } else {
        format!("{URL_VARIABLE} is not set")
    };
    Ok(match waiting {
        0 => server,
        rows => format!("{server}; {rows} rows wait: `driftline sink flush`"),
    })
}

/// Collects the report and shows it.
pub fn doctor(args: &DoctorArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let names = |entries: Vec<&String>| entries.into_iter().cloned().collect();
    let (backends, transforms, sinks) = (
        registries::backends(plugins)?,
        registries::transforms(plugins)?,
        registries::sinks(plugins)?,
    );
    let store = match std::fs::metadata(&args.store) {
        Ok(metadata) if metadata.is_dir() && metadata.permissions().readonly() => "read-only",
        Ok(metadata) if metadata.is_dir() => "there",
        Ok(_) => "not a folder",
        Err(_) => "not there yet",
    };
    let report = Report {
        driftline: env!("CARGO_PKG_VERSION"),
        threads: all_threads().get(),
        backends: names(backends.entries().iter().map(|entry| &entry.name).collect()),
        transforms: names(
            transforms
                .entries()
                .iter()
                .map(|entry| &entry.name)
                .collect(),
        ),
        sinks: names(sinks.entries().iter().map(|entry| &entry.name).collect()),
        cache: match Cache::open() {
            Ok(cache) => cache.folder().display().to_string(),
            Err(error) => explain(&error),
        },
        store: format!("{} ({store})", args.store.display()),
        fiddler: fiddler(&args.store).unwrap_or_else(|error| explain(&error)),
    };
    if output.json {
        output::json(&report)?;
    } else {
        let mut table = Table::new(["driftline", report.driftline]);
        table.add_row(["threads", &report.threads.to_string()]);
        table.add_row(["backends", &report.backends.join(", ")]);
        table.add_row(["transforms", &report.transforms.join(", ")]);
        table.add_row(["sinks", &report.sinks.join(", ")]);
        table.add_row(["cache", &report.cache]);
        table.add_row(["store", &report.store]);
        table.add_row(["fiddler", &report.fiddler]);
        table.print()?;
    }
    Ok(Outcome::Done)
}
