//! Control charts beside plain NumPy ones.

use driftline_stats::{Cusum, Ewma, PageHinkley};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("../references/charts.json")).unwrap()
}

/// Checks the alarms of a kind of chart, made by `chart` from the settings of these names, on the stored series.
fn check<T>(
    kind: &str,
    settings: [&str; 2],
    chart: impl Fn(f64, f64) -> T,
    update: impl Fn(&mut T, f64) -> bool,
) {
    let reference = reference();
    let series: Vec<f64> = serde_json::from_value(reference["series"].clone()).unwrap();
    for case in reference[kind].as_array().unwrap() {
        let [first, second] = settings.map(|name| case[name].as_f64().unwrap());
        let mut chart = chart(first, second);
        let alarms: Vec<usize> = (0..series.len())
            .filter(|at| update(&mut chart, series[*at]))
            .collect();
        let expected: Vec<usize> = serde_json::from_value(case["alarms"].clone()).unwrap();
        assert!(expected.len() > 5);
        assert_eq!(alarms, expected, "{kind} {first} {second}");
    }
}

#[test]
fn alarms_are_those_of_numpy() {
    check("cusum", ["k", "h"], Cusum::new, Cusum::update);
    check("ewma", ["weight", "limit"], Ewma::new, Ewma::update);
    check(
        "page_hinkley",
        ["delta", "limit"],
        PageHinkley::new,
        PageHinkley::update,
    );
}

#[test]
fn page_hinkley_runs_as_long_as_in_numpy() {
    const ALARMS: u32 = 2_000;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let expected = |name: &str| reference()[name].as_f64().unwrap();
    let fresh = PageHinkley::new(0.1, 15.0);
    let (mut chart, mut alarms, mut numbers) = (fresh, 0, 0);
    while alarms < ALARMS {
        numbers += 1;
        alarms += u32::from(chart.update(normal()));
    }
    // The mean of so many has a standard error of 2 %.
    let found = f64::from(numbers) / f64::from(ALARMS);
    let ratio = found / expected("page_hinkley_run_length");
    assert!((ratio - 1.0).abs() < 0.06, "{found}");
    let delays: Vec<f64> = (0..ALARMS)
        .filter_map(|_| {
            let mut chart = fresh;
            let early = (0..200).any(|_| chart.update(normal()));
            let delay = (1..10_000).find(|_| chart.update(normal() + 1.0));
            delay.filter(|_| !early).map(f64::from)
        })
        .collect();
    // A standard error of 1 %.
    let found = delays.iter().sum::<f64>() / delays.len() as f64;
    let ratio = found / expected("page_hinkley_delay");
    assert!((ratio - 1.0).abs() < 0.04, "{found}");
}
