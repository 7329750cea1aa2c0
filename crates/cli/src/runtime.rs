//! `runtime`: libraries of engines.

use driftline::{Plugins, registries, runtimes};
use serde::Serialize;

use crate::args::{Engine, Output, RuntimeArgs, RuntimeCommand};
use crate::flags::explain;
use crate::outcome::Outcome;
use crate::output;
use crate::progress::Reporter;
use crate::table::Table;

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    available: bool,
    engine: Option<String>,
    reason: Option<String>,
}

/// Installs or lists.
pub fn runtime(args: &RuntimeArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        RuntimeCommand::Install { engine } => {
            let path = match engine {
                Engine::Onnx => runtimes::onnx::install()?,
                Engine::Tch => runtimes::tch::install(&Reporter::new(output.quiet))?,
            };
            let path = path.display().to_string();
            if output.json {
                output::json(&serde_json::json!({ "path": path }))?;
            } else {
                output::text(&path)?;
            }
        }
        RuntimeCommand::List => {
            let found = [
                entry(
                    "onnx",
                    registries::engine("onnx", plugins, None).map(|engine| engine.version),
                ),
                entry(
                    "tch",
                    runtimes::tch::find(None).map(|found| format!("libtorch {}", found.version)),
                ),
            ];
            if output.json {
                output::json(&found)?;
            } else {
                let mut table = Table::new(["runtime", "usable"]);
                for entry in found {
                    let usable = entry.engine.or(entry.reason).unwrap_or_default();
                    table.add_row([entry.name.to_owned(), usable]);
                }
                table.print()?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn entry(name: &'static str, found: driftline::core::Result<String>) -> Entry {
    Entry {
        name,
        available: found.is_ok(),
        reason: found.as_ref().err().map(explain),
        engine: found.ok(),
    }
}
