//! Which rules a list is asked for.

use serde::Deserialize;
use serde_json::Value;

use super::rule::Rule;
use crate::envelope::{Answer, ApiError};

/// Conditions that must all hold.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    rules: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    field: Field,
    operator: Operator,
    value: Value,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    Id,
    Name,
    ModelId,
    BaselineId,
    MetricId,
    FeatureNames,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operator {
    Equal,
    NotEqual,
    /// One of the values of a list field.
    Any,
}

impl Filter {
    /// Reads the `filter` of a query.
    ///
    /// # Errors
    /// 400 that lists the fields or operators there are.
    pub(super) fn read(text: &str) -> Answer<Self> {
        serde_json::from_str(text)
            .map_err(|cause| ApiError::bad_request(format!("the filter cannot be read: {cause}")))
    }

    pub(super) fn takes(&self, rule: &Rule) -> bool {
        self.rules.iter().all(|condition| condition.holds(rule))
    }
}

impl Condition {
    fn holds(&self, rule: &Rule) -> bool {
        let terms = &rule.terms;
        let is = |text: &str| self.value == text;
        let equal = match self.field {
            Field::Id => is(&rule.id.to_string()),
            Field::Name => is(&terms.name),
            Field::ModelId => is(&terms.model_id.to_string()),
            Field::BaselineId => terms.baseline_id.is_some_and(|id| is(&id.to_string())),
            Field::MetricId => is(&terms.metric_id),
            Field::FeatureNames => terms.feature_names.iter().flatten().any(|name| is(name)),
        };
        equal == (self.operator != Operator::NotEqual)
    }
}
