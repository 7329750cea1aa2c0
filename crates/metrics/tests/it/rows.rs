//! Rows that are shown: exemplars, their neighbours, the map.

use crate::common::{DAY_MS, Event, MODEL, PROJECT, START_MS};
use crate::common::{at, batch, fix_clusters, sink};
use driftline_core::MonitorSink;
use driftline_metrics::{BASELINE_POINTS, WINDOW_POINTS};
use driftline_metrics::{BaselineRows, BinSize, StoredModel};

/// `n` rows of fixed, scattered embeddings.
fn scattered(prefix: &str, n: usize, ms: i64) -> Vec<Event> {
    let value = |i: usize, m: usize| ((i * 7919 + i * i * 31) % m) as f32 / m as f32;
    let events = (0..n).map(|i| Event {
        embedding: [40.0 * value(i, 1009), 4.0 * value(i, 997)],
        ..Event::new(format!("{prefix}{i:05}"), 0, ms)
    });
    events.collect()
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f64 {
    let square = |i: usize| f64::from(a[i] - b[i]).powi(2);
    (square(0) + square(1)).sqrt()
}

#[test]
fn exemplars_and_their_neighbours_are_what_a_full_search_finds() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    let baseline = scattered("b", 2_500, 0);
    // Of the last cluster there are far more than before.
    let mut events = scattered("e", 300, START_MS);
    for event in events.iter_mut().step_by(2) {
        event.embedding[0] = 36.0 + event.embedding[0] / 10.0;
    }
    for part in baseline.chunks(600) {
        sink.publish_baseline(&batch(part)).unwrap();
    }
    for part in events.chunks(70) {
        sink.publish_events(&batch(part)).unwrap();
    }
    sink.publish_events(&batch(&scattered("later", 50, START_MS + DAY_MS)))
        .unwrap();

    let monitored = StoredModel::open(folder.path(), PROJECT, MODEL).unwrap();
    let day = at(START_MS)..at(START_MS + DAY_MS);
    let empty = at(START_MS + 9 * DAY_MS)..at(START_MS + 10 * DAY_MS);
    let next = at(START_MS + DAY_MS)..at(START_MS + 2 * DAY_MS);
    let windows = [next.clone(), day.clone(), empty];
    let found = monitored
        .exemplars(&BaselineRows::Whole, &windows, 12, 3)
        .unwrap();
    let [later, found, nothing] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(!later.exemplars.is_empty());
    assert!(later.exemplars[0].row.event_id.starts_with("later"));
    let alone = monitored
        .exemplars(&BaselineRows::Whole, &[next], 12, 3)
        .unwrap();
    assert_eq!(&alone[0], later, "windows do not depend on each other");
    let rolling = BaselineRows::Rolling {
        offset: 1,
        size: BinSize::Day,
    };
    let before = monitored.exemplars(&rolling, &windows, 2, 1).unwrap();
    assert!(
        before[0].exemplars[0].neighbours[0]
            .row
            .event_id
            .starts_with('e')
    );
    assert!(before[1].exemplars[0].neighbours.is_empty());
    assert_eq!(found.cluster, Some(4));
    assert!(found.share > 0.5 && found.baseline_share < 0.2, "{found:?}");
    let mut expected: Vec<(f64, &Event)> = events
        .iter()
        .map(|event| (distance(event.embedding, [40.0, 0.0]), event))
        .collect();
    expected.sort_by(|(a, x), (b, y)| a.total_cmp(b).then(x.id.cmp(&y.id)));
    assert_eq!(found.exemplars.len(), 12);
    for (exemplar, (expected, event)) in found.exemplars.iter().zip(expected) {
        assert_eq!(exemplar.row.event_id, event.id);
        assert!((exemplar.distance - expected).abs() < 1e-4);
        assert_eq!(exemplar.row.image_url, format!("{}.png", event.id));
        assert_eq!(exemplar.row.target.as_deref(), Some("cat"));
        assert_eq!(exemplar.row.prediction.as_deref(), Some("cat"));
        let mut nearest: Vec<f64> = baseline
            .iter()
            .map(|row| distance(row.embedding, event.embedding))
            .collect();
        nearest.sort_by(f64::total_cmp);
        assert_eq!(exemplar.neighbours.len(), 3);
        for (neighbour, expected) in exemplar.neighbours.iter().zip(nearest) {
            assert!((neighbour.distance - expected).abs() < 1e-4);
            assert!(neighbour.row.event_id.starts_with('b'));
        }
    }
    assert_eq!((nothing.cluster, nothing.exemplars.len()), (None, 0));
}

#[test]
fn the_map_turns_the_baseline_onto_its_widest_directions() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    // Along (3, 4) / 5 the variance is that of 0..1000, across it that of two values 1 apart.
    let along = |i: usize| (i as f64 - 499.5) / 10.0;
    let rotated: Vec<Event> = (0..1_000)
        .map(|i| {
            let (x, y) = (along(i), if i % 2 == 0 { 0.5 } else { -0.5 });
            Event {
                embedding: [
                    (0.6 * x - 0.8 * y) as f32 + 7.0,
                    (0.8 * x + 0.6 * y) as f32 - 2.0,
                ],
                ..Event::new(format!("b{i:05}"), 0, 0)
            }
        })
        .collect();
    sink.publish_baseline(&batch(&rotated[..300])).unwrap();
    sink.publish_baseline(&batch(&rotated[300..])).unwrap();
    let event = |id: String| Event {
        embedding: [7.0 + 3.0, -2.0 + 4.0],
        ..Event::new(id, 0, START_MS)
    };
    let events: Vec<Event> = (0..400).map(|i| event(format!("e{i:04}"))).collect();
    sink.publish_events(&batch(&events)).unwrap();

    let monitored = StoredModel::open(folder.path(), PROJECT, MODEL).unwrap();
    let windows = [
        at(START_MS)..at(START_MS + DAY_MS),
        at(START_MS + DAY_MS)..at(START_MS + 2 * DAY_MS),
    ];
    let map = monitored.map(&BaselineRows::Whole, &windows).unwrap();
    let variance = (1_000.0_f64 * 1_000.0 - 1.0) / 12.0 / 100.0;
    let share = variance / (variance + 0.25);
    assert!(
        (map.explained[0] - share).abs() < 1e-4,
        "{:?}",
        map.explained
    );
    assert!((map.explained[0] + map.explained[1] - 1.0).abs() < 1e-12);
    assert_eq!(map.baseline.len(), BASELINE_POINTS);
    for point in &map.baseline {
        let i: usize = point.row.event_id[1..].parse().unwrap();
        assert!((point.x - along(i)).abs() < 0.05, "{point:?}");
        assert!((point.y.abs() - 0.5).abs() < 0.05, "{point:?}");
    }
    assert_eq!(
        map.windows.iter().map(Vec::len).collect::<Vec<_>>(),
        [WINDOW_POINTS, 0]
    );
    assert!(
        (map.windows[0][0].x - 5.0).abs() < 0.05,
        "{:?}",
        map.windows[0][0]
    );

    // Another process, with its files read in another order by other threads, draws the same.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let again = pool.install(|| {
        let again = StoredModel::open(folder.path(), PROJECT, MODEL).unwrap();
        again.map(&BaselineRows::Whole, &windows).unwrap()
    });
    assert_eq!(again, map);
    let missing = BaselineRows::Production {
        start: at(0),
        end: at(0),
    };
    assert!(monitored.map(&missing, &windows).is_err());
}
