//! `conformance`: the suite against the backends of this machine.

use driftline::core::{BackendConfig, Error, ErrorKind};
use driftline::{Plugins, registries};
use driftline_conformance::{Report, Suite};

use crate::args::{ConformanceArgs, Output};
use crate::progress::Reporter;
use crate::{Outcome, output};

/// Runs it.
pub fn conformance(
    args: &ConformanceArgs,
    plugins: &Plugins,
    output: Output,
) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    let registry = registries::backends(plugins)?;
    let mut names = Vec::new();
    match &args.backend {
        Some(name) => {
            names.push(registry.find(name)?.name.clone());
        }
        None => {
            for entry in registry.entries() {
                match registries::engine(&entry.name, plugins, None) {
                    Ok(_) => names.push(entry.name.clone()),
                    // An engine that is named is wanted, whatever was found without the name.
                    Err(_) if args.runtime.is_some() => names.push(entry.name.clone()),
                    Err(error) => driftline::pipeline::Progress::note(
                        &progress,
                        &format!("not run: {}: {error}", entry.name),
                    ),
                }
            }
        }
    }
    let suite = Suite::new()?;
    let mut report = Report::default();
    for name in &names {
        report.backends.push(suite.run(name, &|config| {
            registry.build(
                name,
                &BackendConfig {
                    device: args.device,
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
        .filter(|backend| !backend.is_conformant())
        .map(|backend| backend.name.as_str())
        .collect();
    Err(Error::new(
        ErrorKind::InvalidData,
        "check conformance",
        format!("not conformant: {}", failed.join(", ")),
    )
    .into())
}
