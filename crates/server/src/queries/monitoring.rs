//! `POST /v3/queries`: metrics by time bin.

use axum::extract::State;
use driftline_metrics::{Column, Metric, StoredModel};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::times::{self, TimeFilter};
use super::{NamedBaseline, baseline_of, column, column_name, metric, read, refused, rows_of};
use crate::App;
use crate::app::Payload;
use crate::envelope::{Answer, ApiError, normal};
use crate::objects::{self, Model};

/// Queries of one request, as many as a chart of Fiddler has.
const MOST_QUERIES: usize = 6;
/// Series of one query, likewise.
const MOST_SERIES: usize = 20;

#[derive(Deserialize)]
struct Request {
    query_type: Option<String>,
    #[serde(default)]
    filters: TimeFilter,
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    query_key: String,
    model_id: Uuid,
    baseline_id: Option<Uuid>,
    metric: String,
    columns: Option<Vec<String>>,
    /// Of a frequency, the values that are wanted; without it all.
    categories: Option<Vec<String>>,
    segment_id: Option<Value>,
}

/// Answers `results.<query_key>{col_names, data}`: a row for each bin that has events, which begins with the bin's start;
/// then a number for each column, or for each category of a frequency, null where there is nothing to measure on.
pub async fn answer(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        let request: Request = read(body)?;
        if let Some(kind) = request.query_type.as_deref()
            && kind != "MONITORING"
        {
            let message = format!("the query_type `{kind}` is not offered here, MONITORING is");
            return Err(ApiError::bad_request(message));
        }
        if request.queries.len() > MOST_QUERIES {
            let message = format!("at most {MOST_QUERIES} queries are answered at once");
            return Err(ApiError::bad_request(message));
        }
        let mut results = Map::new();
        for query in &request.queries {
            results.insert(
                query.query_key.clone(),
                query.result(app, &request.filters)?,
            );
        }
        Ok(normal(
            json!({"query_type": "MONITORING", "results": results}),
        ))
    })
    .await
}

impl Query {
    fn result(&self, app: &App, filters: &TimeFilter) -> Answer<Value> {
        if self
            .segment_id
            .as_ref()
            .is_some_and(|segment| !segment.is_null())
        {
            return Err(ApiError::not_implemented("Segments"));
        }
        let (model, baseline) = app.catalog.read(|documents| {
            let model = objects::model(documents, self.model_id)?;
            let baseline = baseline_of(documents, &model, self.baseline_id)?;
            Ok((model, baseline))
        })?;
        let mut result = app.counts.with(app, &model, |counted| {
            self.table(counted, &model, baseline.as_ref(), filters)
        })?;
        result["query_key"] = json!(self.query_key);
        result["metric"] = json!(self.metric);
        result["model"] = json!({"id": model.id, "name": model.name, "version": model.version});
        let named = baseline.map(|baseline| json!({"id": baseline.id, "name": baseline.name}));
        result["baseline"] = json!(named);
        Ok(result)
    }

    fn table(
        &self,
        counted: &StoredModel,
        model: &Model,
        baseline: Option<&NamedBaseline>,
        filters: &TimeFilter,
    ) -> Answer<Value> {
        let metric = metric(&self.metric)?;
        let columns = self.columns(counted, model, metric)?;
        let (range, size) = filters.read()?;
        let mut names = vec!["timestamp".to_owned()];
        // Which bins of the histogram of a frequency are wanted.
        let mut categories = Vec::new();
        match columns.as_slice() {
            [] => names.push(metric.name().to_owned()),
            [column] if metric == Metric::Frequency => {
                for (bin, name) in counted.bin_names(*column).into_iter().enumerate() {
                    let wanted = |wanted: &Vec<String>| wanted.contains(&name);
                    if self.categories.as_ref().is_none_or(wanted) {
                        categories.push(bin);
                        names.push(name);
                    }
                }
            }
            columns => {
                for column in columns {
                    names.push(column_name(counted, model, *column)?);
                }
            }
        }
        let range = range.unwrap_or_else(|| counted.extent());
        let mut data = Vec::new();
        let compared = counted.compared(rows_of(baseline), &range, size);
        for (bin, before) in compared.map_err(refused)? {
            let mut row = vec![json!(times::text(bin.start))];
            if metric == Metric::Frequency {
                let histogram = columns
                    .first()
                    .map_or(&[][..], |c| bin.counts.histogram(*c));
                row.extend(
                    categories
                        .iter()
                        .filter_map(|bin| histogram.get(*bin))
                        .map(|n| json!(n)),
                );
            } else if columns.is_empty() {
                row.push(json!(metric.value(&bin.counts, &before, None)));
            } else {
                let value = |column: &Column| metric.value(&bin.counts, &before, Some(*column));
                row.extend(columns.iter().map(|column| json!(value(column))));
            }
            data.push(Value::Array(row));
        }
        Ok(json!({"col_names": names, "data": data}))
    }

    fn columns(&self, counted: &StoredModel, model: &Model, metric: Metric) -> Answer<Vec<Column>> {
        let names = self.columns.as_deref().unwrap_or_default();
        if names.len() > MOST_SERIES {
            let message = format!("at most {MOST_SERIES} columns are answered at once");
            return Err(ApiError::bad_request(message));
        }
        if metric == Metric::Frequency && names.len() > 1 {
            return Err(ApiError::bad_request("a frequency is that of one column"));
        }
        if names.is_empty() {
            counted.check_column(metric, None)?;
        }
        let columns = names.iter().map(|name| {
            let column = column(counted, model, name)?;
            counted.check_column(metric, Some(column))?;
            Ok(column)
        });
        columns.collect()
    }
}
