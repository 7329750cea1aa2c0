//! `plugin`: what is there, and the lock file.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`inspect`] | the components of a plugin |
//! | [`target`] | a plugin as a user names it |
//! | [`new`] | a new plugin from a template |
//! | [`test`] | the conformance cases of a plugin |
//! | [`child`] | driftline as a separate process, which a plugin may crash |

mod child;
mod inspect;
mod new;
mod target;
pub mod test;

use std::path::{Path, PathBuf};

use driftline::PluginSettings;
use driftline::Plugins;
use driftline::core::Error;
use driftline::plugin_host::Manifest;
use driftline::plugin_host::library::sha256;
use driftline::rows::{create_folder, write_atomic};
use serde::Serialize;

use crate::args::{Output, PluginArgs, PluginCommand};
use crate::outcome::Outcome;
use crate::output;
use crate::table::Table;

/// Searches for plugins. One that is not trusted is loaded in a separate process first.
pub fn search(settings: &PluginSettings) -> Result<Plugins, Error> {
    Plugins::find(settings, Some(inspect::probe))
}

/// Runs a subcommand.
pub fn plugin(args: &PluginArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    match &args.command {
        PluginCommand::List => list(plugins, output),
        PluginCommand::Path => path(plugins, output),
        PluginCommand::Inspect {
            plugin,
            in_this_process: false,
            ..
        } => inspect::inspect(plugin, plugins, output),
        PluginCommand::Inspect {
            plugin,
            with_runtime,
            ..
        } => inspect::in_this_process(Path::new(plugin), with_runtime.as_deref()),
        PluginCommand::Trust { plugin } => trust(plugin, plugins, output),
        PluginCommand::New(args) => new::new(args, output),
        PluginCommand::Test(args) => test::test(args, plugins, output),
    }
}

#[derive(Serialize)]
struct Listed {
    name: Option<String>,
    version: Option<String>,
    manifest: PathBuf,
    library: Option<PathBuf>,
    components: Vec<String>,
    /// Whether the lock has the library that is there now.
    trusted: bool,
    reason: Option<String>,
}

fn list(plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let listed: Vec<Listed> = plugins
        .search()
        .found
        .iter()
        .map(|found| match &found.manifest {
            Ok(manifest) => describe(manifest, plugins),
            Err(error) => Listed {
                name: None,
                version: None,
                manifest: found.path.clone(),
                library: None,
                components: Vec::new(),
                trusted: false,
                reason: Some(error.to_string()),
            },
        })
        .collect();
    if output.json {
        output::json(&listed)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["name", "version", "offers", "trusted"]);
    for plugin in &listed {
        table.add_row([
            plugin.name.as_deref().unwrap_or("-"),
            plugin.version.as_deref().unwrap_or("-"),
            &plugin.components.join(", "),
            if plugin.trusted { "yes" } else { "no" },
        ]);
    }
    table.print()?;
    for plugin in &listed {
        if let (Some(name), Some(library)) = (&plugin.name, &plugin.library) {
            output::text(&format!("{name}: {}", library.display()))?;
        }
        if let Some(reason) = &plugin.reason {
            output::text(&format!("{}: {reason}", plugin.manifest.display()))?;
        }
    }
    Ok(Outcome::Done)
}

fn describe(manifest: &Manifest, plugins: &Plugins) -> Listed {
    let components = manifest
        .components
        .iter()
        .map(|component| format!("{} {}", component.kind.name(), component.name));
    let checked = sha256(&manifest.library).and_then(|sha256| {
        let lock = &plugins.policy().lock;
        let known = lock.check(&manifest.name, &sha256, true).is_ok();
        // One that is not the trusted one is worth a line; one that was never trusted is not.
        lock.check(&manifest.name, &sha256, false).map(|()| known)
    });
    Listed {
        name: Some(manifest.name.clone()),
        version: Some(manifest.version.clone()),
        manifest: manifest.path.clone(),
        library: Some(manifest.library.clone()),
        components: components.collect(),
        trusted: checked.as_ref().is_ok_and(|trusted| *trusted),
        reason: checked.err().map(|error| error.to_string()),
    }
}

#[derive(Serialize)]
struct Looked<'a> {
    path: &'a Path,
    found: &'a str,
}

fn path(plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let trace = plugins.search().trace.iter();
    let looked: Vec<Looked> = trace.map(|(path, found)| Looked { path, found }).collect();
    if output.json {
        output::json(&looked)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["folder", "contents"]);
    for looked in looked {
        table.add_row([looked.path.display().to_string(), looked.found.to_owned()]);
    }
    table.print()?;
    Ok(Outcome::Done)
}

fn trust(name: &str, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let manifest = target::find(name, plugins)?;
    // One that cannot be loaded is not to be trusted; from now on it is not tried in a separate process any more.
    inspect::probe(&manifest.library, manifest.runtime.as_deref())?;
    let sha256 = sha256(&manifest.library)?;
    let mut lock = plugins.policy().lock.clone();
    lock.trust(name, &sha256);
    if let Some(folder) = lock.path().parent() {
        create_folder(folder)?;
    }
    write_atomic(lock.path(), lock.to_toml()?.as_bytes())?;
    if output.json {
        output::json(&serde_json::json!({
            "name": name, "sha256": sha256, "lock": lock.path(),
        }))?;
    } else {
        output::text(&format!(
            "{name} is trusted as {sha256} ({})",
            lock.path().display()
        ))?;
    }
    Ok(Outcome::Done)
}
