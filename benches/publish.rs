//! Rows/s from a sink's caller to the server's store, and the peak memory of both in MB, as the rows grow tenfold.
//!
//! Sink and server are processes of their own. The peer is the local sink: what the disk and Parquet alone cost.
//! `DRIFTLINE_BENCH_ROWS` is the largest number of rows (default 1,000,000).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use common::opening::plugins;
use common::{arguments, header, rows};
use driftline::core::SinkConfig;
use driftline::registries;
use driftline::server::{ServeConfig, Server, Shutdown};

const BASELINE_ROWS: u64 = 10_000;
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
        Err(_) if arguments::selects("publish") => measure(),
        Err(_) => {}
    }
}

fn measure() {
    let most: u64 = std::env::var("DRIFTLINE_BENCH_ROWS")
        .map_or(1_000_000, |rows| rows.parse().expect("a number of rows"));
    let sizes: &[u64] = match arguments::only_tests() {
        true => &[10_000],
        false => &[10_000, 100_000, 1_000_000],
    };
    header::print_own("publish", "fp32");
    println!(
        "| rows | rows/s fiddler | rows/s local | ratio | sink's peak memory | server's peak memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for rows in sizes.iter().copied() {
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

/// Publishes a baseline and `events` events, waits until they have arrived, and prints rows/s and peak memory.
fn publish(sink: &str, store: &Path, events: u64) {
    let mut sink = registries::sinks(&plugins())
        .and_then(|sinks| sinks.build(sink, &SinkConfig::new(store.to_owned(), rows::monitor())))
        .expect("the sink");
    let start = Instant::now();
    for batch in rows::calls("baseline", BASELINE_ROWS) {
        sink.publish_baseline(&batch).expect("baseline rows");
    }
    for batch in rows::calls("events", events) {
        sink.publish_events(&batch).expect("events");
    }
    sink.flush().expect("all rows there");
    let seconds = start.elapsed().as_secs_f64();
    let memory = peak_memory(std::process::id());
    println!("{} {memory}", (BASELINE_ROWS + events) as f64 / seconds);
}
