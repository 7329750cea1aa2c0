//! Exchanges recorded from Fiddler's own clients: what is read and written again is the same JSON.
//!
//! The folder that has them is named by `DRIFTLINE_TEST_DATA`; without it nothing is compared.

use std::fs;
use std::path::Path;

use driftline_fiddler_api::{
    AlertRecord, Call, Empty, Envelope, Job, Page, Refusal, legacy, parse, v2, v3,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What has no types here because neither the sink nor the local server has it.
const ABSENT: [&str; 3] = ["custom_metric", "segment", "webhook"];

fn exchanges(name: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("DRIFTLINE_TEST_DATA") else {
        println!("skipped: {name}, because DRIFTLINE_TEST_DATA is not set");
        return None;
    };
    let path = Path::new(&folder).join("fiddler").join(name);
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines();
    Some(
        lines
            .map(|line| whole(serde_json::from_str(line).unwrap()))
            .collect(),
    )
}

/// Long lists were cut for the recording, with a text in place of what is left out.
fn whole(json: Value) -> Value {
    match json {
        Value::Array(list) => {
            let is_mark =
                |value: &Value| value.as_str().is_some_and(|text| text.ends_with(" in all"));
            let list = list.into_iter().filter(|value| !is_mark(value));
            list.map(whole).collect()
        }
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, whole(value)))
            .collect(),
        other => other,
    }
}

fn assert_same<T: Serialize + DeserializeOwned>(line: &Value, json: &Value) {
    let place = format!("line {}, {}", line["seq"], line["route"]);
    let read: T = parse(json.clone()).unwrap_or_else(|error| panic!("{place}: {error}\n{json}"));
    let written = serde_json::to_value(read).unwrap();
    assert_eq!(written, *json, "{place}");
}

fn request<T: Serialize + DeserializeOwned>(line: &Value) {
    assert_same::<T>(line, &line["body"]["json"]);
}

fn answer<T: Serialize + DeserializeOwned>(line: &Value) {
    assert_same::<Envelope<T>>(line, &line["response"]["body"]);
}

fn call<T: Serialize + DeserializeOwned>(line: &Value) {
    assert_same::<Call<T>>(line, &line["response"]["body"]);
}

/// Request and answer of a line; whether its route is known.
fn compare(line: &Value) -> bool {
    if line["response"]["status"].as_u64() >= Some(400) {
        assert_same::<Refusal>(line, &line["response"]["body"]);
        return true;
    }
    match line["route"].as_str().unwrap_or_default() {
        "v1.supported_features" => call::<legacy::SupportedFeatures>(line),
        "v1.model_info" => call::<legacy::DescribedModel>(line),
        "v1.predictions_exist" => {
            request::<legacy::PredictionsExist>(line);
            call::<bool>(line);
        }
        "v1.init_monitoring" => call::<legacy::MonitoringStarted>(line),
        "v2.server_info" => answer::<v2::ServerInfo>(line),
        "v2.list_projects" => answer::<Page<v2::Project>>(line),
        "v2.add_project" => {
            request::<v2::NewProject>(line);
            answer::<v2::Project>(line);
        }
        "v2.get_project" => answer::<v2::Project>(line),
        "v2.list_datasets" => answer::<Page<v2::Dataset>>(line),
        "v2.get_dataset" => answer::<v2::Dataset>(line),
        "v2.dataset_ingest" => {
            request::<v2::NewDataset>(line);
            answer::<v2::Accepted>(line);
        }
        "v2.upload" | "v2.upload_part" => match line["response"]["body"]["data"].get("info") {
            Some(_) => answer::<v2::SentPart>(line),
            None => answer::<v2::Uploaded>(line),
        },
        "v2.upload_init" => {
            request::<v2::Initialize>(line);
            answer::<v2::Initialized>(line);
        }
        "v2.upload_complete" => {
            request::<v2::Complete>(line);
            answer::<v2::Uploaded>(line);
        }
        "v2.get_job" | "v3.get_job" => answer::<Job>(line),
        "v2.list_models" => answer::<Page<v2::Model>>(line),
        "v2.get_model" => answer::<v2::Model>(line),
        "v2.add_model" => {
            request::<v2::NewModel>(line);
            answer::<v2::Model>(line);
        }
        "v2.events_ingest" => {
            request::<v2::Publish>(line);
            answer::<v2::Accepted>(line);
        }
        "v2.event_ingest" => {
            request::<v2::Event>(line);
            answer::<v2::EventAccepted>(line);
        }
        "v2.list_baselines" => answer::<Page<v2::Baseline>>(line),
        "v2.add_baseline" => {
            request::<v2::NewBaseline>(line);
            // One that is made by a job is answered with the job.
            match line["response"]["status"] == 202 {
                true => answer::<v2::Accepted>(line),
                false => answer::<v2::Baseline>(line),
            }
        }
        "v2.list_alerts" => answer::<Page<v2::AlertConfig>>(line),
        "v2.get_alert" => answer::<v2::AlertConfig>(line),
        "v2.add_alert" => {
            request::<v2::NewAlertConfig>(line);
            answer::<v2::AlertConfig>(line);
        }
        "v2.alert_records" => answer::<Page<AlertRecord>>(line),
        "v3.server_info" => answer::<v3::ServerInfo>(line),
        "v3.list_projects" => answer::<Page<v3::Project>>(line),
        "v3.create_project" => {
            request::<v3::NewProject>(line);
            answer::<v3::Project>(line);
        }
        "v3.get_project" => answer::<v3::Project>(line),
        "v3.file_upload" => answer::<v3::File>(line),
        "v3.multipart_init" => {
            request::<v3::StartFile>(line);
            answer::<v3::File>(line);
        }
        "v3.multipart_upload" => answer::<v3::SentPart>(line),
        "v3.multipart_complete" => {
            request::<v3::FinishFile>(line);
            answer::<v3::File>(line);
        }
        "v3.model_factory" => {
            request::<v3::Infer>(line);
            answer::<v3::Inferred>(line);
        }
        "v3.create_model" => {
            request::<v3::NewModel>(line);
            answer::<v3::Model>(line);
        }
        "v3.list_models" => answer::<Page<v3::Model>>(line),
        "v3.get_model" => answer::<v3::Model>(line),
        "v3.update_model" => {
            request::<v3::ModelChange>(line);
            answer::<v3::Model>(line);
        }
        "v3.publish" | "v3.publish_update" => {
            request::<v3::Publish>(line);
            answer::<v3::Published>(line);
        }
        "v3.delete_events" => {
            request::<v3::DeleteEvents>(line);
            answer::<v3::Started>(line);
        }
        "v3.delete_model" => answer::<v3::Started>(line),
        "v3.list_environments" | "v3.find_environment" => answer::<Page<v3::Environment>>(line),
        "v3.get_environment" => answer::<v3::Environment>(line),
        "v3.list_baselines" | "v3.find_baseline" => answer::<Page<v3::Baseline>>(line),
        "v3.get_baseline" => answer::<v3::Baseline>(line),
        "v3.create_baseline" => {
            request::<v3::NewBaseline>(line);
            answer::<v3::Baseline>(line);
        }
        "v3.list_alert_rules" => answer::<Page<v3::AlertRule>>(line),
        "v3.create_alert_rule" | "v3.get_alert_rule" => answer::<v3::AlertRule>(line),
        "v3.update_alert_rule" => {
            request::<v3::AlertRuleChange>(line);
            answer::<v3::AlertRule>(line);
        }
        "v3.set_notification" => {
            request::<v3::Notification>(line);
            answer::<v3::Notification>(line);
        }
        "v3.get_notification" => answer::<v3::Notification>(line),
        "v2.version_compat"
        | "v3.version_compat"
        | "v2.delete_baseline"
        | "v2.delete_alert"
        | "v3.delete_alert_rule"
        | "v3.delete_baseline"
        | "v3.delete_project" => {
            answer::<Empty>(line);
        }
        route => return ABSENT.iter().any(|absent| route.contains(absent)),
    }
    true
}

fn compare_all(name: &str) {
    let Some(lines) = exchanges(name) else {
        return;
    };
    for line in &lines {
        assert!(compare(line), "{} has no types", line["route"]);
    }
    // Every list with a filter has one that is read and written again.
    let filters = lines
        .iter()
        .flat_map(|line| line["query"].as_array().into_iter().flatten())
        .filter(|pair| pair[0] == "filter");
    for pair in filters {
        let json: Value = serde_json::from_str(pair[1].as_str().unwrap()).unwrap();
        let filter: v3::Filter = parse(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(filter).unwrap(), json);
    }
}

#[test]
fn client_1_8_6() {
    compare_all("exchanges-legacy-1.8.6.jsonl");
}

#[test]
fn client_2_5_0() {
    compare_all("exchanges-legacy-2.5.0.jsonl");
}

#[test]
fn client_3_14_1() {
    compare_all("exchanges-v3-3.14.1.jsonl");
}
