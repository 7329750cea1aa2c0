//! How a conformance suite ends: a JUnit file, and an error that names what failed.

use std::path::Path;

use driftline::core::{Error, ErrorKind};
use driftline_conformance::Report;

use crate::outcome::Outcome;

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
