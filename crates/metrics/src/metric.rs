//! The numbers by name, and their values.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use driftline_stats::{jsd, psi};
use serde::Serialize;

use crate::{Column, RowCounts, StoredModel};

/// A number that is measured of a bin.
///
/// What violates the integrity of a row is told by the baseline section: a target is missing although every baseline
/// row has one (null); a score is outside the least and greatest of the baseline, or a target is one that no baseline
/// row has (range). Stored rows have the types of their columns and vectors of the right length, so type violations are
/// always 0: such rows were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Jensen-Shannon distance between a column of the bin and of the baseline, natural logarithm.
    Jsd,
    /// Population stability index between them.
    Psi,
    /// Rows.
    Traffic,
    /// Share of the labelled rows whose target has the highest score.
    Accuracy,
    /// Mean of `-ln p` over the labelled rows, p the score of the target, at least 1e-15.
    LogLoss,
    /// Labelled rows.
    DataCount,
    /// Mean of a score.
    Average,
    /// Sum of a score.
    Sum,
    /// Rows with a value of a categorical column.
    Frequency,
    /// Missing values.
    NullViolationCount,
    /// Values of another type.
    TypeViolationCount,
    /// Values outside what the baseline has.
    RangeViolationCount,
    /// Rows with any of these.
    AnyViolationCount,
    /// Per hundred rows.
    NullViolationPercentage,
    /// Per hundred rows.
    TypeViolationPercentage,
    /// Per hundred rows.
    RangeViolationPercentage,
    /// Per hundred rows.
    AnyViolationPercentage,
}

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricGroup {
    /// Data drift.
    Drift,
    /// Data integrity.
    DataIntegrity,
    /// Performance.
    Performance,
    /// Traffic.
    ServiceMetrics,
    /// Statistics of a column.
    Statistic,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 17] = [
        Self::Jsd,
        Self::Psi,
        Self::Traffic,
        Self::Accuracy,
        Self::LogLoss,
        Self::DataCount,
        Self::Average,
        Self::Sum,
        Self::Frequency,
        Self::NullViolationCount,
        Self::TypeViolationCount,
        Self::RangeViolationCount,
        Self::AnyViolationCount,
        Self::NullViolationPercentage,
        Self::TypeViolationPercentage,
        Self::RangeViolationPercentage,
        Self::AnyViolationPercentage,
    ];

    /// Its id, as in Fiddler's API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsd => "jsd",
            Self::Psi => "psi",
            Self::Traffic => "traffic",
            Self::Accuracy => "accuracy",
            Self::LogLoss => "log_loss",
            Self::DataCount => "data_count",
            Self::Average => "average",
            Self::Sum => "sum",
            Self::Frequency => "frequency",
            Self::NullViolationCount => "null_violation_count",
            Self::TypeViolationCount => "type_violation_count",
            Self::RangeViolationCount => "range_violation_count",
            Self::AnyViolationCount => "any_violation_count",
            Self::NullViolationPercentage => "null_violation_percentage",
            Self::TypeViolationPercentage => "type_violation_percentage",
            Self::RangeViolationPercentage => "range_violation_percentage",
            Self::AnyViolationPercentage => "any_violation_percentage",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Jsd => "Jensen-Shannon Distance",
            Self::Psi => "Population Stability Index",
            Self::Traffic => "Traffic",
            Self::Accuracy => "Accuracy",
            Self::LogLoss => "Log Loss",
            Self::DataCount => "Labelled Events",
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Frequency => "Frequency",
            Self::NullViolationCount => "Missing Value Violation",
            Self::TypeViolationCount => "Type Violation",
            Self::RangeViolationCount => "Range Violation",
            Self::AnyViolationCount => "Any Violation",
            Self::NullViolationPercentage => "% Missing Value Violation",
            Self::TypeViolationPercentage => "% Type Violation",
            Self::RangeViolationPercentage => "% Range Violation",
            Self::AnyViolationPercentage => "% Any Violation",
        }
    }

    /// What it is about.
    pub fn group(self) -> MetricGroup {
        match self {
            Self::Jsd | Self::Psi => MetricGroup::Drift,
            Self::Traffic => MetricGroup::ServiceMetrics,
            Self::Accuracy | Self::LogLoss | Self::DataCount => MetricGroup::Performance,
            Self::Average | Self::Sum | Self::Frequency => MetricGroup::Statistic,
            _ => MetricGroup::DataIntegrity,
        }
    }

    /// Whether it compares with a baseline.
    pub fn needs_baseline(self) -> bool {
        self.group() == MetricGroup::Drift
    }

    /// Whether it is a number of one column; violations are of one column or, without one, of whole rows.
    pub fn needs_column(self) -> bool {
        matches!(self.group(), MetricGroup::Drift | MetricGroup::Statistic)
    }

    /// Whether it can be measured of a column.
    pub fn suits(self, column: Column) -> bool {
        match self {
            Self::Average | Self::Sum => matches!(column, Column::Score(_)),
            Self::Frequency => matches!(column, Column::Target | Column::Prediction),
            _ => matches!(
                self.group(),
                MetricGroup::Drift | MetricGroup::DataIntegrity
            ),
        }
    }

    /// Its value for the rows of `bin`, `None` where there are no rows to measure it on. `column` is needed where
    /// [`needs_column`](Self::needs_column) says so. A [`Frequency`](Self::Frequency) is that of all values together;
    /// [`RowCounts::histogram`] has that of each.
    pub fn value(
        self,
        bin: &RowCounts,
        baseline: &RowCounts,
        column: Option<Column>,
    ) -> Option<f64> {
        let share = |count: u64| (bin.rows > 0).then(|| 100.0 * count as f64 / bin.rows as f64);
        let histograms = || {
            let column = column?;
            Some((baseline.histogram(column), bin.histogram(column)))
        };
        let score = || match column? {
            Column::Score(class) => bin.scores.get(class),
            _ => None,
        };
        match self {
            // An error is a histogram without rows.
            Self::Jsd => histograms().and_then(|(before, now)| jsd(before, now).ok()),
            Self::Psi => histograms().and_then(|(before, now)| psi(before, now).ok()),
            Self::Traffic => Some(bin.rows as f64),
            Self::Accuracy => bin.accuracy(),
            Self::LogLoss => bin.log_loss(),
            Self::DataCount => Some(bin.labelled as f64),
            Self::Average => score()
                .filter(|_| bin.rows > 0)
                .map(|score| score.sum.value() / bin.rows as f64),
            Self::Sum => score().map(|score| score.sum.value()),
            Self::Frequency => Some(bin.histogram(column?).iter().sum::<u64>() as f64),
            Self::NullViolationCount => Some(nulls(bin, column) as f64),
            Self::TypeViolationCount => Some(0.0),
            Self::RangeViolationCount => Some(outside(bin, column) as f64),
            Self::AnyViolationCount => Some(any(bin, column) as f64),
            Self::NullViolationPercentage => share(nulls(bin, column)),
            Self::TypeViolationPercentage => share(0),
            Self::RangeViolationPercentage => share(outside(bin, column)),
            Self::AnyViolationPercentage => share(any(bin, column)),
        }
    }
}

fn nulls(bin: &RowCounts, column: Option<Column>) -> u64 {
    match column {
        // The only column that may be null.
        None | Some(Column::Target) => bin.violating.null,
        Some(_) => 0,
    }
}

fn outside(bin: &RowCounts, column: Option<Column>) -> u64 {
    match column {
        None => bin.violating.range,
        Some(Column::Target) => bin.target_outside,
        Some(Column::Score(class)) => bin.scores.get(class).map_or(0, |score| score.outside),
        Some(Column::Feature | Column::Prediction) => 0,
    }
}

fn any(bin: &RowCounts, column: Option<Column>) -> u64 {
    match column {
        None => bin.violating.any,
        // A value cannot be missing and outside at once.
        Some(_) => nulls(bin, column) + outside(bin, column),
    }
}

impl StoredModel {
    /// Value of a metric for the rows of `bin`, compared with those of `baseline` where it needs them.
    ///
    /// # Errors
    /// `InvalidConfig` if the metric needs a column and there is none, or the column does not suit it, saying which do.
    pub fn measure(
        &self,
        metric: Metric,
        column: Option<Column>,
        bin: &RowCounts,
        baseline: &RowCounts,
    ) -> Result<Option<f64>> {
        self.check_column(metric, column)?;
        Ok(metric.value(bin, baseline, column))
    }

    /// Refuses a column that does not suit a metric.
    ///
    /// # Errors
    /// See [`measure`](Self::measure).
    pub fn check_column(&self, metric: Metric, column: Option<Column>) -> Result<()> {
        let message = match column {
            None if metric.needs_column() => format!("the metric `{metric}` needs a column"),
            Some(column) if !metric.suits(column) => {
                let name = self.column_name(column);
                format!("the metric `{metric}` cannot be measured of the column `{name}`")
            }
            _ => return Ok(()),
        };
        let mut names = self.columns();
        names.retain(|(column, _)| metric.suits(*column));
        let names: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
        let error = Error::new(ErrorKind::InvalidConfig, "measure", message);
        Err(if names.is_empty() {
            error.remedy("leave the column out")
        } else {
            error.remedy(format!("available: {}", names.join(", ")))
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                let message = format!("there is no metric `{text}`");
                Error::new(ErrorKind::NotFound, "look up a metric", message)
                    .remedy(format!("available: {names}"))
            })
    }
}
