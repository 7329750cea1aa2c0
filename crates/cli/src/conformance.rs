//! `conformance`: the suite against the backends of this machine.

use driftline::core::{BackendConfig, Error, ErrorKind};
use driftline::registries;
use driftline_conformance::{Report, Suite};

use crate::args::{ConformanceArgs, Output};
use crate::{Outcome, output};

/// Runs it.
pub fn conformance(args: &ConformanceArgs, output: Output) -> anyhow::Result<Outcome> {
    let registry = registries::backends()?;
    let names = match &args.backend {
        Some(name) => vec![&registry.find(name)?.name],
        None => registry.entries().iter().map(|entry| &entry.name).collect(),
    };
    // A backend or an engine that is named is wanted, whatever is found without the name.
    let wanted = args.backend.is_some() || args.runtime.is_some();
    let suite = Suite::new()?;
    let mut report = Report::default();
    for name in names {
        if let (false, Err(error)) = (wanted, registries::engine(name)) {
            report.backends.push(suite.skip(name, &error.to_string()));
            continue;
        }
        report.backends.push(suite.run(name, &|config| {
            registry.build(
                name,
                &BackendConfig {
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
        .filter(|backend| !backend.is_conformant() && !backend.is_skipped())
        .map(|backend| {
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
