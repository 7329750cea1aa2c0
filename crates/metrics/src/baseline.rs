//! Which rows a bin is compared with.

use jiff::Timestamp;
use serde::Serialize;

use crate::BinSize;
use crate::bins::whole_hours;
use crate::select::Selection;

/// Which rows a bin is compared with. The clusters and all other bins stay those of the model's baseline section; a
/// baseline only says whose rows are counted in them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BaselineRows {
    /// All rows of the baseline section.
    Whole,
    /// Rows of the baseline section whose `window` has this name: a pre-production environment.
    Environment {
        /// Name of the window.
        name: String,
    },
    /// Events of a time range, in whole hours.
    Production {
        /// First moment.
        start: Timestamp,
        /// First moment after it.
        end: Timestamp,
    },
    /// Events of the stretch that starts `offset` times `size` before the start of the bin and is one `size` long.
    Rolling {
        /// How far back, 1 or more.
        offset: u32,
        /// Unit of the distance, and length of the stretch.
        size: BinSize,
    },
}

impl BaselineRows {
    /// The rows that a bin which starts at `bin_start` is compared with.
    pub(crate) fn selection(&self, bin_start: Timestamp) -> Selection {
        match self {
            Self::Whole => Selection::Baseline(None),
            Self::Environment { name } => Selection::Baseline(Some(name.clone())),
            Self::Production { start, end } => Selection::Events(whole_hours(&(*start..*end))),
            Self::Rolling { offset, size } => {
                let length = size.milliseconds();
                let back = length.saturating_mul(i64::from(*offset));
                let start = bin_start.as_millisecond().saturating_sub(back);
                let start = BinSize::Hour.start_of(start);
                Selection::Events(start..start.saturating_add(length))
            }
        }
    }
}
