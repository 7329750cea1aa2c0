//! What the backend gives is what the oracle gives, and PyTorch, and so is what users see of it.

use driftline_core::{BackendConfig, Device, ImageShape};
use driftline_stats::{Clusters, Distance, noise_floor};

use crate::case::{Stop, require};
use crate::context::{BackendContext, Subject, embed};
use crate::golden::{self, Golden};
use crate::oracle;
use crate::synthetic::{DIM, Image, images};

/// Rows of the drift case.
const BASELINE_ROWS: u64 = 300;
const WINDOW_ROWS: u64 = 200;

/// Side of a large image, and how many there are.
const LARGE_SIDE: usize = 224;
const LARGE_IMAGES: usize = 2;

/// A distance above this many noise floors counts as drift.
const DRIFT_FACTOR: f64 = 3.0;

/// The images of `subject` on `device`.
fn against_oracle(
    context: &mut BackendContext<'_>,
    subject: &Subject,
    device: Device,
) -> Result<(), Stop> {
    let mut backend = context.open_on(subject, 2, device)?;
    let found = embed(backend.as_mut(), &subject.images)?;
    let answers = subject.answers();
    context.compare(backend.as_ref(), &found, |row| &answers[row])?;
    require(
        device == Device::Cpu || backend.info().device == device,
        || {
            format!(
                "asked for {device}, it computes on {}",
                backend.info().device
            )
        },
    )?;
    Ok(())
}

pub(super) fn narrow(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    against_oracle(context, &context.subjects.narrow, Device::Cpu)
}

pub(super) fn wide(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    against_oracle(context, &context.subjects.wide, Device::Cpu)
}

pub(super) fn cuda(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    against_oracle(context, &context.subjects.wide, Device::Cuda(0))
}

pub(super) fn large_images(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let side = ImageShape {
        height: LARGE_SIDE,
        width: LARGE_SIDE,
    };
    let subject = Subject::new(8, side, LARGE_IMAGES).map_err(|error| error.to_string())?;
    against_oracle(context, &subject, Device::Cpu)
}

pub(super) fn extremes(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let bytes = subject.model.shape.bytes();
    let images: Vec<Image> = [0, 255].map(|value| vec![value; bytes]).to_vec();
    let answers = oracle::run(&subject.model, &images, None);
    let mut backend = context.open(subject, 1)?;
    let found = embed(backend.as_mut(), &images)?;
    context.compare(backend.as_ref(), &found, |row| &answers[row])?;
    Ok(())
}

pub(super) fn pytorch(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let Some(folder) = golden::folder() else {
        return Err(Stop::Skipped(format!(
            "{} does not name a folder with {}",
            golden::VARIABLE,
            golden::FILES.join(" and ")
        )));
    };
    let golden = Golden::read(&folder)?;
    let config = BackendConfig::new(golden.weights, 2);
    let mut backend = (context.make)(&config).map_err(|error| error.to_string())?;
    let found = embed(backend.as_mut(), &golden.images)?;
    context.compare(backend.as_ref(), &found, |row| &golden.answers[row])?;
    Ok(())
}

pub(super) fn drift(context: &mut BackendContext<'_>) -> Result<(), Stop> {
    let subject = &context.subjects.narrow;
    let shape = subject.model.shape;
    let baseline = images(shape, 1000, BASELINE_ROWS, 1.0);
    let same = images(shape, 2000, WINDOW_ROWS, 1.0);
    let dark = images(shape, 3000, WINDOW_ROWS, 0.5);
    let mut backend = context.open(subject, 2)?;
    let bound = context.class(backend.as_ref())?.statistic;
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for images in [&baseline, &same, &dark] {
        found.push(embed(backend.as_mut(), images)?.embeddings);
        let answers = oracle::run(&subject.model, images, None);
        let values = answers.iter().flat_map(|answer| &answer.embedding);
        expected.push(values.map(|value| *value as f32).collect::<Vec<_>>());
    }
    for (window, name) in [(1, "the same"), (2, "darker")] {
        let ours = statistics(&found[0], &found[window])?;
        let oracles = statistics(&expected[0], &expected[window])?;
        for (ours, oracles, statistic) in [
            (ours.jsd, oracles.jsd, "jsd"),
            (ours.psi, oracles.psi, "psi"),
        ] {
            require((ours - oracles).abs() <= bound, || {
                format!(
                    "{statistic} of {name} images: {ours}, the oracle's embeddings give {oracles}"
                )
            })?;
        }
        require(oracles.drifted == (window == 2), || {
            format!("{name} images do not test the verdict: {oracles:?}")
        })?;
        require(ours.drifted == oracles.drifted, || {
            format!(
                "{name} images: drift {}, the oracle's embeddings say {}",
                ours.drifted, oracles.drifted
            )
        })?;
    }
    Ok(())
}

/// What users see of a window.
#[derive(Debug)]
struct Drift {
    jsd: f64,
    psi: f64,
    /// Whether the Jensen-Shannon distance is above the noise floor.
    drifted: bool,
}

fn statistics(baseline: &[f32], window: &[f32]) -> Result<Drift, String> {
    let failed = |error: driftline_core::Error| error.to_string();
    let baseline = Clusters::fit(baseline, DIM, 5, 42).map_err(failed)?;
    let mut histogram = baseline.histogram();
    histogram.add(window).map_err(failed)?;
    let values = baseline.distances(&histogram).map_err(failed)?;
    let floor = noise_floor(baseline.clusters(), histogram.total(), baseline.rows());
    let jsd = values[&Distance::Jsd];
    Ok(Drift {
        jsd,
        psi: values[&Distance::Psi],
        drifted: jsd > DRIFT_FACTOR * floor,
    })
}
