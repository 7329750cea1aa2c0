//! The tables of false alarms in `docs/`: `calibration [ROWS.parquet] [WINDOWS]` measures clean windows of three kinds of rows
//! (made ones, and those of the file), rows that depend on each other, and two years of days, and prints Markdown.

use std::path::Path;

use anyhow::Result;
use driftline::baselines;
use driftline::core::RowSchema;
use driftline::stats::{
    AlertBudget, Baseline, BaselineOptions, Calibration, CleanWindows, FalseAlarms, Sample,
    Statistic, TestOptions, TestOutcome, bonferroni, false_alarms,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};
use rayon::prelude::*;

const DIM: usize = 128;
/// Clusters of the published tables.
const CLUSTERS: usize = 10;
const CLASSES: usize = 10;
const PROPERTIES: usize = 9;
const SIZES: [usize; 4] = [20, 50, 200, 1_000];
const POOL: usize = 12_000;
/// Correlation of a value with that of the row before, and the first lag at which it is below 0.1.
const CORRELATION: f64 = 0.9;
const BLOCK: usize = 22;
/// Rows of the stream, and values of each.
const STREAM: usize = 1_000_000;
const WIDTH: usize = 20;
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
    heading("rows");
    for (name, pool) in &pools {
        for baseline_rows in [500, 5_000] {
            table(name, pool, baseline_rows, None, windows)?;
        }
    }
    println!(
        "\nThe same of rows of {WIDTH} values that have a correlation of {CORRELATION} with the row before, beside baselines of 5,000 consecutive rows.\n"
    );
    heading("block");
    let pool = stream(STREAM)?;
    for block in [1, BLOCK] {
        table(&block.to_string(), &pool, 5_000, Some(block), windows)?;
    }
    years()
}

fn heading(first: &str) {
    println!(
        "| {first} | baseline | statistic | {} |",
        SIZES.map(|size| format!("{size} rows")).join(" | ")
    );
    println!("| --- | --- | --- |{}", " --- |".repeat(SIZES.len()));
}

/// A line for each statistic, with windows of each size: of any rows, or of rows as they follow each other, tested with a block.
fn table(
    name: &str,
    pool: &Sample,
    baseline_rows: usize,
    block: Option<usize>,
    windows: usize,
) -> Result<()> {
    let consecutive = block.is_some();
    let block = block.unwrap_or(1);
    let compile = BaselineOptions {
        clusters: CLUSTERS,
        block,
        ..BaselineOptions::default()
    };
    let test = TestOptions {
        block,
        ..TestOptions::default()
    };
    let sizes = SIZES
        .iter()
        .map(|size| {
            let clean_windows = CleanWindows {
                baseline_rows,
                window_rows: *size,
                windows,
                consecutive,
            };
            Ok(false_alarms(
                pool,
                clean_windows,
                &Statistic::DEFAULT,
                (&compile, &test),
                |_| (),
            )?)
        })
        .collect::<Result<Vec<Calibration>>>()?;
    let line = |statistic: &str, cells: Vec<String>| {
        println!(
            "| {name} | {baseline_rows} | {statistic} | {} |",
            cells.join(" | ")
        );
    };
    let rate = |alarms: &FalseAlarms, more: String| match alarms.not_enough_rows {
        1.0 => "not enough rows".to_owned(),
        _ => format!("{:.1} %{more}", 100.0 * alarms.rate),
    };
    let asked = sizes.first().map(|size| size.statistics.keys().copied());
    for statistic in asked.into_iter().flatten() {
        let alarms = sizes.iter().filter_map(|s| s.statistics.get(&statistic));
        let cells = alarms.map(|alarms| rate(alarms, format!(" ({:.3})", alarms.ks_distance)));
        line(statistic.name(), cells.collect());
    }
    let cells = sizes.iter().map(|size| rate(&size.check, String::new()));
    line("all together", cells.collect());
    Ok(())
}

/// Days of 200 rows over two years, each checked by all statistics and class by class: alerts of twenty such monitors.
fn years() -> Result<()> {
    const MONITORS: u64 = 20;
    let monitors: Vec<u64> = (0..MONITORS)
        .into_par_iter()
        .map(alerts)
        .collect::<Result<_>>()?;
    let alerts: u64 = monitors.iter().sum();
    println!(
        "\nFalse alerts of {MONITORS} monitors in two years of daily windows of 200 rows, over all statistics and {CLASSES} classes: {alerts}, {:.2} per monitor.",
        alerts as f64 / MONITORS as f64
    );
    Ok(())
}

/// The alerts of one monitor.
fn alerts(monitor: u64) -> Result<u64> {
    let mut rows = Rows::new(100 + monitor, Shape::Mixture);
    let options = BaselineOptions {
        clusters: CLUSTERS,
        ..BaselineOptions::default()
    };
    let baseline = Baseline::compile(&rows.take(5_000)?, options)?;
    let mut budget = AlertBudget::new(DAYS as f64)?;
    let mut alerts = 0;
    for day in 0..DAYS {
        let options = TestOptions {
            seed: day,
            permutations: 499,
            ..TestOptions::default()
        };
        let window = rows.take(200)?;
        let check = baseline.check(&window, &Statistic::DEFAULT, &options)?;
        let explanation = baseline.explain(&window, &options)?;
        let classes = explanation.classes.iter().map(|class| &class.embeddings);
        let outcomes = check.statistics.values().chain(classes);
        let p_values = outcomes
            .filter_map(TestOutcome::result)
            .map(|result| result.p_value);
        alerts += u64::from(budget.update(bonferroni(p_values).unwrap_or(1.0)));
    }
    Ok(alerts)
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

/// Rows of which each depends on the one before.
fn stream(rows: usize) -> Result<Sample> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
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
