//! Rows/s into the local store, from the first call to the end of `flush`, beside the `parquet` crate alone: one file of
//! the same rows with the same compression, synced to the disk.

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
                    let config = SinkConfig::new(folder.path().join("store"));
                    let mut sink = sinks.build("local", &config).expect("the sink");
                    sink.prepare(&rows::monitor()).expect("a prepared sink");
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

criterion_group!(benches, sink_local);

fn main() {
    with_each(&[all()], benches);
}
