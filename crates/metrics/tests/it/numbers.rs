//! Numbers of small stores, checked by hand.

use crate::common::{CLUSTERS, DAY_MS, Event, HOUR_MS, MODEL, PROJECT, START_MS};
use crate::common::{at, batch, clustered, fix_clusters, sink};
use driftline_core::MonitorSink;
use driftline_metrics::{BaselineRows, BinSize, Column, Metric, StoredModel};
use driftline_sink_local::EventUpdate;
use driftline_stats::{KMeans, KMeansConfig, jsd, noise_floor, psi};

const BASELINE: [usize; CLUSTERS] = [40, 60, 30, 50, 20];
const DRIFTED: [usize; CLUSTERS] = [10, 80, 30, 20, 60];

fn open(store: &std::path::Path) -> StoredModel {
    StoredModel::open(store, PROJECT, MODEL).unwrap()
}

#[test]
fn drift_is_what_scipy_and_fiddler_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    sink.publish_baseline(&batch(&clustered("b", &BASELINE, 0)))
        .unwrap();
    sink.publish_events(&batch(&clustered("d1", &DRIFTED, START_MS)))
        .unwrap();
    let same = BASELINE.map(|count| 10 * count);
    sink.publish_events(&batch(&clustered("d2", &same, START_MS + DAY_MS)))
        .unwrap();

    let monitored = open(folder.path());
    assert_eq!(
        monitored.extent(),
        at(START_MS)..at(START_MS + DAY_MS + HOUR_MS)
    );
    let days = monitored
        .series(&BaselineRows::Whole, &monitored.extent(), BinSize::Day)
        .unwrap();
    let [drifted, same] = days.as_slice() else {
        panic!("{days:?}");
    };
    assert_eq!(
        (drifted.start, drifted.end),
        (at(START_MS), at(START_MS + DAY_MS))
    );
    assert_eq!((drifted.rows, drifted.baseline_rows), (200, 200));
    assert_eq!(drifted.clusters, DRIFTED.map(|count| count as u64));
    assert!((drifted.jsd.unwrap() - 0.265_410_544_2).abs() < 1e-10);
    assert!((drifted.psi.unwrap() - 0.558_121_768_5).abs() < 1e-10);
    assert_eq!(drifted.noise_floor, Some(noise_floor(CLUSTERS, 200, 200)));
    assert_eq!(drifted.drifted, Some(true));
    assert!(same.jsd.unwrap() < 1e-7);
    assert!((same.psi.unwrap() - 7.612_8e-5).abs() < 1e-9);
    assert_eq!(same.drifted, Some(false));

    let json = serde_json::to_value(drifted).unwrap();
    assert_eq!(json["start"], "2026-11-02T00:00:00Z");
    assert_eq!(json["clusters"][4], 60);
}

#[test]
fn performance_integrity_and_scores_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    let mut baseline = clustered("b", &BASELINE, 0);
    baseline[0].scores = [0.0, 1.0];
    baseline[0].target = Some("dog");
    baseline[1].scores = [1.0, 0.0];
    sink.publish_baseline(&batch(&baseline)).unwrap();
    let event = |id, scores, target| Event {
        scores,
        target,
        ..Event::new(id, 0, START_MS)
    };
    let events = [
        event("right", [0.75, 0.25], Some("cat")),
        event("wrong", [0.75, 0.25], Some("dog")),
        event("impossible", [1.0, 0.0], Some("dog")),
        event("tie is the first class", [0.5, 0.5], Some("cat")),
        event("unlabelled", [0.2, 0.8], None),
        event("unknown class", [0.25, 1.5], Some("horse")),
    ];
    sink.publish_events(&batch(&events)).unwrap();

    let monitored = open(folder.path());
    let bins = monitored.bins(&monitored.extent(), BinSize::Hour);
    let counts = &bins[0].counts;
    let before = monitored
        .baseline(&BaselineRows::Whole, bins[0].start)
        .unwrap();
    let measure = |metric, column| monitored.measure(metric, column, counts, &before).unwrap();
    assert_eq!(measure(Metric::Traffic, None), Some(6.0));
    assert_eq!(measure(Metric::DataCount, None), Some(4.0));
    assert_eq!(measure(Metric::Accuracy, None), Some(0.5));
    let log_loss = -(0.75_f64.ln() + 0.25_f64.ln() + 1e-15_f64.ln() + 0.5_f64.ln()) / 4.0;
    assert!((measure(Metric::LogLoss, None).unwrap() - log_loss).abs() < 1e-12);

    let cat = Some(monitored.column("cat").unwrap());
    let dog = Some(monitored.column("dog").unwrap());
    let target = Some(Column::Target);
    let sum = 0.75 + 0.75 + 1.0 + 0.5 + f64::from(0.2_f32) + 0.25;
    assert!((measure(Metric::Sum, cat).unwrap() - sum).abs() < 1e-12);
    assert!((measure(Metric::Average, cat).unwrap() - sum / 6.0).abs() < 1e-12);
    assert_eq!(
        counts.histogram(Column::Score(0)),
        [0, 0, 2, 0, 0, 1, 0, 2, 0, 1]
    );
    assert_eq!(monitored.binning().score_edges(0)[3], 0.3);
    // 1.5 is beyond the baseline, and counts in the last bin.
    assert_eq!(
        counts.histogram(Column::Score(1)),
        [1, 0, 2, 0, 0, 1, 0, 0, 1, 1]
    );
    assert_eq!(
        monitored.bin_names(Column::Target),
        ["cat", "dog", "(other)"]
    );
    assert_eq!(counts.histogram(Column::Target), [2, 2, 1]);
    assert_eq!(counts.histogram(Column::Prediction), [4, 2]);

    assert_eq!(measure(Metric::NullViolationCount, target), Some(1.0));
    assert_eq!(measure(Metric::NullViolationCount, cat), Some(0.0));
    assert_eq!(measure(Metric::RangeViolationCount, target), Some(1.0));
    assert_eq!(measure(Metric::RangeViolationCount, dog), Some(1.0));
    assert_eq!(measure(Metric::TypeViolationCount, None), Some(0.0));
    // One row violates twice.
    assert_eq!(measure(Metric::RangeViolationCount, None), Some(1.0));
    assert_eq!(measure(Metric::AnyViolationCount, None), Some(2.0));
    assert!((measure(Metric::AnyViolationPercentage, None).unwrap() - 100.0 / 3.0).abs() < 1e-12);

    let of_target = jsd(&[199, 1, 0], &[2, 2, 1]).unwrap();
    assert_eq!(measure(Metric::Jsd, target), Some(of_target));
    let scores = before.histogram(Column::Score(1));
    assert_eq!(scores, [1, 0, 198, 0, 0, 0, 0, 0, 0, 1]);
    let of_scores = psi(scores, counts.histogram(Column::Score(1))).unwrap();
    assert_eq!(measure(Metric::Psi, dog), Some(of_scores));
}

#[test]
fn unknown_names_and_columns_that_do_not_suit_list_what_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_baseline(&batch(&clustered("b", &BASELINE, 0)))
        .unwrap();
    let monitored = open(folder.path());
    assert_eq!(monitored.column("Image Feature").ok(), None);
    assert_eq!(monitored.column("image_feature").unwrap(), Column::Feature);
    assert_eq!(monitored.column("embeddings").unwrap(), Column::Feature);
    let error = monitored.column("colour").unwrap_err().to_string();
    assert!(
        error.contains("image_feature, cat, dog, target, prediction"),
        "{error}"
    );
    let error = "drift".parse::<Metric>().unwrap_err().to_string();
    assert!(error.contains("available: jsd, psi, traffic"), "{error}");
    let bin = monitored.baseline(&BaselineRows::Whole, at(0)).unwrap();
    let refused = |metric, column| {
        let error = monitored.measure(metric, column, &bin, &bin).unwrap_err();
        error.to_string()
    };
    assert!(refused(Metric::Jsd, None).contains("needs a column"));
    assert!(refused(Metric::Average, Some(Column::Target)).contains("available: cat, dog"));
    assert!(refused(Metric::Traffic, Some(Column::Target)).contains("leave the column out"));
    let error = monitored
        .baseline(
            &BaselineRows::Environment {
                name: "x".to_owned(),
            },
            at(0),
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("it has: production"), "{error}");
    let error = StoredModel::open(folder.path(), PROJECT, "other").unwrap_err();
    assert!(error.to_string().contains("p/m"), "{error}");
}

#[test]
fn without_clusters_of_its_own_a_model_is_clustered_as_driftline_drift_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let scattered = |prefix: &str, seed: usize, n: usize| -> Vec<Event> {
        let value = |i: usize, m: usize| ((i * seed * 31 + i * i * 7) % m) as f32 / 9.0;
        let events = (0..n).map(|i| Event {
            embedding: [value(i, 97), value(i, 89)],
            ..Event::new(format!("{prefix}{i:05}"), 0, START_MS)
        });
        events.collect()
    };
    let flat = |events: &[Event]| -> Vec<f32> { events.iter().flat_map(|e| e.embedding).collect() };
    let (before, now) = (scattered("b", 3, 3_000), scattered("e", 5, 700));
    for part in before.chunks(800) {
        sink.publish_baseline(&batch(part)).unwrap();
    }
    sink.publish_events(&batch(&now)).unwrap();
    let expected = driftline_stats::Clusters::fit(&flat(&before), 2, CLUSTERS, 42).unwrap();
    let mut window = expected.histogram();
    window.add(&flat(&now)).unwrap();

    let monitored = open(folder.path());
    let series = monitored
        .series(&BaselineRows::Whole, &monitored.extent(), BinSize::Week)
        .unwrap();
    let statistics = expected.distances(&window).unwrap();
    assert_eq!(series[0].clusters, window.counts());
    assert_eq!(
        series[0].jsd,
        Some(statistics[&driftline_stats::Distance::Jsd])
    );
    assert_eq!(
        series[0].psi,
        Some(statistics[&driftline_stats::Distance::Psi])
    );
    let config = KMeansConfig {
        seed: 42,
        ..KMeansConfig::default()
    };
    let fitted = KMeans::fit(&flat(&before), 2, CLUSTERS, &config).unwrap();
    assert_eq!(monitored.binning().centroids(), fitted.centroids());
}

#[test]
fn every_kind_of_baseline_counts_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    let mut other = clustered("x", &[7], 0);
    other.iter_mut().for_each(|event| event.window = "x");
    sink.publish_baseline(&batch(&clustered("b", &BASELINE, 0)))
        .unwrap();
    sink.publish_baseline(&batch(&other)).unwrap();
    for day in 0..4 {
        let events = clustered(
            &format!("d{day}"),
            &[1, day],
            START_MS + day as i64 * DAY_MS + 5 * HOUR_MS,
        );
        sink.publish_events(&batch(&events)).unwrap();
    }
    let monitored = open(folder.path());
    let environments: Vec<(String, u64)> = monitored.environments().into_iter().collect();
    assert_eq!(
        environments,
        [("production".to_owned(), 200), ("x".to_owned(), 7)]
    );
    let clusters = |baseline: &BaselineRows, start: i64| {
        monitored.baseline(baseline, at(start)).unwrap().clusters[..2].to_vec()
    };
    assert_eq!(clusters(&BaselineRows::Whole, 0), [47, 60]);
    assert_eq!(
        clusters(
            &BaselineRows::Environment {
                name: "x".to_owned()
            },
            0
        ),
        [7, 0]
    );
    let production = |start: i64, end: i64| BaselineRows::Production {
        start: at(START_MS + start),
        end: at(START_MS + end),
    };
    assert_eq!(clusters(&production(DAY_MS, 3 * DAY_MS), 0), [2, 3]);
    // Half open: the hour that starts at the end does not belong to it.
    assert_eq!(clusters(&production(0, DAY_MS + 5 * HOUR_MS), 0), [1, 0]);
    assert_eq!(clusters(&production(DAY_MS, DAY_MS), 0), [0, 0]);
    let rolling = |offset| BaselineRows::Rolling {
        offset,
        size: BinSize::Day,
    };
    assert_eq!(clusters(&rolling(1), START_MS + 3 * DAY_MS), [1, 2]);
    assert_eq!(clusters(&rolling(3), START_MS + 3 * DAY_MS), [1, 0]);
    let series = monitored
        .series(&rolling(1), &monitored.extent(), BinSize::Day)
        .unwrap();
    assert_eq!(series[0].jsd, None, "nothing lies before the first day");
    assert_eq!(series[2].jsd, Some(jsd(&[1, 1], &[1, 2]).unwrap()));
    let weeks = monitored.bins(&monitored.extent(), BinSize::Week);
    assert_eq!(
        (weeks.len(), weeks[0].start, weeks[0].counts.rows),
        (1, at(START_MS), 10)
    );
    let some = at(START_MS + DAY_MS)..at(START_MS + 2 * DAY_MS);
    assert_eq!(monitored.bins(&some, BinSize::Week)[0].counts.rows, 2);
}

#[test]
fn refresh_sees_new_rows_labels_baselines_and_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let mut monitored = open(folder.path());
    assert!(!monitored.refresh().unwrap());
    assert!(monitored.extent().is_empty());
    let series = |monitored: &StoredModel| {
        monitored
            .series(&BaselineRows::Whole, &monitored.extent(), BinSize::Day)
            .unwrap()
    };
    sink.publish_events(&batch(&clustered("e", &[2, 2], START_MS)))
        .unwrap();
    assert!(monitored.refresh().unwrap());
    assert_eq!(
        (series(&monitored)[0].rows, series(&monitored)[0].jsd),
        (4, None)
    );
    sink.publish_baseline(&batch(&clustered("b", &BASELINE, 0)))
        .unwrap();
    assert!(monitored.refresh().unwrap());
    assert!(series(&monitored)[0].jsd.is_some());
    assert_eq!(series(&monitored)[0].accuracy, Some(1.0));
    let update = EventUpdate {
        event_id: "e-0-0000".to_owned(),
        target: Some("dog".to_owned()),
        image_url: None,
    };
    sink.update_events(&[update]).unwrap();
    assert!(monitored.refresh().unwrap());
    assert_eq!(series(&monitored)[0].accuracy, Some(0.75));
    assert!(!monitored.refresh().unwrap());

    let day = folder.path().join("p/m/events/date=2026-11-03");
    std::fs::create_dir_all(&day).unwrap();
    std::fs::write(day.join("part-x.parquet"), b"no rows").unwrap();
    assert!(monitored.refresh().unwrap());
    assert_eq!(monitored.damaged().len(), 1);
    assert!(
        monitored.damaged()[0].contains("part-x.parquet"),
        "{:?}",
        monitored.damaged()
    );
    assert_eq!(series(&monitored).len(), 1);
    driftline_sink_local::remove_model(folder.path(), PROJECT, MODEL).unwrap();
    assert!(monitored.refresh().is_err());
}

#[test]
fn targets_name_classes_by_their_place_in_the_class_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let events = [
        Event {
            target: Some("miau"),
            ..Event::new("a", 0, START_MS)
        },
        Event {
            target: Some("wau"),
            ..Event::new("b", 0, START_MS)
        },
        Event::new("c", 0, START_MS),
    ];
    sink.publish_events(&batch(&events)).unwrap();
    let classes = vec!["miau".to_owned(), "wau".to_owned()];
    let monitored =
        StoredModel::open_with_classes(folder.path(), PROJECT, MODEL, classes.clone()).unwrap();
    let counts = &monitored.bins(&monitored.extent(), BinSize::Day)[0].counts;
    assert_eq!((counts.labelled, counts.correct), (3, 2));
    assert_eq!(monitored.bin_names(Column::Prediction), classes);
    assert_eq!(counts.histogram(Column::Target), [1, 1, 1]);
}
