//! A server that is killed while jobs wait: at the end every row is there once.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::{Data, Process, events_body, parquet, publish_body};
use driftline_sink_local::Store;
use serde_json::Value;

const ROUNDS: u64 = 8;
const FILES: u64 = 6;

/// Moments of the kills, from a seed, so that a failure can be had again.
fn moment(round: u64) -> Duration {
    let mixed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    Duration::from_millis(mixed % 120)
}

#[test]
fn every_row_that_was_accepted_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected: Vec<Data> = Vec::new();
    let mut jobs: Vec<Value> = Vec::new();
    let mut model = Value::Null;
    for round in 0..ROUNDS {
        let mut server = Process::start(folder.path());
        let api = server.api.clone();
        if round == 0 {
            let project = api.project("images");
            // Without event ids, so that doing work twice would show.
            model = api.model(&project, "m", false);
        }
        for file in 0..FILES {
            let data = Data::new(700, 1 + round * FILES + file);
            if file % 2 == 0 {
                let upload = api.upload("rows.parquet", parquet(&data.typed(true)));
                let mut accepted =
                    api.ok("POST", "/v3/events", &publish_body(&model, None, &upload));
                jobs.push(accepted["job"].take());
            } else {
                api.ok("POST", "/v3/events", &events_body(&model, data.events()));
            }
            expected.push(data);
        }
        std::thread::sleep(moment(round));
        server.kill();
    }
    let server = Process::start(folder.path());
    for job in &jobs {
        server.api.succeeds(job);
    }
    // The queue is in order: once this is done, all is done.
    let last = Data::new(1, 10_000);
    server
        .api
        .succeeds(&server.api.publish(&model, None, parquet(&last.typed(true))));
    expected.push(last);

    let mut urls: HashMap<String, u32> = HashMap::new();
    let store = Store::open(folder.path(), "images", "m").unwrap();
    for rows in store.events(..).unwrap() {
        let rows = rows.unwrap();
        for url in rows.image_urls().iter().flatten() {
            *urls.entry(url.to_owned()).or_default() += 1;
        }
    }
    let wanted: usize = expected.iter().map(Data::len).sum();
    assert_eq!(urls.len(), wanted);
    assert!(urls.values().all(|count| *count == 1));
    let uploads = folder
        .path()
        .join(".driftline/uploads")
        .read_dir()
        .unwrap()
        .count();
    // A kill may leave the file that was in hand, which is removed when it is old.
    assert!(
        uploads as u64 <= ROUNDS,
        "{uploads} uploads that nobody needs were left"
    );
}
