//! Rules against bins, and what is found.

use std::collections::BTreeMap;

use driftline_core::Result;
use driftline_metrics::{Column, Metric, RowCounts, StoredModel};
use jiff::Timestamp;
use uuid::Uuid;

use super::record::keep;
use super::rule::{ALERT_RULE, Rule, rules};
use super::thresholds::Empty;
use crate::domain::catalog::{Catalog, Documents};
use crate::domain::objects::{self, Model};
use crate::domain::queries::{Counts, baseline_of, rows_of};

/// Holds the rules of a model against every bin that is over, and keeps what is found. Doing it again adds nothing. A
/// rule that cannot be measured any more is passed over and logged. Blocks.
fn evaluate(catalog: &Catalog, counts: &Counts, model: &Model) -> Result<()> {
    let rules = catalog.read(|documents| rules(documents, model.id))?;
    if rules.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now().as_millisecond();
    let mut found = Vec::new();
    for rule in rules {
        let baseline =
            catalog.read(|documents| baseline_of(documents, model, rule.terms.baseline_id));
        let findings = baseline.and_then(|baseline| {
            let rows = rows_of(baseline.as_ref());
            counts.with(model, |counted| {
                let compared = counted.compared(rows, &counted.extent(), rule.terms.bin_size)?;
                let bins = compared
                    .into_iter()
                    .map(|(bin, before)| (bin.start.as_millisecond(), (bin.counts, before)));
                let bins: BTreeMap<i64, _> = bins.collect();
                let mut findings = Vec::new();
                let metric = rule.terms.metric()?;
                for (column, name) in rule.terms.columns(counted, model)? {
                    let values = bins.iter().filter_map(|(start, (summary, before))| {
                        let value = value(&rule, metric, counted, column, summary, before)?;
                        Some((*start, value))
                    });
                    let mut values: BTreeMap<i64, f64> = values.collect();
                    let empty = if metric == Metric::Traffic {
                        rule.add_empty(&mut values);
                        Empty::HasNone
                    } else {
                        Empty::IsUnknown
                    };
                    findings.extend(rule.findings(&values, empty, name.as_deref(), now));
                }
                Ok(findings)
            })
        });
        match findings {
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => found.push((rule, findings)),
            Err(error) => tracing::warn!(
                rule = %rule.id, message = error.message(), "an alert rule cannot be measured"
            ),
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    catalog.change(|documents| {
        for (rule, findings) in found {
            // Somebody may have deleted the rule meanwhile.
            if exists(documents, &rule)? {
                keep(documents, &rule, findings)?;
            }
        }
        Ok(())
    })
}

fn exists(documents: &Documents<'_>, rule: &Rule) -> Result<bool> {
    Ok(documents.get::<Rule>(ALERT_RULE, rule.id)?.is_some())
}

fn value(
    rule: &Rule,
    metric: Metric,
    counted: &StoredModel,
    column: Option<Column>,
    bin: &RowCounts,
    before: &RowCounts,
) -> Option<f64> {
    if let (Metric::Frequency, Some(category), Some(column)) =
        (metric, &rule.terms.category, column)
    {
        let names = counted.bin_names(column);
        let at = names.iter().position(|name| name == category)?;
        return bin.histogram(column).get(at).map(|count| *count as f64);
    }
    metric.value(bin, before, column)
}

/// Like [`evaluate()`], of the model with this id; one that is not there any more is no error.
pub(crate) fn evaluate_model(catalog: &Catalog, counts: &Counts, model: Uuid) -> Result<()> {
    let model = catalog.read(|documents| {
        let models = objects::models(documents)?;
        Ok(models.into_iter().find(|known| known.id == model))
    })?;
    match model {
        Some(model) => evaluate(catalog, counts, &model),
        None => Ok(()),
    }
}
