//! The web page and what it reads.
//!
//! | route | what it answers |
//! | --- | --- |
//! | `/`, `/assets/page.css`, `/assets/page.js` | the page, which holds no data and needs no token |
//! | `/ui/models` | projects and models |
//! | `/ui/model?project=&model=&size=&baseline=` | a model over time |
//! | `/ui/bin?…&start=` | one of its bins, looked at closely |
//! | `/ui/image?url=` | a picture, from where it is allowed |

use axum::extract::{Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use driftline_metrics::{BaselineRows, BinSize, StoredModel};
use driftline_report::site;
use driftline_report::view::{
    Detail, ShownAlert, ShownBaseline, bin_views, model_view, own_baselines,
};
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::alerts::{self, Severity};
use crate::catalog::Documents;
use crate::envelope::{Answer, ApiError};
use crate::objects::{self, Model};
use crate::queries::{named_baseline, refused};

/// The page and its assets, which hold no data and need no token.
pub fn shell_routes() -> Router<App> {
    let asset = |kind, content: &'static str| get(move || async move { shell(kind, content) });
    Router::new()
        .route(
            "/",
            get(async || shell("text/html; charset=utf-8", site::shell())),
        )
        .route(
            "/assets/page.css",
            asset("text/css; charset=utf-8", site::STYLE),
        )
        .route(
            "/assets/page.js",
            asset("text/javascript; charset=utf-8", site::SCRIPT),
        )
}

/// What the page reads, behind the token.
pub fn data_routes() -> Router<App> {
    Router::new()
        .route("/ui/models", get(models))
        .route("/ui/model", get(model))
        .route("/ui/bin", get(bin))
        .route("/ui/image", get(image))
}

fn shell(kind: &'static str, content: impl IntoResponse) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, site::POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // A newer driftline has a newer page.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

async fn models(State(app): State<App>) -> Answer {
    app.blocking(|app| {
        // What a run wrote into the store meanwhile is shown, too.
        objects::discover(app)?;
        let models = app.catalog.read(objects::models)?;
        let mut names: Vec<(String, String)> = models
            .into_iter()
            .map(|model| (model.project_name, model.folder))
            .collect();
        names.sort_unstable();
        let names = names
            .into_iter()
            .map(|(project, model)| json!({"project": project, "model": model}));
        Ok(Json(names.collect::<Vec<_>>()).into_response())
    })
    .await
}

/// Which numbers are wanted.
#[derive(Debug, Deserialize)]
struct Wanted {
    project: String,
    model: String,
    /// Length of the bins, a day without it.
    size: Option<String>,
    /// Name of the baseline, the model's first without it.
    baseline: Option<String>,
    /// Start of a bin, in milliseconds.
    start: Option<i64>,
}

impl Wanted {
    fn size(&self) -> Answer<BinSize> {
        let size = self.size.as_deref().map(str::parse).transpose();
        Ok(size.map_err(refused)?.unwrap_or(BinSize::Day))
    }

    fn model(&self, documents: &Documents<'_>) -> Answer<Model> {
        let mut models = objects::models(documents)?.into_iter();
        models
            .find(|model| model.project_name == self.project && model.folder == self.model)
            .ok_or_else(|| ApiError::not_found("Model"))
    }

    fn baseline<'a>(&self, baselines: &'a [ShownBaseline]) -> Answer<&'a ShownBaseline> {
        let wanted =
            |one: &&ShownBaseline| self.baseline.as_deref().is_none_or(|name| one.name == name);
        baselines
            .iter()
            .find(wanted)
            .ok_or_else(|| ApiError::not_found("Baseline"))
    }
}

async fn model(State(app): State<App>, Query(wanted): Query<Wanted>) -> Answer {
    app.blocking(move |app| {
        let (model, declared, alerts) = app.catalog.read(|documents| {
            let model = wanted.model(documents)?;
            let declared = declared(documents, &model)?;
            let alerts = fired(documents, &model)?;
            Ok((model, declared, alerts))
        })?;
        let size = wanted.size()?;
        app.counts.with(app, &model, |counted| {
            let baselines = baselines(counted, &declared);
            let chosen = wanted.baseline(&baselines)?;
            let sizes = &BinSize::ALL;
            let view = model_view(counted, &baselines, chosen, size, sizes, Some(alerts))?;
            Ok(Json(view).into_response())
        })
    })
    .await
}

async fn bin(State(app): State<App>, Query(wanted): Query<Wanted>) -> Answer {
    app.blocking(move |app| {
        let start = wanted
            .start
            .ok_or_else(|| ApiError::bad_request("`start` is missing: the start of the bin"))?;
        let (model, declared) = app.catalog.read(|documents| {
            let model = wanted.model(documents)?;
            let declared = declared(documents, &model)?;
            Ok((model, declared))
        })?;
        let size = wanted.size()?;
        app.counts.with(app, &model, |counted| {
            let baselines = baselines(counted, &declared);
            let baseline = &wanted.baseline(&baselines)?.baseline;
            let detail = Detail::FULL;
            let views = bin_views(counted, baseline, size, &[start], detail, &app.pictures)?;
            Ok(Json(views.into_iter().next()).into_response())
        })
    })
    .await
}

#[derive(Debug, Deserialize)]
struct ImageQuery {
    url: String,
}

async fn image(State(app): State<App>, Query(query): Query<ImageQuery>) -> Answer {
    app.blocking(move |app| {
        let png = app
            .pictures
            .png(&query.url)
            .ok_or_else(|| ApiError::not_found("Picture"))?;
        let headers = [
            (CONTENT_TYPE, "image/png"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        Ok((headers, png).into_response())
    })
    .await
}

/// Baselines that clients declared over events.
fn declared(documents: &Documents<'_>, model: &Model) -> Answer<Vec<ShownBaseline>> {
    let mut found = Vec::new();
    for baseline in objects::baselines(documents, model.id)? {
        // Those of environments the counts know themselves; an incomplete one has no rows.
        if let Ok(named) = named_baseline(documents, baseline)
            && !matches!(
                named.rows,
                BaselineRows::Whole | BaselineRows::Environment { .. }
            )
        {
            found.push(ShownBaseline {
                name: named.name,
                baseline: named.rows,
            });
        }
    }
    Ok(found)
}

fn baselines(counted: &StoredModel, declared: &[ShownBaseline]) -> Vec<ShownBaseline> {
    let mut all = own_baselines(counted);
    all.extend(declared.iter().cloned());
    all
}

/// Alerts of the rules of a model, the latest bins first.
fn fired(documents: &Documents<'_>, model: &Model) -> Answer<Vec<ShownAlert>> {
    let mut found = Vec::new();
    for rule in alerts::rules(documents, model.id)? {
        for record in alerts::records(documents, rule.id)? {
            let finding = record.finding;
            let (severity, threshold) = match finding.severity {
                Severity::Critical => ("critical", finding.critical),
                Severity::Warning => ("warning", finding.warning.unwrap_or(finding.critical)),
            };
            let column = finding.column.map(|column| format!(" of {column}"));
            found.push(ShownAlert {
                rule: rule.terms.name.clone(),
                metric: format!("{}{}", rule.terms.metric_id, column.unwrap_or_default()),
                bin: finding.bin,
                value: finding.value,
                threshold,
                severity: severity.to_owned(),
            });
        }
    }
    found.sort_by(|a, b| b.bin.cmp(&a.bin).then_with(|| a.rule.cmp(&b.rule)));
    Ok(found)
}
