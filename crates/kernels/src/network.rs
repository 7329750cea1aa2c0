//! The compiled network with its threads and buffers.

use std::sync::atomic::{AtomicUsize, Ordering};

use driftline_core::{Error, ErrorKind, ImageShape, Precision, Result};

use crate::instructions::Instructions;
use crate::memory::Buffer;
use crate::plan::{Output, Plan};
use crate::resnet18::{Input, ResNet18};
use crate::team::Team;

/// Images that a worker takes at a time at least, of a batch that has so many for each: fewer make products too small.
const LEAST: usize = 16;

/// ResNet-18, ready to run on images of one size.
///
/// # Behavior
/// * An image has the same embedding, bit by bit, in every batch and with any number of threads.
/// * Nothing is allocated after the first call.
/// * Between calls threads wait for work for 50 microseconds, and then sleep.
pub struct Network {
    plan: Plan,
    team: Team,
    memory: Vec<Buffer>,
    shape: ImageShape,
    instructions: Instructions,
    dim: usize,
    classes: usize,
}

impl Network {
    /// Compiles the network for images of `input`'s size, and starts `threads - 1` threads; the one that calls
    /// is the last.
    ///
    /// # Errors
    /// `Unsupported` for an instruction set that this processor does not have, `InvalidConfig` for an input size that is too
    /// small for the network, `InvalidData` for layers that do not fit to each other, `Resource` when memory or threads cannot be had.
    pub fn new(
        network: &ResNet18<'_>,
        input: &Input,
        threads: usize,
        instructions: Instructions,
        precision: Precision,
    ) -> Result<Self> {
        let kernels = instructions.kernels(precision).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!("this processor has no {instructions} instructions for {precision}"),
            )
        })?;
        let plan = Plan::new(network, input, kernels)?;
        let memory = plan.memory(threads.max(1))?;
        let team = Team::new(threads.max(1)).map_err(|cause| {
            Error::new(
                ErrorKind::Resource,
                "open backend",
                "the threads could not be started",
            )
            .because(cause)
        })?;
        Ok(Self {
            plan,
            team,
            memory,
            shape: input.shape,
            instructions,
            dim: network.dim(),
            classes: network.classes(),
        })
    }

    /// Height and width of the images.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The instruction set that it runs on.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of scores.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Threads, with the one that calls.
    pub fn threads(&self) -> usize {
        self.team.size()
    }

    /// Embeds `images`, u8 `[N, H, W, 3]`, into `embeddings`, f32 `[N, dim]`, and `scores`, f32 `[N, classes]`.
    ///
    /// # Panics
    /// When a length is not the one of the shape.
    pub fn embed(&mut self, images: &[u8], embeddings: &mut [f32], mut scores: Option<&mut [f32]>) {
        let bytes = self.shape.bytes();
        let n = images.len() / bytes;
        assert_eq!(images.len(), n * bytes, "images");
        assert_eq!(embeddings.len(), n * self.dim, "embeddings");
        if let Some(scores) = &scores {
            assert_eq!(scores.len(), n * self.classes, "scores");
        }
        let output = Output {
            embeddings: embeddings.as_mut_ptr(),
            scores: scores.as_mut().map(|scores| scores.as_mut_ptr()),
        };
        let plan = &self.plan;
        let memory = &self.memory;
        let workers = self.team.size();
        if n < 2 * workers && n <= plan.images() {
            // SAFETY: the plan's instruction set was checked. All workers work in the first memory, as `share` divides it.
            self.team
                .together(&|share| unsafe { plan.run(images, &memory[0], &output, share) });
            return;
        }
        // Ever less at a time, so that workers end together when another process takes one's core for a while.
        let least = LEAST.min(n.div_ceil(workers)).min(plan.images());
        let size = |start: usize| {
            (n - start)
                .div_ceil(2 * workers)
                .clamp(least, plan.images())
        };
        let next = AtomicUsize::new(0);
        self.team.apart(&|worker, alone| {
            let take = |start| (start < n).then(|| start + size(start));
            while let Ok(start) = next.try_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                let end = n.min(start + size(start));
                // SAFETY: the plan's instruction set was checked. Each worker has memory and rows of its own.
                unsafe {
                    let output = output.from(start, self.dim, self.classes);
                    let images = &images[start * bytes..end * bytes];
                    plan.run(images, &memory[worker], &output, alone);
                }
            }
        });
    }
}
