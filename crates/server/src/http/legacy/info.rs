//! A model's `info` as clients 1 and 2 have it, and the definition that it means.
//!
//! Neither generation can read all that the other wrote, nor all that client 3 wrote; [`readable`] says what each can.

use driftline_core::Result;
use serde_json::{Map, Value, json};

use super::names::Generation;
use crate::domain::error;

/// The roles of columns: their name in `info`, and in a spec.
const ROLES: [&str; 5] = ["inputs", "outputs", "targets", "decisions", "metadata"];

/// Custom features over scalar columns, the only ones of client 1.
const FROM_COLUMNS: &str = "FROM_COLUMNS";

/// What only client 1 says of a custom feature; client 2 refuses it.
const FIRST_ONLY: [&str; 2] = ["monitor", "transformation"];

/// The definition (see [`crate::domain::model`]) of an `info`.
///
/// # Errors
/// `InvalidData` if it has not the form of an `info`.
pub(super) fn definition(info: &Value) -> Result<Value> {
    let mut columns = Vec::new();
    let mut spec = Map::from_iter([("schema_version".to_owned(), json!(1))]);
    for role in ROLES {
        let mut names = Vec::new();
        for column in list(info, role)? {
            names.push(column["column-name"].clone());
            columns.push(schema_column(column)?);
        }
        spec.insert(role.to_owned(), Value::Array(names));
    }
    let features = list(info, "custom_features")?.iter().map(spec_feature);
    spec.insert("custom_features".to_owned(), features.collect());
    Ok(json!({
        "schema": {"schema_version": 1, "columns": columns},
        "spec": spec,
        "input_type": info["input-type"].as_str().unwrap_or("structured"),
        "task": info["model-task"].as_str().unwrap_or("multiclass_classification"),
        "task_params": {
            "binary_classification_threshold": info["binary_classification_threshold"],
            "target_class_order": info["target-class-order"],
            "group_by": info["group_by"],
            "top_k": info["ranking_top_k"],
            "class_weights": null,
            "weighted_ref_histograms": null,
        },
        "description": info["description"],
        "event_id_col": null,
        "event_ts_col": null,
        "event_ts_format": null,
        "xai_params": {"custom_explain_methods": [], "default_explain_method": null},
    }))
}

/// An `info` for a model that client 3 made from `definition`, or a run of driftline.
pub(super) fn of_definition(name: &str, definition: &Value, datasets: &[String]) -> Value {
    let columns = definition["schema"]["columns"].as_array();
    let column = |name: &Value| {
        let found = columns.and_then(|all| all.iter().find(|column| column["name"] == *name))?;
        Some(info_column(found))
    };
    let mut info = json!({
        "name": name,
        "input-type": definition["input_type"],
        "model-task": definition["task"],
        "datasets": datasets,
        "target-class-order": definition["task_params"]["target_class_order"],
        "description": definition["description"].as_str().unwrap_or_default(),
        "schema_version": "1.2",
        "data_type_version": "v1",
        "custom-explanation-names": [],
        "custom_features": definition["spec"]["custom_features"],
    });
    for role in ROLES {
        let names = definition["spec"][role].as_array();
        info[role] = names.into_iter().flatten().filter_map(column).collect();
    }
    info
}

/// An `info` as a client of this generation can read it; `None` if it cannot.
pub(super) fn readable(mut info: Value, by: Generation) -> Option<Value> {
    let features = info["custom_features"].as_array_mut();
    match by {
        Generation::First => {
            let scalar = features.is_none_or(|features| {
                features
                    .iter()
                    .all(|feature| feature["type"] == FROM_COLUMNS)
            });
            let columns = ROLES
                .iter()
                .flat_map(|role| info[role].as_array())
                .flatten();
            (scalar && columns.clone().all(is_scalar)).then_some(info)
        }
        Generation::Second => {
            let features = features.into_iter().flatten();
            for feature in features.filter_map(Value::as_object_mut) {
                feature.retain(|name, _| !FIRST_ONLY.contains(&name.as_str()));
            }
            Some(info)
        }
    }
}

/// Whether client 1 knows the type of a column.
pub(super) fn is_scalar(column: &Value) -> bool {
    matches!(
        column["data-type"].as_str(),
        Some("float" | "int" | "bool" | "str" | "category")
    )
}

fn list<'a>(info: &'a Value, name: &str) -> Result<&'a [Value]> {
    match &info[name] {
        Value::Null => Ok(&[]),
        Value::Array(values) => Ok(values),
        _ => Err(error::invalid(format!("info.{name} is not a list"))),
    }
}

fn schema_column(column: &Value) -> Result<Value> {
    let text = |name: &str| {
        column[name]
            .as_str()
            .ok_or_else(|| error::invalid(format!("a column of info has no `{name}`: {column}")))
    };
    Ok(json!({
        "name": text("column-name")?,
        "data_type": text("data-type")?,
        "min": column["value-range-min"],
        "max": column["value-range-max"],
        "categories": column["possible-values"],
        "bins": null,
        "replace_with_nulls": null,
        "n_dimensions": column["n-dimensions"],
    }))
}

fn info_column(column: &Value) -> Value {
    let mut info = json!({
        "column-name": column["name"],
        "data-type": column["data_type"],
        "is-nullable": false,
    });
    for (name, value) in [
        ("value-range-min", &column["min"]),
        ("value-range-max", &column["max"]),
        ("possible-values", &column["categories"]),
        ("n-dimensions", &column["n_dimensions"]),
    ] {
        if !value.is_null() {
            info[name] = value.clone();
        }
    }
    info
}

/// A feature as client 3 can read it, which refuses what it does not know.
fn spec_feature(feature: &Value) -> Value {
    let mut feature = feature.clone();
    if let Some(feature) = feature.as_object_mut() {
        feature.retain(|name, value| {
            !(FIRST_ONLY.contains(&name.as_str()) || name == "n_clusters" && value.is_null())
        });
    }
    feature
}

#[cfg(test)]
mod tests {
    use driftline_core::ErrorKind;

    use super::*;
    use crate::domain::model::{Monitored, Vector};

    fn scalars() -> Value {
        json!({
            "name": " model",
            "input-type": "structured",
            "model-task": "multiclass_classification",
            "inputs": [
                {"column-name": "emb_0", "data-type": "float", "is-nullable": false},
                {"column-name": "emb_1", "data-type": "float", "is-nullable": false},
            ],
            "outputs": [
                {"column-name": "cat", "data-type": "float"},
                {"column-name": "dog", "data-type": "float"},
            ],
            "targets": [{"column-name": "target", "data-type": "category", "possible-values": ["cat", "dog"]}],
            "target-class-order": ["cat", "dog"],
            "datasets": ["base"],
            "custom_features": [{
                "name": "feature", "columns": ["emb_0", "emb_1"], "type": "FROM_COLUMNS",
                "transformation": null, "n_clusters": null, "monitor": true,
            }],
        })
    }

    fn vectors() -> Value {
        let mut info = scalars();
        info["inputs"] =
            json!([{"column-name": "embeddings", "data-type": "vector", "n-dimensions": 2}]);
        info["metadata"] = json!([{"column-name": "image_url", "data-type": "str"}]);
        info["custom_features"] = json!([{
            "name": "feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 7,
            "column": "embeddings", "source_column": "image_url",
        }]);
        info
    }

    #[test]
    fn both_generations_mean_the_same_rows() {
        let first = Monitored::of(&definition(&scalars()).unwrap()).unwrap();
        let second = Monitored::of(&definition(&vectors()).unwrap()).unwrap();
        assert_eq!(first.schema().unwrap(), second.schema().unwrap());
        assert_eq!(
            first.vector,
            Vector::Columns(vec!["emb_0".to_owned(), "emb_1".to_owned()])
        );
        assert_eq!(second.vector, Vector::Column("embeddings".to_owned()));
        assert_eq!((first.n_clusters, second.n_clusters), (5, 7));
        assert_eq!(first.class_order, ["cat", "dog"]);
        assert_eq!(first.target.as_deref(), Some("target"));
    }

    #[test]
    fn each_generation_is_shown_what_it_can_read() {
        assert_eq!(readable(scalars(), Generation::First), Some(scalars()));
        assert_eq!(readable(vectors(), Generation::First), None);
        assert_eq!(readable(vectors(), Generation::Second), Some(vectors()));
        let feature = &readable(scalars(), Generation::Second).unwrap()["custom_features"][0];
        let feature = feature.as_object().unwrap();
        assert!(!feature.contains_key("monitor") && !feature.contains_key("transformation"));
    }

    #[test]
    fn what_client_3_made_has_an_info() {
        let defined = definition(&vectors()).unwrap();
        let info = of_definition("m", &defined, &["base".to_owned()]);
        assert_eq!(definition(&info).unwrap()["schema"], defined["schema"]);
        assert_eq!(definition(&info).unwrap()["spec"], defined["spec"]);
        assert_eq!(info["datasets"], json!(["base"]));
    }

    #[test]
    fn an_info_in_another_form_is_refused() {
        for (part, value) in [
            ("inputs", json!("embeddings")),
            ("outputs", json!([{"data-type": "float"}])),
            ("targets", json!([{"column-name": "target"}])),
            ("custom_features", json!({})),
        ] {
            let mut info = vectors();
            info[part] = value;
            let error = definition(&info).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{part}: {error}");
        }
    }
}
