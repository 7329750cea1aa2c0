//! What goes wrong between the sink and its server, and that no row is lost or counted twice by it.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use crate::common;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::common::fake::{Fake, Fault, JobEnd};
use crate::common::{Place, TOKEN, config, id, rows, small, spec};
use driftline_core::{Ack, Error, ErrorKind, EventLabel, MonitorSink, Registry, SinkConfig};
use driftline_sink_fiddler::{FiddlerSink, reachability, register};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

fn text_of(error: &Error) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(TOKEN), "{text}");
    text
}

fn assert_says(error: &Error, words: &[&str]) {
    let text = text_of(error);
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

/// Publishes `count` events, after a baseline of 10, and flushes.
fn publish(sink: &mut FiddlerSink, count: usize) -> Result<(), Error> {
    sink.publish_baseline(&rows(&small(), 0..10))?;
    sink.publish_events(&rows(&small(), 0..count))?;
    sink.flush()
}

fn assert_each_once(fake: &Fake, count: usize) {
    let events = fake.events();
    assert_eq!(events.len(), count);
    for i in 0..count {
        assert_eq!(events.get(&id(i)), Some(&1), "event {i}");
    }
}

#[test]
fn rows_arrive_once_and_leave_the_outbox() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    assert_eq!(sink.info().name, "fiddler");
    publish(&mut sink, 30).unwrap();
    assert_each_once(&fake, 30);
    assert_eq!(fake.baseline_rows(), 10);
    assert_eq!(place.status(), (0, 0));
    assert!(place.segments().is_empty());
    // Publishing again counts as duplicates, in this process and in the next.
    for mut sink in [sink, place.sink(&fake.url, json!({})).unwrap()] {
        let ack = sink.publish_events(&rows(&small(), 0..30)).unwrap();
        assert_eq!(
            ack,
            Ack {
                accepted: 0,
                duplicates: 30
            }
        );
        let before = fake.requests().len();
        sink.flush().unwrap();
        assert_eq!(fake.requests().len(), before);
    }
    place.assert_no_token();
}

#[test]
fn small_calls_are_sent_together() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"batch_rows": 100})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    for i in 0..250 {
        sink.publish_events(&rows(&small(), i..=i)).unwrap();
    }
    sink.flush().unwrap();
    assert_each_once(&fake, 250);
    // The baseline and three batches of events.
    assert_eq!(fake.count("POST", "/v3/events"), 4);
}

#[test]
fn labels_follow_their_events() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.publish_events(&rows(&small(), 0..5)).unwrap();
    let label = |i, target: &str| EventLabel {
        event_id: id(i),
        target: target.to_owned(),
    };
    let ack = sink
        .publish_labels(&[label(1, "cat"), label(2, "dog")])
        .unwrap();
    assert_eq!(
        ack,
        Ack {
            accepted: 2,
            duplicates: 0
        }
    );
    sink.flush().unwrap();
    let labels = fake.labels();
    assert_eq!(labels[&id(1)], "cat");
    assert_eq!(labels[&id(2)], "dog");
    assert_eq!(place.status(), (0, 0));
}

#[test]
fn a_wrong_token_is_told_before_anything_is_written() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.on(|_| Some(Fault::status(401)));
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_says(&error, &["does not accept the token", "FIDDLER_TOKEN"]);
    assert!(!place.outbox().exists());
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn a_server_that_repeats_the_token_does_not_get_it_into_our_words() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.on(|request| {
        let said = format!("bad header {:?}", request.headers["authorization"]);
        let body = json!({"error": {"code": 403, "message": said, "errors": []}});
        Some(Fault::Answer(403, vec![], body.to_string()))
    });
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_says(&error, &["<token>", "has not the right"]);
}

#[test]
fn a_token_that_expires_in_the_middle_leaves_rows_waiting() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"batch_rows": 10})).unwrap();
    let mut served = 0;
    fake.on(move |request| {
        served += usize::from(request.is("POST", "/v3/events"));
        (served > 2).then(|| Fault::status(401))
    });
    let error = publish(&mut sink, 50).unwrap_err();
    assert_says(
        &error,
        &[
            "does not accept the token",
            "driftline sink flush",
            "wait in the outbox",
        ],
    );
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    // The publish calls go on all the same.
    sink.publish_events(&rows(&small(), 50..60)).unwrap();
    let (waiting, dead) = place.status();
    assert!(waiting >= 40 && dead == 0, "{waiting}");
    assert_eq!(place.segments().len() as u64, waiting / 10);
    drop(sink);
    fake.heal();
    place.sink(&fake.url, json!({})).unwrap().flush().unwrap();
    assert_each_once(&fake, 60);
    place.assert_no_token();
}

#[test]
fn no_server_is_told_with_the_address() {
    let place = Place::new();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}");
    let error = place
        .sink(&url, json!({"retry_seconds": 0.5}))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert_says(&error, &["cannot be reached", &url, "check `url`"]);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_both_versions() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.set_version("24.3.2");
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_says(&error, &["24.3.2", "24.4.0 or later"]);
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn a_server_without_v3_needs_an_organization() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.speak_v2_only();
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_says(&error, &["set the option `organization`"]);
    let options = json!({"organization": "demo_org"});
    let server = reachability(&config(&place.store(), &fake.url, options).options).unwrap();
    assert_eq!((server.api, server.version.as_str()), ("v2", "25.2.0"));
}

#[test]
fn who_answers_is_told() {
    let (fake, place) = (Fake::start(), Place::new());
    let server = reachability(&config(&place.store(), &fake.url, json!({})).options).unwrap();
    assert_eq!(server.api, "v3");
    assert_eq!(server.version, "25.2.0");
    assert_eq!(server.organization, "demo_org");
    assert!(server.url.starts_with(&fake.url));
}

#[test]
fn an_unknown_authority_is_refused_unless_it_is_given() {
    let place = Place::new();
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let fake = Fake::start_tls(Arc::new(tls));

    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_says(&error, &["certificate is not trusted", "ca_file"]);
    assert_eq!(fake.requests().len(), 0);

    let ca_file = place.store().parent().unwrap().join("ca.pem");
    fs::write(&ca_file, authority.pem()).unwrap();
    let options = json!({"ca_file": ca_file.display().to_string()});
    let mut sink = place.sink(&fake.url, options).unwrap();
    publish(&mut sink, 5).unwrap();
    assert_each_once(&fake, 5);

    fs::write(&ca_file, "no certificate").unwrap();
    let options = json!({"ca_file": ca_file.display().to_string()});
    let error = place.sink(&fake.url, options).err().unwrap();
    assert_says(&error, &["does not hold certificates", "ca.pem"]);
}

#[test]
fn a_page_of_a_proxy_is_recognized() {
    let page = "<!DOCTYPE html><html><title>Sign in</title></html>".to_owned();
    let html = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    let redirect = vec![("location", "https://login.example.com/".to_owned())];
    for (fault, words) in [
        (
            Fault::Answer(200, html.clone(), page.clone()),
            ["an HTML page came back", "HTTPS_PROXY"],
        ),
        (
            Fault::Answer(403, html.clone(), page.clone()),
            ["has not the right", "an HTML page, perhaps of a proxy"],
        ),
        (
            Fault::Answer(302, redirect, String::new()),
            ["sends us elsewhere", "https://login.example.com/"],
        ),
        (
            Fault::Answer(200, vec![], "nonsense".to_owned()),
            ["what is not JSON came back", "check `url`"],
        ),
        (
            Fault::Answer(200, vec![], "[]".to_owned()),
            ["without Fiddler's envelope", "check `url`"],
        ),
        (
            Fault::Answer(200, vec![], "{\"data\": {}}".to_owned()),
            ["has no `server_version`", "is a Fiddler server"],
        ),
    ] {
        let (fake, place) = (Fake::start(), Place::new());
        fake.on(move |_| Some(fault.clone()));
        let error = place.sink(&fake.url, json!({})).err().unwrap();
        assert_says(&error, &words);
        // Asking again would not help.
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn what_passes_is_repeated_until_it_has_passed() {
    let garbage = Fault::Answer(200, vec![], "{\"data\": {\"id\"".to_owned());
    let html = vec![("content-type", "text/html".to_owned())];
    let gateway = Fault::Answer(502, html, "<html>Bad gateway</html>".to_owned());
    let faults = [
        Fault::Drop,
        Fault::LoseAnswer,
        Fault::HalfAnswer,
        Fault::status(500),
        Fault::status(503),
        Fault::status(429),
        gateway,
        garbage,
    ];
    // Mostly waits, so all at once.
    std::thread::scope(|scope| {
        for fault in &faults {
            for (method, path) in [
                ("POST", "/v3/files/upload"),
                ("POST", "/v3/model-factory"),
                ("POST", "/v3/models"),
                ("GET", "/v3/jobs"),
            ] {
                scope.spawn(move || assert_repeated(method, path, fault));
            }
        }
    });
}

fn assert_repeated(method: &'static str, path: &'static str, fault: &Fault) {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    fake.fail(2, method, path, fault.clone());
    publish(&mut sink, 20).unwrap_or_else(|e| panic!("{fault:?} {path}: {e}"));
    assert_each_once(&fake, 20);
    assert_eq!(place.status(), (0, 0));
    let requests = fake.requests();
    let repeated = requests
        .iter()
        .filter(|request| request.headers.contains_key("x-fiddler-client-retry"));
    assert!(repeated.count() >= 2);
}

#[test]
fn a_lost_answer_to_an_ingest_is_the_only_cause_of_a_repetition() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    fake.fail(1, "POST", "/v3/events", Fault::LoseAnswer);
    sink.publish_events(&rows(&small(), 0..20)).unwrap();
    sink.flush().unwrap();
    // The server tells them by their ids, and by the hint that it may have seen them.
    let events = fake.events();
    assert_eq!(events.len(), 20);
    assert!(events.values().all(|times| *times == 2));
    assert_eq!(fake.count("POST", "/v3/files/upload"), 3);
}

#[test]
fn retry_after_is_waited_for_and_a_long_one_is_told() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    let asked = |seconds: &str| {
        let headers = vec![("retry-after", seconds.to_owned())];
        Fault::Answer(429, headers, "{}".to_owned())
    };
    fake.fail(5, "POST", "/v3/files/upload", asked("0"));
    publish(&mut sink, 20).unwrap();
    assert_each_once(&fake, 20);

    let before = fake.count("POST", "/v3/files/upload");
    fake.fail(1, "POST", "/v3/files/upload", asked("3600"));
    sink.publish_events(&rows(&small(), 20..30)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(
        &error,
        &["too many requests", "retry_after: 3600s", "10 rows"],
    );
    assert!(error.is_retryable());
    assert_eq!(fake.count("POST", "/v3/files/upload"), before + 1);
    sink.flush().unwrap();
    assert_each_once(&fake, 30);
}

#[test]
fn a_storm_that_does_not_end_is_given_up_with_the_rows_kept() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"retry_seconds": 1})).unwrap();
    fake.on(|_| Some(Fault::status(429)));
    let error = publish(&mut sink, 20).unwrap_err();
    assert_says(
        &error,
        &[
            "30 rows",
            "too many requests",
            "attempts",
            "driftline sink flush",
        ],
    );
    assert_eq!(place.status(), (30, 0));
    fake.heal();
    sink.flush().unwrap();
    assert_each_once(&fake, 20);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let (fake, place) = (Fake::start(), Place::new());
    let options = json!({"answer_seconds": 0.3, "retry_seconds": 0.5});
    let mut sink = place.sink(&fake.url, options).unwrap();
    fake.on(|_| Some(Fault::Hang(Duration::from_secs(30))));
    let error = publish(&mut sink, 20).unwrap_err();
    assert_says(&error, &["did not answer in time", "answer_seconds"]);
    assert_eq!(place.status(), (30, 0));
}

#[test]
fn a_job_that_fails_puts_its_rows_among_the_dead_letters() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"batch_rows": 10})).unwrap();
    // The baseline is job 0; the second batch of events is job 2.
    fake.jobs_end(|job| match job {
        2 => JobEnd::Failure("row 3: column `cat` is odd".to_owned()),
        _ => JobEnd::Success,
    });
    let error = publish(&mut sink, 30).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_says(
        &error,
        &[
            "10 rows",
            "BadRows: row 3: column `cat` is odd",
            "dead-letter",
        ],
    );
    assert_eq!(place.status(), (0, 10));
    assert_eq!(fake.events().len(), 20);

    let files = common::files(&place.outbox().join("dead-letter"));
    let with = |extension: &str| {
        let found = files
            .iter()
            .find(|f| f.extension().is_some_and(|e| e == extension));
        found.unwrap().clone()
    };
    let note = fs::read_to_string(with("json")).unwrap();
    let note: serde_json::Value = serde_json::from_str(&note).unwrap();
    assert_eq!(note["rows"], 10);
    assert_eq!(note["kind"], "events");
    assert!(note["reason"].as_str().unwrap().contains("is odd"));
    let reader = driftline_rows::RowsReader::open(&with("parquet")).unwrap();
    let ids: Vec<String> = reader
        .flat_map(|rows| {
            let rows = rows.unwrap();
            let ids = rows.event_ids().iter().map(|id| id.unwrap().to_owned());
            ids.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids, (10..20).map(id).collect::<Vec<_>>());

    // The failure is told once; the same rows may be published again.
    sink.flush().unwrap();
    fake.jobs_end(|_| JobEnd::Success);
    let ack = sink.publish_events(&rows(&small(), 0..30)).unwrap();
    assert_eq!(
        ack,
        Ack {
            accepted: 10,
            duplicates: 20
        }
    );
    sink.flush().unwrap();
    assert_each_once(&fake, 30);
    place.assert_no_token();
}

#[test]
fn rows_that_are_refused_outright_are_dead_letters_too() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    fake.fail(1, "POST", "/v3/events", Fault::status(422));
    sink.publish_events(&rows(&small(), 0..10)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["10 rows", "injected 422"]);
    assert_eq!(place.status(), (0, 10));
}

#[test]
fn a_job_that_never_ends_is_left_with_its_rows_kept() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"job_seconds": 0.5})).unwrap();
    fake.jobs_end(|_| JobEnd::Never);
    let error = publish(&mut sink, 20).unwrap_err();
    assert_says(&error, &["has not ended after 0.5 seconds", "30 rows"]);
    assert!(error.is_retryable());
    assert_eq!(place.status(), (30, 0));
    // The job goes on; the rows are not sent again.
    fake.jobs_end(|_| JobEnd::Success);
    sink.flush().unwrap();
    assert_each_once(&fake, 20);
    assert_eq!(fake.baseline_rows(), 10);
}

#[test]
fn a_job_that_the_server_has_forgotten_is_begun_again_once() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({"job_seconds": 0.5})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    fake.jobs_end(|_| JobEnd::Never);
    sink.publish_events(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap_err();
    fake.forget_files();
    fake.jobs_end(|job| {
        if job == 1 {
            JobEnd::Unknown
        } else {
            JobEnd::Success
        }
    });
    sink.flush().unwrap();
    assert_eq!(fake.events().len(), 10);
    assert_eq!(place.status(), (0, 0));
}

#[test]
fn a_body_that_is_too_large_is_sent_in_halves() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    sink.publish_baseline(&rows(&small(), 0..10)).unwrap();
    sink.flush().unwrap();
    // A proxy answers with a page, and takes no file of more than about a dozen rows.
    fake.on(|request| {
        let (name, bytes) = request.form_file()?;
        let batches = common::fake::read_parquet(&bytes);
        let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        let html = vec![("content-type", "text/html".to_owned())];
        (count > 12 && name.starts_with("events"))
            .then(|| Fault::Answer(413, html, "<html>too large</html>".to_owned()))
    });
    sink.publish_events(&rows(&small(), 0..40)).unwrap();
    for i in 40..60 {
        sink.publish_events(&rows(&small(), i..=i)).unwrap();
    }
    sink.flush().unwrap();
    assert_each_once(&fake, 60);
    assert_eq!(place.status(), (0, 0));

    // A row cannot be halved.
    fake.on(|request| request.is("POST", "/v3/files").then(|| Fault::status(413)));
    sink.publish_events(&rows(&small(), 60..62)).unwrap();
    let error = sink.flush().unwrap_err();
    assert_says(&error, &["no body that large", "batch_rows", "2 rows"]);
    assert_eq!(place.status(), (0, 2));
}

#[test]
fn a_model_with_another_schema_is_named_column_by_column_and_left_alone() {
    let (fake, place) = (Fake::start(), Place::new());
    publish(&mut place.sink(&fake.url, json!({})).unwrap(), 5).unwrap();
    fake.change_model(|model| {
        model["schema"]["columns"][0]["n_dimensions"] = 64.into();
    });
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_says(
        &error,
        &[
            "column `embeddings`: there 64 values, here 4",
            "nothing was changed",
        ],
    );
    fake.change_model(|model| {
        model["schema"]["columns"][0]["n_dimensions"] = 4.into();
    });
    for (pointer, value, words) in [
        ("/spec/outputs", json!(["dog", "cat"]), "column `dog`"),
        ("/spec/outputs", json!(["cat"]), "no column `dog`"),
        (
            "/spec/outputs",
            json!(["cat", "dog", "fox"]),
            "column `fox`",
        ),
        (
            "/spec/targets",
            json!(["label"]),
            "column `target`: there targets `label`",
        ),
        ("/spec/metadata", json!([]), "no column `image_url`"),
        ("/spec/custom_features", json!([]), "no custom feature"),
        (
            "/event_id_col",
            json!(null),
            "column `event_id`: there no column for event ids",
        ),
        (
            "/event_ts_col",
            json!("when"),
            "column `timestamp`: there times in `when`",
        ),
    ] {
        let mut kept = json!(null);
        fake.change_model(|model| {
            kept = std::mem::replace(model.pointer_mut(pointer).unwrap(), value);
        });
        let changes = || {
            let all = fake.requests();
            all.iter().filter(|request| request.method != "GET").count()
        };
        let before = changes();
        let error = place.sink(&fake.url, json!({})).err().unwrap();
        assert_says(&error, &[words, "`resnet18`", "another schema"]);
        assert_eq!(changes(), before);
        fake.change_model(|model| *model.pointer_mut(pointer).unwrap() = kept);
    }
    place.sink(&fake.url, json!({})).unwrap();
}

#[test]
fn a_v2_model_with_another_schema_is_named_too() {
    let (fake, place) = (Fake::start(), Place::new());
    fake.speak_v2_only();
    let options = json!({"organization": "demo_org"});
    publish(&mut place.sink(&fake.url, options.clone()).unwrap(), 5).unwrap();
    assert_each_once(&fake, 5);
    place.sink(&fake.url, options.clone()).unwrap();
    let other = spec(6, &["cat", "dog"]);
    let error = place
        .sink_for(&other, &fake.url, options.clone())
        .err()
        .unwrap();
    assert_says(&error, &["column `embeddings`: there 4 values, here 6"]);
    let other = spec(4, &["cat", "fox"]);
    let error = place.sink_for(&other, &fake.url, options).err().unwrap();
    assert_says(&error, &["column `dog`"]);
}

#[test]
fn a_lost_model_is_not_published_to_half() {
    let (fake, place) = (Fake::start(), Place::new());
    publish(&mut place.sink(&fake.url, json!({})).unwrap(), 5).unwrap();
    fake.forget_model();
    let error = place.sink(&fake.url, json!({})).err().unwrap();
    assert_says(
        &error,
        &["has lost the model `resnet18`", "remove the outbox"],
    );
    fs::remove_dir_all(place.outbox()).unwrap();
    publish(&mut place.sink(&fake.url, json!({})).unwrap(), 5).unwrap();
}

#[test]
fn another_server_does_not_get_the_rows_of_this_one() {
    let place = Place::new();
    let options = json!({"api": "v2", "organization": "demo_org"});
    let first = Fake::start();
    publish(&mut place.sink(&first.url, options.clone()).unwrap(), 5).unwrap();
    let second = Fake::start();
    let error = place.sink(&second.url, options).err().unwrap();
    assert_says(&error, &[&first.url, &second.url, "another folder"]);
}

#[test]
fn rows_of_another_model_and_unknown_options_are_refused() {
    let (fake, place) = (Fake::start(), Place::new());
    let mut sink = place.sink(&fake.url, json!({})).unwrap();
    let other = rows(&spec(6, &["cat", "dog"]), 0..1);
    let error = sink.publish_events(&other).unwrap_err();
    assert_says(&error, &["embeddings of 6 values", "the model has 4"]);

    let mut registry = Registry::new("sink");
    register(&mut registry).unwrap();
    let wrong = config(&place.store(), &fake.url, json!({"batch_row": 5}));
    let error = registry.build("fiddler", &wrong).err().unwrap();
    assert_says(&error, &["`batch_row`", "did you mean `batch_rows`?"]);
}

#[test]
fn names_that_are_not_folder_names_are_refused() {
    let (fake, place) = (Fake::start(), Place::new());
    for name in ["..", "a/b", "", "a\0b"] {
        let mut monitor = small();
        monitor.model = name.to_owned();
        let error = place
            .sink_for(&monitor, &fake.url, json!({}))
            .err()
            .unwrap();
        assert_says(&error, &["model name"]);
    }
    assert!(fake.requests().is_empty());
}

/// Rows that wait in a store.
fn queued(store: &Path) -> u64 {
    let all = driftline_sink_fiddler::outboxes(store).unwrap();
    all.iter().map(|outbox| outbox.queued).sum()
}

#[test]
fn a_full_disk_stops_with_everything_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: full disk, because this user may not mount a tmpfs");
        return;
    }
    let fake = Fake::start();
    let store = folder.path().join("store");
    fs::create_dir(&store).unwrap();
    let monitor = spec(128, &["cat", "dog"]);
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let config = SinkConfig {
            monitor: monitor.clone(),
            ..config(&store, &fake.url, json!({}))
        };
        let mut sink = FiddlerSink::open(&config).unwrap();
        sink.publish_baseline(&rows(&monitor, 0..10)).unwrap();
        sink.flush().unwrap();
        let mut accepted = 0;
        let error = loop {
            match sink.publish_events(&rows(&monitor, accepted..accepted + 100)) {
                Ok(ack) => accepted += ack.accepted as usize,
                Err(error) => break error,
            }
            assert!(accepted < 100_000, "the disk is not full");
        };
        assert_eq!(error.kind(), ErrorKind::Resource);
        assert_says(&error, &["free some space"]);
        assert!(accepted > 0);
        // What was accepted is there; what was refused was not half accepted. Only the rows of a commit that failed may
        // lie there too, until it is certain that it has not lasted.
        let segments = common::files(&store.join(".driftline/outbox"));
        let segments = segments
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == "parquet"));
        let kept: usize = segments
            .map(|f| driftline_rows::Footer::read(f).unwrap().rows as usize)
            .sum();
        assert!(
            [accepted, accepted + 100].contains(&kept),
            "{kept}, {accepted}"
        );
        assert_eq!(queued(&store), accepted as u64);
        // The disk gets room, and the same command goes on.
        let remount = ["-o", "remount,size=64m"];
        let remounted = Command::new("mount")
            .args(remount)
            .arg(folder.path())
            .status();
        assert!(remounted.unwrap().success());
        let ack = sink
            .publish_events(&rows(&monitor, 0..accepted + 100))
            .unwrap();
        assert_eq!(
            ack,
            Ack {
                accepted: 100,
                duplicates: accepted as u64
            }
        );
        sink.flush().unwrap();
        assert_each_once(&fake, accepted + 100);
        let segments = common::files(&store.join(".driftline/outbox"));
        assert!(
            segments
                .iter()
                .all(|f| f.extension().is_none_or(|e| e != "parquet"))
        );
    }));
    let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status();
    assert!(unmounted.unwrap().success());
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
}
