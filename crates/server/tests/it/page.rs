//! The web page's routes: what needs the token, what is answered, and which pictures leave.

use crate::common;
use crate::common::{Data, Running, parquet, refused};
use driftline_server::ServeConfig;
use serde_json::Value;
use tempfile::tempdir;

/// Status, header and body without a token.
fn open_get(running: &Running, path: &str) -> (u16, String, String) {
    let response = reqwest::blocking::get(format!("{}{path}", running.api.url)).unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    let policy = header("content-security-policy").unwrap_or_default();
    (response.status().as_u16(), policy, response.text().unwrap())
}

#[test]
fn the_page_holds_no_data_and_the_data_needs_the_token() {
    let store = tempdir().unwrap();
    let running = Running::start(store.path());
    for path in ["/", "/assets/page.css", "/assets/page.js"] {
        let (status, policy, body) = open_get(&running, path);
        assert_eq!(status, 200, "{path}");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}: {policy}"
        );
        assert!(!body.contains("https://"), "{path}");
    }
    for path in [
        "/ui/models",
        "/ui/model?project=p&model=m",
        "/ui/bin?project=p&model=m&start=0",
        "/ui/image?url=sample/test/00000-rings.png",
    ] {
        let (status, _, body) = open_get(&running, path);
        assert_eq!(status, 401, "{path}: {body}");
        assert!(!body.contains("NotFound"), "{path}: {body}");
    }
    assert_eq!(
        running.api.get("/ui/models"),
        (200, Value::Array(Vec::new()))
    );
}

#[test]
fn what_a_client_published_is_shown() {
    let store = tempdir().unwrap();
    let images = tempdir().unwrap();
    let (baseline, events) = (Data::new(300, 1), Data::new(200, 2));
    // One event has a picture.
    let picture = images.path().join(&events.urls[0]);
    std::fs::create_dir_all(picture.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(6, 4, image::Rgb([1, 2, 3]))
        .save(&picture)
        .unwrap();
    std::fs::write(images.path().join("notes.png"), "no picture").unwrap();
    let running = Running::with(ServeConfig {
        images: vec![images.path().to_owned()],
        ..ServeConfig::new(store.path().to_owned())
    });
    let api = &running.api;
    let project = api.project("demo");
    let model = api.model(&project, "resnet", true);
    api.succeeds(&api.publish(&model, Some("reference"), parquet(&baseline.typed(false))));
    api.succeeds(&api.publish(&model, None, parquet(&events.typed(true))));

    let names = api.get("/ui/models").1;
    assert_eq!(
        names,
        serde_json::json!([{"project": "demo", "model": "resnet"}])
    );
    let (status, view) = api.get("/ui/model?project=demo&model=resnet&size=hour");
    assert_eq!(status, 200, "{view}");
    assert_eq!(view["baseline"], "reference");
    assert_eq!(
        view["sizes"],
        serde_json::json!(["hour", "day", "week", "month"])
    );
    assert_eq!(view["baseline_rows"], 300);
    assert_eq!(view["bins"].as_array().unwrap().len(), 1);
    let bin = &view["bins"][0];
    assert_eq!(bin["rows"], 200);
    assert_eq!(bin["windows"], serde_json::json!(["production"]));
    assert!(bin["jsd"].as_f64().unwrap() < 0.5);
    assert_eq!(view["alerts"], serde_json::json!([]));

    let path = format!(
        "/ui/bin?project=demo&model=resnet&size=hour&start={}",
        bin["start"]
    );
    let (status, detail) = api.get(&path);
    assert_eq!(status, 200, "{detail}");
    let pairs = detail["images"].as_array().unwrap();
    assert_eq!(pairs.len(), 8);
    for pair in pairs {
        let url = pair["url"].as_str().unwrap();
        assert!(events.urls.iter().any(|known| known == url), "{url}");
        assert_eq!(pair["pictured"], url == events.urls[0]);
        let near = pair["nearest"]["url"].as_str().unwrap();
        assert!(baseline.urls.iter().any(|known| known == near), "{near}");
    }
    assert_eq!(detail["map"].as_array().unwrap().len(), 200);

    let picture = |url: &str| {
        let path = format!("/ui/image?url={}", common::encoded(url));
        let response = api.request("GET", &path).send().unwrap();
        (response.status().as_u16(), response.bytes().unwrap())
    };
    let (status, png) = picture(&events.urls[0]);
    assert_eq!(status, 200);
    assert_eq!(
        image::load_from_memory(&png)
            .unwrap()
            .to_rgb8()
            .dimensions(),
        (6, 4)
    );
    for url in [
        &events.urls[1],
        "../resnet/monitor.json",
        "notes.png",
        "/etc/hostname",
        "",
    ] {
        assert_eq!(picture(url).0, 404, "{url}");
    }
}

#[test]
fn what_is_not_there_is_refused_in_the_usual_form() {
    let store = tempdir().unwrap();
    let running = Running::start(store.path());
    let api = &running.api;
    let project = api.project("demo");
    api.model(&project, "resnet", true);
    refused(&api.get("/ui/model?project=demo&model=other"), 404);
    refused(
        &api.get("/ui/model?project=demo&model=resnet&baseline=other"),
        404,
    );
    refused(
        &api.get("/ui/model?project=demo&model=resnet&size=fortnight"),
        400,
    );
    refused(&api.get("/ui/model?project=demo"), 400);
    refused(&api.get("/ui/bin?project=demo&model=resnet"), 400);
    refused(
        &api.get("/ui/bin?project=demo&model=resnet&start=9223372036854775807"),
        400,
    );
    refused(&api.get("/ui/image?url=nothing"), 404);
    refused(&api.get("/ui/image"), 400);
    // A model without rows has a page, which says so.
    let (status, view) = api.get("/ui/model?project=demo&model=resnet");
    assert_eq!(status, 200, "{view}");
    assert_eq!(view["verdict"]["text"], "There are no events yet");
}
