//! The page of stores that were filled here: what it carries, how large it is, and what it does not let through.

use std::path::Path;

use driftline_core::{
    MonitorSink, MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig, sink::ImageEmbedding,
};
use driftline_report::{Pictures, store_page};
use driftline_sink_local::LocalSink;
use serde_json::Value;
use tempfile::tempdir;

const DIM: usize = 16;
const DAY_MS: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// A number in 0..1 that looks random.
fn noise(seed: u64) -> f32 {
    let mixed = (seed ^ 0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as f32 / (1 << 24) as f32
}

struct Writer {
    sink: LocalSink,
    schema: RowSchema,
}

impl Writer {
    fn new(store: &Path, model: &str) -> Self {
        let schema = RowSchema::new(DIM, vec!["cat".to_owned(), "dog".to_owned()]).unwrap();
        let spec = MonitorSpec {
            project: "demo".to_owned(),
            dataset: "reference".to_owned(),
            model: model.to_owned(),
            model_sha256: "00".repeat(32),
            schema: schema.clone(),
            custom_feature: ImageEmbedding {
                name: "image_feature".to_owned(),
                source_column: "image_url".to_owned(),
                column: "embeddings".to_owned(),
                n_clusters: 5,
            },
        };
        let sink = LocalSink::open(&SinkConfig::new(store.to_owned(), spec)).unwrap();
        Self { sink, schema }
    }

    /// `count` rows around one of five places; `shift` moves rows from the first to the last of them.
    fn publish(&mut self, window: &str, ms: i64, count: usize, shift: f32) {
        let mut rows = RowsBuilder::new(self.schema.clone());
        for i in 0..count {
            let seed = (ms as u64).wrapping_mul(31) + i as u64;
            let place = if noise(seed) < shift { 4 } else { i % 5 };
            let embedding: Vec<f32> = (0..DIM)
                .map(|d| noise(seed * 97 + d as u64) + if d == place { 8.0 } else { 0.0 })
                .collect();
            let cat = if place == 4 { 0.3 } else { 0.9 };
            rows.push(&Row {
                event_id: &format!("{window}-{ms}-{i}"),
                timestamp_ms: ms,
                embedding: &embedding,
                scores: &[cat, 1.0 - cat],
                target: Some("cat"),
                image_url: &format!("images/{window}/{i:05}.png"),
                image_number: i as i64,
                window,
                properties: &[],
            })
            .unwrap();
        }
        let rows = rows.finish().unwrap();
        if window == "reference" {
            self.sink.publish_baseline(&rows).unwrap();
        } else {
            self.sink.publish_events(&rows).unwrap();
        }
    }
}

/// What the page carries.
fn carried(page: &str) -> Value {
    let start = r#"<script type="application/json" id="data">"#;
    let data = page.split_once(start).unwrap().1;
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_year_of_days_is_less_than_a_megabyte() {
    let store = tempdir().unwrap();
    let mut writer = Writer::new(store.path(), "model");
    writer.publish("reference", START_MS, 500, 0.0);
    for day in 0..365 {
        let shift = if day < 300 { 0.0 } else { 0.5 };
        let quarter = format!("quarter-{}", day / 92 + 1);
        writer.publish(&quarter, START_MS + day * DAY_MS, 60, shift);
    }
    let page = store_page(store.path(), &[], &Pictures::default()).unwrap();
    assert!(page.len() <= 1_000_000, "{} bytes", page.len());
    println!("a year of days: {} bytes", page.len());
    let data = carried(&page);
    let model = &data["models"][0];
    assert_eq!(model["bins"].as_array().unwrap().len(), 365);
    assert_eq!(model["details"].as_array().unwrap().len(), 365);
    assert_eq!(model["windows"].as_array().unwrap().len(), 4);
    assert_eq!(model["verdict"]["drifted"], true);
    for bin in model["bins"].as_array().unwrap() {
        assert_eq!(bin["rows"], 60);
    }
    let detail = &model["details"][364];
    assert_eq!(detail["images"].as_array().unwrap().len(), 4);
    assert!(detail["map"].as_array().unwrap().len() >= 50);
    // Three fewer than those of the first quarter, so that the sentence names all.
    assert!(
        model["verdict"]["text"]
            .as_str()
            .unwrap()
            .starts_with("quarter-4: drift, JSD 0.")
    );
}

#[test]
fn the_last_hours_of_the_calendar_are_a_day_like_others() {
    let store = tempdir().unwrap();
    let mut writer = Writer::new(store.path(), "model");
    // 9999-12-30T22:00:00Z, and the day of it ends after the calendar does.
    let last = 253_402_207_200_000;
    writer.publish("reference", START_MS, 100, 0.0);
    writer.publish("late", last - 40 * DAY_MS, 50, 0.9);
    writer.publish("last", last, 50, 0.9);
    let page = store_page(store.path(), &[], &Pictures::default()).unwrap();
    let bins = &carried(&page)["models"][0]["bins"];
    let bins = bins.as_array().unwrap();
    assert_eq!(bins.last().unwrap()["rows"], 50, "{bins:?}");
}

#[test]
fn what_clients_name_things_stays_text() {
    let store = tempdir().unwrap();
    let mut writer = Writer::new(store.path(), "model");
    writer.publish("reference", START_MS, 100, 0.0);
    writer.publish(HOSTILE, START_MS, 50, 0.0);
    writer.publish(
        "</script><script>alert(2)</script>",
        START_MS + DAY_MS,
        50,
        0.9,
    );
    let page = store_page(store.path(), &[], &Pictures::default()).unwrap();
    let data = carried(&page);
    assert_eq!(data["models"][0]["windows"][0]["name"], HOSTILE);
    assert!(!page.contains("<img src=x"));
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script>").count(), 2, "data and script");
}

#[test]
fn the_policy_lets_exactly_the_carried_script_and_style_run() {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let store = tempdir().unwrap();
    Writer::new(store.path(), "model").publish("reference", START_MS, 50, 0.0);
    let page = store_page(store.path(), &[], &Pictures::default()).unwrap();
    for (start, end) in [("<script>", "</script>"), ("<style>", "</style>")] {
        let inside = page.split_once(start).unwrap().1.split_once(end).unwrap().0;
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(inside));
        assert!(page.contains(&format!("'sha256-{digest}'")), "{start}");
    }
    assert!(page.contains("default-src 'none'"));
    for forbidden in ["http://", "https://", " onclick=", " onload=", " style=\""] {
        let rest = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn models_are_chosen_and_missing_ones_are_named() {
    let store = tempdir().unwrap();
    let none = store_page(store.path(), &[], &Pictures::default()).unwrap_err();
    assert!(
        none.to_string().contains("there is no model in the store"),
        "{none}"
    );
    for model in ["one", "two"] {
        Writer::new(store.path(), model).publish("reference", START_MS, 50, 0.0);
    }
    let chosen = |model: &str| vec![("demo".to_owned(), model.to_owned())];
    let page = store_page(store.path(), &chosen("two"), &Pictures::default()).unwrap();
    let data = carried(&page);
    assert_eq!(data["models"].as_array().unwrap().len(), 1);
    assert_eq!(data["models"][0]["model"], "two");
    assert_eq!(
        data["models"][0]["verdict"]["text"],
        "There are no events yet"
    );
    let error = store_page(store.path(), &chosen("three"), &Pictures::default()).unwrap_err();
    assert!(error.to_string().contains("demo/one, demo/two"), "{error}");
}
