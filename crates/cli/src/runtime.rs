//! `runtime`: libraries of engines.

use driftline::{registries, runtimes};
use serde::Serialize;

use crate::args::{Engine, Output, RuntimeArgs, RuntimeCommand};
use crate::{Outcome, output};

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    available: bool,
    engine: Option<String>,
    reason: Option<String>,
}

/// Installs or lists.
pub fn runtime(args: &RuntimeArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        RuntimeCommand::Install {
            engine: Engine::Onnx,
        } => {
            let path = runtimes::install_onnx()?.display().to_string();
            if output.json {
                output::json(&serde_json::json!({ "path": path }))?;
            } else {
                output::text(&path)?;
            }
        }
        RuntimeCommand::List => {
            let found = registries::engine("onnx");
            let entry = Entry {
                name: "onnx",
                available: found.is_ok(),
                reason: found.as_ref().err().map(ToString::to_string),
                engine: found.ok(),
            };
            if output.json {
                output::json(&[entry])?;
            } else {
                let mut table = output::table(["runtime", "usable"]);
                table.add_row([
                    entry.name.to_owned(),
                    entry.engine.or(entry.reason).unwrap_or_default(),
                ]);
                output::text(&table.to_string())?;
            }
        }
    }
    Ok(Outcome::Done)
}
