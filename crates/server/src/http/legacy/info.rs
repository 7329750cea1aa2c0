//! A model's `info` as clients 1 and 2 have it, and the definition that it means.
//!
//! Neither generation can read all that the other wrote, nor all that client 3 wrote; [`readable`] says what each can.

use driftline_fiddler_api::v2::{self, ModelInfo};
use driftline_fiddler_api::v3::{self, Definition, Schema, Spec, TaskParams};
use driftline_fiddler_api::{CustomFeature, Field};

use super::names::Generation;

/// The definition (see [`crate::domain::model`]) of an `info`.
pub(super) fn definition(info: &ModelInfo) -> Definition {
    let columns = info.roles().into_iter().flat_map(|(_, columns)| columns);
    let names = |columns: &Field<Vec<v2::Column>>| -> Field<Vec<String>> {
        let columns = columns.elements().iter();
        columns
            .map(|column| column.name.clone())
            .collect::<Vec<_>>()
            .into()
    };
    let features = info.custom_features.elements().iter();
    let word = |said: &Field<String>, otherwise: &str| {
        said.get().cloned().unwrap_or_else(|| otherwise.to_owned())
    };
    Definition {
        schema: Schema::new(columns.map(schema_column).collect()),
        spec: Spec {
            schema_version: 1.into(),
            inputs: names(&info.inputs),
            outputs: names(&info.outputs),
            targets: names(&info.targets),
            decisions: names(&info.decisions),
            metadata: names(&info.metadata),
            custom_features: features.map(spec_feature).collect::<Vec<_>>().into(),
            ..Spec::default()
        },
        input_type: word(&info.input_type, "structured"),
        task: word(&info.task, "multiclass_classification"),
        task_params: Some(TaskParams {
            binary_classification_threshold: info.binary_classification_threshold.clone().or_null(),
            group_by: info.group_by.clone().or_null(),
            top_k: info.ranking_top_k.clone().or_null(),
            ..TaskParams::classification(info.target_class_order.clone())
        }),
        description: info.description.get().cloned(),
        event_id_col: None,
        event_ts_col: None,
        event_ts_format: None,
        xai_params: Definition::not_explained(),
    }
}

/// An `info` for a model that client 3 made from `definition`, or a run of driftline.
pub(super) fn of_definition(
    name: &str,
    definition: Definition,
    datasets: Vec<String>,
) -> ModelInfo {
    let spec = &definition.spec;
    let columns = |names: &Field<Vec<String>>| -> Field<Vec<v2::Column>> {
        let names = names.elements().iter();
        let found = names.filter_map(|name| definition.column(name));
        found.map(info_column).collect::<Vec<_>>().into()
    };
    let classes = match &definition.task_params {
        Some(params) => params.target_class_order.clone(),
        None => Field::Null,
    };
    ModelInfo {
        name: name.to_owned().into(),
        input_type: definition.input_type.clone().into(),
        task: definition.task.clone().into(),
        datasets: datasets.into(),
        inputs: columns(&spec.inputs),
        outputs: columns(&spec.outputs),
        targets: columns(&spec.targets),
        decisions: columns(&spec.decisions),
        metadata: columns(&spec.metadata),
        target_class_order: classes.or_null(),
        description: definition.description.clone().unwrap_or_default().into(),
        schema_version: "1.2".to_owned().into(),
        data_type_version: "v1".to_owned().into(),
        custom_explanation_names: Vec::new().into(),
        custom_features: spec.custom_features.clone().or_null(),
        ..ModelInfo::default()
    }
}

/// An `info` as a client of this generation can read it; `None` if it cannot.
pub(super) fn readable(mut info: ModelInfo, by: Generation) -> Option<ModelInfo> {
    match by {
        Generation::First => is_scalar(&info).then_some(info),
        Generation::Second => {
            if let Field::Value(features) = &mut info.custom_features {
                let kept = std::mem::take(features).into_iter();
                *features = kept.map(CustomFeature::without_first_generation).collect();
            }
            Some(info)
        }
    }
}

/// Whether client 1 knows all of it.
fn is_scalar(info: &ModelInfo) -> bool {
    let mut features = info.custom_features.elements().iter();
    let columns = info.roles();
    let mut columns = columns.iter().flat_map(|(_, columns)| columns.iter());
    features.all(|feature| feature.is(CustomFeature::FROM_COLUMNS))
        && columns.all(v2::Column::is_scalar)
}

fn schema_column(column: &v2::Column) -> v3::Column {
    v3::Column {
        min: column.min.clone(),
        max: column.max.clone(),
        categories: column.possible_values.clone(),
        n_dimensions: column.n_dimensions,
        ..v3::Column::new(&column.name, &column.data_type)
    }
    .of_client()
}

fn info_column(column: &v3::Column) -> v2::Column {
    v2::Column {
        min: said(&column.min),
        max: said(&column.max),
        possible_values: said(&column.categories),
        n_dimensions: said(&column.n_dimensions),
        ..v2::Column::new(&column.name, &column.data_type)
    }
}

/// A value, or nothing at all.
fn said<T: Clone>(field: &Field<T>) -> Field<T> {
    field.get().cloned().map_or(Field::Absent, Field::Value)
}

/// A feature as client 3 can read it, which refuses what it does not know.
fn spec_feature(feature: &CustomFeature) -> CustomFeature {
    let feature = feature.clone().without_first_generation();
    CustomFeature {
        n_clusters: said(&feature.n_clusters),
        ..feature
    }
}

#[cfg(test)]
mod tests {
    use driftline_core::ErrorKind;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::model::{Monitored, Vector};
    use crate::http::app::read;

    fn info(json: Value) -> ModelInfo {
        read(json).unwrap()
    }

    fn monitored(json: Value) -> Monitored {
        Monitored::of(&serde_json::to_value(definition(&info(json))).unwrap()).unwrap()
    }

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
        let (first, second) = (monitored(scalars()), monitored(vectors()));
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
        let readable = |json: Value, by| {
            let readable = readable(info(json), by);
            readable.map(|info| serde_json::to_value(info).unwrap())
        };
        assert_eq!(readable(scalars(), Generation::First), Some(scalars()));
        assert_eq!(readable(vectors(), Generation::First), None);
        assert_eq!(readable(vectors(), Generation::Second), Some(vectors()));
        let feature = &readable(scalars(), Generation::Second).unwrap()["custom_features"][0];
        let feature = feature.as_object().unwrap();
        assert!(!feature.contains_key("monitor") && !feature.contains_key("transformation"));
    }

    #[test]
    fn what_client_3_made_has_an_info() {
        let defined = definition(&info(vectors()));
        let info = of_definition("m", defined.clone(), vec!["base".to_owned()]);
        assert_eq!(definition(&info).schema, defined.schema);
        assert_eq!(definition(&info).spec, defined.spec);
        assert_eq!(info.datasets.elements(), ["base"]);
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
            let error = read::<ModelInfo>(info).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{part}: {error}");
        }
    }
}
