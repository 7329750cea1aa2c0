//! Rows a second from a sink's caller to the server's store, and the memory of both, as the rows grow tenfold.
//!
//! Sink and server are processes of their own. The peer is the local sink: what the disk and Parquet alone cost.
//! `DRIFTLINE_BENCH_ROWS` is the largest number of rows (default 1,000,000).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use driftline::Plugins;
use driftline::core::sink::ImageEmbedding;
use driftline::core::{MonitorSpec, Row, RowSchema, RowsBuilder, SinkConfig};
use driftline::registries;
use driftline::server::{ServeConfig, Server, Shutdown};
use driftline::settings::PluginSettings;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;
const CLASSES: usize = 10;
const BASELINE_ROWS: u64 = 10_000;
/// Rows of one publish call, and of one day.
const CALL_ROWS: u64 = 10_000;
const DAY_MS: u64 = 86_400_000;
const START_MS: u64 = 1_704_067_200_000;
const TOKEN: &str = "token-of-the-benchmark";
/// Tells a process started by this one what to do.
const ROLE: &str = "DRIFTLINE_BENCH_ROLE";

fn main() {
    let argument = |at: usize| std::env::args().nth(at).unwrap_or_default();
    match std::env::var(ROLE).as_deref() {
        Ok("server") => serve(Path::new(&argument(1))),
        Ok(sink) => publish(
            sink,
            Path::new(&argument(1)),
            argument(2).parse().expect("rows"),
        ),
        Err(_) => measure(),
    }
}

fn measure() {
    let most: u64 = std::env::var("DRIFTLINE_BENCH_ROWS")
        .map_or(1_000_000, |rows| rows.parse().expect("a number of rows"));
    println!(
        "| rows | rows/s fiddler | rows/s local | ratio | sink's peak memory | server's peak memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for rows in [10_000, 100_000, 1_000_000] {
        if rows > most {
            return println!("not measured: {rows} rows, above DRIFTLINE_BENCH_ROWS");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let store = |name: &str| folder.path().join(name).display().to_string();
        let mut server = start("server", &[&store("served")], None);
        let url = line(&mut server);
        let fiddler = finish(start(
            "fiddler",
            &[&store("spool"), &rows.to_string()],
            Some(&url),
        ));
        let server_memory = peak_memory(server.id());
        server.kill().expect("the server ends");
        let local = finish(start("local", &[&store("local"), &rows.to_string()], None));
        println!(
            "| {rows} | {:.0} | {:.0} | {:.2} | {} MB | {} MB |",
            fiddler.rows_a_second,
            local.rows_a_second,
            fiddler.rows_a_second / local.rows_a_second,
            fiddler.memory / 1_000_000,
            server_memory / 1_000_000,
        );
    }
}

struct Published {
    rows_a_second: f64,
    memory: u64,
}

fn start(role: &str, arguments: &[&str], url: Option<&str>) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(arguments)
        .env(ROLE, role)
        .env("FIDDLER_URL", url.unwrap_or_default())
        .env("FIDDLER_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.as_mut().expect("its output"));
    output.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

fn finish(mut child: Child) -> Published {
    let text = line(&mut child);
    let mut numbers = text
        .split(' ')
        .map(|number| number.parse::<f64>().expect("a number"));
    let (rows_a_second, memory) = (numbers.next(), numbers.next());
    assert!(child.wait().expect("its end").success());
    Published {
        rows_a_second: rows_a_second.expect("rows a second"),
        memory: memory.expect("memory") as u64,
    }
}

/// The most memory a process has had, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    1024 * kilobytes
        .expect("its memory")
        .parse::<u64>()
        .expect("a number")
}

fn serve(store: &Path) {
    let server = Server::bind(ServeConfig {
        token: Some(TOKEN.to_owned()),
        ..ServeConfig::new(store.to_owned())
    })
    .expect("the server");
    println!("http://{}", server.local_addr());
    server.run(&Shutdown::default()).expect("the server");
}

/// Publishes a baseline and `rows` events, waits until they have arrived, and prints rows/s and peak memory.
fn publish(sink: &str, store: &Path, rows: u64) {
    let schema = RowSchema::new(DIM, (0..CLASSES).map(|i| format!("class-{i}")).collect());
    let schema = schema.expect("a schema");
    let plugins = Plugins::find(&PluginSettings::default()).expect("plugins.lock");
    let mut sink = registries::sinks(&plugins)
        .and_then(|sinks| sinks.build(sink, &SinkConfig::new(store.to_owned())))
        .expect("the sink");
    sink.prepare(&MonitorSpec {
        project: "bench".to_owned(),
        dataset: "baseline".to_owned(),
        model: "bench".to_owned(),
        model_sha256: String::new(),
        schema: schema.clone(),
        custom_feature: ImageEmbedding {
            name: "image_feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    })
    .expect("a prepared sink");
    let start = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(42);
    for (window, count) in [("baseline", BASELINE_ROWS), ("events", rows)] {
        let mut builder = RowsBuilder::new(schema.clone());
        for i in 0..count {
            let embedding: Vec<f32> = (0..DIM).map(|_| rng.random_range(-3.0..3.0)).collect();
            let scores: [f32; CLASSES] = std::array::from_fn(|_| rng.random_range(0.0..0.2));
            builder
                .push(&Row {
                    event_id: &format!("bench-{window}-{i:08}"),
                    timestamp_ms: (START_MS + i / CALL_ROWS * DAY_MS + i % CALL_ROWS) as i64,
                    embedding: &embedding,
                    scores: &scores,
                    target: Some("class-3"),
                    image_url: "images/a.png",
                    image_number: i as i64,
                    window,
                })
                .expect("a row");
            if (i + 1) % CALL_ROWS == 0 || i + 1 == count {
                let batch = builder.finish().expect("a batch");
                if window == "baseline" {
                    sink.publish_baseline(&batch).expect("baseline rows");
                } else {
                    sink.publish_events(&batch).expect("events");
                }
            }
        }
    }
    sink.flush().expect("all rows there");
    let seconds = start.elapsed().as_secs_f64();
    let memory = peak_memory(std::process::id());
    println!("{} {memory}", (BASELINE_ROWS + rows) as f64 / seconds);
}
