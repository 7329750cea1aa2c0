//! Alert rules and their records.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@rule`] | [`Rule`] and its [`Terms`]: what a rule is, and which ones are refused |
//! | [`mod@evaluate`] | rules against bins |
//! | [`record`] | [`Record`]: an alert that was raised |
//!
//! Rules are held against every bin that is over after each change of rows, when a rule is made or changed, and when
//! records are asked for. Nobody is notified: whoever wants to know asks.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::domain::catalog::Documents;
use crate::domain::objects;
use crate::domain::queries::baseline_of;
use crate::http::envelope::{Answer, ApiError};

pub mod evaluate;
pub mod record;
pub mod rule;

pub use evaluate::evaluate;
pub use record::{ALERT_RECORD, Record, Severity, records};
pub use rule::{ALERT_RULE, Rule, Terms};

/// Makes a rule and holds it against the bins there are. `legacy` is what a client of generation 1 or 2 sent. Blocks.
///
/// # Errors
/// 404 if there is no such model or baseline, 400 if the rule can never be measured.
pub fn create(app: &App, terms: Terms, legacy: Option<Value>) -> Answer<Rule> {
    check(app, &terms)?;
    let now = Timestamp::now();
    let rule = Rule {
        id: Uuid::new_v4(),
        terms,
        revision: 1,
        notification: json!({
            "emails": [], "pagerduty_services": [], "pagerduty_severity": "", "webhooks": [],
        }),
        legacy,
        created_at: now,
        updated_at: now,
    };
    app.change(|documents| documents.insert(ALERT_RULE, rule.id, None, &rule))?;
    evaluate_model(app, rule.terms.model_id)?;
    Ok(rule)
}

/// Gives a rule other terms and holds it against the bins there are. Blocks.
///
/// # Errors
/// 404 if there is no such rule, 400 if it can never be measured any more.
pub fn change(app: &App, id: Uuid, terms: impl FnOnce(Terms) -> Answer<Terms>) -> Answer<Rule> {
    let before = app.catalog.read(|documents| rule(documents, id))?;
    let terms = terms(before.terms.clone())?;
    if terms == before.terms {
        return Ok(before);
    }
    check(app, &terms)?;
    let changed = Rule {
        terms,
        revision: before.revision + 1,
        updated_at: Timestamp::now(),
        ..before
    };
    app.change(|documents| documents.replace(ALERT_RULE, id, &changed))?;
    evaluate_model(app, changed.terms.model_id)?;
    Ok(changed)
}

/// Deletes a rule and its records. Blocks.
///
/// # Errors
/// 404 if there is no such rule.
pub fn delete(app: &App, id: Uuid) -> Answer<()> {
    app.change(|documents| {
        rule(documents, id)?;
        forget(documents, id)
    })
}

/// The rule with this id; 404 without one.
pub fn rule(documents: &Documents<'_>, id: Uuid) -> Answer<Rule> {
    documents
        .get(ALERT_RULE, id)?
        .ok_or_else(|| ApiError::not_found("Alert rule"))
}

/// Rules of a model, in the order in which they were made.
pub fn rules(documents: &Documents<'_>, model: Uuid) -> Answer<Vec<Rule>> {
    let mut rules: Vec<Rule> = documents.list(ALERT_RULE)?;
    rules.retain(|rule| rule.terms.model_id == model);
    Ok(rules)
}

/// Removes the rules of a model and their records from the catalog.
pub(crate) fn forget_model(documents: &Documents<'_>, model: Uuid) -> Answer<()> {
    for rule in rules(documents, model)? {
        forget(documents, rule.id)?;
    }
    Ok(())
}

fn forget(documents: &Documents<'_>, rule: Uuid) -> Answer<()> {
    for record in records(documents, rule)? {
        documents.delete(ALERT_RECORD, record.id)?;
    }
    documents.delete(ALERT_RULE, rule)?;
    Ok(())
}

fn check(app: &App, terms: &Terms) -> Answer<()> {
    let model = app.catalog.read(|documents| {
        let model = objects::model(documents, terms.model_id)?;
        baseline_of(documents, &model, terms.baseline_id)?;
        Ok(model)
    })?;
    app.counts
        .with(app, &model, |counted| terms.check(counted, &model))
}

/// Like [`evaluate()`], of the model with this id; one that is not there any more is no error.
pub fn evaluate_model(app: &App, model: Uuid) -> Answer<()> {
    let model = app.catalog.read(|documents| {
        let models = objects::models(documents)?;
        Ok(models.into_iter().find(|known| known.id == model))
    })?;
    match model {
        Some(model) => evaluate(app, &model),
        None => Ok(()),
    }
}
