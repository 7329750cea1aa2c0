//! `/v3/alert-rules` and `/v2/alert-configs/{id}/records`.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use driftline_core::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::alerts::{
    ALERT_RULE, Multipliers, Record, Rule, Terms, change, create, delete, evaluate_model, records,
    rule,
};
use crate::domain::catalog::Documents;
use crate::domain::objects::{self, BASELINE, Baseline};
use crate::domain::{error, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::queries::{metric_object, read};
use crate::http::v3::{List, id};

/// All of them, behind the token.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/alert-rules", get(list).post(add))
        .route(
            "/v3/alert-rules/{id}",
            get(one).patch(update).delete(remove),
        )
        .route(
            "/v3/alert-rules/{id}/notification",
            get(notification).patch(notify),
        )
        .route("/v2/alert-configs/{id}/records", get(of_rule))
}

async fn add(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        let terms: Terms = read(body)?;
        let rule = create(&app.catalog, &app.counts, terms, None)?;
        object(app, &rule)
    })
    .await
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        let objects = app.catalog.read(|documents| {
            let rules: Vec<Rule> = documents.list(ALERT_RULE)?;
            let objects = rules.iter().map(|rule| rule_object(documents, rule));
            objects.collect::<Result<Vec<Value>>>()
        })?;
        Ok(list.answer(objects))
    })
    .await
}

async fn one(State(app): State<App>, Path(rule_id): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let found = app.catalog.read(|documents| rule(documents, id))?;
        object(app, &found)
    })
    .await
}

/// Terms that a rule may change; `enable_notification` is taken and means nothing here.
#[derive(Deserialize)]
struct Update {
    #[serde(default, deserialize_with = "given")]
    critical_threshold: Option<Option<f64>>,
    #[serde(default, deserialize_with = "given")]
    warning_threshold: Option<Option<f64>>,
    evaluation_delay: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    auto_threshold_params: Option<Option<Multipliers>>,
}

/// Tells null from nothing.
fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

async fn update(
    State(app): State<App>,
    Path(rule_id): Path<String>,
    Payload(body): Payload,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let update: Update = read(body)?;
        let changed = change(&app.catalog, &app.counts, id, |mut terms| {
            terms.critical_threshold = update
                .critical_threshold
                .unwrap_or(terms.critical_threshold);
            terms.warning_threshold = update.warning_threshold.unwrap_or(terms.warning_threshold);
            terms.evaluation_delay = update.evaluation_delay.or(terms.evaluation_delay);
            let params = update.auto_threshold_params;
            terms.auto_threshold_params = params.unwrap_or(terms.auto_threshold_params);
            Ok(terms)
        })?;
        object(app, &changed)
    })
    .await
}

async fn remove(State(app): State<App>, Path(rule_id): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        delete(&app.catalog, id)?;
        Ok(normal(json!({})))
    })
    .await
}

async fn notification(State(app): State<App>, Path(rule_id): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let found = app.catalog.read(|documents| rule(documents, id))?;
        Ok(normal(found.notification))
    })
    .await
}

async fn notify(
    State(app): State<App>,
    Path(rule_id): Path<String>,
    Payload(body): Payload,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let Value::Object(news) = body else {
            return Err(error::invalid("the body is not a JSON object"));
        };
        let notification = app.catalog.change(|documents| {
            let mut found = rule(documents, id)?;
            for (name, value) in news {
                // Who is told is kept; what is unknown is dropped.
                if let Some(kept) = found.notification.get_mut(&name) {
                    *kept = value;
                }
            }
            documents.replace(ALERT_RULE, id, &found)?;
            Ok(found.notification)
        })?;
        Ok(normal(notification))
    })
    .await
}

/// Which records are asked for, by the start of their bins.
#[derive(Debug, Deserialize)]
struct Between {
    start_time: Option<String>,
    end_time: Option<String>,
}

async fn of_rule(
    State(app): State<App>,
    Path(rule_id): Path<String>,
    Query(between): Query<Between>,
    list: List,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let read = |text: &Option<String>| {
            let moment = text.as_deref().map(|text| {
                times::text_moment(text)
                    .ok_or_else(|| error::invalid(format!("{text:?} is no date and time")))
            });
            moment.transpose()
        };
        let (start, end) = (read(&between.start_time)?, read(&between.end_time)?);
        let found = app.catalog.read(|documents| rule(documents, id))?;
        // A bin may have ended since the last rows came.
        evaluate_model(&app.catalog, &app.counts, found.terms.model_id)?;
        let records = app.catalog.read(|documents| records(documents, id))?;
        let numbered = records.iter().zip(1..).filter(|(record, _)| {
            let bin = record.finding.bin;
            start.is_none_or(|start| bin >= start.as_millisecond())
                && end.is_none_or(|end| bin <= end.as_millisecond())
        });
        let items = numbered
            .map(|(record, number)| record_object(record, number))
            .collect();
        Ok(list.answer(items))
    })
    .await
}

fn object(app: &App, rule: &Rule) -> Result<Response> {
    let object = app.catalog.read(|documents| rule_object(documents, rule))?;
    Ok(normal(object))
}

/// A rule as clients of generation 3 read it.
fn rule_object(documents: &Documents<'_>, rule: &Rule) -> Result<Value> {
    let model = objects::model(documents, rule.terms.model_id)?;
    let baseline = match rule.terms.baseline_id {
        Some(id) => documents.get::<Baseline>(BASELINE, id)?,
        None => None,
    };
    let terms = &rule.terms;
    Ok(json!({
        "id": rule.id,
        "name": terms.name,
        "priority": terms.priority,
        "compare_to": terms.compare_to,
        "condition": terms.condition,
        "bin_size": terms.bin_size,
        "threshold_type": terms.threshold_type,
        "auto_threshold_params": terms.auto_threshold_params,
        "critical_threshold": terms.critical_threshold,
        "warning_threshold": terms.warning_threshold,
        "feature_names": terms.feature_names,
        "compare_bin_delta": terms.compare_bin_delta,
        "evaluation_delay": terms.evaluation_delay.unwrap_or(0),
        "category": terms.category,
        "metric": metric_object(terms.metric()?),
        "model": {"id": model.id, "name": model.name, "version": model.version},
        "project": {"id": model.project, "name": model.project_name},
        "baseline": baseline.map(|baseline| json!({"id": baseline.id, "name": baseline.name})),
        "segment": null,
        "created_at": rule.created_at,
        "updated_at": rule.updated_at,
    }))
}

/// A record as clients of all generations read it; `number` is its place among those of its rule.
fn record_object(record: &Record, number: usize) -> Value {
    let finding = &record.finding;
    json!({
        "id": number,
        "uuid": record.id,
        "alert_config_uuid": record.rule,
        "alert_config_revision": record.revision,
        "alert_run_start_time": record.updated_at.as_millisecond(),
        "alert_time_bucket": finding.bin,
        "alert_value": finding.value,
        "warning_threshold": finding.warning,
        "critical_threshold": finding.critical,
        "baseline_time_bucket": finding.earlier.map(|(bin, _)| bin),
        "baseline_value": finding.earlier.map(|(_, value)| value),
        "is_alert": true,
        "severity": finding.severity,
        "failure_reason": "NA",
        "message": "",
        "feature_name": finding.column,
        "alert_record_main_version": 1,
        "alert_record_sub_version": record.version,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "multi_col_values": null,
    })
}
