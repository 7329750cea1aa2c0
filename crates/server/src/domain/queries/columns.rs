//! Columns and metrics that requests name.

use driftline_core::Result;
use driftline_metrics::{Column, Metric};

use crate::domain::error::refused;
use crate::domain::objects::Model;

/// The column of a model by its name or id; the target goes by the name that the model has for it.
pub(crate) fn column(
    counted: &driftline_metrics::StoredModel,
    model: &Model,
    name: &str,
) -> Result<Column> {
    if let Some(target) = model.monitored()?.target
        && (target == name || driftline_metrics::column::column_id(&target) == name)
    {
        return Ok(Column::Target);
    }
    counted.column(name).map_err(refused)
}

/// The name that a model has for a column.
pub(crate) fn column_name(
    counted: &driftline_metrics::StoredModel,
    model: &Model,
    column: Column,
) -> Result<String> {
    let target = match column {
        Column::Target => model.monitored()?.target,
        _ => None,
    };
    Ok(target.unwrap_or_else(|| counted.column_name(column).to_owned()))
}

pub(crate) fn metric(name: &str) -> Result<Metric> {
    name.parse().map_err(refused)
}
