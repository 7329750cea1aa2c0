//! The picture and the page of a made-up run.

use std::collections::BTreeMap;

use driftline_pipeline::summary::{
    BackendSummary, BaselineSummary, BinSummary, ModelSummary, RunSummary, SinkSummary, Timing,
    WindowSummary,
};
use driftline_stats::{Check, Distance, Explanation, Verdict};
use jiff::{Timestamp, ToSpan};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

fn statistics(jsd: f64) -> BTreeMap<Distance, f64> {
    BTreeMap::from([(Distance::Jsd, jsd), (Distance::Psi, jsd * jsd)])
}

fn check(jsd: f64) -> Check {
    Check {
        rows: 1000,
        p_value: Some(if jsd > 0.03 { 0.001 } else { 0.5 }),
        verdict: if jsd > 0.03 {
            Verdict::Drift
        } else {
            Verdict::None
        },
        answers: BTreeMap::new(),
    }
}

fn window(name: &str, jsd: f64) -> WindowSummary {
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let bins = (0..6)
        .map(|day| BinSummary {
            start: start + (24 * day).hours(),
            rows: 1000,
            noise_floor: 0.02,
            statistics: statistics(jsd),
            check: check(jsd),
            alert: false,
        })
        .collect();
    WindowSummary {
        name: name.to_owned(),
        transform: "none".to_owned(),
        rows: 6000,
        accuracy: Some(0.5),
        published: 6000,
        statistics: statistics(jsd),
        noise_floor: 0.01,
        drifted: jsd > 0.03,
        check: check(jsd),
        explanation: Explanation {
            words: vec!["brightness -49 %".to_owned()],
            ..Explanation::default()
        },
        bins,
    }
}

fn summary(windows: Vec<WindowSummary>) -> RunSummary {
    RunSummary {
        run_id: "abc".to_owned(),
        driftline: "0.1.0".to_owned(),
        backend: BackendSummary {
            name: "candle".to_owned(),
            engine: "candle".to_owned(),
            device: "cpu".parse().unwrap(),
            precision: "fp32".to_owned(),
            threads: 2,
        },
        model: ModelSummary {
            name: "a <b> model".to_owned(),
            sha256: String::new(),
            dim: 128,
            classes: 10,
        },
        baseline: BaselineSummary {
            rows: 10_000,
            accuracy: None,
        },
        windows,
        sink: SinkSummary {
            name: "local".to_owned(),
            location: "store".to_owned(),
            rows_published: 0,
            rows_duplicate: 0,
        },
        timing: Timing {
            total_seconds: 1.0,
            embed_seconds: 1.0,
            images: 28_000,
            images_per_second: 28_000.0,
        },
        peak_memory_bytes: None,
        skipped_images: 0,
        skipped: Vec::new(),
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).unwrap()?;
    Some(String::from_utf8(attribute.value.into_owned()).unwrap())
}

/// The attribute of all elements of a class, from XML that must be well formed.
fn all(svg: &str, class: &str, name: &str) -> Vec<f64> {
    let mut reader = Reader::from_str(svg);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            Event::Start(element) | Event::Empty(element)
                if attribute(&element, "class").as_deref() == Some(class) =>
            {
                found.push(attribute(&element, name).unwrap().parse().unwrap());
            }
            _ => {}
        }
    }
}

#[test]
fn every_day_is_a_point_and_larger_distances_are_higher() {
    let summary = summary(vec![window("week-1", 0.01), window("week-2", 0.11)]);
    let svg = driftline_report::chart(&summary).into_string();
    let heights = all(&svg, "point", "cy");
    assert_eq!(heights.len(), 12);
    assert!(heights[6] < heights[0], "y grows downwards: {heights:?}");
    // 0.02 of 0.12 is a sixth of the plane between 16 and 254.
    let floor = all(&svg, "floor", "y")[0];
    assert!((floor - (254.0 - 238.0 / 6.0)).abs() < 0.1, "{floor}");
    let across = all(&svg, "point", "cx");
    assert!(across.is_sorted(), "{across:?}");
    assert!(svg.contains("week-2 0.110"), "the picture in words");
}

#[test]
fn text_from_outside_is_escaped() {
    let page = driftline_report::page(&summary(vec![window("<script>", 0.0)]));
    assert!(!page.contains("<script>"), "{page}");
    assert!(page.contains("a &lt;b&gt; model"), "{page}");
    assert!(!page.contains("http-equiv") && !page.contains("src="));
}

#[test]
fn a_window_without_days_is_drawn() {
    let mut empty = window("week-1", 0.0);
    empty.bins.clear();
    let svg = driftline_report::chart(&summary(vec![empty])).into_string();
    assert!(all(&svg, "point", "cy").is_empty());
    assert!(!svg.contains("NaN"));
}
