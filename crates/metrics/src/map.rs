//! Embeddings in two dimensions.

use std::ops::Range;
use std::sync::Arc;

use driftline_core::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::bins::whole_hours;
use crate::projection::{Projection, Sampled};
use crate::sample::HashedSample;
use crate::select::Selection;
use crate::{BaselineRows, MapPoint, StoredModel};

/// Baseline rows that the components are found on; of a larger baseline a seeded sample.
pub const PROJECTED_ROWS: usize = 10_000;

/// Points of each window on a map.
pub const WINDOW_POINTS: usize = 200;

/// Embeddings on the two directions in which the baseline's vary most. The same rows always give the same map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Map {
    /// Shares of the baseline's variance that the first and the second direction explain.
    pub explained: [f64; 2],
    /// A sample of at most [`BASELINE_POINTS`](crate::BASELINE_POINTS) baseline rows.
    pub baseline: Vec<MapPoint>,
    /// For each window a sample of at most [`WINDOW_POINTS`] events.
    pub windows: Vec<Vec<MapPoint>>,
}

impl StoredModel {
    /// A map of the baseline and of the events of `windows`, each widened to whole hours. A rolling baseline is that of
    /// the first window.
    ///
    /// # Errors
    /// `NotFound` for a baseline that is not there, or has fewer than 2 rows.
    pub fn map(&self, baseline: &BaselineRows, windows: &[Range<Timestamp>]) -> Result<Map> {
        let start = windows
            .first()
            .map_or(Timestamp::UNIX_EPOCH, |window| window.start);
        // Refuses an environment that is not there.
        self.baseline(baseline, start)?;
        let projection = self.projection(&baseline.selection(start))?;
        let hours: Vec<Range<i64>> = windows.iter().map(whole_hours).collect();
        let windows = self.window_samples(&hours)?.into_iter().map(|sample| {
            let points = sample
                .into_values()
                .map(|sampled| projection.point(sampled));
            points.collect()
        });
        Ok(Map {
            explained: projection.explained,
            baseline: projection.points.clone(),
            windows: windows.collect(),
        })
    }

    fn window_samples(&self, windows: &[Range<i64>]) -> Result<Vec<HashedSample<Sampled>>> {
        let start = windows.iter().map(|window| window.start).min().unwrap_or(0);
        let end = windows.iter().map(|window| window.end).max().unwrap_or(0);
        let parts = Selection::Events(start..end).scan(
            self.store(),
            |samples: &mut Vec<HashedSample<Sampled>>, rows, chosen| {
                samples.resize_with(windows.len(), HashedSample::default);
                for row in chosen.iter().copied() {
                    let (ms, name) = (rows.timestamps_ms()[row], rows.event_ids().value(row));
                    for (sample, window) in samples.iter_mut().zip(windows) {
                        if window.contains(&ms) {
                            sample.offer(WINDOW_POINTS, name, || {
                                Sampled::new(rows, row, self.binning())
                            });
                        }
                    }
                }
            },
        )?;
        let mut whole: Vec<HashedSample<Sampled>> = Vec::new();
        whole.resize_with(windows.len(), HashedSample::default);
        for part in parts {
            for (sample, more) in whole.iter_mut().zip(part) {
                sample.merge(WINDOW_POINTS, more);
            }
        }
        Ok(whole)
    }

    /// The directions of the selected rows, found once.
    fn projection(&self, selection: &Selection) -> Result<Arc<Projection>> {
        let known =
            |projections: &std::collections::HashMap<_, _>| projections.get(selection).cloned();
        if let Ok(projections) = self.projections.lock()
            && let Some(projection) = known(&projections)
        {
            return Ok(projection);
        }
        let parts = selection.scan(
            self.store(),
            |sample: &mut HashedSample<Sampled>, rows, chosen| {
                for row in chosen.iter().copied() {
                    let name = rows.event_ids().value(row);
                    sample.offer(PROJECTED_ROWS, name, || {
                        Sampled::new(rows, row, self.binning())
                    });
                }
            },
        )?;
        let mut whole = HashedSample::default();
        for part in parts {
            whole.merge(PROJECTED_ROWS, part);
        }
        let rows: Vec<Sampled> = whole.into_values().collect();
        let projection = Arc::new(Projection::of(rows, self.monitor().schema.dim)?);
        if let Ok(mut projections) = self.projections.lock() {
            projections.insert(selection.clone(), Arc::clone(&projection));
        }
        Ok(projection)
    }
}
