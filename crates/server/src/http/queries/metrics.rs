//! `GET /v3/models/{id}/metrics`: which metrics and columns there are.

use axum::extract::{Path, State};
use driftline_metrics::column::column_id;
use driftline_metrics::{Column, Metric, MetricGroup};
use serde_json::{Value, json};

use crate::domain::objects;
use crate::domain::queries::column_name;
use crate::http::app::App;
use crate::http::envelope::{Answer, normal};
use crate::http::v3::id;

/// Answers the metrics, each with the ids of the columns that it can be measured of, and the columns.
pub(super) async fn answer(State(app): State<App>, Path(model): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&model, "Model")?;
        let model = app
            .catalog
            .read(|documents| objects::model(documents, id))?;
        let answer = app.counts.with(&model, |counted| {
            let mut columns = Vec::new();
            for (column, _) in counted.columns() {
                columns.push((column, column_name(counted, &model, column)?));
            }
            let metrics: Vec<Value> = Metric::ALL
                .into_iter()
                .map(|metric| {
                    let suiting = columns.iter().filter(|(column, _)| metric.suits(*column));
                    let ids: Vec<String> = suiting.map(|(_, name)| column_id(name)).collect();
                    let mut object = metric_object(metric);
                    object["columns"] = json!(ids);
                    object["requires_baseline"] = json!(metric.needs_baseline());
                    object["requires_categories"] = json!(metric == Metric::Frequency);
                    object
                })
                .collect();
            let columns: Vec<Value> = columns
                .iter()
                .map(|(column, name)| {
                    json!({"id": column_id(name), "name": name, "group": group(*column)})
                })
                .collect();
            Ok(json!({"metrics": metrics, "columns": columns}))
        })?;
        Ok(normal(answer))
    })
    .await
}

/// A metric as clients read it.
pub(crate) fn metric_object(metric: Metric) -> Value {
    json!({
        "id": metric.name(),
        "name": metric.title(),
        "display_name": metric.title(),
        "type": metric.group(),
        "type_display_name": group_title(metric.group()),
    })
}

/// The name of a group for people.
pub(crate) fn group_title(group: MetricGroup) -> &'static str {
    match group {
        MetricGroup::Drift => "Data Drift",
        MetricGroup::DataIntegrity => "Data Integrity",
        MetricGroup::Performance => "Performance",
        MetricGroup::ServiceMetrics => "Traffic",
        MetricGroup::Statistic => "Statistic",
    }
}

fn group(column: Column) -> &'static str {
    match column {
        Column::Feature => "Custom Features",
        Column::Score(_) | Column::Prediction => "Outputs",
        Column::Target => "Targets",
    }
}
