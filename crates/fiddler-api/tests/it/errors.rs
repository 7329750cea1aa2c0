//! What is refused, and what the error says.

use driftline_fiddler_api::v3::{Filter, NewModel, Publish};
use driftline_fiddler_api::{Field, Job, JobStatus, parse, v2};
use serde_json::json;

#[test]
fn a_missing_or_wrong_field_is_named() {
    let id = "00000000-0000-4000-8000-000000000001";
    for (body, named) in [
        (
            json!({"model_id": id, "env_type": "PRODUCTION"}),
            "has no `source`",
        ),
        (
            json!({"source": {"type": "FILE", "file_id": 7}, "model_id": id, "env_type": "PRODUCTION"}),
            "`source`",
        ),
        (
            json!({"source": {"type": "FILE", "file_id": id}, "model_id": "x", "env_type": "PRODUCTION"}),
            "`model_id`",
        ),
        (
            json!({"source": {"type": "FILE", "file_id": id}, "model_id": id, "env_type": "TEST"}),
            "`PRE_PRODUCTION`",
        ),
    ] {
        let error = parse::<Publish>(body.clone()).unwrap_err().to_string();
        assert!(error.contains(named), "{body}: {error}");
    }
    let model =
        json!({"name": "m", "project_id": id, "schema": {"columns": []}, "spec": {}, "task": "x"});
    let error = parse::<NewModel>(model).unwrap_err().to_string();
    assert_eq!(error, "has no `input_type`");
    let dataset = json!({"file_name": ["f"], "info": {"columns": [{"column-name": "a"}]}});
    let error = parse::<v2::NewDataset>(dataset).unwrap_err().to_string();
    assert_eq!(error, "has no `info.columns[0].data-type`");
}

#[test]
fn absent_null_and_a_value_stay_what_they_are() {
    for json in [
        json!({"column-name": "a", "data-type": "float"}),
        json!({"column-name": "a", "data-type": "float", "value-range-min": null, "n-dimensions": null}),
        json!({"column-name": "a", "data-type": "int", "value-range-min": 0, "value-range-max": 1.0, "new": [1]}),
    ] {
        let column: v2::Column = parse(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(column).unwrap(), json);
    }
    assert_eq!(Field::from(Some(1)), Field::Value(1));
    assert_eq!(Field::<u8>::Absent.or_null(), Field::Null);
}

#[test]
fn a_status_that_is_not_known_is_read() {
    for (job, status) in [
        (json!({"status": "SUCCESS"}), JobStatus::Success),
        (json!({"status": "PAUSED"}), JobStatus::Unknown),
        (json!({}), JobStatus::Unknown),
    ] {
        assert_eq!(parse::<Job>(job).unwrap().status, status);
    }
}

#[test]
fn filters_are_groups_or_rules() {
    let text = r#"{"condition":"AND","rules":[{"field":"name","operator":"equal","value":"m"}]}"#;
    let filter = Filter::equal(&[("name", "m")]);
    assert_eq!(filter.to_string(), text);
    assert_eq!(serde_json::from_str::<Filter>(text).unwrap(), filter);
    for (bad, named) in [
        (json!({}), "`field`"),
        (json!({"rules": 1}), "`rules`"),
        (json!({"condition": "XOR", "rules": []}), "XOR"),
        (json!({"field": "name", "operator": "like"}), "like"),
    ] {
        let error = parse::<Filter>(bad.clone()).unwrap_err().to_string();
        assert!(error.contains(named), "{bad}: {error}");
    }
}
