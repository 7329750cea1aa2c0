//! The stage of the baseline: its rows go to the sink, and are compiled.

use std::collections::HashSet;

use driftline_core::{ImageSource, Result};
use driftline_stats::{Baseline, BaselineOptions, Bucket, Sample};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::accuracy::Accuracy;
use crate::stage::{Stages, no_images};
use crate::summary::BaselineSummary;

/// Name of the baseline among the stages and in the `window` column.
const BASELINE: &str = "baseline";

/// Baseline rows that the clusters are found on; of a larger baseline a seeded sample of this size is used, for the
/// clusters and for their shares.
const CLUSTERED_ROWS: u64 = 100_000;

/// Publishes the rows of `source` as the baseline, and compiles it.
pub(crate) fn run(
    stages: &mut Stages<'_>,
    source: Box<dyn ImageSource>,
    clusters: usize,
) -> Result<(Baseline, BaselineSummary)> {
    let location = source.info().location.clone();
    let now = stages.folder.now().as_millisecond();
    let seed = stages.options.seed;
    let compiled_rows = CompiledRows::choose(source.info().rows, seed);
    let mut sample = Sample::new(stages.schema.clone());
    let mut rows = 0;
    let mut accuracy = Accuracy::default();
    stages.run(BASELINE, source, &[], now, |part, sink| {
        sink.publish_baseline(part.rows.batch())?;
        rows += part.rows.len() as u64;
        accuracy.add(&part.rows);
        let numbers = part.rows.image_numbers();
        let here = |row: &usize| compiled_rows.contains(numbers[*row] as u64);
        sample.push_some(&part.rows, (0..part.rows.len()).filter(here))
    })?;
    if rows == 0 {
        return Err(no_images(BASELINE, "the baseline"));
    }
    stages.progress.begin("clusters", 0);
    let options = BaselineOptions {
        clusters,
        seed,
        ..BaselineOptions::default()
    };
    let baseline =
        Baseline::compile(&sample, options).map_err(|error| error.with("baseline", location))?;
    stages.progress.end();
    stages.profiles.push(Bucket {
        window: BASELINE.to_owned(),
        start_ms: now,
        end_ms: now + 1,
        profile: baseline.profile().clone(),
    });
    let summary = BaselineSummary {
        rows,
        accuracy: accuracy.value(),
    };
    Ok((baseline, summary))
}

/// The baseline rows that are compiled: all, or a sample.
struct CompiledRows(Option<HashSet<u64>>);

impl CompiledRows {
    fn choose(rows: u64, seed: u64) -> Self {
        if rows <= CLUSTERED_ROWS {
            return Self(None);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // A sample of fixed size by Floyd's method: its memory does not grow with the baseline.
        let mut chosen = HashSet::new();
        for limit in rows - CLUSTERED_ROWS..rows {
            let row = rng.random_range(0..=limit);
            if !chosen.insert(row) {
                chosen.insert(limit);
            }
        }
        Self(Some(chosen))
    }

    fn contains(&self, row: u64) -> bool {
        self.0.as_ref().is_none_or(|rows| rows.contains(&row))
    }
}
