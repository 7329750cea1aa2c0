//! Processes that are killed, and several at once. The children are this test program itself.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use crate::common::fake::{Fake, Fault};
use crate::common::{Place, TOKEN, config, id, rows, small};
use driftline_core::MonitorSink;
use driftline_sink_fiddler::FiddlerSink;
use serde_json::json;

const STORE: &str = "DRIFTLINE_TEST_CHILD_STORE";
const URL: &str = "DRIFTLINE_TEST_CHILD_URL";
const ROWS: usize = 600;
const CALL: usize = 20;
const BATCH: usize = 60;
const ROUNDS: u32 = 6;

#[test]
#[ignore = "the other tests of this file run it as a child process"]
fn child() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let url = std::env::var(URL).unwrap();
    let options = json!({"batch_rows": BATCH, "allow_http": true});
    let config = config(Path::new(&store), &url, options);
    let mut sink = FiddlerSink::open(&config).unwrap();
    sink.publish_baseline(&rows(&small(), 0..100)).unwrap();
    for start in (0..ROWS).step_by(CALL) {
        sink.publish_events(&rows(&small(), start..start + CALL))
            .unwrap();
    }
    sink.flush().unwrap();
}

fn command(store: &Path, url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "processes::child"])
        .env(STORE, store)
        .env(URL, url);
    command
}

fn start(store: &Path, url: &str) -> Child {
    let mut command = command(store, url);
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn assert_complete(fake: &Fake, place: &Place) {
    let events = fake.events();
    assert_eq!(events.len(), ROWS);
    assert!((0..ROWS).all(|i| events.contains_key(&id(i))));
    assert_eq!(fake.baseline().len(), 100);
    assert_eq!(place.status(), (0, 0));
    assert!(place.segments().is_empty());
    place.assert_no_token();
}

#[test]
fn after_kill_9_at_any_moment_the_same_command_completes_the_delivery() {
    let (fake, place) = (Fake::start(), Place::new());
    let begun = Instant::now();
    assert!(start(&place.store(), &fake.url).wait().unwrap().success());
    let span = begun.elapsed();
    assert_complete(&fake, &place);
    assert!(fake.events().values().all(|times| *times == 1));

    let mut killed = 0;
    for round in 0..ROUNDS {
        let (fake, place) = (Fake::start(), Place::new());
        let mut kills = 0;
        // The second kill meets a delivery that is partly done.
        for part in [f64::from(round + 1) / f64::from(ROUNDS + 1), 0.3] {
            let mut child = start(&place.store(), &fake.url);
            sleep(span.mul_f64(part));
            child.kill().unwrap();
            kills += usize::from(!child.wait().unwrap().success());
        }
        assert!(start(&place.store(), &fake.url).wait().unwrap().success());
        assert_complete(&fake, &place);
        // A kill costs at most the repetition of the batch whose answer was under way.
        let sent: usize = fake.events().values().sum();
        assert!(sent <= ROWS + kills * BATCH, "{sent}");
        killed += kills;
    }
    assert!(
        killed >= ROUNDS as usize,
        "only {killed} were killed in time"
    );
}

#[test]
fn a_proxy_from_the_environment_is_used_and_pages_of_it_are_told() {
    let (proxy, place) = (Fake::start(), Place::new());
    let run = || {
        let url = "http://fiddler.example.invalid";
        let mut command = command(&place.store(), url);
        command
            .env("HTTP_PROXY", &proxy.url)
            .env("http_proxy", &proxy.url);
        command.stdout(Stdio::piped()).output().unwrap()
    };
    assert!(run().status.success());
    assert_complete(&proxy, &place);
    let hosts = proxy.requests();
    assert!(
        hosts
            .iter()
            .all(|request| request.host == "fiddler.example.invalid")
    );

    let html = vec![("content-type", "text/html".to_owned())];
    let page = Fault::Answer(407, html, "<html>Sign in</html>".to_owned());
    proxy.on(move |_| Some(page.clone()));
    let output = run();
    assert!(!output.status.success());
    let text = format!("{output:?}");
    assert!(text.contains("the proxy asks who you are"), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[test]
fn two_processes_share_an_outbox() {
    let (fake, place) = (Fake::start(), Place::new());
    let start = || {
        let mut command = command(&place.store(), &fake.url);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    for child in [start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_complete(&fake, &place);
    assert!(fake.events().values().all(|times| *times == 1));
    assert!(fake.baseline().values().all(|times| *times == 1));
}
