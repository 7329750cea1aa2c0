//! Alert rules. Their records are the same route for every generation, see [`crate::domain::alerts`].

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use driftline_core::Result;
use driftline_fiddler_api::v2::{AlertConfig, FeatureNames, NewAlertConfig};
use driftline_fiddler_api::{Empty, Field, Page};
use serde::Deserialize;
use serde_json::{Number, Value};
use uuid::Uuid;

use super::models;
use super::names::Generation;
use super::requests::{Decoded, kept, needed, recalled};
use crate::domain::alerts::{self, ALERT_RULE, Rule, Terms, ThresholdType};
use crate::domain::catalog::Documents;
use crate::domain::error;
use crate::domain::objects::{self, BASELINE, Baseline};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal, paginated};
use crate::http::v3::views;

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
            match (object.get(field).unwrap_or(&Value::Null), value) {
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

async fn create(
    State(app): State<App>,
    by: Generation,
    Decoded(new): Decoded<NewAlertConfig>,
) -> Answer {
    app.blocking(move |app| {
        let said = kept(&new)?;
        let terms = app.catalog.read(|documents| terms(documents, new))?;
        let rule = alerts::create(&app.catalog, &app.counts, terms, Some(said))?;
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
fn terms(documents: &Documents<'_>, new: NewAlertConfig) -> Result<Terms> {
    let model = models::find(documents, &new.project_name, &new.model_name)?;
    let baseline = match new.baseline_name.get() {
        Some(name) => {
            let mut known = objects::baselines(documents, model.id)?.into_iter();
            let found = known.find(|baseline| baseline.name == *name);
            Some(found.ok_or_else(|| error::not_found("Baseline"))?.id)
        }
        None => None,
    };
    let bucket = new.time_bucket.get().copied().unwrap_or_default();
    let Some((length, bin)) = BINS.iter().find(|(length, _)| *length == bucket) else {
        let message = format!(
            "time_bucket is {bucket}, not the milliseconds of an hour, a day, a week or 30 days"
        );
        return Err(error::invalid(message));
    };
    let delta = match new.compare_period.get().copied() {
        Some(period) if period > 0 && period % length == 0 => u32::try_from(period / length).ok(),
        Some(period) if period != 0 => {
            let message =
                format!("compare_period is {period}, not a multiple of time_bucket, {length}");
            return Err(error::invalid(message));
        }
        _ => None,
    };
    let number = |threshold: &Field<Number>| threshold.get().and_then(Number::as_f64);
    let metric = match new.metric_id {
        Field::Value(id) => id,
        Field::Absent | Field::Null => needed(new.metric, "metric")?,
    };
    let renamed = FIRST_METRICS.iter().find(|(before, _)| *before == metric);
    Ok(Terms {
        name: needed(new.name, "name")?,
        model_id: model.id,
        metric_id: renamed.map_or(metric.clone(), |(_, now)| (*now).to_owned()),
        feature_names: columns(new.feature_names, new.feature_name)?,
        category: new.category.into_value(),
        baseline_id: baseline,
        bin_size: bin.parse()?,
        compare_to: needed(new.compare_to, "compare_to")?,
        compare_bin_delta: delta,
        condition: needed(new.condition, "condition")?,
        threshold_type: ThresholdType::Manual,
        auto_threshold_params: None,
        critical_threshold: number(&new.critical_threshold),
        warning_threshold: number(&new.warning_threshold),
        evaluation_delay: None,
        priority: new.priority.into_value().unwrap_or_default(),
        segment_id: new.segment_id.into_value(),
    })
}

/// `feature_names`, which client 1 may send as the text of a Python list, or `feature_name`.
fn columns(names: Field<FeatureNames>, name: Field<String>) -> Result<Option<Vec<String>>> {
    match (names, name) {
        (Field::Value(FeatureNames::Text(text)), _) => {
            let names = serde_json::from_str(&text.replace('\'', "\""));
            names
                .map(Some)
                .map_err(|_| error::invalid(format!("feature_names is no list: {text}")))
        }
        (Field::Value(FeatureNames::List(names)), _) => Ok(Some(names)),
        (_, Field::Value(name)) => Ok(Some(vec![name])),
        _ => Ok(None),
    }
}

/// The rule as a client of this generation reads it; `None` if it cannot.
fn readable(documents: &Documents<'_>, rule: &Rule, by: Generation) -> Result<Option<AlertConfig>> {
    let mut object = object(documents, rule)?;
    let period = object.said.compare_period.get();
    let known = period.is_none_or(|ms| *ms == 0 || PERIODS.contains(ms));
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
        object.said.metric = name.to_owned().into();
        object
    }))
}

/// What a client of these generations sent, where one did, and what the server adds.
fn object(documents: &Documents<'_>, rule: &Rule) -> Result<AlertConfig> {
    let model = objects::model(documents, rule.terms.model_id)?;
    let metric = views::metric(rule.terms.metric()?);
    let said = match &rule.legacy {
        Some(sent) => recalled(sent)?,
        None => described(documents, &rule.terms, metric.group.name())?,
    };
    Ok(AlertConfig {
        uuid: rule.id.to_string(),
        alert_type_display_name: metric.group.name().to_owned(),
        metric_display_name: metric.display_name,
        said: NewAlertConfig {
            organization_name: super::names::ORGANIZATION.to_owned().into(),
            project_name: model.project_name,
            model_name: model.name,
            metric_id: rule.terms.metric_id.clone().into(),
            ..said
        },
    })
}

/// What a client of these generations would have sent for a rule that another made.
fn described(documents: &Documents<'_>, terms: &Terms, group: &str) -> Result<NewAlertConfig> {
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
    let number = |threshold: Option<f64>| Field::from(threshold.and_then(Number::from_f64));
    let columns = terms.feature_names.clone().map(FeatureNames::List);
    Ok(NewAlertConfig {
        name: terms.name.clone().into(),
        alert_type: group.to_owned().into(),
        segment_id: Field::Null,
        feature_name: Field::Null,
        feature_names: columns.into(),
        category: terms.category.clone().into(),
        priority: terms.priority.into(),
        compare_to: terms.compare_to.into(),
        baseline_name: baseline.map(|baseline| baseline.name).into(),
        compare_period: delta
            .zip(length)
            .map(|(delta, length)| delta * length)
            .into(),
        warning_threshold: number(terms.warning_threshold),
        critical_threshold: number(terms.critical_threshold),
        condition: terms.condition.into(),
        time_bucket: length.into(),
        bin_size: bin.to_owned().into(),
        notifications: Field::Null,
        ..NewAlertConfig::default()
    })
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
        let mut wanted = Vec::new();
        for object in objects.into_iter().flatten() {
            if filter.takes(&kept(&object)?) {
                wanted.push(object);
            }
        }
        Ok(paginated(Page::cut(wanted, listing.offset, listing.limit)))
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
        Ok(normal(Empty {}))
    })
    .await
}
