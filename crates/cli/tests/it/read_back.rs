//! What a run says is what the server answers of the rows that the run stored.

use crate::common::server::{Served, TOKEN};
use crate::common::{NOW, Workspace};
use serde_json::{Value, json};

fn answer(request: reqwest::blocking::RequestBuilder) -> Value {
    let response = request.bearer_auth(TOKEN).send().unwrap();
    let status = response.status();
    let mut answer: Value = response.json().unwrap();
    assert!(status.is_success(), "{status}: {answer}");
    answer["data"].take()
}

#[test]
fn drift_read_back_from_the_server_is_that_of_the_run() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let workspace = Workspace::new();
    let summary = workspace.json(&["quickstart", "--now", NOW, "--store", "store"]);
    let bins: Vec<&Value> = summary["windows"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|window| window["bins"].as_array().unwrap())
        .collect();
    assert!(bins.len() > 10, "{} bins", bins.len());

    let served = Served::start(&workspace, "store");
    let client = reqwest::blocking::Client::new();
    let models = answer(client.get(format!("{}/v3/models?limit=50&offset=0", served.url())));
    let model = &models["items"][0];
    let feature = &model["spec"]["custom_features"][0]["name"];
    let query = |metric: &str, columns: Value| {
        let body = json!({
            "query_type": "MONITORING",
            "filters": {"bin_size": "Day"},
            "queries": [{
                "query_key": "q", "model_id": model["id"], "metric": metric, "columns": columns,
            }],
        });
        let request = client.post(format!("{}/v3/queries", served.url()));
        let mut answer = answer(request.json(&body));
        match answer["results"]["q"]["data"].take() {
            Value::Array(rows) => rows,
            other => panic!("{other}"),
        }
    };
    for (metric, of_run, columns) in [
        ("jsd", "jsd", json!([feature])),
        ("psi", "psi", json!([feature])),
        ("traffic", "rows", json!([])),
    ] {
        let rows = query(metric, columns);
        assert_eq!(rows.len(), bins.len());
        for (row, bin) in rows.iter().zip(&bins) {
            let day = |text: &Value| text.as_str().unwrap()[..10].to_owned();
            assert_eq!(day(&row[0]), day(&bin["start"]));
            assert_eq!(row[1].as_f64(), bin[of_run].as_f64(), "{metric} of {row}");
        }
    }
}
