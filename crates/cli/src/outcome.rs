//! How a command ended that did its work.

/// What a command that did its work found.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is done, and a statistic is above a limit that the user set.
    AboveLimit,
    /// It is done, and something is damaged.
    Damaged,
}
