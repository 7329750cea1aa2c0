//! `POST /v3/queries`: metrics by time bin.

use std::collections::BTreeMap;

use axum::extract::State;
use driftline_core::Result;
use driftline_fiddler_api::v3::{
    MonitoringResult, MonitoringResults, Named, Queries, Query, TimeFilter,
};
use driftline_metrics::{Column, Metric, StoredModel};
use serde_json::Value;

use super::filter;
use crate::domain::error::{self, refused};
use crate::domain::objects::{self, Model};
use crate::domain::queries::{NamedBaseline, baseline_of, column, column_name, metric, rows_of};
use crate::domain::times;
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::v3::views;

/// Queries of one request, as many as a chart of Fiddler has.
const MOST_QUERIES: usize = 6;
/// Series of one query, likewise.
const MOST_SERIES: usize = 20;

/// Answers `results.<query_key>{col_names, data}`: a row for each bin that has events, which begins with the bin's start;
/// then a number for each column, or for each category of a frequency, null where there is nothing to measure on.
pub(super) async fn answer(State(app): State<App>, Payload(request): Payload<Queries>) -> Answer {
    app.blocking(move |app| {
        if let Some(kind) = request.query_type.as_deref()
            && kind != "MONITORING"
        {
            let message = format!("the query_type `{kind}` is not offered here, MONITORING is");
            return Err(error::invalid(message));
        }
        if request.queries.len() > MOST_QUERIES {
            let message = format!("at most {MOST_QUERIES} queries are answered at once");
            return Err(error::invalid(message));
        }
        let mut results = BTreeMap::new();
        for query in &request.queries {
            let result = result(app, query, &request.filters)?;
            results.insert(query.query_key.clone(), result);
        }
        Ok(normal(MonitoringResults {
            query_type: "MONITORING".to_owned(),
            results,
        }))
    })
    .await
}

fn result(app: &App, query: &Query, filters: &TimeFilter) -> Result<MonitoringResult> {
    let segment = query.segment_id.as_ref();
    if segment.is_some_and(|segment| !segment.is_null()) {
        return Err(error::unsupported("Segments"));
    }
    let (model, baseline) = app.catalog.read(|documents| {
        let model = objects::model(documents, query.model_id)?;
        let baseline = baseline_of(documents, &model, query.baseline_id)?;
        Ok((model, baseline))
    })?;
    let (col_names, data) = app.counts.with(&model, |counted| {
        table(query, counted, &model, baseline.as_ref(), filters)
    })?;
    Ok(MonitoringResult {
        query_key: query.query_key.clone(),
        metric: query.metric.clone(),
        model: views::model_of(&model),
        baseline: baseline.map(|baseline| Named {
            id: baseline.id,
            name: baseline.name,
        }),
        col_names,
        data,
    })
}

/// Names of the columns, and the rows.
fn table(
    query: &Query,
    counted: &StoredModel,
    model: &Model,
    baseline: Option<&NamedBaseline>,
    filters: &TimeFilter,
) -> Result<(Vec<String>, Vec<Vec<Value>>)> {
    let metric = metric(&query.metric)?;
    let columns = columns(query, counted, model, metric)?;
    let (range, size) = filter::bins(filters)?;
    let mut names = vec!["timestamp".to_owned()];
    // Which bins of the histogram of a frequency are wanted.
    let mut categories = Vec::new();
    match columns.as_slice() {
        [] => names.push(metric.name().to_owned()),
        [column] if metric == Metric::Frequency => {
            for (bin, name) in counted.bin_names(*column).into_iter().enumerate() {
                let wanted = |wanted: &Vec<String>| wanted.contains(&name);
                if query.categories.as_ref().is_none_or(wanted) {
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
        let mut row = vec![Value::from(times::text(bin.start))];
        if metric == Metric::Frequency {
            let histogram = columns
                .first()
                .map_or(&[][..], |c| bin.counts.histogram(*c));
            row.extend(
                categories
                    .iter()
                    .filter_map(|bin| histogram.get(*bin))
                    .map(|n| Value::from(*n)),
            );
        } else if columns.is_empty() {
            row.push(metric.value(&bin.counts, &before, None).into());
        } else {
            let value = |column: &Column| metric.value(&bin.counts, &before, Some(*column));
            row.extend(columns.iter().map(|column| Value::from(value(column))));
        }
        data.push(row);
    }
    Ok((names, data))
}

fn columns(
    query: &Query,
    counted: &StoredModel,
    model: &Model,
    metric: Metric,
) -> Result<Vec<Column>> {
    let names = query.columns.as_deref().unwrap_or_default();
    if names.len() > MOST_SERIES {
        let message = format!("at most {MOST_SERIES} columns are answered at once");
        return Err(error::invalid(message));
    }
    if metric == Metric::Frequency && names.len() > 1 {
        return Err(error::invalid("a frequency is that of one column"));
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
