//! What nobody should send: each is refused in Fiddler's form, changes nothing, and costs little memory.

use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{
    Data, Process, Running, TOKEN, answer, batch, encoded, events_body, may_open, model_body,
    parquet, publish_body, refused,
};
use arrow_array::{ArrayRef, LargeStringArray, RecordBatch};
use driftline_server::{Limits, ServeConfig};
use driftline_sink_local::Store;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use reqwest::blocking::multipart;
use serde_json::{Value, json};

fn rows(store: &Path, model: &str) -> usize {
    let store = Store::open(store, "images", model).unwrap();
    let events = store.events(..).unwrap().chain(store.baseline().unwrap());
    events.map(|rows| rows.unwrap().len()).sum()
}

/// Sends bytes as they are, and returns all that comes back.
fn raw(url: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _reset_after_the_answer = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn without_the_token_nothing_is_answered_but_health() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    for (method, path) in [
        ("GET", "/v3/server-info"),
        ("GET", "/v3/projects"),
        ("POST", "/v3/projects"),
        ("POST", "/v3/files/upload"),
        ("GET", "/v2/projects"),
        ("GET", "/get_supported_features/o"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("POST", "/v3/queries"),
        ("DELETE", "/v3/events"),
    ] {
        let request = server.api.request(method, path);
        let wrong = request.try_clone().unwrap().headers(
            [(
                "authorization".parse().unwrap(),
                "Bearer wrong".parse().unwrap(),
            )]
            .into_iter()
            .collect(),
        );
        refused(&answer(wrong), 401);
        let none = raw(
            &server.api.url,
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        );
        assert!(none.starts_with("HTTP/1.1 401"), "{method} {path}: {none}");
    }
    let health = raw(
        &server.api.url,
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    let metrics = server
        .api
        .request("GET", "/metrics")
        .send()
        .unwrap()
        .text()
        .unwrap();
    assert!(
        metrics.contains("driftline_http_requests_total{"),
        "{metrics}"
    );
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{\"name\": 1}",
        "{\"name\": \"\"}",
        "\u{0}",
        "{\"name\": \"\\u0000\"}",
    ] {
        refused(&answer(api.request("POST", "/v3/projects").body(body)), 400);
    }
    refused(
        &answer(api.request("POST", "/v3/projects").body(vec![0xff, 0xfe])),
        400,
    );
    refused(
        &answer(
            api.request("POST", "/v3/projects")
                .body("[".repeat(100_000)),
        ),
        400,
    );
    refused(&api.send("PUT", "/v3/projects", &json!({})), 405);
    refused(&api.get("/v3/nowhere"), 404);
    for id in [
        "x",
        "00000000-0000-4000-8000-000000000000",
        "%ff",
        "..%2f..%2fetc%2fpasswd",
        "%00",
    ] {
        for what in ["projects", "models", "jobs", "environments", "baselines"] {
            let found = api.get(&format!("/v3/{what}/{id}"));
            assert!(found.0 == 404 || found.0 == 400, "{what}/{id}: {found:?}");
            refused(&found, found.0);
        }
    }
    let project = api.project("images");
    for (name, value) in [
        ("schema", json!(1)),
        ("schema", json!({"columns": [1]})),
        ("spec", json!([])),
        ("task", json!(null)),
        ("name", json!("")),
        ("project_id", json!("x")),
        ("version", json!(2)),
        ("version", json!("../x")),
    ] {
        let mut body = model_body(&project, "m", true);
        body[name] = value;
        refused(&api.send("POST", "/v3/models", &body), 400);
    }
    let mut body = model_body(&project, "m", true);
    body["spec"]["metadata"] = json!(["image_url", "age"]);
    body["schema"]["columns"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "age", "data_type": "int"}));
    let message = refused(&api.send("POST", "/v3/models", &body), 400);
    assert!(message.contains("`age`"), "{message}");
    let mut body = model_body(&project, "m", true);
    body["schema"]["columns"][0]["n_dimensions"] = json!(4_000_000_000_u64);
    refused(&api.send("POST", "/v3/models", &body), 400);
    assert_eq!(api.ok_get("/v3/models")["total"], 0);
}

#[test]
fn names_that_point_elsewhere() {
    let outside = tempfile::tempdir().unwrap();
    let store = outside.path().join("store");
    let server = Running::start(&store);
    let api = &server.api;
    let project = api.project("images");
    let long = "x".repeat(10_000);
    for name in [
        "../escape",
        "..",
        ".",
        "a/b",
        "a\\b",
        "/tmp/x",
        "a\0b",
        ".driftline",
        "a\nb",
        &long,
    ] {
        refused(
            &api.send("POST", "/v3/projects", &json!({"name": name})),
            400,
        );
        refused(
            &api.send("POST", "/v3/models", &model_body(&project, name, true)),
            400,
        );
        let mut version = model_body(&project, "m", true);
        version["version"] = json!(name);
        let (status, _) = api.send("POST", "/v3/models", &version);
        assert!(
            status == 400 || [".", "..", ".driftline"].contains(&name),
            "version {name:?}: {status}"
        );
    }
    // What the percent signs mean was settled before; as a name they are letters.
    let odd = api.project("%2e%2e");
    api.model(&odd, "%2e", true);
    let part = reqwest::blocking::multipart::Part::bytes(b"a,b\n1,2\n".to_vec())
        .file_name("../../escape.csv");
    let form = reqwest::blocking::multipart::Form::new().part("file", part);
    let (status, _) = answer(api.request("POST", "/v3/files/upload").multipart(form));
    assert_eq!(status, 200);
    let beside: Vec<_> = outside
        .path()
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(beside, ["store"]);
    let mut folders: Vec<String> = store
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort_unstable();
    assert_eq!(folders, ["%2e%2e", ".driftline", "images"]);
}

#[test]
fn forms_that_end_early_or_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let url = &server.api.url;
    let head = |length: usize| {
        format!(
            "POST /v3/files/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for body in [
        "",
        "--b",
        "--b--",
        "--b\r\n\r\n",
        "nothing of a form",
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nbytes",
        "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"file_id\"\r\n\r\nx\r\n--b--",
    ] {
        let answer = raw(url, format!("{}{body}", head(body.len())).as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("\"ERROR\""),
            "{body:?}: {answer}"
        );
    }
    // The connection ends in the middle of the body.
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "{}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nbytes",
        head(100_000)
    )
    .unwrap();
    drop(stream);
    refused(
        &answer(server.api.request("POST", "/v3/files/upload").body("x")),
        400,
    );
    let uploads = folder.path().join(".driftline/uploads");
    for _ in 0..100 {
        if uploads.read_dir().unwrap().count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("an upload that ended early was left");
}

#[test]
fn rows_that_a_model_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let mut events = Data::new(3, 1).events();
    for (column, value, why) in [
        ("embeddings", json!([1.0, 2.0]), "2 numbers, not 8"),
        ("embeddings", json!(null), "null"),
        (
            "embeddings",
            json!([null, 1, 1, 1, 1, 1, 1, 1]),
            "number 0 of its vector is null",
        ),
        ("embeddings", json!([1e300, 1, 1, 1, 1, 1, 1, 1]), "inf"),
        ("embeddings", json!({}), "not"),
        ("plane", json!(null), "null or not a number"),
        ("plane", json!("NaN"), "NaN"),
        ("plane", json!("x"), "not a number"),
        ("timestamp", json!("yesterday"), "no date and time"),
        ("timestamp", json!(9e18), "no date and time"),
        ("event_id", json!(null), "no id"),
    ] {
        let good = events[1][column].clone();
        events[1][column] = value.clone();
        let message = refused(
            &api.send("POST", "/v3/events", &events_body(&model, events.clone())),
            400,
        );
        assert!(
            message.contains(&format!("column `{column}`")) && message.contains(why),
            "{value}: {message}"
        );
        if why != "not" {
            assert!(message.contains("row 1"), "{value}: {message}");
        }
        events[1][column] = good;
    }
    for list in [
        json!(1),
        json!([]),
        json!([1]),
        Value::Array(vec![json!({}); 1001]),
    ] {
        refused(
            &api.send("POST", "/v3/events", &events_body(&model, list)),
            400,
        );
    }
    // Of a file the columns are looked at before it is accepted, and the rows by the job.
    let data = Data::new(50, 2);
    let mut missing = data.typed(true);
    missing.remove_column(0);
    let file = api.upload("rows.parquet", parquet(&missing));
    let message = refused(
        &api.send("POST", "/v3/events", &publish_body(&model, None, &file)),
        400,
    );
    assert!(message.contains("`embeddings`"), "{message}");
    let mut text = String::from_utf8(data.csv()).unwrap();
    text = text
        .replacen("\"[", "\"[nan, ", 30)
        .replacen("\"[nan, ", "\"[", 29);
    let reason = api.fails(&api.publish(&model, None, text.into_bytes()));
    assert!(reason.contains("row 29, column `embeddings`"), "{reason}");
    let cut = parquet(&data.typed(true));
    for length in [0, 3, 11, cut.len() / 2, cut.len() - 1] {
        let file = api.upload("rows.parquet", cut[..length].to_vec());
        refused(
            &api.send("POST", "/v3/events", &publish_body(&model, None, &file)),
            400,
        );
        refused(
            &api.send("POST", "/v3/model-factory", &json!({"file_id": file["id"]})),
            400,
        );
    }
    // Bytes that are wrong in the middle: the job says so, or they are in what is not read.
    for place in (4..cut.len() - 8).step_by(cut.len() / 40) {
        let mut bytes = cut.clone();
        bytes[place] ^= 0x5a;
        let file = api.upload("rows.parquet", bytes);
        let (status, mut value) = api.send(
            "POST",
            "/v3/events",
            &publish_body(&model, Some("fuzz"), &file),
        );
        match status {
            202 => drop(api.finished(&value["data"]["job"].take())),
            _ => drop(refused(&(status, value), 400)),
        }
    }
    assert!(
        Store::open(folder.path(), "images", "m")
            .unwrap()
            .events(..)
            .unwrap()
            .next()
            .is_none()
    );
    api.succeeds(&api.publish(&model, None, parquet(&data.typed(true))));
}

/// Text of 8 MiB in five columns of each row: a few KiB in the file.
fn bomb(rows: usize) -> Vec<u8> {
    let text = "1".repeat(8 << 20);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_dictionary_page_size_limit(64 << 20)
        .build();
    let values = |rows: usize| vec![text.as_str(); rows];
    let one = |rows: usize| {
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for name in ["embeddings", "plane", "car", "bird", "target"] {
            columns.push((name, Arc::new(LargeStringArray::from(values(rows)))));
        }
        batch(columns)
    };
    let mut bytes = Vec::new();
    let small: RecordBatch = one(4);
    let mut writer = ArrowWriter::try_new(&mut bytes, small.schema(), Some(properties)).unwrap();
    for _ in 0..rows / 4 {
        writer.write(&small).unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn a_file_that_grows_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    api.succeeds(&api.publish(&model, None, parquet(&Data::new(50, 1).typed(true))));
    let before = server.peak_mib();
    let bytes = bomb(200);
    println!("{} bytes for {} MiB a column", bytes.len(), 200 * 8);
    let file = api.upload("bomb.parquet", bytes);
    refused(
        &api.send("POST", "/v3/model-factory", &json!({"file_id": file["id"]})),
        400,
    );
    let (status, mut value) = api.send("POST", "/v3/events", &publish_body(&model, None, &file));
    match status {
        202 => drop(api.fails(&value["data"]["job"].take())),
        _ => drop(refused(&(status, value), 400)),
    }
    if let (Some(before), Some(after)) = (before, server.peak_mib()) {
        println!("peak memory: {before} MiB before, {after} MiB after");
        assert!(after < before + 512, "{before} MiB grew to {after} MiB");
    }
    assert_eq!(rows(folder.path(), "m"), 50);
}

#[test]
fn a_csv_file_of_one_field() {
    const LENGTH: u64 = 300 << 20;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let good = Data::new(50, 1).csv();
    api.succeeds(&api.publish(&model, None, good.clone()));
    let before = server.peak_mib();
    let long =
        Cursor::new([good.as_slice(), b"\""].concat()).chain(std::io::repeat(b'1').take(LENGTH));
    let length = good.len() as u64 + 1 + LENGTH;
    let part = multipart::Part::reader_with_length(long, length).file_name("rows.csv");
    let form = multipart::Form::new().part("file", part);
    let (status, mut value) = answer(api.request("POST", "/v3/files/upload").multipart(form));
    assert_eq!(status, 200, "{value}");
    let file = value["data"].take();
    let message = refused(
        &api.send("POST", "/v3/model-factory", &json!({"file_id": file["id"]})),
        400,
    );
    assert!(message.contains("row 50 of the CSV file"), "{message}");
    let (status, mut value) = api.send("POST", "/v3/events", &publish_body(&model, None, &file));
    assert_eq!(status, 202, "{value}");
    let reason = api.fails(&value["data"]["job"].take());
    assert!(reason.contains("row 50 of the CSV file"), "{reason}");
    if let (Some(before), Some(after)) = (before, server.peak_mib()) {
        println!("peak memory: {before} MiB before, {after} MiB after");
        assert!(after < before + 64, "{before} MiB grew to {after} MiB");
    }
    assert_eq!(rows(folder.path(), "m"), 50);
}

#[test]
fn clients_that_are_slow_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.head = Duration::from_millis(400);
    limits.pause = Duration::from_millis(400);
    limits.json = Duration::from_millis(1_500);
    let server = Running::with(ServeConfig {
        limits,
        ..ServeConfig::new(folder.path().to_owned())
    });
    // A head that never ends: the connection is closed.
    let answer = raw(&server.api.url, b"GET /v3/projects HTTP/1.1\r\nhost: x\r\n");
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    // A body that stops.
    let head = format!(
        "POST /v3/projects HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answer = raw(&server.api.url, head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    // A body that drips.
    let mut stream = TcpStream::connect(server.api.url.trim_start_matches("http://")).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..20 {
        let _closed = stream.write_all(b" ");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = String::new();
    let _reset = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    server.api.project("still-there");
}

#[test]
fn a_thousand_connections_and_more() {
    if !may_open(2_048) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    server.api.project("images");
    let address = server.api.url.trim_start_matches("http://").to_owned();
    let before = server.peak_mib();
    let head = format!("GET /v3/projects HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n");
    // With the token, so that none has to make room.
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 12];
        match stream.read_exact(&mut answer) {
            Ok(()) if answer == *b"HTTP/1.1 200" => idle.push(stream),
            // The connection over which the project was made has a seat too.
            refused => println!("{refused:?}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    assert!(idle.len() >= 999, "{}", idle.len());
    let request = format!("{head}connection: close\r\n\r\n");
    let mut refusals = 0;
    for _ in 0..50 {
        let answer = raw(&server.api.url, request.as_bytes());
        if answer.starts_with("HTTP/1.1 503") {
            assert!(
                answer.contains("\"code\":503") && answer.contains("retry-after"),
                "{answer}"
            );
            refusals += 1;
        }
    }
    assert!(refusals > 40, "{refusals} of 50 were refused");
    drop(idle);
    // Places are free again.
    let mut status = String::new();
    for _ in 0..100 {
        status = raw(&server.api.url, request.as_bytes());
        if status.starts_with("HTTP/1.1 200") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    if let (Some(before), Some(after)) = (before, server.peak_mib()) {
        println!("peak memory: {before} MiB before, {after} MiB with 1,000 connections");
        assert!(after < before + 128, "{before} MiB grew to {after} MiB");
    }
}

#[test]
fn filters_of_any_kind_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let deep = format!("{}1{}", r#"{"rules":["#.repeat(200), "]}".repeat(200));
    for filter in [
        "{",
        "1",
        &deep,
        r#"{"field":"name","operator":"equal"}"#,
        r#"{"field":1,"operator":"x"}"#,
    ] {
        let found = server
            .api
            .get(&format!("/v3/models?filter={}", encoded(filter)));
        assert!(found.0 == 200 || found.0 == 400, "{filter}: {found:?}");
    }
}
