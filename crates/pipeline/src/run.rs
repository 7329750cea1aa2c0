//! Baseline, windows, sink and statistics in order.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow_array::{Array, RecordBatch};
use driftline_core::{
    Ack, DriftTransform, EmbeddingBackend, Error, ErrorKind, ImageSource, MonitorSink, MonitorSpec,
    Result, Row, RowSchema, Rows, RowsBuilder,
};
use driftline_stats::sequential::PageBudget;
use driftline_stats::{
    BaselineOptions, Bucket, Check, Distance, Histogram, Profile, ProfilePlan, Sample, Statistic,
    TestOptions, Verdict, noise_floor,
};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::embed::bad_image;
use crate::part::{PART_ROWS, Part, PartBuilder, RowNames};
use crate::schedule::{DAY_MS, Event};
use crate::summary::{
    BackendSummary, BaselineSummary, BinSummary, LISTED_SKIPS, ModelSummary, SinkSummary, Skipped,
    Summary, Timing, WindowSummary,
};
use crate::{Cancel, EmbedOptions, OnError, Progress, RunFolder, Schedule, embed, profiles};

/// Name of the baseline among the stages and in the `window` column.
const BASELINE: &str = "baseline";

/// Baseline rows that the clusters are found on; of a larger baseline a seeded sample of this size is used, for the
/// clusters and for their shares.
pub const CLUSTERED_ROWS: u64 = 100_000;

/// Images of a window, and events of a day, that are checked; of more, evenly spread ones.
pub const CHECKED_ROWS: u64 = 5_000;

/// Days in which one false page may come, on average: two years.
pub const PAGE_DAYS: f64 = 730.0;

/// Days from the start of one window to the start of the next.
const WINDOW_DAYS: i64 = 7;

/// Everything a run needs, opened and checked.
pub struct Run {
    /// Name of the run, the first part of every `event_id`.
    pub run_id: String,
    /// The moment the calendar counts back from, unless an earlier start of this run fixed it.
    pub now: Timestamp,
    /// Folder for what the run keeps on this machine.
    pub store: PathBuf,
    /// What is monitored.
    pub monitor: MonitorSpec,
    /// The reference rows.
    pub baseline: Baseline,
    /// The windows in order.
    pub windows: Vec<Window>,
    /// How images are embedded; its seed is also that of samples and clusters.
    pub options: EmbedOptions,
}

/// Where the reference rows come from.
pub struct Baseline {
    /// Its images.
    pub source: Box<dyn ImageSource>,
}

/// A named stretch of production rows.
pub struct Window {
    /// Name, unique in the run.
    pub name: String,
    /// Its images.
    pub source: Box<dyn ImageSource>,
    /// Drift injected into them, in order.
    pub transforms: Vec<Box<dyn DriftTransform>>,
    /// First day, at 00:00 UTC; without it window `i` of `n` starts `7 (n - i)` days before the run's `now`.
    pub start: Option<Timestamp>,
    /// Days with events.
    pub days: usize,
    /// Events sampled for each day; without it every image is one event.
    pub per_day: Option<u64>,
}

impl Window {
    fn expression(&self) -> String {
        if self.transforms.is_empty() {
            return "none".to_owned();
        }
        let each: Vec<&str> = self
            .transforms
            .iter()
            .map(|transform| transform.info().expression.as_str())
            .collect();
        each.join(",")
    }
}

/// One run in progress: what every stage shares.
struct Runner<'a> {
    run_id: String,
    schema: RowSchema,
    options: EmbedOptions,
    folder: RunFolder,
    backend: &'a mut dyn EmbeddingBackend,
    sink: &'a mut dyn MonitorSink,
    cancel: &'a Cancel,
    progress: &'a dyn Progress,
    images: u64,
    embedding: Duration,
    skipped_images: u64,
    skipped: Vec<Skipped>,
    events: Ack,
    profiles: Vec<Bucket>,
}

impl Run {
    /// Does the run from start to end, or from where an earlier start of it was stopped. `sink` is open for the run's
    /// monitor.
    pub fn execute(
        self,
        backend: &mut dyn EmbeddingBackend,
        sink: &mut dyn MonitorSink,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Summary> {
        let start = Instant::now();
        let folder = RunFolder::open(&self.store, &self.run_id, self.now, progress)?;
        let mut runner = Runner {
            run_id: self.run_id,
            schema: self.monitor.schema.clone(),
            options: self.options,
            folder,
            backend,
            sink,
            cancel,
            progress,
            images: 0,
            embedding: Duration::ZERO,
            skipped_images: 0,
            skipped: Vec::new(),
            events: Ack::default(),
            profiles: Vec::new(),
        };
        let clusters = self.monitor.custom_feature.n_clusters;
        let (baseline, baseline_summary) = runner.baseline(self.baseline, clusters)?;
        let count = self.windows.len();
        let mut windows = self
            .windows
            .into_iter()
            .enumerate()
            .map(|(i, window)| runner.window(window, count - i, &baseline))
            .collect::<Result<Vec<_>>>()?;
        let mut budget = PageBudget::new(PAGE_DAYS)?;
        for bin in windows.iter_mut().flat_map(|window| &mut window.bins) {
            bin.page = bin.check.p_value.is_some_and(|p| budget.update(p));
        }
        runner.sink.flush()?;
        let profiles_path = profiles::path(&self.store, &self.monitor, &runner.run_id);
        profiles::write(&profiles_path, &runner.profiles)?;
        let info = runner.backend.info();
        let summary = Summary {
            run_id: runner.run_id,
            driftline: env!("CARGO_PKG_VERSION").to_owned(),
            backend: BackendSummary {
                name: info.name.clone(),
                engine: info.engine.clone(),
                device: info.device,
                precision: info.precision.to_string(),
                threads: info.threads,
            },
            model: ModelSummary {
                name: self.monitor.model,
                sha256: self.monitor.model_sha256,
                dim: info.dim,
                classes: info.classes.len(),
            },
            baseline: baseline_summary,
            windows,
            sink: SinkSummary {
                name: runner.sink.info().name.clone(),
                location: runner.sink.info().location.clone(),
                rows_published: runner.events.accepted,
                rows_duplicate: runner.events.duplicates,
            },
            timing: Timing {
                total_seconds: start.elapsed().as_secs_f64(),
                embed_seconds: runner.embedding.as_secs_f64(),
                images: runner.images,
                images_per_second: if runner.images == 0 {
                    0.0
                } else {
                    runner.images as f64 / runner.embedding.as_secs_f64()
                },
            },
            peak_memory_bytes: peak_memory(),
            skipped_images: runner.skipped_images,
            skipped: runner.skipped,
        };
        runner.folder.clear()?;
        Ok(summary)
    }
}

impl Runner<'_> {
    fn baseline(
        &mut self,
        baseline: Baseline,
        clusters: usize,
    ) -> Result<(driftline_stats::Baseline, BaselineSummary)> {
        let location = baseline.source.info().location.clone();
        let kept = Kept::new(baseline.source.info().rows, self.options.seed);
        let mut sample = Sample::new(self.schema.clone());
        let mut rows = 0;
        let mut accuracy = Accuracy::default();
        self.parts(
            BASELINE,
            baseline.source,
            &[],
            self.folder.now().as_millisecond(),
            |part, sink| {
                sink.publish_baseline(part.rows.batch())?;
                rows += part.rows.len() as u64;
                accuracy.add(&part.rows);
                let numbers = part.rows.image_numbers();
                let here = |row: &usize| kept.contains(numbers[*row] as u64);
                sample.push_some(&part.rows, (0..part.rows.len()).filter(here))
            },
        )?;
        if rows == 0 {
            return Err(no_images(BASELINE, "the baseline"));
        }
        self.progress.begin("clusters", 0);
        let options = BaselineOptions {
            clusters,
            seed: self.options.seed,
            ..BaselineOptions::default()
        };
        let fitted = driftline_stats::Baseline::compile(&sample, options)
            .map_err(|error| error.with("baseline", location))?;
        self.progress.end();
        let now = self.folder.now().as_millisecond();
        self.profiles.push(Bucket {
            window: BASELINE.to_owned(),
            start_ms: now,
            end_ms: now + 1,
            profile: fitted.profile().clone(),
        });
        Ok((
            fitted,
            BaselineSummary {
                rows,
                accuracy: accuracy.value(),
            },
        ))
    }

    fn window(
        &mut self,
        window: Window,
        weeks_before_now: usize,
        baseline: &driftline_stats::Baseline,
    ) -> Result<WindowSummary> {
        let clusters = baseline.clusters();
        let start_ms = match window.start {
            Some(start) => start.as_millisecond(),
            None => {
                let now = self.folder.now().as_millisecond();
                let weeks = weeks_before_now as i64;
                now - now.rem_euclid(DAY_MS) - weeks * WINDOW_DAYS * DAY_MS
            }
        };
        let source_rows = window.source.info().rows;
        let schedule = match window.per_day {
            Some(per_day) => {
                let seed = self.options.seed;
                Schedule::sampled(start_ms, window.days, per_day, source_rows, seed)?
            }
            None => Schedule::whole(start_ms, window.days, source_rows),
        };
        let names = RowNames {
            schema: self.schema.clone(),
            run_id: self.run_id.clone(),
            window: window.name.clone(),
            timestamp_ms: start_ms,
        };
        let day_every = schedule.events_per_day().div_ceil(CHECKED_ROWS).max(1);
        let mut days: Vec<Day> = (0..window.days)
            .map(|_| Day::new(&names.schema, baseline, day_every))
            .collect();
        let every = source_rows.div_ceil(CHECKED_ROWS).max(1);
        let mut images = Sample::new(names.schema.clone());
        let mut rows = 0;
        let mut accuracy = Accuracy::default();
        let mut acknowledged = Ack::default();
        let expression = window.expression();
        self.parts(
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
                        if day.builder.len() as u64 >= PART_ROWS {
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
            if !day.builder.is_empty() {
                acknowledged += self.sink.publish_events(&day.take(baseline.plan())?)?;
            }
        }
        self.events += acknowledged;
        let floor = |histogram: &Histogram| {
            noise_floor(clusters.clusters(), histogram.total(), clusters.rows())
        };
        let test = TestOptions {
            seed: self.options.seed,
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
                page: false,
            });
            self.profiles.push(Bucket {
                window: window.name.clone(),
                start_ms: schedule.day_start_ms(i),
                end_ms: schedule.day_start_ms(i + 1),
                profile: day.profile,
            });
        }
        let published = acknowledged.accepted + acknowledged.duplicates;
        let statistics: BTreeMap<Distance, f64> = clusters.distances(&whole)?;
        let checked = check(&images)?;
        let floor = floor(&whole);
        Ok(WindowSummary {
            name: window.name,
            transform: expression,
            rows,
            accuracy: accuracy.value(),
            published,
            drifted: checked.verdict == Verdict::Drift,
            explanation: baseline.explain(&images, &test)?,
            check: checked,
            statistics,
            noise_floor: floor,
            bins,
        })
    }

    /// Hands all parts of a stage, in order, to `consume`: first those that an earlier start left on disk, then those
    /// embedded now.
    fn parts(
        &mut self,
        stage: &str,
        mut source: Box<dyn ImageSource>,
        transforms: &[Box<dyn DriftTransform>],
        timestamp_ms: i64,
        mut consume: impl FnMut(&Part, &mut dyn MonitorSink) -> Result<()> + Send,
    ) -> Result<()> {
        let names = RowNames {
            schema: self.schema.clone(),
            run_id: self.run_id.clone(),
            window: stage.to_owned(),
            timestamp_ms,
        };
        self.progress.begin(stage, source.info().rows);
        let mut index = 0;
        let mut next_row = 0;
        let mut skips = Vec::new();
        // A part of another schema is that of an earlier driftline: it counts as not there.
        let kept = |part: &Part| *part.rows.schema() == self.schema;
        while let Some(part) = self.folder.read(stage, index).filter(kept) {
            self.cancel.check()?;
            if self.options.on_error == OnError::Fail
                && let Some(bad) = part.skipped.first()
            {
                return Err(bad_image(bad, &source.info().location));
            }
            consume(&part, self.sink)?;
            next_row += part.source_rows;
            self.progress.advance(part.source_rows);
            skips.extend(part.skipped);
            index += 1;
            if part.source_rows < PART_ROWS {
                break;
            }
        }
        if next_row > 0 {
            self.progress
                .note(&format!("{stage}: {next_row} rows were embedded before"));
        }
        if next_row.is_multiple_of(PART_ROWS) {
            source.skip_rows(next_row)?;
            let mut builder = PartBuilder::new(names, next_row);
            let (folder, progress, sink) = (&self.folder, self.progress, &mut *self.sink);
            let mut complete = |index: u64, part: Part| {
                folder.write(stage, index, &part)?;
                consume(&part, sink)?;
                skips.extend(part.skipped);
                Ok(())
            };
            let (images, spent) = embed(
                source.as_mut(),
                transforms,
                self.backend,
                self.options,
                self.cancel,
                |batch| {
                    progress.advance(batch.source_rows());
                    builder.add(&batch, &mut complete)
                },
            )?;
            if let Some((index, part)) = builder.finish()? {
                complete(index, part)?;
            }
            self.images += images;
            self.embedding += spent;
        }
        self.progress.end();
        self.skipped_images += skips.len() as u64;
        let room = LISTED_SKIPS.saturating_sub(self.skipped.len());
        self.skipped
            .extend(skips.into_iter().take(room).map(|image| Skipped {
                stage: stage.to_owned(),
                image,
            }));
        Ok(())
    }
}

/// The events of one day: those not yet published, and the profile of those published.
struct Day {
    builder: RowsBuilder,
    events: u64,
    profile: Profile,
    scores: Vec<f32>,
    /// One in `every` events, for the check.
    sample: Sample,
    every: u64,
}

impl Day {
    fn new(schema: &RowSchema, baseline: &driftline_stats::Baseline, every: u64) -> Self {
        Self {
            builder: RowsBuilder::new(schema.clone()),
            sample: Sample::new(schema.clone()),
            every,
            events: 0,
            profile: baseline.plan().empty(),
            scores: Vec::with_capacity(schema.classes.len()),
        }
    }

    fn push(&mut self, names: &RowNames, rows: &Rows, i: usize, event: Event) -> Result<()> {
        let dim = names.schema.dim;
        let embedding = &rows.embeddings()[i * dim..][..dim];
        if self.events.is_multiple_of(self.every) {
            self.sample.push_some(rows, std::iter::once(i))?;
        }
        self.events += 1;
        self.scores.clear();
        let classes = names.schema.classes.len();
        self.scores
            .extend((0..classes).map(|class| rows.scores(class)[i]));
        let properties = names.schema.properties.len();
        let targets = rows.targets();
        self.builder.push(&Row {
            event_id: &names.event_id(event.number),
            timestamp_ms: event.timestamp_ms,
            embedding,
            scores: &self.scores,
            target: targets.is_valid(i).then(|| targets.value(i)),
            image_url: rows.image_urls().value(i),
            image_number: rows.image_numbers()[i],
            window: &names.window,
            properties: &rows.properties()[i * properties..][..properties],
        })
    }

    /// The events to publish, which the profile has from now on.
    fn take(&mut self, plan: &ProfilePlan) -> Result<RecordBatch> {
        let rows = Rows::new(self.builder.finish()?)?;
        let mut sample = Sample::new(rows.schema().clone());
        sample.push(&rows)?;
        self.profile.merge(&plan.profile(&sample)?)?;
        Ok(rows.batch().clone())
    }
}

/// The baseline rows that are compiled: all, or a sample.
struct Kept(Option<HashSet<u64>>);

impl Kept {
    fn new(rows: u64, seed: u64) -> Self {
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

/// Share of labelled rows whose best score is their target; rows whose target the model does not know do not count.
#[derive(Default)]
struct Accuracy {
    correct: u64,
    labelled: u64,
}

impl Accuracy {
    fn add(&mut self, rows: &Rows) {
        let classes = &rows.schema().classes;
        let scores: Vec<&[f32]> = (0..classes.len()).map(|class| rows.scores(class)).collect();
        for (i, target) in rows.targets().iter().enumerate() {
            let Some(target) = target.and_then(|target| classes.iter().position(|c| c == target))
            else {
                continue;
            };
            let best = scores.iter().all(|column| column[i] <= scores[target][i]);
            self.labelled += 1;
            self.correct += u64::from(best);
        }
    }

    fn value(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.correct as f64 / self.labelled as f64)
    }
}

fn no_images(stage: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "run",
        format!("{what} has no usable image"),
    )
    .with("stage", stage)
    .remedy("run again with `--on-error fail` to see what is wrong with the first of them")
}

fn timestamp(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "plan window",
            "the calendar is out of range",
        )
        .because(cause)
        .remedy("choose another `now` or `start`")
    })
}

/// Largest resident memory of this process in bytes, where Linux tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
