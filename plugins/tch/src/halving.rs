//! Smaller batches after the device ran out of memory.

use std::ops::Range;

/// How a part of a batch failed.
#[derive(Debug)]
pub enum Failure<E> {
    /// The device has no memory for so many images at once.
    OutOfMemory(E),
    /// Anything else.
    Other(E),
}

/// Most images in one part, learnt from what the device refused.
#[derive(Debug, Default)]
pub struct Halving {
    limit: Option<usize>,
}

impl Halving {
    /// Does `n` images in parts with `part`. A part that runs out of memory is halved and tried again, and so are
    /// those of later batches.
    ///
    /// # Errors
    /// The first other failure, or out of memory with a single image.
    pub fn run<E: std::fmt::Display>(
        &mut self,
        n: usize,
        mut part: impl FnMut(Range<usize>) -> Result<(), Failure<E>>,
    ) -> Result<(), E> {
        let mut start = 0;
        while start < n {
            let length = (n - start).min(self.limit.unwrap_or(usize::MAX));
            match part(start..start + length) {
                Ok(()) => start += length,
                Err(Failure::OutOfMemory(error)) if length > 1 => {
                    let smaller = length / 2;
                    // Said once: later halvings are the same news.
                    if self.limit.is_none() {
                        driftline_plugin_sdk::log::warn!(
                            "the device has no memory for {length} images at once; going on with {smaller} ({error})"
                        );
                    }
                    self.limit = Some(smaller);
                }
                Err(Failure::OutOfMemory(error) | Failure::Other(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that holds `memory` images.
    fn device(
        memory: usize,
        done: &mut Vec<usize>,
        calls: &mut usize,
        range: Range<usize>,
    ) -> Result<(), Failure<String>> {
        *calls += 1;
        if range.len() > memory {
            return Err(Failure::OutOfMemory("CUDA out of memory".to_owned()));
        }
        done.extend(range);
        Ok(())
    }

    #[test]
    fn every_image_is_done_once_and_in_order() {
        for memory in 1..20 {
            let (mut halving, mut done, mut calls) = (Halving::default(), Vec::new(), 0);
            halving
                .run(37, |range| device(memory, &mut done, &mut calls, range))
                .unwrap();
            assert_eq!(done, (0..37).collect::<Vec<_>>(), "memory for {memory}");
        }
    }

    #[test]
    fn what_was_learnt_is_kept() {
        let (mut halving, mut done, mut calls) = (Halving::default(), Vec::new(), 0);
        halving
            .run(64, |range| device(16, &mut done, &mut calls, range))
            .unwrap();
        assert_eq!(calls, 2 + 4);
        halving
            .run(64, |range| device(16, &mut done, &mut calls, range))
            .unwrap();
        assert_eq!(calls, 6 + 4);
    }

    #[test]
    fn no_memory_for_one_image_is_an_error() {
        let mut halving = Halving::default();
        let error = halving.run(5, |range| device(0, &mut Vec::new(), &mut 0, range));
        assert_eq!(error, Err("CUDA out of memory".to_owned()));
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut calls = 0;
        let result = Halving::default().run(8, |_| {
            calls += 1;
            Err(Failure::Other("broken"))
        });
        assert_eq!((result, calls), (Err("broken"), 1));
    }
}
