//! The stage of a window: its images become events, which go to the sink and are checked, each day and the whole.

use std::collections::BTreeMap;

use driftline_core::{Ack, Result};
use driftline_stats::{
    Baseline, Bucket, Check, Distance, Histogram, Sample, Statistic, TestOptions, Verdict,
    noise_floor,
};

use crate::accuracy::Accuracy;
use crate::calendar::{timestamp, window_start_ms};
use crate::day::Day;
use crate::part::PART_ROWS;
use crate::schedule::Schedule;
use crate::spec::WindowSpec;
use crate::stage::{Stages, no_images};
use crate::summary::{BinSummary, CHECKED_ROWS, WindowSummary};

/// Publishes the events of `window`, and compares them with `baseline`.
pub(crate) fn run(
    stages: &mut Stages<'_>,
    window: WindowSpec,
    weeks_before_now: usize,
    baseline: &Baseline,
) -> Result<WindowSummary> {
    let seed = stages.options.seed;
    let start_ms = window_start_ms(window.start, stages.folder.now(), weeks_before_now);
    let source_rows = window.source.info().rows;
    let schedule = match window.per_day {
        Some(per_day) => Schedule::sampled(start_ms, window.days, per_day, source_rows, seed)?,
        None => Schedule::whole(start_ms, window.days, source_rows),
    };
    let names = stages.names(&window.name, start_ms);
    let day_every = schedule.events_per_day().div_ceil(CHECKED_ROWS).max(1);
    let mut days: Vec<Day> = (0..window.days)
        .map(|_| Day::new(&names.schema, baseline.plan(), day_every))
        .collect();
    let every = source_rows.div_ceil(CHECKED_ROWS).max(1);
    let mut images = Sample::new(names.schema.clone());
    let mut rows = 0;
    let mut accuracy = Accuracy::default();
    let mut acknowledged = Ack::default();
    let expression = window.expression();
    stages.run(
        &window.name,
        window.source,
        &window.transforms,
        start_ms,
        |part, sink| {
            rows += part.rows.len() as u64;
            accuracy.add(&part.rows);
            let numbers = part.rows.image_numbers();
            let here = |row: &usize| (numbers[*row] as u64).is_multiple_of(every);
            images.push_some(&part.rows, (0..part.rows.len()).filter(here))?;
            for (i, number) in numbers.iter().enumerate() {
                for event in schedule.events(*number as u64) {
                    let day = &mut days[event.day];
                    day.push(&names, &part.rows, i, event)?;
                    if day.waiting() >= PART_ROWS {
                        acknowledged += sink.publish_events(&day.take(baseline.plan())?)?;
                    }
                }
            }
            Ok(())
        },
    )?;
    if rows == 0 {
        return Err(no_images(&window.name, "the window"));
    }
    for day in &mut days {
        if day.waiting() > 0 {
            acknowledged += stages.sink.publish_events(&day.take(baseline.plan())?)?;
        }
    }
    stages.events += acknowledged;
    let clusters = baseline.clusters();
    let floor = |histogram: &Histogram| {
        noise_floor(clusters.clusters(), histogram.total(), clusters.rows())
    };
    let test = TestOptions {
        seed,
        ..TestOptions::default()
    };
    let check =
        |rows: &Sample| -> Result<Check> { baseline.check(rows, &Statistic::DEFAULT, &test) };
    let mut whole = clusters.histogram();
    let mut bins = Vec::new();
    for (i, day) in days.into_iter().enumerate() {
        if day.events == 0 {
            continue;
        }
        let histogram = clusters.counted(day.profile.clusters.clone())?;
        whole.merge(&histogram)?;
        bins.push(BinSummary {
            start: timestamp(schedule.day_start_ms(i))?,
            rows: day.events,
            noise_floor: floor(&histogram),
            statistics: clusters.distances(&histogram)?,
            check: check(&day.sample)?,
            alert: false,
        });
        stages.profiles.push(Bucket {
            window: window.name.clone(),
            start_ms: schedule.day_start_ms(i),
            end_ms: schedule.day_start_ms(i + 1),
            profile: day.profile,
        });
    }
    let statistics: BTreeMap<Distance, f64> = clusters.distances(&whole)?;
    let checked = check(&images)?;
    Ok(WindowSummary {
        name: window.name,
        transform: expression,
        rows,
        accuracy: accuracy.value(),
        published: acknowledged.accepted + acknowledged.duplicates,
        drifted: checked.verdict == Verdict::Drift,
        explanation: baseline.explain(&images, &test)?,
        check: checked,
        statistics,
        noise_floor: floor(&whole),
        bins,
    })
}
