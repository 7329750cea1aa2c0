//! `/v3/alert-rules` and `/v2/alert-configs/{id}/records`.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use driftline_core::Result;
use driftline_fiddler_api::v3::{AlertRuleChange, Notification};
use driftline_fiddler_api::{Empty, Field};
use serde::Deserialize;

use crate::domain::alerts::{
    ALERT_RULE, Rule, Terms, change, create, delete, evaluate_model, records, rule,
};
use crate::domain::{error, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};
use crate::http::v3::{List, id, views};

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

async fn add(State(app): State<App>, Payload(terms): Payload<Terms>) -> Answer {
    app.blocking(move |app| {
        let rule = create(&app.catalog, &app.counts, terms, None)?;
        object(app, &rule)
    })
    .await
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        let objects = app.catalog.read(|documents| {
            let rules: Vec<Rule> = documents.list(ALERT_RULE)?;
            let objects = rules.iter().map(|rule| views::alert_rule(documents, rule));
            objects.collect::<Result<Vec<_>>>()
        })?;
        list.answer(objects)
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

/// `enable_notification`, which clients send too, means nothing here.
async fn update(
    State(app): State<App>,
    Path(rule_id): Path<String>,
    Payload(update): Payload<AlertRuleChange>,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let changed = change(&app.catalog, &app.counts, id, |mut terms| {
            put(&mut terms.critical_threshold, update.critical_threshold);
            put(&mut terms.warning_threshold, update.warning_threshold);
            put(
                &mut terms.auto_threshold_params,
                update.auto_threshold_params,
            );
            terms.evaluation_delay = update
                .evaluation_delay
                .into_value()
                .or(terms.evaluation_delay);
            Ok(terms)
        })?;
        object(app, &changed)
    })
    .await
}

/// Null takes away what was there; what is absent stays.
fn put<T>(place: &mut Option<T>, change: Field<T>) {
    if !change.is_absent() {
        *place = change.into_value();
    }
}

async fn remove(State(app): State<App>, Path(rule_id): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        delete(&app.catalog, id)?;
        Ok(normal(Empty {}))
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
    Payload(news): Payload<Notification>,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&rule_id, "Alert rule")?;
        let notification = app.catalog.change(|documents| {
            let mut found = rule(documents, id)?;
            for (name, value) in [
                ("emails", news.emails),
                ("pagerduty_services", news.pagerduty_services),
                ("pagerduty_severity", news.pagerduty_severity),
                ("webhooks", news.webhooks),
            ] {
                if let (Some(kept), false) = (found.notification.get_mut(name), value.is_absent()) {
                    *kept = value.into_value().unwrap_or_default();
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
        let items = numbered.map(|(record, number)| views::alert_record(record, number));
        list.answer(items.collect())
    })
    .await
}

fn object(app: &App, rule: &Rule) -> Result<Response> {
    let object = app
        .catalog
        .read(|documents| views::alert_rule(documents, rule))?;
    Ok(normal(object))
}
