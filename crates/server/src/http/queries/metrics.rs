//! `GET /v3/models/{id}/metrics`: which metrics and columns there are.

use axum::extract::{Path, State};
use driftline_fiddler_api::v3::{ColumnEntry, MetricEntry, Metrics};
use driftline_metrics::column::column_id;
use driftline_metrics::{Column, Metric};

use crate::domain::objects;
use crate::domain::queries::column_name;
use crate::http::app::App;
use crate::http::envelope::{Answer, normal};
use crate::http::v3::{id, views};

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
            let metrics = Metric::ALL.into_iter().map(|metric| {
                let suiting = columns.iter().filter(|(column, _)| metric.suits(*column));
                MetricEntry {
                    metric: views::metric(metric),
                    columns: suiting.map(|(_, name)| column_id(name)).collect(),
                    requires_baseline: metric.needs_baseline(),
                    requires_categories: metric == Metric::Frequency,
                }
            });
            let metrics = metrics.collect();
            let columns = columns.into_iter().map(|(column, name)| ColumnEntry {
                id: column_id(&name),
                name,
                group: group(column).to_owned(),
            });
            Ok(Metrics {
                metrics,
                columns: columns.collect(),
            })
        })?;
        Ok(normal(answer))
    })
    .await
}

fn group(column: Column) -> &'static str {
    match column {
        Column::Feature => "Custom Features",
        Column::Score(_) | Column::Prediction => "Outputs",
        Column::Target => "Targets",
    }
}
