//! `conformance`: the suite against the backends of this machine.

use std::path::Path;

use driftline::core::{BackendConfig, Device, Error, ErrorKind};
use driftline::{Plugins, registries};
use driftline_conformance::{ComponentReport, Report, Suite};

use crate::args::{ConformanceArgs, Output, TestArgs};
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

/// Writes the JUnit file; a report with a failure is an error that names it.
pub fn conclude(report: &Report, junit: Option<&Path>) -> anyhow::Result<Outcome> {
    if let Some(path) = junit {
        std::fs::write(path, report.junit()?)
            .map_err(|e| Error::io("write the result", path, e))?;
    }
    if report.is_conformant() {
        return Ok(Outcome::Done);
    }
    let failed: Vec<_> = report
        .components
        .iter()
        .filter(|component| component.is_failure())
        .map(|component| {
            if component.is_absent() {
                return format!("{} (it cannot run here)", component.name);
            }
            let cases: Vec<_> = component
                .failures
                .iter()
                .map(|remark| remark.case)
                .collect();
            format!("{} ({})", component.name, cases.join(", "))
        })
        .collect();
    Err(Error::new(
        ErrorKind::InvalidData,
        "check conformance",
        format!("not conformant: {}", failed.join(", ")),
    )
    .into())
}
