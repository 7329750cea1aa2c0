//! Rules against bins.

use std::collections::BTreeMap;

use driftline_metrics::{Column, Metric, RowCounts, StoredModel};
use jiff::Timestamp;

use super::record::{Finding, Severity, keep};
use super::rule::{CompareTo, Condition, Rule, ThresholdType};
use super::rules;
use crate::App;
use crate::catalog::Documents;
use crate::envelope::Answer;
use crate::objects::Model;
use crate::queries::{baseline_of, rows_of};

const HOUR_MS: i64 = 3_600_000;
/// Earlier bins that a standard deviation is taken of, at least.
const LEAST_HISTORY: f64 = 3.0;
/// Bins without any event after one another that are held against a rule. Those after them have nothing new to tell, and
/// one event with a wrong time can make any number of them.
const MOST_EMPTY: usize = 1_000;

/// Holds the rules of a model against every bin that is over, and keeps what is found. Doing it again adds nothing. A
/// rule that cannot be measured any more is passed over and logged. Blocks.
pub fn evaluate(app: &App, model: &Model) -> Answer<()> {
    let rules = app.catalog.read(|documents| rules(documents, model.id))?;
    if rules.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now().as_millisecond();
    let mut found = Vec::new();
    for rule in rules {
        let baseline = app
            .catalog
            .read(|documents| baseline_of(documents, model, rule.terms.baseline_id));
        let findings = baseline.and_then(|baseline| {
            let rows = rows_of(baseline.as_ref());
            app.counts.with(app, model, |counted| {
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
                rule = %rule.id, message = error.message, "an alert rule cannot be measured"
            ),
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    app.catalog.change(|documents| {
        for (rule, findings) in found {
            // Somebody may have deleted the rule meanwhile.
            if exists(documents, &rule)? {
                keep(documents, &rule, findings)?;
            }
        }
        Ok(())
    })
}

fn exists(documents: &Documents<'_>, rule: &Rule) -> Answer<bool> {
    Ok(documents.get::<Rule>(super::ALERT_RULE, rule.id)?.is_some())
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

/// What a bin without events says of a metric.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// Nothing.
    IsUnknown,
    /// That it is zero.
    HasNone,
}

/// Mean and spread of the bins so far.
#[derive(Default)]
struct History {
    bins: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl History {
    /// Adds bins that all have this value.
    fn add(&mut self, value: f64, bins: f64) {
        if bins <= 0.0 {
            return;
        }
        let all = self.bins + bins;
        let distance = value - self.mean;
        self.mean += distance * bins / all;
        self.squares += distance * distance * self.bins * bins / all;
        self.bins = all;
    }
}

impl Rule {
    /// Adds bins without any event, between those that have some: the first ones of every gap, and those that are
    /// compared with a bin that has events.
    fn add_empty(&self, values: &mut BTreeMap<i64, f64>) {
        let starts: Vec<i64> = values.keys().copied().collect();
        let Some(last) = starts.last() else {
            return;
        };
        let length = self.terms.bin_size.milliseconds();
        for gap in starts.windows(2) {
            let empty = (gap[0] + length..gap[1]).step_by(length as usize);
            values.extend(empty.take(MOST_EMPTY).map(|start| (start, 0.0)));
        }
        let later = i64::from(self.terms.compare_bin_delta.unwrap_or(1)) * length;
        for start in starts.iter().map(|start| start + later) {
            if start < *last {
                values.entry(start).or_insert(0.0);
            }
        }
    }

    /// What there is to raise of the values of a column by the start of their bins, at the moment `now`.
    fn findings(
        &self,
        values: &BTreeMap<i64, f64>,
        empty: Empty,
        column: Option<&str>,
        now: i64,
    ) -> Vec<Finding> {
        let length = self.terms.bin_size.milliseconds();
        let delay = i64::from(self.terms.evaluation_delay.unwrap_or(0)) * HOUR_MS;
        let over = |start: i64| start + length + delay <= now;
        let mut findings = Vec::new();
        let mut history = History::default();
        let mut previous = None;
        for (start, value) in values {
            if !over(*start) {
                break;
            }
            if let (Empty::HasNone, Some(previous)) = (empty, previous) {
                history.add(0.0, ((start - previous) / length - 1) as f64);
            }
            previous = Some(*start);
            let thresholds = self.thresholds(&history);
            history.add(*value, 1.0);
            let Some((critical, warning)) = thresholds else {
                continue;
            };
            let (compared, earlier) = match self.terms.compare_to {
                CompareTo::RawValue => (*value, None),
                CompareTo::TimePeriod => {
                    let delta = i64::from(self.terms.compare_bin_delta.unwrap_or(1));
                    let earlier = start - delta * length;
                    match values.get(&earlier) {
                        Some(before) if *before != 0.0 => {
                            ((value - before) / before.abs(), Some((earlier, *before)))
                        }
                        // Nothing is a share of nothing.
                        _ => continue,
                    }
                }
            };
            let severity = if self.beyond(compared, critical) {
                Severity::Critical
            } else if warning.is_some_and(|warning| self.beyond(compared, warning)) {
                Severity::Warning
            } else {
                continue;
            };
            findings.push(Finding {
                bin: *start,
                column: column.map(str::to_owned),
                value: *value,
                critical,
                warning,
                earlier,
                severity,
            });
        }
        findings
    }

    /// The critical and the warning threshold, given the values of the earlier bins.
    fn thresholds(&self, history: &History) -> Option<(f64, Option<f64>)> {
        match self.terms.threshold_type {
            ThresholdType::Manual => {
                Some((self.terms.critical_threshold?, self.terms.warning_threshold))
            }
            ThresholdType::StandardDeviation => {
                let multipliers = self.terms.auto_threshold_params?;
                if history.bins < LEAST_HISTORY {
                    return None;
                }
                let mean = history.mean;
                let variance = history.squares / history.bins;
                let side = match self.terms.condition {
                    Condition::Greater => variance.sqrt(),
                    Condition::Lesser => -variance.sqrt(),
                };
                let warning = multipliers
                    .warning_multiplier
                    .map(|times| mean + times * side);
                Some((mean + multipliers.critical_multiplier * side, warning))
            }
        }
    }

    fn beyond(&self, value: f64, threshold: f64) -> bool {
        match (self.terms.condition, self.terms.compare_to) {
            (Condition::Greater, _) => value > threshold,
            (Condition::Lesser, CompareTo::RawValue) => value < threshold,
            // "Down 10 %" is written as 0.1.
            (Condition::Lesser, CompareTo::TimePeriod) => -value > threshold.abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const DAY_MS: i64 = 24 * HOUR_MS;

    fn rule(terms: serde_json::Value) -> Rule {
        let mut whole = json!({
            "name": "r", "model_id": Uuid::nil(), "metric_id": "jsd", "bin_size": "Day",
            "compare_to": "raw_value", "condition": "greater",
        });
        for (name, value) in terms.as_object().unwrap() {
            whole[name] = value.clone();
        }
        Rule {
            id: Uuid::nil(),
            terms: serde_json::from_value(whole).unwrap(),
            revision: 1,
            notification: json!({}),
            legacy: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Days of the findings among days with these values, the last of which is not over yet.
    fn found(terms: serde_json::Value, values: &[f64]) -> Vec<(i64, Severity)> {
        let values = (0..).zip(values).map(|(day, value)| (day * DAY_MS, *value));
        let values: BTreeMap<i64, f64> = values.collect();
        let now = values.len() as i64 * DAY_MS - 1;
        let findings = rule(terms).findings(&values, Empty::IsUnknown, Some("f"), now);
        findings
            .iter()
            .map(|f| (f.bin / DAY_MS, f.severity))
            .collect()
    }

    #[test]
    fn raw_values_are_beyond_a_threshold_not_at_it() {
        let both = json!({"critical_threshold": 0.3, "warning_threshold": 0.1});
        assert_eq!(
            found(both, &[0.1, 0.11, 0.3, 0.31, 0.0, 9.0]),
            [
                (1, Severity::Warning),
                (2, Severity::Warning),
                (3, Severity::Critical)
            ]
        );
        let below = json!({"condition": "lesser", "critical_threshold": 0.5});
        assert_eq!(
            found(below, &[0.6, 0.5, 0.4, 0.0]),
            [(2, Severity::Critical)]
        );
    }

    #[test]
    fn a_change_is_a_share_of_the_earlier_value() {
        let down = json!({
            "condition": "lesser", "compare_to": "time_period", "compare_bin_delta": 1,
            "critical_threshold": 0.2, "warning_threshold": 0.1,
        });
        assert_eq!(
            found(down, &[1.0, 0.875, 0.5, 0.0, 5.0, 5.0]),
            [
                (1, Severity::Warning),
                (2, Severity::Critical),
                (3, Severity::Critical)
            ]
        );
        let up =
            json!({"compare_to": "time_period", "compare_bin_delta": 1, "critical_threshold": 0.5});
        assert_eq!(
            found(up, &[-2.0, -0.5, -0.5, 7.0]),
            [(1, Severity::Critical)]
        );
    }

    #[test]
    fn deviations_need_a_history_and_a_delay_makes_bins_wait() {
        let auto = json!({
            "threshold_type": "standard_deviation_auto_threshold",
            "auto_threshold_params": {"critical_multiplier": 3.0, "warning_multiplier": 2.0},
        });
        // Mean 2 and deviation 1 of the first four; the second day is out of the ordinary, but too early to say.
        assert_eq!(
            found(auto.clone(), &[1.0, 3.0, 1.0, 3.0, 4.5, 0.0]),
            [(4, Severity::Warning)]
        );
        assert_eq!(
            found(auto, &[1.0, 3.0, 1.0, 3.0, 5.5, 0.0]),
            [(4, Severity::Critical)]
        );
        let late = json!({"critical_threshold": 0.3, "evaluation_delay": 24});
        assert_eq!(found(late, &[1.0, 1.0, 1.0]), [(0, Severity::Critical)]);
    }

    #[test]
    fn days_without_events_have_no_traffic() {
        let mut values = BTreeMap::from([(0, 5.0), (3 * DAY_MS, 7.0)]);
        rule(json!({})).add_empty(&mut values);
        assert_eq!(
            values.into_values().collect::<Vec<_>>(),
            [5.0, 0.0, 0.0, 7.0]
        );
    }

    #[test]
    fn a_gap_of_thousands_of_years_costs_no_more_than_one_of_three() {
        let end = 2_000_000 * DAY_MS;
        let days = [0, 1, 2, 3, 2_000_000];
        let busy = || days.map(|day| (day * DAY_MS, 10.0));
        let mut values = BTreeMap::from(busy());
        let below = rule(json!({
            "metric_id": "traffic", "condition": "lesser", "critical_threshold": 5.0,
        }));
        below.add_empty(&mut values);
        assert_eq!(values.len(), days.len() + MOST_EMPTY);
        let findings = below.findings(&values, Empty::HasNone, None, i64::MAX);
        assert_eq!(findings.len(), MOST_EMPTY);

        // The bin that is compared with one that had events is there, however far it is.
        let mut values = BTreeMap::from(busy());
        let weeks = json!({
            "metric_id": "traffic", "condition": "lesser", "compare_to": "time_period",
            "compare_bin_delta": 90, "critical_threshold": 0.5, "bin_size": "Week",
        });
        let weekly = rule(weeks);
        weekly.add_empty(&mut values);
        assert!(values.contains_key(&(90 * 7 * DAY_MS)));

        // Bins that are not there count as zeros.
        let auto = rule(json!({
            "metric_id": "traffic", "threshold_type": "standard_deviation_auto_threshold",
            "auto_threshold_params": {"critical_multiplier": 3.0, "warning_multiplier": 2.0},
        }));
        let mut values = BTreeMap::from(busy());
        auto.add_empty(&mut values);
        let findings = auto.findings(&values, Empty::HasNone, None, i64::MAX);
        let last = findings.last().unwrap();
        assert_eq!(last.bin, end);
        // Four bins of 10 among two million.
        let mean: f64 = 40.0 / 2_000_000.0;
        let deviation = (400.0 / 2_000_000.0 - mean * mean).sqrt();
        assert!((last.critical - (mean + 3.0 * deviation)).abs() < 1e-9);
    }
}
