//! The profiles that a run leaves: those of the days add up to that of all events.

#![allow(clippy::unwrap_used)]

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{
    Ack, BackendInfo, Device, EmbeddingBackend, ImageBatch, ImageShape, ImageSource, ImageView,
    InferenceMut, MonitorSink, MonitorSpec, Precision, Result, Row, RowSchema, Rows, RowsBuilder,
    SinkInfo, SourceBatch, SourceInfo, SourceRow,
};
use driftline_pipeline::{
    Baseline, Cancel, EmbedOptions, OnError, Progress, Run, Window, profiles,
};
use driftline_stats::{BaselineOptions, Bucket, Profile, Sample};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SHAPE: ImageShape = ImageShape {
    height: 4,
    width: 4,
};
const DIM: usize = 3;
const CLUSTERS: usize = 4;
const SEED: u64 = 9;
const DAY_MS: i64 = 86_400_000;

/// Images of changing colour.
struct Images {
    info: SourceInfo,
    next: u64,
}

fn images(name: &str, rows: u64) -> Box<dyn ImageSource> {
    let info = SourceInfo {
        location: name.to_owned(),
        rows,
        fingerprint: name.to_owned(),
    };
    Box::new(Images { info, next: 0 })
}

impl ImageSource for Images {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>> {
        let end = self.info.rows.min(self.next + rows as u64);
        let numbers = self.next..end;
        self.next = end;
        let pixel = |row: u64, at: usize| (row * 2_654_435_761 + at as u64 * 40_503) / 97 % 256;
        let pixels = numbers
            .clone()
            .flat_map(|row| (0..SHAPE.bytes()).map(move |at| pixel(row, at) as u8));
        let row = |row| SourceRow {
            row,
            label: None,
            url: String::new(),
        };
        let batch = SourceBatch {
            images: ImageBatch::new(SHAPE, pixels.collect())?,
            rows: numbers.map(row).collect(),
            skipped: Vec::new(),
        };
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        self.next += rows;
        Ok(())
    }
}

/// Embeds an image as its first pixels.
struct Pixels(BackendInfo);

fn backend() -> Pixels {
    Pixels(BackendInfo {
        name: "pixels".to_owned(),
        engine: "none".to_owned(),
        device: Device::Cpu,
        precision: Precision::Fp32,
        threads: 1,
        input: SHAPE,
        dim: DIM,
        classes: vec!["dark".to_owned(), "light".to_owned()],
        notes: Vec::new(),
    })
}

impl EmbeddingBackend for Pixels {
    fn info(&self) -> &BackendInfo {
        &self.0
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        let scores = out.scores.as_deref_mut().unwrap_or_default();
        let outputs = out
            .embeddings
            .chunks_exact_mut(DIM)
            .zip(scores.chunks_exact_mut(2));
        for (image, (embedding, scores)) in images.images().zip(outputs) {
            for (value, pixel) in embedding.iter_mut().zip(image) {
                *value = f32::from(*pixel) / 17.0;
            }
            scores[1] = f32::from(image[0]) / 255.0;
            scores[0] = 1.0 - scores[1];
        }
        Ok(())
    }
}

/// Keeps what is published.
struct Kept {
    info: SinkInfo,
    baseline: Vec<RecordBatch>,
    events: Vec<RecordBatch>,
}

impl MonitorSink for Kept {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.baseline.push(rows.clone());
        Ok(Ack::default())
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.events.push(rows.clone());
        Ok(Ack::default())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

fn schema() -> RowSchema {
    let classes = backend().0.classes;
    let schema = RowSchema::new(DIM, classes).unwrap();
    schema.with_properties(driftline_properties::names())
}

fn monitor() -> MonitorSpec {
    MonitorSpec {
        project: "project".to_owned(),
        dataset: "baseline".to_owned(),
        model: "model".to_owned(),
        model_sha256: String::new(),
        schema: schema(),
        custom_feature: ImageEmbedding {
            name: "image_feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: CLUSTERS,
        },
    }
}

/// Does a run of two windows: all images of one, and a sample of the other on each day.
fn run(store: &std::path::Path) -> Kept {
    let window = |name: &str, rows, days, per_day| Window {
        name: name.to_owned(),
        source: images(name, rows),
        transforms: Vec::new(),
        start: None,
        days,
        per_day,
    };
    let run = Run {
        run_id: "r".to_owned(),
        now: "2026-11-24T00:00:00Z".parse().unwrap(),
        store: store.to_owned(),
        monitor: monitor(),
        baseline: Baseline {
            source: images("baseline", 1_000),
        },
        windows: vec![
            window("whole", 18_000, 2, None),
            window("sampled", 1_000, 3, Some(600)),
        ],
        options: EmbedOptions {
            batch_size: 500,
            seed: SEED,
            on_error: OnError::Fail,
        },
    };
    let mut sink = Kept {
        info: SinkInfo {
            name: "kept".to_owned(),
            location: String::new(),
        },
        baseline: Vec::new(),
        events: Vec::new(),
    };
    let cancel = Cancel::default();
    run.execute(&mut backend(), &mut sink, &cancel, &Silent)
        .unwrap();
    sink
}

/// All rows of some batches that are of `window`.
fn sample(batches: &[RecordBatch], window: &str) -> Sample {
    let mut sample = Sample::new(schema());
    for batch in batches {
        let rows = Rows::new(batch.clone()).unwrap();
        if rows.windows().value(0) == window {
            sample.push(&rows).unwrap();
        }
    }
    sample
}

#[test]
fn the_days_of_a_window_add_up_to_all_its_events() {
    let store = tempfile::tempdir().unwrap();
    let kept = run(store.path());
    let path = store.path().join("project/model/profiles/r.parquet");
    assert_eq!(path, profiles::path(store.path(), &monitor(), "r"));
    let buckets = profiles::read(&path).unwrap();
    let options = BaselineOptions {
        clusters: CLUSTERS,
        seed: SEED,
        ..BaselineOptions::default()
    };
    let baseline = sample(&kept.baseline, "baseline");
    let baseline = driftline_stats::Baseline::compile(&baseline, options).unwrap();
    let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    assert_eq!(
        buckets[0],
        Bucket {
            window: "baseline".to_owned(),
            start_ms: now.as_millisecond(),
            end_ms: now.as_millisecond() + 1,
            profile: baseline.profile().clone(),
        }
    );
    for (window, days, weeks, events) in [("whole", 2, 2, 18_000), ("sampled", 3, 1, 1_800)] {
        let days_of: Vec<&Bucket> = buckets.iter().filter(|b| b.window == window).collect();
        assert_eq!(days_of.len(), days);
        for (i, day) in days_of.iter().enumerate() {
            let start = now.as_millisecond() + (i as i64 - 7 * weeks) * DAY_MS;
            assert_eq!((day.start_ms, day.end_ms), (start, start + DAY_MS));
            assert_eq!(day.profile.rows(), events / days as u64);
        }
        let merged = Profile::merged(days_of.iter().map(|day| &day.profile))
            .unwrap()
            .unwrap();
        let all = baseline
            .plan()
            .profile(&sample(&kept.events, window))
            .unwrap();
        assert_eq!((all.rows(), &merged.plan), (events, &all.plan));
        assert_eq!(merged.clusters, all.clusters);
        assert_eq!(merged.classes, all.classes);
        assert_eq!(merged.bins, all.bins);
        for (a, b) in [
            (&merged.embeddings, &all.embeddings),
            (&merged.properties, &all.properties),
        ] {
            assert_eq!(a.rows(), b.rows());
            let difference = a.covariance() - b.covariance();
            assert!(difference.norm_max() < 1e-9, "{}", difference.norm_max());
            let means = a.mean().into_iter().zip(b.mean());
            assert!(means.into_iter().all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }
    // The same run again leaves the same file.
    let bytes = std::fs::read(&path).unwrap();
    run(store.path());
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn a_profile_of_128_values_takes_at_most_100_kilobytes() {
    let names = (0..10).map(|class| format!("class {class}")).collect();
    let schema = RowSchema::new(128, names).unwrap();
    let schema = schema.with_properties(driftline_properties::names());
    let mut builder = RowsBuilder::new(schema.clone());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.random()).collect() };
    for number in 0..500 {
        let (embedding, scores) = (draw(128), draw(10));
        let properties = draw(schema.properties.len());
        let row = Row {
            event_id: "",
            timestamp_ms: 0,
            embedding: &embedding,
            scores: &scores,
            target: None,
            image_url: "",
            image_number: number,
            window: "w",
            properties: &properties,
        };
        builder.push(&row).unwrap();
    }
    let mut sample = Sample::new(schema);
    let rows = Rows::new(builder.finish().unwrap()).unwrap();
    sample.push(&rows).unwrap();
    let options = BaselineOptions::default();
    let baseline = driftline_stats::Baseline::compile(&sample, options).unwrap();
    let bucket = Bucket {
        window: "w".to_owned(),
        start_ms: 0,
        end_ms: DAY_MS,
        profile: baseline.profile().clone(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.parquet");
    profiles::write(&path, &[bucket]).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes <= 100_000, "{bytes} bytes");
}
