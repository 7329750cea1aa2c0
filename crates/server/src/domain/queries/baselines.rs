//! Baselines that requests name, and the rows they stand for.

use driftline_core::Result;
use uuid::Uuid;

use crate::domain::catalog::Documents;
use crate::domain::error::{self, refused};
use crate::domain::objects::{self, BaselineKind, EnvironmentKind, Model};
use crate::domain::times;

/// A baseline by its id and name, and the rows it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedBaseline {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its model.
    pub model: Uuid,
    /// Which rows.
    pub rows: driftline_metrics::BaselineRows,
}

/// The baseline with this id.
///
/// # Errors
/// `NotFound` without one, `InvalidData` if its time range or window is none.
pub fn baseline(documents: &Documents<'_>, id: Uuid) -> Result<NamedBaseline> {
    let found: objects::Baseline = documents
        .get(objects::BASELINE, id)?
        .ok_or_else(|| error::not_found("Baseline"))?;
    named_baseline(documents, found)
}

/// A baseline of the catalog, and the rows it stands for.
///
/// # Errors
/// `InvalidData` if its time range or window is none.
pub fn named_baseline(
    documents: &Documents<'_>,
    found: objects::Baseline,
) -> Result<NamedBaseline> {
    let environment: Option<objects::Environment> =
        documents.get(objects::ENVIRONMENT, found.environment)?;
    let incomplete =
        |what: &str| error::invalid(format!("the baseline `{}` has no {what}", found.name));
    let rows = match (found.kind, environment) {
        (BaselineKind::Rolling, _) => {
            let size = found.window_bin_size.as_deref();
            let offset = found
                .offset_delta
                .and_then(|offset| u32::try_from(offset).ok());
            driftline_metrics::BaselineRows::Rolling {
                offset: offset
                    .filter(|offset| *offset > 0)
                    .ok_or_else(|| incomplete("offset of 1 or more"))?,
                size: size
                    .ok_or_else(|| incomplete("window"))?
                    .parse()
                    .map_err(refused)?,
            }
        }
        (BaselineKind::Static, Some(environment))
            if environment.kind == EnvironmentKind::PreProduction =>
        {
            driftline_metrics::BaselineRows::Environment {
                name: environment.name,
            }
        }
        (BaselineKind::Static, _) => driftline_metrics::BaselineRows::Production {
            start: times::epoch(found.start_time.ok_or_else(|| incomplete("start_time"))?)?,
            end: times::epoch(found.end_time.ok_or_else(|| incomplete("end_time"))?)?,
        },
    };
    Ok(NamedBaseline {
        id: found.id,
        name: found.name,
        model: found.model,
        rows,
    })
}

/// The baseline that a request names, which must be of the model; without one all rows of the baseline section.
pub(crate) fn baseline_of(
    documents: &Documents<'_>,
    model: &Model,
    id: Option<Uuid>,
) -> Result<Option<NamedBaseline>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let found = baseline(documents, id)?;
    if found.model == model.id {
        return Ok(Some(found));
    }
    let message = format!("the baseline `{}` is that of another model", found.name);
    Err(error::invalid(message))
}

pub(crate) fn rows_of(baseline: Option<&NamedBaseline>) -> &driftline_metrics::BaselineRows {
    baseline.map_or(&driftline_metrics::BaselineRows::Whole, |baseline| {
        &baseline.rows
    })
}
