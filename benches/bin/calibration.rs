//! The tables of false alarms in `docs/`: `calibration [ROWS.parquet] [WINDOWS]` measures clean windows of three kinds of rows
//! (made ones, and those of the file), rows that depend on each other, and two years of days, and prints Markdown.

use std::path::Path;

use anyhow::Result;
use driftline::baselines;
use driftline::core::RowSchema;
use driftline::stats::multiple::combined;
use driftline::stats::sequential::PageBudget;
use driftline::stats::{
    Answer, Baseline, BaselineOptions, Calibration, CleanWindows, Sample, Statistic, TestOptions,
    Verdict, false_alarms,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};
use rayon::prelude::*;

const DIM: usize = 128;
const CLASSES: usize = 10;
const PROPERTIES: usize = 9;
const SIZES: [usize; 4] = [20, 50, 200, 1_000];
const POOL: usize = 12_000;
/// Correlation of a value with that of the row before, and the first lag at which it is below 0.1.
const CORRELATION: f64 = 0.9;
const BLOCK: usize = 22;
const DAYS: u64 = 730;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next();
    let windows: usize = arguments.next().map_or(Ok(2_000), |count| count.parse())?;
    let mut pools = vec![
        ("Gaussian mixture", Rows::new(1, Shape::Mixture).take(POOL)?),
        ("heavy tails", Rows::new(2, Shape::HeavyTails).take(POOL)?),
    ];
    if let Some(file) = &file {
        pools.insert(
            0,
            ("embeddings", baselines::read_rows(Path::new(file))?.rows),
        );
    }
    println!(
        "False alarms at 5 %, {windows} clean windows a cell; in brackets the largest distance of the p-values' distribution from the uniform one.\n"
    );
    println!(
        "| rows | baseline | statistic | {} |",
        SIZES.map(|size| format!("{size} rows")).join(" | ")
    );
    println!("| --- | --- | --- |{}", " --- |".repeat(SIZES.len()));
    for (name, pool) in &pools {
        for baseline_rows in [500, 5_000] {
            let measured = SIZES.map(|size| {
                let options = (&BaselineOptions::default(), &TestOptions::default());
                let drawn = CleanWindows {
                    baseline_rows,
                    window_rows: size,
                    windows,
                    consecutive: false,
                };
                false_alarms(pool, drawn, &Statistic::DEFAULT, options, |_| ())
            });
            table(
                name,
                baseline_rows,
                &measured
                    .into_iter()
                    .collect::<driftline::core::Result<Vec<_>>>()?,
            );
        }
    }
    dependent(windows.min(500))?;
    years()
}

fn table(name: &str, baseline_rows: usize, sizes: &[Calibration]) {
    let asked = sizes.first().map(|size| size.statistics.keys().copied());
    for statistic in asked.into_iter().flatten() {
        let cells: Vec<String> = sizes
            .iter()
            .filter_map(|size| size.statistics.get(&statistic))
            .map(|alarms| format!("{:.1} % ({:.3})", 100.0 * alarms.rate, alarms.uniformity))
            .collect();
        println!(
            "| {name} | {baseline_rows} | {statistic} | {} |",
            cells.join(" | ")
        );
    }
    let cells: Vec<String> = sizes
        .iter()
        .map(|size| format!("{:.1} %", 100.0 * size.check.rate))
        .collect();
    println!(
        "| {name} | {baseline_rows} | all together | {} |",
        cells.join(" | ")
    );
}

/// Rows of which each depends on the one before, with and without `block`.
fn dependent(windows: usize) -> Result<()> {
    println!(
        "\nRows with a correlation of {CORRELATION} with the row before, 20 values each, {windows} windows beside baselines of 5,000 rows: windows called drifted at 5 %, and windows with too few rows.\n"
    );
    println!(
        "| block | {} |",
        SIZES.map(|size| format!("{size} rows")).join(" | ")
    );
    println!("| --- |{}", " --- |".repeat(SIZES.len()));
    for block in [1, BLOCK] {
        let mut cells = Vec::new();
        for size in SIZES {
            let verdicts: Vec<Verdict> = (0..windows as u64)
                .into_par_iter()
                .map(|window| verdict_of_stream(size, block, window))
                .collect::<Result<_>>()?;
            let share = |verdict| {
                let windows_with = verdicts.iter().filter(|other| **other == verdict).count();
                100.0 * windows_with as f64 / windows as f64
            };
            cells.push(format!(
                "{:.1} % ({:.0} %)",
                share(Verdict::Drift),
                share(Verdict::NotEnoughRows)
            ));
        }
        println!("| {block} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Of a window beside a baseline of its own.
fn verdict_of_stream(rows: usize, block: usize, window: u64) -> Result<Verdict> {
    let options = BaselineOptions {
        block,
        ..BaselineOptions::default()
    };
    let baseline = Baseline::compile(&stream(5_000, 2 * window)?, options)?;
    let test = TestOptions {
        block,
        seed: window,
        ..TestOptions::default()
    };
    let window = stream(rows, 2 * window + 1)?;
    Ok(baseline.check(&window, &Statistic::DEFAULT, &test)?.verdict)
}

/// Days of 200 rows over two years, each checked by all statistics and class by class: pages of twenty such monitors.
fn years() -> Result<()> {
    const MONITORS: u64 = 20;
    let monitors: Vec<u64> = (0..MONITORS)
        .into_par_iter()
        .map(pages)
        .collect::<Result<_>>()?;
    let pages: u64 = monitors.iter().sum();
    println!(
        "\nFalse pages of {MONITORS} monitors in two years of daily windows of 200 rows, over all statistics and {CLASSES} classes: {pages}, {:.2} a monitor.",
        pages as f64 / MONITORS as f64
    );
    Ok(())
}

/// The pages of one monitor.
fn pages(monitor: u64) -> Result<u64> {
    let mut rows = Rows::new(100 + monitor, Shape::Mixture);
    let baseline = Baseline::compile(&rows.take(5_000)?, BaselineOptions::default())?;
    let mut budget = PageBudget::new(DAYS as f64)?;
    let mut pages = 0;
    for day in 0..DAYS {
        let options = TestOptions {
            seed: day,
            divisions: 499,
            ..TestOptions::default()
        };
        let window = rows.take(200)?;
        let check = baseline.check(&window, &Statistic::DEFAULT, &options)?;
        let explanation = baseline.explain(&window, &options)?;
        let classes = explanation.classes.iter().map(|class| &class.embeddings);
        let answers = check.answers.values().chain(classes);
        let p_values = answers
            .filter_map(Answer::finding)
            .map(|finding| finding.p_value);
        pages += u64::from(budget.update(combined(p_values).unwrap_or(1.0)));
    }
    Ok(pages)
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Mixture,
    HeavyTails,
}

/// Rows of a made distribution, without end.
struct Rows {
    random: ChaCha8Rng,
    shape: Shape,
    centres: Vec<f32>,
}

impl Rows {
    fn new(seed: u64, shape: Shape) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let centres = (0..CLASSES * DIM)
            .map(|_| 2.0 * normal(&mut random))
            .collect();
        Self {
            random,
            shape,
            centres,
        }
    }

    fn take(&mut self, rows: usize) -> Result<Sample> {
        let (mut embeddings, mut scores, mut properties) = (Vec::new(), Vec::new(), Vec::new());
        let heavy = StudentT::new(3.0)?;
        for _ in 0..rows {
            let class = self.random.random_range(0..CLASSES);
            for centre in &self.centres[class * DIM..][..DIM] {
                let noise = match self.shape {
                    Shape::Mixture => normal(&mut self.random),
                    Shape::HeavyTails => heavy.sample(&mut self.random) as f32,
                };
                embeddings.push(centre + noise);
            }
            scores.extend((0..CLASSES).map(|i| if i == class { 0.9 } else { 0.01 }));
            properties.extend((0..PROPERTIES).map(|_| normal(&mut self.random).exp()));
        }
        sample(DIM, embeddings, scores, properties)
    }
}

/// Rows that follow each other.
fn stream(rows: usize, seed: u64) -> Result<Sample> {
    const WIDTH: usize = 20;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut last: Vec<f32> = (0..WIDTH).map(|_| normal(&mut random)).collect();
    let fresh = (1.0 - CORRELATION * CORRELATION).sqrt() as f32;
    let (mut embeddings, mut scores, mut properties) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        for value in &mut last {
            *value = CORRELATION as f32 * *value + fresh * normal(&mut random);
        }
        embeddings.extend_from_slice(&last);
        scores.extend_from_slice(&last[..CLASSES]);
        properties.extend_from_slice(&last[..PROPERTIES]);
    }
    sample(WIDTH, embeddings, scores, properties)
}

fn sample(
    dim: usize,
    embeddings: Vec<f32>,
    scores: Vec<f32>,
    properties: Vec<f32>,
) -> Result<Sample> {
    let names = |what: &str, count: usize| (0..count).map(|i| format!("{what} {i}")).collect();
    let schema = RowSchema::new(dim, names("class", CLASSES))?
        .with_properties(names("property", PROPERTIES));
    Ok(Sample::from_parts(schema, embeddings, scores, properties)?)
}

fn normal(random: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(random)
}
