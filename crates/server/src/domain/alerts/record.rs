//! Alerts that were raised.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rule::Rule;
use crate::domain::catalog::{Documents, Kind};
use crate::http::envelope::Answer;

/// Alerts that were raised; the key is rule, bin and column.
pub const ALERT_RECORD: Kind = Kind("alert_record");

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Beyond the warning threshold.
    Warning,
    /// Beyond the critical threshold.
    Critical,
}

/// What was found in a bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Start of the bin, in milliseconds.
    pub bin: i64,
    /// The column, `None` for whole rows.
    pub column: Option<String>,
    /// The value of the bin.
    pub value: f64,
    /// The thresholds it was compared with.
    pub critical: f64,
    /// See [`critical`](Self::critical).
    pub warning: Option<f64>,
    /// Start of the earlier bin and its value, where it was compared with one.
    pub earlier: Option<(i64, f64)>,
    /// How bad it is.
    pub severity: Severity,
}

/// An alert that was raised. It stays, also when later rows change the bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// Its rule.
    pub rule: Uuid,
    /// The revision of the rule.
    pub revision: u32,
    /// What was found.
    pub finding: Finding,
    /// How often what was found changed, from 1.
    pub version: u32,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
}

/// Records of a rule, by bin and column.
pub fn records(documents: &Documents<'_>, rule: Uuid) -> Answer<Vec<Record>> {
    let mut records: Vec<Record> = documents.under(ALERT_RECORD, &format!("{rule}/"))?;
    records.sort_by(|a, b| {
        let place = |record: &Record| (record.finding.bin, record.finding.column.clone());
        place(a).cmp(&place(b))
    });
    Ok(records)
}

/// Keeps what was found, once for each bin and column however often it is found.
pub(crate) fn keep(documents: &Documents<'_>, rule: &Rule, findings: Vec<Finding>) -> Answer<()> {
    let now = Timestamp::now();
    for finding in findings {
        let place = format!(
            "{}/{}",
            finding.bin,
            finding.column.as_deref().unwrap_or("")
        );
        let key = format!("{}/{place}", rule.id);
        match documents.by_key::<Record>(ALERT_RECORD, &key)? {
            Some(there) if there.finding == finding => {}
            Some(there) => {
                let changed = Record {
                    revision: rule.revision,
                    finding,
                    version: there.version + 1,
                    updated_at: now,
                    ..there
                };
                documents.replace(ALERT_RECORD, changed.id, &changed)?;
            }
            None => {
                let record = Record {
                    id: Uuid::new_v5(&rule.id, place.as_bytes()),
                    rule: rule.id,
                    revision: rule.revision,
                    finding,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                };
                documents.insert(ALERT_RECORD, record.id, Some(&key), &record)?;
            }
        }
    }
    Ok(())
}
