//! A bound on the memory that reading one file may take.

use std::fmt;
use std::io::{self, Read};

use crate::{Error, ErrorKind};

const MIB: u64 = 1 << 20;

/// Bytes that reading one file may hold at a time.
///
/// What a file claims, repeats or unpacks to is memory long before it is known to be nonsense, so a reader takes the
/// bytes from the budget first, and gives back what it drops.
///
/// ```
/// use driftline_core::Budget;
/// let mut budget = Budget::new(3 << 20);
/// budget.take(2 << 20)?;
/// let refused = budget.take(2 << 20).unwrap_err();
/// assert_eq!(refused.to_string(), "reading it takes more than the limit of 3 MiB of memory");
/// budget.give_back(1 << 20);
/// budget.take(2 << 20)?;
/// # Ok::<(), driftline_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    /// The budget of a file of `length` bytes: 256 MiB and four times its length.
    ///
    /// Weights of 16 bits become twice as long, a copy of the largest tensor is held beside them: what is honest never
    /// needs more, however large the file is, and a small file never gets much.
    pub const fn for_file(length: u64) -> Self {
        Self::new((256 * MIB).saturating_add(length.saturating_mul(4)))
    }

    /// Takes `bytes`.
    ///
    /// # Errors
    /// [`Exceeded`] if less is left; nothing is taken then.
    pub fn take(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(Exceeded { limit: self.limit })?;
        Ok(())
    }

    /// Gives back `bytes` that were taken.
    pub fn give_back(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes).min(self.limit);
    }

    /// All bytes of `reader`, which are taken.
    ///
    /// # Errors
    /// Those of reading; [`Exceeded`] inside one of `InvalidData` if there are more than are left.
    pub fn read_to_end(&mut self, reader: impl Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader
            .take(self.left.saturating_add(1))
            .read_to_end(&mut bytes)?;
        self.take(bytes.len() as u64)?;
        Ok(bytes)
    }
}

/// More memory was asked for than a [`Budget`] has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    limit: u64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reading it takes more than the limit of {} MiB of memory",
            self.limit.div_ceil(MIB)
        )
    }
}

impl std::error::Error for Exceeded {}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(ErrorKind::InvalidData, "read a file", exceeded.to_string())
    }
}

impl From<Exceeded> for io::Error {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(io::ErrorKind::InvalidData, exceeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_read_up_to_what_is_left() {
        let mut budget = Budget::new(MIB);
        assert_eq!(budget.read_to_end(&[7; 100][..]).unwrap(), [7; 100]);
        budget.give_back(100);
        let whole = budget.read_to_end(io::repeat(1).take(MIB)).unwrap();
        assert_eq!(whole.len() as u64, MIB);
        let error = budget.read_to_end(&[0][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("limit of 1 MiB"), "{error}");
        // An endless one ends.
        assert!(Budget::new(MIB).read_to_end(io::repeat(1)).is_err());
    }

    #[test]
    fn a_refusal_takes_nothing_and_giving_back_never_adds() {
        let mut budget = Budget::new(10);
        assert!(budget.take(11).is_err());
        budget.take(10).unwrap();
        budget.give_back(u64::MAX);
        assert!(budget.take(11).is_err());
        assert_eq!(Budget::for_file(u64::MAX).limit, u64::MAX);
    }
}
