//! `backends`, `transforms`, `sinks` and `statistics`: what there is.

use driftline::core::{Device, Registry};
use driftline::stats::Statistic;
use driftline::{Plugins, registries};
use serde::Serialize;

use crate::args::Output;
use crate::flags::explain;
use crate::outcome::Outcome;
use crate::output;
use crate::table::Table;

#[derive(Serialize)]
struct Entry {
    name: String,
    aliases: Vec<String>,
    source: String,
    available: bool,
    reason: Option<String>,
    summary: String,
}

fn entries<C, T>(registry: &Registry<C, T>) -> Vec<Entry> {
    registry
        .entries()
        .iter()
        .map(|entry| Entry {
            name: entry.name.clone(),
            aliases: entry.aliases.clone(),
            source: entry.origin.clone(),
            available: entry.constructor.is_ok(),
            reason: entry.constructor.as_ref().err().cloned(),
            summary: entry.summary.clone(),
        })
        .collect()
}

fn show(entries: &[Entry], output: Output) -> anyhow::Result<Outcome> {
    if output.json {
        output::json(&entries)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["name", "source", "usable", "about"]);
    for entry in entries {
        let mut name = entry.name.clone();
        if !entry.aliases.is_empty() {
            name = format!("{name} ({})", entry.aliases.join(", "));
        }
        let usable = if entry.available { "yes" } else { "no" };
        table.add_row([name.as_str(), source(entry), usable, &entry.summary]);
    }
    table.print()?;
    places_and_reasons(entries)
}

/// Where an entry comes from, in a word.
fn source(entry: &Entry) -> &str {
    match entry.source.as_str() {
        word @ ("built-in" | "plugin") => word,
        _ => "plugin",
    }
}

/// Tells below a table which library an entry comes from, and why one cannot be used.
fn places_and_reasons<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> anyhow::Result<Outcome> {
    for entry in entries {
        if entry.source != source(entry) {
            output::text(&format!("{}: {}", entry.name, entry.source))?;
        }
        if let Some(reason) = &entry.reason {
            output::text(&format!("{} cannot be used: {reason}", entry.name))?;
        }
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct BackendEntry {
    #[serde(flatten)]
    entry: Entry,
    engine: Option<String>,
    devices: Vec<Device>,
}

/// Lists the backends, and whether this machine has what each needs.
pub fn backends(plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let found: Vec<BackendEntry> = entries(&registries::backends(plugins)?)
        .into_iter()
        .map(
            |entry| match registries::engine(&entry.name, plugins, None) {
                Ok(engine) => BackendEntry {
                    entry,
                    engine: Some(engine.version),
                    devices: engine.devices,
                },
                Err(error) => BackendEntry {
                    entry: Entry {
                        available: false,
                        reason: Some(explain(&error)),
                        ..entry
                    },
                    engine: None,
                    devices: Vec::new(),
                },
            },
        )
        .collect();
    if output.json {
        output::json(&found)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["name", "engine", "devices", "source", "about"]);
    for backend in &found {
        let devices: Vec<_> = backend.devices.iter().map(Device::to_string).collect();
        table.add_row([
            backend.entry.name.as_str(),
            backend.engine.as_deref().unwrap_or("-"),
            &devices.join(", "),
            source(&backend.entry),
            &backend.entry.summary,
        ]);
    }
    table.print()?;
    places_and_reasons(found.iter().map(|backend| &backend.entry))
}

/// Lists the transforms.
pub fn transforms(plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    show(&entries(&registries::transforms(plugins)?), output)
}

/// Lists the sinks.
pub fn sinks(plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    show(&entries(&registries::sinks(plugins)?), output)
}

#[derive(Serialize)]
struct StatisticEntry {
    #[serde(flatten)]
    entry: Entry,
    /// Whether it is one of the default statistics.
    default: bool,
}

/// Lists the statistics.
pub fn statistics(output: Output) -> anyhow::Result<Outcome> {
    let found = Statistic::ALL.map(|statistic| StatisticEntry {
        default: Statistic::DEFAULT.contains(&statistic),
        entry: Entry {
            name: statistic.name().to_owned(),
            aliases: Vec::new(),
            source: "built-in".to_owned(),
            available: true,
            reason: None,
            summary: statistic.description().to_owned(),
        },
    });
    if output.json {
        output::json(&found)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["name", "default", "about"]);
    for StatisticEntry { entry, default } in found {
        let default = if default { "yes" } else { "" };
        table.add_row([entry.name, default.to_owned(), entry.summary]);
    }
    table.print()?;
    Ok(Outcome::Done)
}
