//! `conformance`: the suite against the backends of this machine.

use driftline::core::{BackendConfig, Device, Error, ErrorKind};
use driftline::{Plugins, registries};
use driftline_conformance::{BackendReport, Report, Suite};

use crate::args::{ConformanceArgs, Output};
use crate::{Outcome, output};

/// Runs it.
pub fn conformance(
    args: &ConformanceArgs,
    plugins: &Plugins,
    output: Output,
) -> anyhow::Result<Outcome> {
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
            let absent = BackendReport::absent(name, &error.to_string(), wanted);
            report.backends.push(absent);
            continue;
        }
        report.backends.push(suite.run(name, &|config| {
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
                    ..config.clone()
                },
            )
        }));
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, report.junit()?)
            .map_err(|e| Error::io("write the result", path, e))?;
    }
    if output.json {
        output::json(&report)?;
    } else {
        output::text(report.text().trim_end())?;
    }
    if report.is_conformant() {
        return Ok(Outcome::Done);
    }
    let failed: Vec<_> = report
        .backends
        .iter()
        .filter(|backend| backend.is_failure())
        .map(|backend| {
            if backend.is_absent() {
                return format!("{} (it cannot run here)", backend.name);
            }
            let cases: Vec<_> = backend.failures.iter().map(|remark| remark.case).collect();
            format!("{} ({})", backend.name, cases.join(", "))
        })
        .collect();
    Err(Error::new(
        ErrorKind::InvalidData,
        "check conformance",
        format!("not conformant: {}", failed.join(", ")),
    )
    .into())
}
