//! `plugin inspect`: what a plugin says about itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use driftline::core::{Error, ErrorKind};
use driftline::plugin_host::{ComponentKind, Library};
use driftline::{Plugins, prepare_runtime};
use serde::{Deserialize, Serialize};

use super::child::{Child, Ended};
use super::target::target;
use crate::args::Output;
use crate::outcome::Outcome;
use crate::output;
use crate::table::Table;

/// Time in which a plugin must have said what it is.
const DEADLINE: Duration = Duration::from_secs(40);

/// What a plugin says about itself.
#[derive(Serialize, Deserialize)]
struct Inside {
    library: PathBuf,
    sha256: String,
    name: String,
    version: String,
    components: Vec<Offered>,
}

#[derive(Serialize, Deserialize)]
struct Offered {
    kind: String,
    name: String,
    version: String,
    summary: String,
    capabilities: serde_json::Value,
    config_schema: serde_json::Value,
}

fn look(path: &Path) -> Result<Inside, Error> {
    let library = Library::inspect(path)?;
    let components = library.components.iter().map(|component| Offered {
        kind: component
            .kind
            .map_or("unknown", ComponentKind::name)
            .to_owned(),
        name: component.name.clone(),
        version: component.version.clone(),
        summary: component.summary.clone(),
        capabilities: component.capabilities.clone(),
        config_schema: serde_json::from_str(&component.config_schema)
            .unwrap_or_else(|_| component.config_schema.clone().into()),
    });
    Ok(Inside {
        library: path.to_owned(),
        sha256: library.sha256.clone(),
        name: library.name.clone(),
        version: library.version.clone(),
        components: components.collect(),
    })
}

/// A crash or a hang of the plugin ends the process of its own, and becomes a message here.
pub(super) fn inspect(plugin: &str, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let target = target(plugin, plugins)?;
    let inside = in_a_process(target.library(), target.runtime())?;
    if output.json {
        output::json(&inside)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new([&inside.name, &inside.version]);
    table.add_row(["sha256", &inside.sha256]);
    for component in &inside.components {
        let offered = format!("{} ({})", component.summary, component.version);
        table.add_row([&format!("{} {}", component.kind, component.name), &offered]);
    }
    table.print()?;
    output::text(&format!("library: {}", inside.library.display()))?;
    Ok(Outcome::Done)
}

/// Loads a plugin in a separate process before driftline loads it.
pub(super) fn probe(library: &Path, runtime: Option<&str>) -> Result<(), Error> {
    in_a_process(library, runtime).map(drop)
}

/// What the separate process does.
pub(super) fn in_this_process(library: &Path, runtime: Option<&str>) -> anyhow::Result<Outcome> {
    prepare_runtime(runtime, None)?;
    output::json(&look(library)?)?;
    Ok(Outcome::Done)
}

fn in_a_process(library: &Path, runtime: Option<&str>) -> Result<Inside, Error> {
    let failed = |message: String| {
        Error::new(ErrorKind::InvalidData, "inspect plugin", message)
            .with("library", library.display())
    };
    let child = Child::start(|driftline| {
        driftline
            .args(["plugin", "inspect", "--in-this-process"])
            .arg(library)
            .args(runtime.map(|runtime| format!("--with-runtime={runtime}")));
    })?;
    match child.wait(DEADLINE, |_| {}) {
        Ended::Done { stdout, .. } => serde_json::from_slice(&stdout)
            .map_err(|cause| failed("its process gave no valid answer".to_owned()).because(cause)),
        Ended::Failed { message, .. } => Err(failed(message)),
        Ended::Crashed { status } => Err(failed(format!("it crashed as it was loaded ({status})"))),
        Ended::Late => Err(failed(format!(
            "it did not answer within {} s",
            DEADLINE.as_secs()
        ))),
    }
}
