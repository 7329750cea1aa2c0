//! Every backend of this machine. Those that `DRIFTLINE_REQUIRE_BACKENDS` names (`candle,onnx,tch`) must be able to run.

use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};
use driftline_conformance::trials::{Candidate, main as run, ready};

const REQUIRE: &str = "DRIFTLINE_REQUIRE_BACKENDS";

fn main() {
    let plugins = plugins().expect("plugins.lock");
    let registry = registries::backends(&plugins).expect("the registry");
    let names = std::env::var(REQUIRE).unwrap_or_default();
    let mut required: Vec<&str> = names.split(',').map(str::trim).collect();
    required.retain(|name| !name.is_empty());
    let mut known: Vec<String> = registry
        .entries()
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    for name in &required {
        if !known.iter().any(|known| known == name) {
            known.push((*name).to_owned());
        }
    }
    let backends = known
        .into_iter()
        .map(|name| {
            let candidate = match registries::engine(&name, &plugins, None) {
                Ok(_) => open(&name),
                Err(error) => Candidate::Absent {
                    reason: error.to_string(),
                    required: required.contains(&name.as_str()),
                },
            };
            (name, candidate)
        })
        .collect();
    run(backends, Vec::new());
}

fn plugins() -> driftline_core::Result<Plugins> {
    Plugins::find(&PluginSettings::default(), None)
}

fn open(name: &str) -> Candidate {
    let name = name.to_owned();
    ready(move |config| registries::backends(&plugins()?)?.build(&name, config))
}
