//! `/v3/alert-rules` and `/v2/alert-configs/{id}/records`.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::Filter;
use super::rule::{Multipliers, Rule, Terms};
use super::{ALERT_RULE, change, create, delete, evaluate_model, records, rule};
use crate::App;
use crate::app::Payload;
use crate::envelope::{Answer, ApiError, Page, normal, paginated};
use crate::queries::{read, times};

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

/// What a list is asked with.
#[derive(Debug, Deserialize)]
struct Listing {
    filter: Option<String>,
    ordering: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
}

impl Listing {
    fn page(&self, mut items: Vec<Value>) -> Page {
        if self
            .ordering
            .as_deref()
            .is_some_and(|ordering| ordering.starts_with('-'))
        {
            items.reverse();
        }
        let offset = self.offset.unwrap_or(0);
        let limit = self.limit.unwrap_or(50).max(1);
        Page {
            total: items.len(),
            items: items.into_iter().skip(offset).take(limit).collect(),
            offset,
            limit,
        }
    }
}

async fn add(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        let terms: Terms = read(body)?;
        let rule = create(app, terms, None)?;
        object(app, &rule)
    })
    .await
}

async fn list(State(app): State<App>, Query(listing): Query<Listing>) -> Answer {
    app.blocking(move |app| {
        let filter = listing.filter.as_deref().map(Filter::read).transpose()?;
        let items = app.catalog.read(|documents| {
            let rules: Vec<Rule> = documents.list(ALERT_RULE)?;
            let wanted = |rule: &&Rule| filter.as_ref().is_none_or(|filter| filter.takes(rule));
            let objects = rules
                .iter()
                .filter(wanted)
                .map(|rule| rule.object(documents));
            objects.collect::<Answer<Vec<Value>>>()
        })?;
        Ok(paginated(listing.page(items)))
    })
    .await
}

async fn one(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    app.blocking(move |app| {
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

async fn update(State(app): State<App>, Path(id): Path<Uuid>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
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

async fn remove(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    app.blocking(move |app| {
        delete(app, id)?;
        Ok(normal(json!({})))
    })
    .await
}

async fn notification(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    app.blocking(move |app| {
        let found = app.catalog.read(|documents| rule(documents, id))?;
        Ok(normal(found.notification))
    })
    .await
}

async fn notify(State(app): State<App>, Path(id): Path<Uuid>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
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
    Path(id): Path<Uuid>,
    Query(between): Query<Between>,
    Query(listing): Query<Listing>,
) -> Answer {
    app.blocking(move |app| {
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
        Ok(paginated(listing.page(items)))
    })
    .await
}

fn object(app: &App, rule: &Rule) -> Answer {
    let object = app.catalog.read(|documents| rule.object(documents))?;
    Ok(normal(object))
}
