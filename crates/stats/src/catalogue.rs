//! Every statistic by its name.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{Baseline, DriftTest, Hotelling, Space};

/// A number that compares a window with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Statistic {
    /// [`Hotelling`] on the embeddings.
    Hotelling,
    /// [`Hotelling`] on the image properties.
    Properties,
}

impl Statistic {
    /// Every statistic, in order of worth.
    pub const ALL: [Self; 2] = [Self::Hotelling, Self::Properties];

    /// Name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hotelling => "hotelling",
            Self::Properties => "properties",
        }
    }

    /// One line about it.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Hotelling => {
                "distance of the mean embeddings in standard deviations (Mahalanobis)"
            }
            Self::Properties => {
                "distance of the mean image properties (brightness, contrast, ...) in standard deviations"
            }
        }
    }

    /// The statistic fitted to the rows that a baseline keeps; `None` where they have nothing that it looks at.
    pub(crate) fn fit(self, baseline: &Baseline) -> Result<Option<Box<dyn DriftTest>>> {
        let Some(rows) = baseline.kept().space(self.space())? else {
            return Ok(None);
        };
        Ok(Some(match self {
            Self::Hotelling | Self::Properties => Box::new(Hotelling::fit(rows)),
        }))
    }

    /// What it looks at.
    pub fn space(self) -> Space {
        match self {
            Self::Hotelling => Space::Embeddings,
            Self::Properties => Space::Properties,
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Statistic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|statistic| statistic.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                let message = format!("there is no statistic named `{text}`");
                Error::new(ErrorKind::InvalidConfig, "look up", message)
                    .remedy(format!("available: {names}"))
            })
    }
}
