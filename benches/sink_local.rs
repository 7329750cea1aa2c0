//! Rows/s into the local store, from the first call to the end of `flush`, beside the `parquet` crate alone: one file of
//! the same rows with the same compression, synced to the disk. And one event with a new id into a store that is empty or
//! full of ids in no order: the time must not grow with the store. `DRIFTLINE_BENCH_ROWS` is the number of rows of the full
//! one (default 100,000).

use std::fs::File;
use std::sync::LazyLock;

use common::opening::plugins;
use common::threads::{all, with_each};
use common::{header, rows};
use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use driftline::core::SinkConfig;
use driftline::registries;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

fn sink_local(criterion: &mut Criterion) {
    let sinks = registries::sinks(&plugins()).expect("the registry");
    for count in [10_000, 100_000] {
        let calls = LazyLock::new(|| rows::calls("events", count).collect::<Vec<_>>());
        let id = format!("sink_local/rows {count}");
        header::print_own(&format!("{id}/local"), "fp32");
        let mut group = criterion.benchmark_group(&id);
        group.sample_size(10);
        group.throughput(Throughput::Elements(count));
        group.bench_function("local", |bencher| {
            let calls = &*calls;
            bencher.iter_batched_ref(
                || {
                    let folder = tempfile::tempdir().expect("a folder");
                    let config = SinkConfig::new(folder.path().join("store"), rows::monitor());
                    let sink = sinks.build("local", &config).expect("the sink");
                    (sink, folder)
                },
                |(sink, _)| {
                    for batch in calls {
                        sink.publish_events(batch).expect("events");
                    }
                    sink.flush().expect("all rows there");
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function("parquet", |bencher| {
            let calls = &*calls;
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                // Values that hardly repeat would only be slower with one.
                .set_dictionary_enabled(false)
                .build();
            bencher.iter_batched_ref(
                || tempfile::tempdir().expect("a folder"),
                |folder| {
                    let file = File::create(folder.path().join("rows.parquet")).expect("a file");
                    let properties = Some(properties.clone());
                    let mut writer = ArrowWriter::try_new(file, calls[0].schema(), properties)
                        .expect("a writer");
                    for batch in calls {
                        writer.write(batch).expect("rows");
                    }
                    let file = writer.into_inner().expect("a footer");
                    file.sync_all().expect("rows on the disk");
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn publish(criterion: &mut Criterion) {
    let sinks = registries::sinks(&plugins()).expect("the registry");
    let full: u64 = std::env::var("DRIFTLINE_BENCH_ROWS")
        .map_or(100_000, |rows| rows.parse().expect("a number of rows"));
    let mut group = criterion.benchmark_group("sink_local/publish one event");
    for rows in [0, full] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = SinkConfig::new(folder.path().join("store"), rows::narrow_monitor());
        let mut sink = sinks.build("local", &config).expect("the sink");
        for batch in rows::scrambled(rows) {
            sink.publish_events(&batch).expect("events");
        }
        let mut next = rows;
        group.bench_function(format!("into {rows} rows"), |bencher| {
            bencher.iter_batched_ref(
                || {
                    next += 1;
                    rows::scrambled_batch(next..next + 1)
                },
                |batch| sink.publish_events(batch).expect("an event"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, sink_local, publish);

fn main() {
    with_each(&[all()], benches);
}
