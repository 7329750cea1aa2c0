//! Alert rules and their records.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `rule` | [`Rule`] and its [`Terms`]: what a rule is, and which ones are refused |
//! | `rules` | rules, made, changed and deleted |
//! | `evaluate` | rules against bins |
//! | `thresholds` | what there is to raise of the values of bins |
//! | `record` | [`Record`]: an alert that was raised |
//!
//! Rules are held against every bin that is over after each change of rows, when a rule is made or changed, and when
//! records are asked for. Nobody is notified: whoever wants to know asks.

mod evaluate;
mod record;
mod rule;
mod rules;
mod thresholds;

pub(crate) use evaluate::evaluate_model;
pub(crate) use record::{ALERT_RECORD, Record, Severity, records};
pub(crate) use rule::{ALERT_RULE, Rule, Terms, ThresholdType, rule, rules};
pub(crate) use rules::{change, create, delete, forget_model};
