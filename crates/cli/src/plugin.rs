//! `plugin`: what is there, a look inside, and the lock file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driftline::Plugins;
use driftline::core::{Error, ErrorKind};
use driftline::plugin_host::library::{Library, sha256};
use driftline::plugin_host::{ComponentKind, Manifest};
use driftline::plugins::prepare_runtime;
use driftline::rows::{create_folder, write_atomic};
use serde::{Deserialize, Serialize};

use crate::args::{Output, PluginArgs, PluginCommand};
use crate::{Outcome, output};

/// Time in which a plugin must have said what it is.
const DEADLINE: Duration = Duration::from_secs(40);

/// Does what was asked for.
pub fn plugin(args: &PluginArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    match &args.command {
        PluginCommand::List => list(plugins, output),
        PluginCommand::Path => path(plugins, output),
        PluginCommand::Inspect {
            plugin,
            in_this_process: false,
            ..
        } => inspect(plugin, plugins, output),
        PluginCommand::Inspect {
            plugin,
            with_runtime,
            ..
        } => {
            prepare_runtime(with_runtime.as_deref(), None)?;
            output::json(&look(Path::new(plugin))?)?;
            Ok(Outcome::Done)
        }
        PluginCommand::Trust { plugin } => trust(plugin, plugins, output),
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
    let mut table = output::table(["name", "version", "offers", "trusted", "library"]);
    for plugin in &listed {
        let library = plugin.library.as_ref().unwrap_or(&plugin.manifest);
        table.add_row([
            plugin.name.clone().unwrap_or_else(|| "-".to_owned()),
            plugin.version.clone().unwrap_or_else(|| "-".to_owned()),
            plugin.components.join(", "),
            if plugin.trusted { "yes" } else { "no" }.to_owned(),
            library.display().to_string(),
        ]);
    }
    output::text(&table.to_string())?;
    for plugin in &listed {
        if let Some(reason) = &plugin.reason {
            output::text(&format!("{}: {reason}", plugin.manifest.display()))?;
        }
    }
    Ok(Outcome::Done)
}

fn describe(manifest: &Manifest, plugins: &Plugins) -> Listed {
    let components = manifest.components.iter().map(|component| {
        let kind = match component.kind {
            ComponentKind::Embedding => "backend",
            ComponentKind::Transform => "transform",
            ComponentKind::Sink => "sink",
        };
        format!("{kind} {}", component.name)
    });
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
    let mut table = output::table(["folder", "what is there"]);
    for looked in looked {
        table.add_row([looked.path.display().to_string(), looked.found.to_owned()]);
    }
    output::text(&table.to_string())?;
    Ok(Outcome::Done)
}

/// The manifest of the plugin `name`.
fn manifest<'a>(name: &str, plugins: &'a Plugins) -> Result<&'a Manifest, Error> {
    let found = plugins.search().found.iter();
    let mut manifests = found.filter_map(|found| found.manifest.as_ref().ok());
    manifests
        .find(|manifest| manifest.name == name)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "look up",
                format!("there is no plugin named `{name}`"),
            )
            .remedy(format!("looked in {}", plugins.trace()))
        })
}

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
        kind: match component.kind {
            Some(ComponentKind::Embedding) => "backend",
            Some(ComponentKind::Transform) => "transform",
            Some(ComponentKind::Sink) => "sink",
            None => "unknown",
        }
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
fn inspect(plugin: &str, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let inside = match manifest(plugin, plugins) {
        Ok(manifest) => in_a_process(&manifest.library, manifest.runtime.as_deref())?,
        Err(_) if Path::new(plugin).exists() => in_a_process(Path::new(plugin), None)?,
        Err(error) => return Err(error.into()),
    };
    if output.json {
        output::json(&inside)?;
        return Ok(Outcome::Done);
    }
    let mut table = output::table([&inside.name, &inside.version]);
    table.add_row(["library", &inside.library.display().to_string()]);
    table.add_row(["sha256", &inside.sha256]);
    for component in &inside.components {
        let offered = format!("{} ({})", component.summary, component.version);
        table.add_row([&format!("{} {}", component.kind, component.name), &offered]);
    }
    output::text(&table.to_string())?;
    Ok(Outcome::Done)
}

fn in_a_process(library: &Path, runtime: Option<&str>) -> Result<Inside, Error> {
    let failed = |message: String| {
        Error::new(ErrorKind::InvalidData, "inspect plugin", message)
            .with("library", library.display())
    };
    let program = std::env::current_exe()
        .map_err(|cause| failed("driftline cannot start itself".to_owned()).because(cause))?;
    let mut child = Command::new(program)
        .args(["plugin", "inspect", "--in-this-process"])
        .arg(library)
        .args(runtime.map(|runtime| format!("--with-runtime={runtime}")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| failed("driftline cannot start itself".to_owned()).because(cause))?;
    let start = Instant::now();
    while let Ok(None) = child.try_wait() {
        if start.elapsed() > DEADLINE {
            // It may have ended by itself in between.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!(
                "it did not say what it is within {} s",
                DEADLINE.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let result = child
        .wait_with_output()
        .map_err(|cause| failed("its process was lost".to_owned()).because(cause))?;
    if result.status.success() {
        return serde_json::from_slice(&result.stdout).map_err(|cause| {
            failed("its process said nothing sensible".to_owned()).because(cause)
        });
    }
    let text = String::from_utf8_lossy(&result.stderr);
    let reason = text.trim().trim_start_matches("error: ");
    Err(match result.status.code() {
        Some(_) => failed(reason.to_owned()),
        None => failed(format!("it crashed as it was loaded ({})", result.status)),
    })
}

fn trust(name: &str, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let manifest = manifest(name, plugins)?;
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
