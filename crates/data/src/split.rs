//! The two halves of a data set.

/// Which half of a data set to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Split {
    /// The rows a model was trained on, in all batches of the set.
    #[default]
    Train,
    /// The rows kept apart for testing.
    Test,
}

impl Split {
    /// Takes a trailing `#train` or `#test` off a location; without one the split is `None`.
    pub fn strip_suffix(location: &str) -> (&str, Option<Self>) {
        if let Some(rest) = location.strip_suffix("#train") {
            (rest, Some(Self::Train))
        } else if let Some(rest) = location.strip_suffix("#test") {
            (rest, Some(Self::Test))
        } else {
            (location, None)
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}
