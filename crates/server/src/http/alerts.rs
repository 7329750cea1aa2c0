//! `/v3/alert-rules` and `/v2/alert-configs/{id}/records`.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::domain::alerts::rule::{Multipliers, Rule, Terms};
use crate::domain::alerts::{ALERT_RULE, change, create, delete, evaluate_model, records, rule};
use crate::domain::times;
use crate::http::app::Payload;
use crate::http::envelope::{Answer, ApiError, normal};
use crate::http::queries::read;
use crate::http::v3::{List, id};

/// All of them, behind the token.
pub fn routes() -> Router<App> {
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
        let rule = create(app, terms, None)?;
        object(app, &rule)
    })
    .await
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        let objects = app.catalog.read(|documents| {
            let rules: Vec<Rule> = documents.list(ALERT_RULE)?;
            let objects = rules.iter().map(|rule| rule.object(documents));
            objects.collect::<Answer<Vec<Value>>>()
        })?;
        Ok(list.page(objects))
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
        let changed = change(app, id, |mut terms| {
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
        delete(app, id)?;
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
            return Err(ApiError::bad_request("the body is not a JSON object"));
        };
        let notification = app.change(|documents| {
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
                    .ok_or_else(|| ApiError::bad_request(format!("{text:?} is no date and time")))
            });
            moment.transpose()
        };
        let (start, end) = (read(&between.start_time)?, read(&between.end_time)?);
        let found = app.catalog.read(|documents| rule(documents, id))?;
        // A bin may have ended since the last rows came.
        evaluate_model(app, found.terms.model_id)?;
        let records = app.catalog.read(|documents| records(documents, id))?;
        let numbered = records.iter().zip(1..).filter(|(record, _)| {
            let bin = record.finding.bin;
            start.is_none_or(|start| bin >= start.as_millisecond())
                && end.is_none_or(|end| bin <= end.as_millisecond())
        });
        let items = numbered
            .map(|(record, number)| record.object(number))
            .collect();
        Ok(list.page(items))
    })
    .await
}

fn object(app: &App, rule: &Rule) -> Answer {
    let object = app.catalog.read(|documents| rule.object(documents))?;
    Ok(normal(object))
}
