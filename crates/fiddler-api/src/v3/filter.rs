//! Filters of lists, JSON text in the query `filter`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Mismatch, parse};

/// Which objects of a list are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Map<String, Value>")]
pub enum Filter {
    /// Several filters together.
    Group(Group),
    /// A field compared with a value.
    Rule(Rule),
}

/// Several filters together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Whether all or one of them must hold.
    #[serde(default)]
    pub condition: Combination,
    /// The filters.
    pub rules: Vec<Filter>,
}

/// How filters are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Combination {
    /// All of them hold.
    #[default]
    And,
    /// One of them holds.
    Or,
}

/// A field compared with a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The field, like `name`; `project_id` and `project.id` are both the id of the project.
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    #[serde(default)]
    pub value: Value,
}

/// How a field is compared with a value.
#[allow(missing_docs, reason = "each is what its name says, or its opposite")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The field is a list, and has one of the values.
    Any,
    Equal,
    NotEqual,
    In,
    NotIn,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Between,
    NotBetween,
    BeginsWith,
    NotBeginsWith,
    Contains,
    NotContains,
    EndsWith,
    NotEndsWith,
    IsEmpty,
    IsNotEmpty,
    IsNull,
    IsNotNull,
}

impl Filter {
    /// All of these fields have these values.
    pub fn equal(fields: &[(&str, &str)]) -> Self {
        let rule = |(field, value): &(&str, &str)| {
            Self::Rule(Rule {
                field: (*field).to_owned(),
                operator: Operator::Equal,
                value: (*value).into(),
            })
        };
        Self::Group(Group {
            condition: Combination::And,
            rules: fields.iter().map(rule).collect(),
        })
    }
}

/// The JSON text, as it is in the query.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl TryFrom<Map<String, Value>> for Filter {
    type Error = Mismatch;

    fn try_from(object: Map<String, Value>) -> Result<Self, Mismatch> {
        match object.contains_key("rules") {
            true => parse(Value::Object(object)).map(Self::Group),
            false => parse(Value::Object(object)).map(Self::Rule),
        }
    }
}
