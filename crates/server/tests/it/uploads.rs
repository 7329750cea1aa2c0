//! Uploads and jobs over HTTP: completed twice, named by several jobs, too many, too old; work that cannot be read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Api, Data, Running, answer, events_body, parquet, publish_body, refused};
use driftline_server::{Retention, ServeConfig};
use reqwest::blocking::multipart;
use rusqlite::Connection;
use serde_json::{Value, json};

fn folder_of(store: &Path) -> PathBuf {
    store.join(".driftline/uploads")
}

fn count(store: &Path) -> usize {
    folder_of(store).read_dir().unwrap().count()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send_part(api: &Api, id: &str, number: usize, bytes: Vec<u8>) -> (u16, Value) {
    let part = multipart::Part::bytes(bytes).file_name("part");
    let form = multipart::Form::new()
        .part("file", part)
        .text("file_id", id.to_owned())
        .text("part_number", number.to_string());
    answer(
        api.request("POST", "/v3/files/multipart-upload")
            .multipart(form),
    )
}

fn init(api: &Api) -> String {
    let file = api.ok(
        "POST",
        "/v3/files/multipart-init",
        &json!({"filename": "rows.csv"}),
    );
    file["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_that_is_completed_by_several_requests_at_once_is_whole_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let (parts, length) = (5, 3 << 20);
    for round in 0..3 {
        let id = init(api);
        for number in 1..=parts {
            assert_eq!(send_part(api, &id, number, vec![b'a'; length]).0, 200);
        }
        let listed: Vec<Value> = (1..=parts)
            .map(|number| json!({"number": number, "id": number}))
            .collect();
        let body = json!({"file_id": id, "parts": listed});
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let (status, value) = api.send("POST", "/v3/files/multipart-complete", &body);
                    assert_eq!(status, 200, "round {round}: {value}");
                    assert_eq!(value["data"]["status"], "SUCCESSFUL");
                    let file = folder_of(folder.path()).join(&id);
                    let found = file.metadata().unwrap().len();
                    assert_eq!(found, (parts * length) as u64, "round {round}");
                });
            }
        });
        assert_eq!(count(folder.path()), round + 1, "parts are left");
    }
}

#[test]
fn a_file_that_is_completed_again_after_it_was_used_up_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    let id = init(api);
    assert_eq!(send_part(api, &id, 1, Data::new(20, 1).csv()).0, 200);
    let body = json!({"file_id": id, "parts": [{"number": 1, "id": 1}]});
    let file = api.ok("POST", "/v3/files/multipart-complete", &body);
    let job = api.ok("POST", "/v3/events", &publish_body(&model, None, &file));
    api.succeeds(&job["job"]);
    until("the upload is removed", || count(folder.path()) == 0);
    let again = api.ok("POST", "/v3/files/multipart-complete", &body);
    assert_eq!(again, file);
}

#[test]
fn an_upload_lives_until_the_last_job_that_names_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let models = ["a", "b", "c"].map(|name| api.model(&project, name, true));
    let file = api.upload("rows.parquet", parquet(&Data::new(300, 2).typed(true)));
    // The worker is busy while all three are accepted.
    let first = api.publish(&models[0], None, parquet(&Data::new(30_000, 1).typed(true)));
    let jobs = models
        .iter()
        .map(|model| api.ok("POST", "/v3/events", &publish_body(model, None, &file)))
        .collect::<Vec<_>>();
    api.succeeds(&first);
    for job in &jobs {
        api.succeeds(&job["job"]);
    }
    until("the upload is removed", || count(folder.path()) == 0);
    let model = api.model(&project, "d", true);
    let late = api.send("POST", "/v3/events", &publish_body(&model, None, &file));
    assert!(refused(&late, 400).contains("upload it again"), "{late:?}");
}

#[test]
fn work_that_cannot_be_read_is_passed_over_and_its_bytes_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join(".driftline/server.db");
    let (model, job) = {
        let server = Running::start(folder.path());
        let model = server.api.model(&server.api.project("images"), "m", true);
        let job = server
            .api
            .publish(&model, None, parquet(&Data::new(10, 1).typed(true)));
        server.api.succeeds(&job);
        (model, job)
    };
    let lost = "00000000-0000-4000-8000-000000000001";
    {
        let database = Connection::open(&database).unwrap();
        let insert = "INSERT INTO queue (job, work) VALUES (?1, ?2)";
        let id = job["id"].as_str().unwrap();
        database.execute(insert, [id, r#"{"work":"fly"}"#]).unwrap();
        database
            .execute(insert, rusqlite::params![lost, [0xff_u8, 0xfe, 0x00]])
            .unwrap();
        database.execute(insert, ["no id", "{}"]).unwrap();
        // Work whose job has no document is done all the same.
        let work = json!({"work": "inspect", "files": []}).to_string();
        let orphan = "00000000-0000-4000-8000-000000000002";
        database.execute(insert, [orphan, &work]).unwrap();
    }
    let server = Running::start(folder.path());
    let api = &server.api;
    api.succeeds(&api.publish(&model, None, parquet(&Data::new(10, 2).typed(true))));
    let message = api.fails(&job);
    assert!(message.contains("unknown variant `fly`"), "{message}");
    assert!(message.contains("set aside"), "{message}");
    api.fails(&json!({"id": lost}));
    api.succeeds(&json!({"id": "00000000-0000-4000-8000-000000000002"}));
    let database = Connection::open(&database).unwrap();
    let mut statement = database
        .prepare("SELECT body FROM aside WHERE source = 'queue' ORDER BY seq")
        .unwrap();
    let kept: Vec<Vec<u8>> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected: [&[u8]; 3] = [br#"{"work":"fly"}"#, &[0xff, 0xfe, 0x00], b"{}"];
    assert_eq!(kept, expected);
}

fn with_retention(store: &Path, retention: Retention) -> Running {
    let mut config = ServeConfig::new(store.to_owned());
    config.limits.retention = retention;
    Running::with(config)
}

#[test]
fn a_running_server_removes_what_nobody_needs() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_retention(
        folder.path(),
        Retention {
            every: Duration::from_millis(100),
            jobs: 3,
            jobs_at_least: Duration::ZERO,
            ..Retention::default()
        },
    );
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    let new = api.upload("new.parquet", parquet(&Data::new(10, 1).typed(true)));
    let old = api.upload("old.parquet", parquet(&Data::new(10, 2).typed(true)));
    let parts = init(api);
    assert_eq!(send_part(api, &parts, 1, b"a,b\n".to_vec()).0, 200);
    assert_eq!(count(folder.path()), 3);
    let week = Duration::from_secs(8 * 24 * 3600);
    for name in [old["id"].as_str().unwrap(), &format!("{parts}.1")] {
        let file = folder_of(folder.path()).join(name);
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() - week).unwrap();
    }
    until("old uploads are removed", || count(folder.path()) == 1);
    let late = api.send("POST", "/v3/events", &publish_body(&model, None, &old));
    assert!(refused(&late, 400).contains("upload it again"), "{late:?}");

    let jobs: Vec<Value> = (0..6)
        .map(|seed| api.publish(&model, None, parquet(&Data::new(5, 10 + seed).typed(true))))
        .collect();
    api.succeeds(&jobs[5]);
    let path = |job: &Value| format!("/v3/jobs/{}", job["id"].as_str().unwrap());
    until("the oldest job is forgotten", || {
        api.get(&path(&jobs[2])).0 == 404
    });
    assert_eq!(api.get(&path(&jobs[0])).0, 404);
    for job in &jobs[3..] {
        assert_eq!(api.get(&path(job)).0, 200);
    }
    let job = api.ok("POST", "/v3/events", &publish_body(&model, None, &new));
    api.succeeds(&job["job"]);
}

#[test]
fn uploads_together_have_a_bound_and_jobs_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = parquet(&Data::new(2_000, 1).typed(true));
    let server = with_retention(
        folder.path(),
        Retention {
            upload_bytes: 2 * bytes.len() as u64 - 1,
            ..Retention::default()
        },
    );
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    let file = api.upload("rows.parquet", bytes.clone());
    let upload = |bytes: Vec<u8>| {
        let part = multipart::Part::bytes(bytes).file_name("more.parquet");
        let form = multipart::Form::new().part("file", part);
        answer(api.request("POST", "/v3/files/upload").multipart(form))
    };
    let message = refused(&upload(bytes.clone()), 507);
    assert!(message.contains("wait for the jobs"), "{message}");
    assert_eq!(count(folder.path()), 1);
    let id = init(api);
    refused(&send_part(api, &id, 1, bytes.clone()), 507);
    let job = api.ok("POST", "/v3/events", &publish_body(&model, None, &file));
    api.succeeds(&job["job"]);
    until("there is room", || count(folder.path()) == 0);
    let (status, value) = upload(bytes);
    assert_eq!(status, 200, "{value}");
}

#[test]
fn times_that_no_event_can_have_are_refused_with_their_row() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let model = api.model(&api.project("images"), "m", true);
    let never: i64 = 253_402_128_000_000; // 9999-12-30
    for (time, name) in [(never, "9999-12-30T00:00:00Z"), (-1_000_000, "1969-12-20")] {
        let mut data = Data::new(20, 1);
        data.times[13] = time;
        let message = api.fails(&api.publish(&model, None, parquet(&data.typed(true))));
        assert!(
            message.contains("row 13, column `timestamp`") && message.contains(name),
            "{message}"
        );
        let refusal = api.send("POST", "/v3/events", &events_body(&model, data.events()));
        let message = refused(&refusal, 400);
        assert!(
            message.contains("from 1970 to 10 years from now"),
            "{message}"
        );
    }
    let mut data = Data::new(3, 1);
    data.times[0] = 0;
    let soon = SystemTime::now() + Duration::from_secs(9 * 365 * 24 * 3600);
    let soon = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    data.times[1] = soon.as_millis() as i64;
    api.succeeds(&api.publish(&model, None, parquet(&data.typed(true))));
}

#[test]
fn a_project_has_no_name_that_the_store_uses() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    for name in ["report.html", "Report.HTML"] {
        for path in ["/v3/projects", "/v2/projects"] {
            let refusal = server.api.send("POST", path, &json!({"name": name}));
            let message = refused(&refusal, 400);
            assert!(
                message.contains("the store has a file of that name"),
                "{message}"
            );
        }
    }
    server.api.project("report");
}
