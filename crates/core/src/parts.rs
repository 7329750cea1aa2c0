//! A batch in parts that fit into memory, for backends on devices.

use std::ops::Range;

use crate::{ErrorKind, Result};

/// How many images are run at once: learnt from what did not fit.
#[derive(Debug)]
pub struct Parts {
    largest: usize,
    smallest: usize,
}

impl Parts {
    /// All images at once, or as many as a graph is fixed to.
    pub fn new(fixed: Option<usize>) -> Self {
        Self {
            largest: fixed.unwrap_or(usize::MAX),
            smallest: fixed.unwrap_or(1),
        }
    }

    /// Runs the images `0..n` in order. A part that does not fit into memory ([`ErrorKind::Resource`]) is halved, and
    /// so are those after it, in later calls as well; `halved` is told the size that did not fit, the first time only.
    pub fn run(
        &mut self,
        n: usize,
        mut run: impl FnMut(Range<usize>) -> Result<()>,
        halved: impl FnOnce(usize),
    ) -> Result<()> {
        let mut halved = (self.largest == usize::MAX).then_some(halved);
        let mut start = 0;
        while start < n {
            let part = (n - start).min(self.largest);
            match run(start..start + part) {
                Ok(()) => start += part,
                Err(error) if error.kind() == ErrorKind::Resource && part > self.smallest => {
                    self.largest = part / 2;
                    if let Some(halved) = halved.take() {
                        halved(part);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// An engine with room for `room` images; what it ran, and what was said.
    fn run(
        parts: &mut Parts,
        n: usize,
        room: usize,
    ) -> (Result<()>, Vec<Range<usize>>, Vec<usize>) {
        let (mut ran, mut said) = (Vec::new(), Vec::new());
        let result = parts.run(
            n,
            |rows| {
                if rows.len() > room {
                    return Err(Error::new(ErrorKind::Resource, "embed", "no memory"));
                }
                ran.push(rows);
                Ok(())
            },
            |size| said.push(size),
        );
        (result, ran, said)
    }

    #[test]
    fn what_fits_runs_at_once() {
        let (result, ran, said) = run(&mut Parts::new(None), 10, 10);
        result.unwrap();
        assert_eq!(ran, vec![0..10]);
        assert!(said.is_empty());
        let (result, ran, _) = run(&mut Parts::new(None), 0, 10);
        result.unwrap();
        assert!(ran.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_halved_until_it_does_and_said_once() {
        let mut parts = Parts::new(None);
        let (result, ran, said) = run(&mut parts, 10, 3);
        result.unwrap();
        assert_eq!(ran, [0..2, 2..4, 4..6, 6..8, 8..10]);
        assert_eq!(said, [10]);
        // The next batch begins at the size that worked, and a further halving is not said again.
        let (result, ran, said) = run(&mut parts, 3, 1);
        result.unwrap();
        assert_eq!(ran, [0..1, 1..2, 2..3]);
        assert!(said.is_empty());
    }

    #[test]
    fn a_single_image_that_does_not_fit_is_an_error() {
        let (result, ran, _) = run(&mut Parts::new(None), 4, 0);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Resource);
        assert!(ran.is_empty());
    }

    #[test]
    fn a_fixed_batch_cannot_be_halved() {
        let (result, ran, said) = run(&mut Parts::new(Some(4)), 10, 4);
        result.unwrap();
        assert_eq!(ran, [0..4, 4..8, 8..10]);
        assert!(said.is_empty());
        let (result, _, said) = run(&mut Parts::new(Some(4)), 10, 3);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Resource);
        assert!(said.is_empty());
    }

    #[test]
    fn another_error_is_not_tried_again() {
        let mut calls = 0;
        let result = Parts::new(None).run(
            8,
            |_| {
                calls += 1;
                Err(Error::new(ErrorKind::Internal, "embed", "broken"))
            },
            |_| panic!("nothing was halved"),
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(calls, 1);
    }
}
