//! Counting rows in parts and merging is counting them at once.

use crate::common::{DAY_MS, Event, HOUR_MS, MODEL, PROJECT, START_MS};
use crate::common::{batch, clustered, fix_clusters, sink};
use driftline_core::MonitorSink;
use driftline_metrics::{Bin, BinSize, ExactSum, RowCounts, StoredModel};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let targets = [None, Some("cat"), Some("dog"), Some("horse")];
    (
        0_i64..72,
        -20_f32..60.0,
        -0.5_f32..1.5,
        0_f32..1.0,
        0..targets.len(),
    )
        .prop_map(move |(hour, x, cat, dog, target)| Event {
            embedding: [x, 0.0],
            scores: [cat, dog],
            target: targets[target],
            ..Event::new("", 0, START_MS + hour * HOUR_MS + 1)
        })
}

fn bins(events: &[Event], cuts: &[usize], size: BinSize) -> Vec<Bin> {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    fix_clusters(folder.path());
    sink.publish_baseline(&batch(&clustered("b", &[5, 4, 3, 2, 1], 0)))
        .unwrap();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % events.len()).collect();
    cuts.extend([0, events.len()]);
    cuts.sort_unstable();
    for cut in cuts.windows(2).filter(|cut| cut[0] < cut[1]) {
        sink.publish_events(&batch(&events[cut[0]..cut[1]]))
            .unwrap();
    }
    let monitored = StoredModel::open(folder.path(), PROJECT, MODEL).unwrap();
    monitored.bins(&monitored.extent(), size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn parts_in_any_cut_give_the_same_bins(
        mut events in proptest::collection::vec(event(), 1..60),
        cuts in proptest::collection::vec(0_usize..60, 0..6),
    ) {
        for (i, event) in events.iter_mut().enumerate() {
            event.id = format!("e{i:04}");
        }
        let whole = bins(&events, &[], BinSize::Day);
        prop_assert_eq!(&bins(&events, &cuts, BinSize::Day), &whole);
        events.reverse();
        prop_assert_eq!(&bins(&events, &[], BinSize::Day), &whole);
        // A day is its hours, in any order and grouping.
        let hours = bins(&events, &cuts, BinSize::Hour);
        let day = |bin: &Bin| BinSize::Day.start_of(bin.start.as_millisecond());
        for expected in &whole {
            let of_day: Vec<&RowCounts> =
                hours.iter().filter(|hour| day(hour) == day(expected)).map(|h| &h.counts).collect();
            let mut forward = of_day[0].clone();
            of_day[1..].iter().for_each(|hour| forward.merge(hour));
            let mut backward = of_day[of_day.len() - 1].clone();
            of_day[..of_day.len() - 1].iter().rev().for_each(|hour| backward.merge(hour));
            prop_assert_eq!(&forward, &expected.counts);
            prop_assert_eq!(&backward, &expected.counts);
            let rows = events.iter().filter(|e| BinSize::Day.start_of(e.ms) == day(expected));
            prop_assert_eq!(rows.count() as u64, expected.counts.rows);
            prop_assert_eq!((expected.end - expected.start).as_hours(), 24);
        }
        prop_assert!(whole.iter().all(|bin| day(bin) % DAY_MS == 0));
    }

    #[test]
    fn sums_do_not_depend_on_order(terms in proptest::collection::vec(-1e6_f32..1e6, 0..100)) {
        let sum = |terms: &mut dyn Iterator<Item = &f32>| {
            let mut sum = ExactSum::default();
            terms.for_each(|term| sum.add(f64::from(*term)));
            sum
        };
        let forward = sum(&mut terms.iter());
        prop_assert_eq!(forward, sum(&mut terms.iter().rev()));
        let (left, right) = terms.split_at(terms.len() / 2);
        let mut merged = sum(&mut right.iter());
        merged.merge(sum(&mut left.iter()));
        prop_assert_eq!(forward, merged);
        let plain: f64 = terms.iter().map(|term| f64::from(*term)).sum();
        prop_assert!((forward.value() - plain).abs() <= 1e-6);
    }
}
