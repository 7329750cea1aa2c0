//! Alert rules. Their records are the same route for every generation, see [`crate::domain::alerts`].

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use driftline_core::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::models;
use super::names::Generation;
use super::requests::{decoded, required};
use crate::domain::alerts::{self, ALERT_RULE, Rule};
use crate::domain::catalog::Documents;
use crate::domain::error;
use crate::domain::objects::{self, BASELINE, Baseline};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, ListPage, normal, paginated};
use crate::http::queries::read;

/// Lengths of bins: milliseconds here, words elsewhere.
const BINS: [(i64, &str); 4] = [
    (3_600_000, "Hour"),
    (86_400_000, "Day"),
    (604_800_000, "Week"),
    (2_592_000_000, "Month"),
];

/// Metrics that client 1 knows, by the name that it has for them and the one that they have now.
const FIRST_METRICS: [(&str, &str); 9] = [
    ("jsd", "jsd"),
    ("psi", "psi"),
    ("accuracy", "accuracy"),
    ("log_loss", "log_loss"),
    ("average", "average"),
    ("missing_value", "null_violation_count"),
    ("range_violation", "range_violation_count"),
    ("type_violation", "type_violation_count"),
    ("Traffic", "traffic"),
];

/// Milliseconds before a bin that it may be compared with, all that these clients know.
const PERIODS: [i64; 4] = [86_400_000, 604_800_000, 2_592_000_000, 7_776_000_000];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/alert-configs", get(list).post(create))
        .route("/v2/alert-configs/{id}", get(one).delete(delete))
}

#[derive(Deserialize)]
struct Listing {
    filter: Option<String>,
    #[serde(default)]
    offset: usize,
    #[serde(default = "most")]
    limit: usize,
}

fn most() -> usize {
    20
}

/// Conditions that must all hold, on the objects as these clients read them.
#[derive(Default, Deserialize)]
struct Filter {
    #[serde(default)]
    rules: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    field: String,
    value: Value,
}

impl Filter {
    fn takes(&self, object: &Value) -> bool {
        self.rules.iter().all(|Condition { field, value }| {
            match (&object[field], value) {
                // Columns are asked for as a list of which the rule has all.
                (Value::Array(has), Value::Array(wanted)) => {
                    wanted.iter().all(|value| has.contains(value))
                }
                (Value::Array(has), value) => has.contains(value),
                (has, Value::Array(wanted)) => wanted.contains(has),
                (has, value) => has == value,
            }
        })
    }
}

async fn create(State(app): State<App>, by: Generation, Payload(body): Payload) -> Answer {
    let body = decoded(body)?;
    app.blocking(move |app| {
        let terms = app.catalog.read(|documents| terms(documents, &body))?;
        let rule = alerts::create(&app.catalog, &app.counts, read(terms)?, Some(body))?;
        shown(app, &rule, by)
    })
    .await
}

fn shown(app: &App, rule: &Rule, by: Generation) -> Result<Response> {
    let object = app
        .catalog
        .read(|documents| readable(documents, rule, by))?;
    object
        .map(normal)
        .ok_or_else(|| error::not_found("Alert rule that this client can read"))
}

/// What a rule says in the words of generation 3.
fn terms(documents: &Documents<'_>, body: &Value) -> Result<Value> {
    let project = required(body, "project_name")?;
    let model = models::find(documents, project, required(body, "model_name")?)?;
    let baseline = match body["baseline_name"].as_str() {
        Some(name) => {
            let mut known = objects::baselines(documents, model.id)?.into_iter();
            let found = known.find(|baseline| baseline.name == name);
            Some(found.ok_or_else(|| error::not_found("Baseline"))?.id)
        }
        None => None,
    };
    let bucket = body["time_bucket"].as_i64().unwrap_or_default();
    let Some((length, bin)) = BINS.iter().find(|(length, _)| *length == bucket) else {
        let message = format!(
            "time_bucket is {}, not the milliseconds of an hour, a day, a week or 30 days",
            body["time_bucket"]
        );
        return Err(error::invalid(message));
    };
    let delta = match body["compare_period"].as_i64() {
        Some(period) if period > 0 && period % length == 0 => Some(period / length),
        Some(period) if period != 0 => {
            let message =
                format!("compare_period is {period}, not a multiple of time_bucket, {length}");
            return Err(error::invalid(message));
        }
        _ => None,
    };
    let metric = body["metric_id"]
        .as_str()
        .or_else(|| body["metric"].as_str());
    let metric = metric.ok_or_else(|| error::invalid("the body has no text `metric`"))?;
    let renamed = FIRST_METRICS.iter().find(|(before, _)| *before == metric);
    Ok(json!({
        "name": body["name"],
        "model_id": model.id,
        "metric_id": renamed.map_or(metric, |(_, now)| now),
        "feature_names": columns(body)?,
        "category": body["category"],
        "baseline_id": baseline,
        "bin_size": bin,
        "compare_to": body["compare_to"],
        "compare_bin_delta": delta,
        "condition": body["condition"],
        "critical_threshold": body["critical_threshold"],
        "warning_threshold": body["warning_threshold"],
        "priority": body["priority"],
        "segment_id": body["segment_id"],
    }))
}

/// `feature_names`, which client 1 may send as the text of a Python list, or `feature_name`.
fn columns(body: &Value) -> Result<Value> {
    match (&body["feature_names"], &body["feature_name"]) {
        (Value::String(text), _) => serde_json::from_str(&text.replace('\'', "\""))
            .map_err(|_| error::invalid(format!("feature_names is no list: {text}"))),
        (Value::Null, Value::String(name)) => Ok(json!([name])),
        (names, _) => Ok(names.clone()),
    }
}

/// The rule as a client of this generation reads it; `None` if it cannot.
fn readable(documents: &Documents<'_>, rule: &Rule, by: Generation) -> Result<Option<Value>> {
    let mut object = object(documents, rule)?;
    let period = &object["compare_period"];
    let known = period.is_null()
        || period
            .as_i64()
            .is_some_and(|ms| ms == 0 || PERIODS.contains(&ms));
    // One from standard deviations has none.
    if !known || rule.terms.critical_threshold.is_none() {
        return Ok(None);
    }
    let metric = rule.terms.metric_id.as_str();
    let name = match by {
        Generation::First => FIRST_METRICS
            .iter()
            .find(|(_, now)| *now == metric)
            .map(|(before, _)| *before),
        Generation::Second => Some(metric),
    };
    Ok(name.map(|name| {
        object["metric"] = json!(name);
        object
    }))
}

/// What a client of these generations sent, where one did, and what the server adds.
fn object(documents: &Documents<'_>, rule: &Rule) -> Result<Value> {
    let model = objects::model(documents, rule.terms.model_id)?;
    let metric = rule.terms.metric()?;
    let mut object = match &rule.legacy {
        Some(sent) => sent.clone(),
        None => {
            let terms = &rule.terms;
            let bin = terms.bin_size.name();
            let length = BINS
                .iter()
                .find(|(_, name)| *name == bin)
                .map(|(length, _)| *length);
            let delta = terms.compare_bin_delta.map(i64::from);
            let baseline = match terms.baseline_id {
                Some(id) => documents.get::<Baseline>(BASELINE, id)?,
                None => None,
            };
            json!({
                "name": terms.name,
                "alert_type": metric.group(),
                "segment_id": null,
                "feature_name": null,
                "feature_names": terms.feature_names,
                "category": terms.category,
                "priority": terms.priority,
                "compare_to": terms.compare_to,
                "baseline_name": baseline.map(|baseline| baseline.name),
                "compare_period": delta.zip(length).map(|(delta, length)| delta * length),
                "warning_threshold": terms.warning_threshold,
                "critical_threshold": terms.critical_threshold,
                "condition": terms.condition,
                "time_bucket": length,
                "bin_size": bin,
                "notifications": null,
            })
        }
    };
    object["uuid"] = json!(rule.id);
    object["organization_name"] = json!(super::ORGANIZATION);
    object["project_name"] = json!(model.project_name);
    object["model_name"] = json!(model.name);
    object["metric_id"] = json!(rule.terms.metric_id);
    object["alert_type_display_name"] = json!(metric.group());
    object["metric_display_name"] = json!(metric.title());
    Ok(object)
}

async fn list(State(app): State<App>, by: Generation, Query(listing): Query<Listing>) -> Answer {
    app.blocking(move |app| {
        let filter: Filter = match &listing.filter {
            Some(text) => serde_json::from_str(text)
                .map_err(|cause| error::invalid(format!("the filter cannot be read: {cause}")))?,
            None => Filter::default(),
        };
        let objects = app.catalog.read(|documents| {
            let rules: Vec<Rule> = documents.list(ALERT_RULE)?;
            let objects = rules.iter().map(|rule| readable(documents, rule, by));
            objects.collect::<Result<Vec<_>>>()
        })?;
        let wanted = objects
            .into_iter()
            .flatten()
            .filter(|object| filter.takes(object));
        let wanted: Vec<Value> = wanted.collect();
        Ok(paginated(ListPage {
            total: wanted.len(),
            items: wanted
                .into_iter()
                .skip(listing.offset)
                .take(listing.limit)
                .collect(),
            offset: listing.offset,
            limit: listing.limit,
        }))
    })
    .await
}

async fn one(State(app): State<App>, by: Generation, Path(id): Path<Uuid>) -> Answer {
    app.blocking(move |app| {
        let rule = app.catalog.read(|documents| alerts::rule(documents, id))?;
        shown(app, &rule, by)
    })
    .await
}

async fn delete(State(app): State<App>, Path(id): Path<Uuid>) -> Answer {
    app.blocking(move |app| {
        alerts::delete(&app.catalog, id)?;
        Ok(normal(json!({})))
    })
    .await
}
