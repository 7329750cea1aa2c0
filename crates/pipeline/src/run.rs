//! A whole run: the baseline, then the windows in order, then the summary.

use std::time::Instant;

use driftline_core::{EmbeddingBackend, MonitorSink, Result};
use driftline_stats::sequential::PageBudget;

use crate::folder::RunFolder;
use crate::spec::RunSpec;
use crate::stage::Stages;
use crate::summary::{ALERT_DAYS, BackendSummary, ModelSummary, RunSummary};
use crate::{Cancel, Progress, baseline, profiles, window};

/// Does the run from start to end, or from where an earlier start of it was stopped.
pub fn run(
    spec: RunSpec,
    backend: &mut dyn EmbeddingBackend,
    sink: &mut dyn MonitorSink,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<RunSummary> {
    let start = Instant::now();
    sink.prepare(&spec.monitor)?;
    let folder = RunFolder::open(&spec.store, &spec.run_id, spec.now, progress)?;
    let schema = spec.monitor.schema.clone();
    let mut stages = Stages::new(
        (spec.run_id, schema, spec.options),
        folder,
        (backend, sink),
        (cancel, progress),
    );
    let clusters = spec.monitor.custom_feature.n_clusters;
    let (baseline, baseline_summary) = baseline::run(&mut stages, spec.baseline, clusters)?;
    let count = spec.windows.len();
    let mut windows = spec
        .windows
        .into_iter()
        .enumerate()
        .map(|(i, window)| window::run(&mut stages, window, count - i, &baseline))
        .collect::<Result<Vec<_>>>()?;
    let mut budget = PageBudget::new(ALERT_DAYS)?;
    for bin in windows.iter_mut().flat_map(|window| &mut window.bins) {
        bin.alert = bin.check.p_value.is_some_and(|p| budget.update(p));
    }
    stages.sink.flush()?;
    let profiles_path = profiles::path(&spec.store, &spec.monitor, &stages.run_id);
    profiles::write(&profiles_path, &stages.profiles)?;
    let info = stages.backend.info();
    let summary = RunSummary {
        run_id: stages.run_id.clone(),
        driftline: env!("CARGO_PKG_VERSION").to_owned(),
        backend: BackendSummary {
            name: info.name.clone(),
            engine: info.engine.clone(),
            device: info.device,
            precision: info.precision.to_string(),
            threads: info.threads,
        },
        model: ModelSummary {
            name: spec.monitor.model,
            sha256: spec.monitor.model_sha256,
            dim: info.dim,
            classes: info.classes.len(),
        },
        baseline: baseline_summary,
        windows,
        sink: stages.sink_summary(),
        timing: stages.timing(start.elapsed()),
        peak_memory_bytes: peak_memory(),
        skipped_images: stages.skipped_images,
        skipped: stages.skipped,
    };
    stages.folder.clear()?;
    Ok(summary)
}

/// Largest resident memory of this process in bytes, where Linux tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
