//! Rules, made, changed and deleted.

use driftline_core::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::evaluate::evaluate_model;
use super::record::{ALERT_RECORD, records};
use super::rule::{ALERT_RULE, Rule, Terms, rule, rules};
use crate::domain::catalog::{Catalog, Documents};
use crate::domain::objects;
use crate::domain::queries::{Counts, baseline_of};

/// Makes a rule and holds it against the bins there are. `legacy` is what a client of generation 1 or 2 sent. Blocks.
///
/// # Errors
/// `NotFound` if there is no such model or baseline, `InvalidData` if the rule can never be measured.
pub(crate) fn create(
    catalog: &Catalog,
    counts: &Counts,
    terms: Terms,
    legacy: Option<Value>,
) -> Result<Rule> {
    check(catalog, counts, &terms)?;
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
    catalog.change(|documents| documents.insert(ALERT_RULE, rule.id, None, &rule))?;
    evaluate_model(catalog, counts, rule.terms.model_id)?;
    Ok(rule)
}

/// Gives a rule other terms and holds it against the bins there are. Blocks.
///
/// # Errors
/// `NotFound` if there is no such rule, `InvalidData` if it can never be measured any more.
pub(crate) fn change(
    catalog: &Catalog,
    counts: &Counts,
    id: Uuid,
    terms: impl FnOnce(Terms) -> Result<Terms>,
) -> Result<Rule> {
    let before = catalog.read(|documents| rule(documents, id))?;
    let terms = terms(before.terms.clone())?;
    if terms == before.terms {
        return Ok(before);
    }
    check(catalog, counts, &terms)?;
    let changed = Rule {
        terms,
        revision: before.revision + 1,
        updated_at: Timestamp::now(),
        ..before
    };
    catalog.change(|documents| documents.replace(ALERT_RULE, id, &changed))?;
    evaluate_model(catalog, counts, changed.terms.model_id)?;
    Ok(changed)
}

/// Deletes a rule and its records. Blocks.
///
/// # Errors
/// `NotFound` if there is no such rule.
pub(crate) fn delete(catalog: &Catalog, id: Uuid) -> Result<()> {
    catalog.change(|documents| {
        rule(documents, id)?;
        forget(documents, id)
    })
}

/// Removes the rules of a model and their records from the catalog.
pub(crate) fn forget_model(documents: &Documents<'_>, model: Uuid) -> Result<()> {
    for rule in rules(documents, model)? {
        forget(documents, rule.id)?;
    }
    Ok(())
}

fn forget(documents: &Documents<'_>, rule: Uuid) -> Result<()> {
    for record in records(documents, rule)? {
        documents.delete(ALERT_RECORD, record.id)?;
    }
    documents.delete(ALERT_RULE, rule)?;
    Ok(())
}

fn check(catalog: &Catalog, counts: &Counts, terms: &Terms) -> Result<()> {
    let model = catalog.read(|documents| {
        let model = objects::model(documents, terms.model_id)?;
        baseline_of(documents, &model, terms.baseline_id)?;
        Ok(model)
    })?;
    counts.with(&model, |counted| terms.check(counted, &model))
}
