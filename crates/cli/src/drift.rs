//! `drift`: statistics between two row files.

use std::collections::BTreeMap;
use std::path::Path;

use driftline::core::{Error, ErrorKind, Result};
use driftline::rows::RowsReader;
use driftline::stats::cluster::permutations;
use driftline::stats::{Clusters, Distance};
use serde::Serialize;

use crate::args::{DriftArgs, Output};
use crate::{Outcome, output};

/// Permutations behind a p-value, whose least value is then 0.001.
const PERMUTATIONS: usize = 999;

#[derive(Serialize)]
struct Report {
    baseline: RowCount,
    window: RowCount,
    statistics: BTreeMap<Distance, Value>,
}

#[derive(Serialize)]
struct RowCount {
    rows: u64,
}

#[derive(Serialize)]
struct Value {
    value: f64,
    /// Its mean without drift, at these numbers of rows.
    expected: f64,
    threshold: Option<f64>,
    p_value: f64,
    drifted: Option<bool>,
}

/// Compares the files.
pub fn drift(args: &DriftArgs, output: Output) -> anyhow::Result<Outcome> {
    let limits = limits(&args.fail_above)?;
    let mut wanted: Vec<Distance> = if args.statistic.is_empty() {
        Distance::ALL.to_vec()
    } else {
        let names = args.statistic.iter().map(|name| name.trim().parse());
        names.collect::<Result<_>>()?
    };
    wanted.extend(limits.keys());
    let (baseline_rows, dim) = embeddings(&args.baseline)?;
    let (window_rows, window_dim) = embeddings(&args.window)?;
    if dim != window_dim {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "compare rows",
            format!("the baseline has embeddings of {dim} values, the window of {window_dim}"),
        )
        .with("baseline", args.baseline.display())
        .with("window", args.window.display())
        .remedy("embed both with the same model")
        .into());
    }
    let baseline = Clusters::fit(&baseline_rows, dim, args.clusters.get(), args.seed)
        .map_err(|error| error.with("file", args.baseline.display()))?;
    let mut window = baseline.histogram();
    window.add(&window_rows)?;
    let values = baseline
        .distances(&window)
        .map_err(|error| error.with("file", args.window.display()))?;
    let statistics = values
        .into_iter()
        .filter(|(statistic, _)| wanted.contains(statistic))
        .map(|(statistic, value)| {
            let threshold = limits.get(&statistic).copied();
            let counts = (baseline.counts(), window.counts());
            let chance = permutations(statistic, counts.0, counts.1, PERMUTATIONS, args.seed)?;
            let value = Value {
                value,
                expected: chance.expected(),
                threshold,
                p_value: chance.p_value(),
                drifted: threshold.map(|threshold| value > threshold),
            };
            Ok((statistic, value))
        })
        .collect::<Result<BTreeMap<Distance, Value>>>()?;
    let above = statistics.values().any(|value| value.drifted == Some(true));
    let report = Report {
        baseline: RowCount {
            rows: baseline.rows(),
        },
        window: RowCount {
            rows: window.total(),
        },
        statistics,
    };
    if output.json {
        output::json(&report)?;
    } else {
        let mut table = output::table([
            "statistic",
            "value",
            "by chance",
            "p-value",
            "limit",
            "drift",
        ]);
        for (statistic, value) in &report.statistics {
            table.add_row([
                statistic.to_string(),
                format!("{:.4}", value.value),
                format!("{:.4}", value.expected),
                value.p_value.to_string(),
                value
                    .threshold
                    .map_or_else(|| "-".to_owned(), |t| t.to_string()),
                match value.drifted {
                    None => "-",
                    Some(true) => "yes",
                    Some(false) => "no",
                }
                .to_owned(),
            ]);
        }
        output::text(&format!(
            "{} baseline rows, {} window rows",
            report.baseline.rows, report.window.rows
        ))?;
        output::text(&table.to_string())?;
    }
    Ok(if above {
        Outcome::AboveLimit
    } else {
        Outcome::Done
    })
}

fn limits(pairs: &[String]) -> Result<BTreeMap<Distance, f64>> {
    pairs
        .iter()
        .map(|pair| {
            let refuse = || {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "read flags",
                    format!("`--fail-above {pair}` is not a statistic and a number"),
                )
                .remedy("write it as in `--fail-above jsd=0.1`")
            };
            let (name, limit) = pair.split_once('=').ok_or_else(refuse)?;
            let limit: f64 = limit.trim().parse().map_err(|_| refuse())?;
            if !limit.is_finite() {
                return Err(refuse());
            }
            Ok((name.trim().parse()?, limit))
        })
        .collect()
}

fn embeddings(path: &Path) -> Result<(Vec<f32>, usize)> {
    let reader = RowsReader::open(path)?;
    let dim = reader.schema().dim;
    let mut all = Vec::new();
    for rows in reader {
        all.extend_from_slice(rows?.embeddings());
    }
    if all.is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidData, "read rows", "the file has no rows")
                .with("file", path.display())
                .remedy("make it from images of which at least one is usable"),
        );
    }
    Ok((all, dim))
}
