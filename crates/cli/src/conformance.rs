//! `conformance`: the suite against the backends of this machine.

use driftline::core::{BackendConfig, Device};
use driftline::{Plugins, registries};
use driftline_conformance::{ComponentReport, Report, Suite};

use crate::args::{ConformanceArgs, Output, TestArgs};
use crate::conclusion::conclude;
use crate::flags::explain;
use crate::outcome::Outcome;
use crate::output;

/// Runs it.
pub fn conformance(
    args: &ConformanceArgs,
    plugins: &Plugins,
    output: Output,
) -> anyhow::Result<Outcome> {
    if let Some(plugin) = &args.plugin {
        let args = TestArgs {
            plugin: plugin.clone(),
            component: None,
            config: "{}".to_owned(),
            deadline: 120,
            junit: args.junit.clone(),
            in_this_process: false,
        };
        return crate::plugin::test::test(&args, plugins, output);
    }
    let registry = registries::backends(plugins)?;
    let names = match &args.backend {
        Some(name) => vec![&registry.find(name)?.name],
        None => registry.entries().iter().map(|entry| &entry.name).collect(),
    };
    let suite = Suite::new()?;
    let mut report = Report::default();
    for name in names {
        if let Err(error) = registries::engine(name, plugins, args.runtime.as_deref()) {
            let wanted = args.backend.is_some();
            let absent = ComponentReport::absent(name, &explain(&error), wanted);
            report.components.push(absent);
            continue;
        }
        let make = |config: &BackendConfig| {
            // The case about CUDA asks for a device of its own.
            let device = match config.device {
                Device::Cpu => args.device,
                asked => asked,
            };
            registry.build(
                name,
                &BackendConfig {
                    device,
                    runtime: args.runtime.clone(),
                    precision: args.precision,
                    ..config.clone()
                },
            )
        };
        report.components.push(suite.run(name, &make, &|_| {}));
    }
    if output.json {
        output::json(&serde_json::json!({"backends": report.components}))?;
    } else {
        output::text(report.text().trim_end())?;
    }
    conclude(&report, args.junit.as_deref())
}
