//! Filters of lists: nested conditions over fields of the objects that are answered.

use std::cmp::Ordering;

use driftline_core::Result;
use driftline_fiddler_api::v3::{self, Combination, Operator};
use serde_json::Value;

use crate::domain::error;

/// Which objects of a list pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter(v3::Filter);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Any,
    Equal,
    In,
    Less,
    LessOrEqual,
    Between,
    BeginsWith,
    Contains,
    EndsWith,
    IsEmpty,
    IsNull,
}

impl Filter {
    /// Reads the JSON text of a query.
    ///
    /// # Errors
    /// `InvalidData` saying what is not a filter.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let json = serde_json::from_str(text)
            .map_err(|cause| error::invalid(format!("filter is not JSON: {cause}")))?;
        driftline_fiddler_api::parse(json)
            .map(Self)
            .map_err(|mismatch| error::invalid(format!("the filter {mismatch}")))
    }

    /// Whether an object passes.
    pub(crate) fn passes(&self, object: &Value) -> bool {
        passes(&self.0, object)
    }
}

/// Everything passes.
impl Default for Filter {
    fn default() -> Self {
        Self(v3::Filter::equal(&[]))
    }
}

fn passes(filter: &v3::Filter, object: &Value) -> bool {
    match filter {
        v3::Filter::Group(group) => {
            let mut rules = group.rules.iter();
            match group.condition {
                Combination::And => rules.all(|rule| passes(rule, object)),
                Combination::Or => rules.any(|rule| passes(rule, object)),
            }
        }
        v3::Filter::Rule(rule) => {
            let (comparison, negated) = comparison(rule.operator);
            comparison.holds(lookup(object, &rule.field), &rule.value) != negated
        }
    }
}

/// The field of an object; `project_id` and `project.id` are both the id of its project.
pub(crate) fn lookup<'a>(object: &'a Value, field: &str) -> &'a Value {
    if let Some(value) = object.get(field) {
        return value;
    }
    let (outer, inner) = match field.split_once('.') {
        Some(pair) => pair,
        None => match field.rsplit_once('_') {
            Some(pair) => pair,
            None => return &Value::Null,
        },
    };
    &object[outer][inner]
}

/// Numbers by value, text by its letters, anything else not at all.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// What an operator compares, and whether it is the opposite.
fn comparison(operator: Operator) -> (Comparison, bool) {
    match operator {
        Operator::Any => (Comparison::Any, false),
        Operator::Equal => (Comparison::Equal, false),
        Operator::NotEqual => (Comparison::Equal, true),
        Operator::In => (Comparison::In, false),
        Operator::NotIn => (Comparison::In, true),
        Operator::Less => (Comparison::Less, false),
        Operator::GreaterOrEqual => (Comparison::Less, true),
        Operator::LessOrEqual => (Comparison::LessOrEqual, false),
        Operator::Greater => (Comparison::LessOrEqual, true),
        Operator::Between => (Comparison::Between, false),
        Operator::NotBetween => (Comparison::Between, true),
        Operator::BeginsWith => (Comparison::BeginsWith, false),
        Operator::NotBeginsWith => (Comparison::BeginsWith, true),
        Operator::Contains => (Comparison::Contains, false),
        Operator::NotContains => (Comparison::Contains, true),
        Operator::EndsWith => (Comparison::EndsWith, false),
        Operator::NotEndsWith => (Comparison::EndsWith, true),
        Operator::IsEmpty => (Comparison::IsEmpty, false),
        Operator::IsNotEmpty => (Comparison::IsEmpty, true),
        Operator::IsNull => (Comparison::IsNull, false),
        Operator::IsNotNull => (Comparison::IsNull, true),
    }
}

impl Comparison {
    fn holds(self, field: &Value, value: &Value) -> bool {
        let texts = |holds: fn(&str, &str) -> bool| match (field.as_str(), value.as_str()) {
            (Some(field), Some(value)) => holds(field, value),
            _ => false,
        };
        let order = |value| compare(field, value);
        match self {
            Self::Equal => field == value || order(value) == Some(Ordering::Equal),
            Self::In => value
                .as_array()
                .is_some_and(|values| values.iter().any(|value| Self::Equal.holds(field, value))),
            // The field is a list, and has one of the values.
            Self::Any => {
                let wanted = match value {
                    Value::Array(values) => values.as_slice(),
                    value => std::slice::from_ref(value),
                };
                let has = match field {
                    Value::Array(fields) => fields.as_slice(),
                    field => std::slice::from_ref(field),
                };
                has.iter().any(|field| wanted.contains(field))
            }
            Self::Less => order(value) == Some(Ordering::Less),
            Self::LessOrEqual => {
                matches!(order(value), Some(Ordering::Less | Ordering::Equal))
            }
            Self::Between => match value.as_array().map(Vec::as_slice) {
                Some([least, most]) => {
                    matches!(order(least), Some(Ordering::Greater | Ordering::Equal))
                        && matches!(order(most), Some(Ordering::Less | Ordering::Equal))
                }
                _ => false,
            },
            Self::BeginsWith => texts(|field, value| field.starts_with(value)),
            Self::EndsWith => texts(|field, value| field.ends_with(value)),
            Self::Contains => match field {
                Value::Array(fields) => fields.contains(value),
                _ => texts(|field, value| field.contains(value)),
            },
            Self::IsEmpty => match field {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(values) => values.is_empty(),
                Value::Object(values) => values.is_empty(),
                _ => false,
            },
            Self::IsNull => field.is_null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use driftline_core::ErrorKind;
    use serde_json::json;

    use super::*;

    fn passes(rule: Value) -> bool {
        let object = json!({
            "name": "resnet18", "rows": 200, "note": null, "tags": ["a", "b"], "empty": "",
            "project": {"id": "p1", "name": "images"},
        });
        Filter::parse(&rule.to_string()).unwrap().passes(&object)
    }

    #[test]
    fn every_operator_holds_where_it_should_and_nowhere_else() {
        for (field, operator, yes, no) in [
            ("name", "equal", json!("resnet18"), json!("resnet")),
            ("project_id", "equal", json!("p1"), json!("p2")),
            ("project.name", "equal", json!("images"), json!("p1")),
            ("rows", "equal", json!(200.0), json!(201)),
            ("name", "in", json!(["x", "resnet18"]), json!(["x"])),
            ("rows", "less", json!(201), json!(200)),
            ("rows", "less_or_equal", json!(200), json!(199)),
            ("rows", "greater", json!(199), json!(200)),
            ("rows", "greater_or_equal", json!(200), json!(201)),
            ("rows", "between", json!([200, 300]), json!([201, 300])),
            ("name", "begins_with", json!("res"), json!("net")),
            ("name", "contains", json!("net"), json!("x")),
            ("tags", "contains", json!("a"), json!("c")),
            ("name", "ends_with", json!("18"), json!("res")),
            ("tags", "any", json!(["c", "b"]), json!(["c"])),
        ] {
            for (value, expected) in [(yes, true), (no, false)] {
                let rule = json!({"field": field, "operator": operator, "value": value});
                assert_eq!(passes(rule.clone()), expected, "{rule}");
                if !operator.starts_with("less")
                    && !operator.starts_with("greater")
                    && operator != "any"
                {
                    let operator = format!("not_{operator}");
                    let rule = json!({"field": field, "operator": operator, "value": value});
                    assert_eq!(passes(rule.clone()), !expected, "{rule}");
                }
            }
        }
        for (field, operator, expected) in [
            ("note", "is_null", true),
            ("name", "is_null", false),
            ("nowhere", "is_null", true),
            ("name", "is_not_null", true),
            ("empty", "is_empty", true),
            ("name", "is_not_empty", true),
        ] {
            let rule = json!({"field": field, "operator": operator});
            assert_eq!(passes(rule.clone()), expected, "{rule}");
        }
    }

    #[test]
    fn conditions_nest_and_may_be_empty() {
        let rule =
            |field: &str, value: &str| json!({"field": field, "operator": "equal", "value": value});
        let (yes, no) = (rule("name", "resnet18"), rule("name", "x"));
        assert!(passes(json!({"condition": "AND", "rules": []})));
        assert!(!passes(json!({"condition": "AND", "rules": [yes, no]})));
        assert!(passes(
            json!({"condition": "OR", "rules": [no, {"condition": "AND", "rules": [yes]}]})
        ));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"rules": 1}"#,
            r#"{"condition":"XOR","rules":[]}"#,
            r#"{"field":"name","operator":"like","value":"x"}"#,
        ] {
            let error = Filter::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bad}");
        }
    }
}
