//! The network compiled for one input size: the order of the layers, and the buffers between them.
//!
//! Activations are worked on depth first: a few images go through the stem, a few through all blocks of a stage, so that what
//! one layer writes is near the core when the next one reads it.

use driftline_core::Result;

use crate::areas::{Areas, MOST_IMAGES, STAGE_BYTES};
use crate::convolution::Convolution;
use crate::kernel::Kernels;
use crate::memory::{Buffer, check_room};
use crate::plane::{Plane, Planes};
use crate::pool::Pool;
use crate::product::CHANNELS;
use crate::resnet18::{self, Input, Linear, ResNet18};
use crate::stem::Stem;
use crate::team::Share;

/// Bytes of activations between two stages.
const BETWEEN_BYTES: usize = 64 << 20;

/// ResNet-18 for images of one size.
pub(crate) struct Plan {
    kernels: &'static Kernels,
    images: usize,
    stem: Stem,
    stages: Vec<Stage>,
    /// The plane behind the last stage, and all its positions.
    last: Plane,
    mean: [Vec<u32>; 1],
    embedding: Convolution,
    head: Convolution,
    dim: usize,
    classes: usize,
    areas: Areas<usize>,
    /// Values of all areas.
    memory: usize,
}

/// Blocks on planes of one size.
struct Stage {
    blocks: Vec<Block>,
    input: Plane,
    output: Plane,
    /// Images at a time.
    images: usize,
}

struct Block {
    conv1: Convolution,
    conv2: Convolution,
    downsample: Option<Convolution>,
}

/// Where results go: f32 `[n, dim]`, and f32 `[n, classes]` if scores are wanted.
pub(crate) struct Output {
    pub(crate) embeddings: *mut f32,
    pub(crate) scores: Option<*mut f32>,
}

// SAFETY: workers write to rows of their own.
unsafe impl Sync for Output {}

impl Output {
    /// The rows from `row` on.
    ///
    /// # Safety
    /// There are that many rows.
    pub(crate) unsafe fn from(&self, row: usize, dim: usize, classes: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                embeddings: self.embeddings.add(row * dim),
                scores: self.scores.map(|scores| scores.add(row * classes)),
            }
        }
    }
}

impl Plan {
    pub(crate) fn new(
        network: &ResNet18<'_>,
        input: &Input,
        kernels: &'static Kernels,
    ) -> Result<Self> {
        network.check()?;
        let stem = Stem::new(network.stem, input, kernels)?;
        let images = (BETWEEN_BYTES / (4 * stem.output.values())).clamp(1, MOST_IMAGES);
        let mut last = stem.output;
        let mut stages: Vec<Stage> = Vec::new();
        for block in &network.blocks {
            let new_stage = block.downsample.is_some() || stages.is_empty();
            if new_stage {
                stages.push(Stage {
                    blocks: Vec::new(),
                    input: last,
                    output: last,
                    images: (STAGE_BYTES / (4 * 3 * last.values())).clamp(1, images),
                });
            }
            if let Some(stage) = stages.last_mut() {
                let block = Block::new(block, last, stage.images, kernels)?;
                last = block.conv2.output;
                stage.output = last;
                stage.blocks.push(block);
            }
        }
        let linear = |linear: &Linear<'_>| {
            let row = Plane {
                height: 1,
                width: 1,
                channels: kernels.padded(linear.inputs),
            };
            Convolution::new(linear.as_conv(), false, row, images, kernels)
        };
        let (embedding, head) = (linear(&network.embedding)?, linear(&network.head)?);
        let (areas, memory) = areas(&stem, &stages, images, [&embedding, &head]);
        Ok(Self {
            kernels,
            images,
            stem,
            stages,
            last,
            mean: [last.positions().map(|(y, x)| last.at(y, x)).collect()],
            embedding,
            head,
            dim: network.dim(),
            classes: network.classes(),
            areas,
            memory,
        })
    }

    /// Most images of one [`Self::run`].
    pub(crate) fn images(&self) -> usize {
        self.images
    }

    /// Memory for `workers`, each for itself.
    pub(crate) fn memory(&self, workers: usize) -> Result<Vec<Buffer>> {
        check_room(self.memory.saturating_mul(workers))?;
        (0..workers).map(|_| Buffer::new(self.memory)).collect()
    }

    /// Embeds `images`, u8 `[n, H, W, 3]`, at most [`Self::images`] of them.
    ///
    /// # Safety
    /// The processor has the instruction set of the kernels, the memory is of this plan, and `output` has a row for each
    /// image. All workers of `share` call it with the same arguments, and nobody else has the memory and the rows.
    pub(crate) unsafe fn run(
        &self,
        images: &[u8],
        memory: &Buffer,
        output: &Output,
        share: &Share<'_>,
    ) {
        let n = images.len() / self.stem.image.bytes();
        // SAFETY: the memory has room for all areas.
        let work = unsafe { self.areas.from(memory.start()) };
        let scratch = work.scratch();
        let planes = |input: *mut f32, output| Planes {
            input,
            output,
            shortcut: None,
        };
        let [mut from, mut to] = work.between;
        // SAFETY: the buffers were made for the planes of this plan; workers meet before one reads channels that others wrote.
        unsafe {
            self.stem.run(self.kernels, images, &work, share);
            for stage in &self.stages {
                stage.run(self.kernels, n, [from, to], &work, share);
                (from, to) = (to, from);
            }
            (self.kernels.mean)(&Pool {
                input: from,
                output: work.mean,
                windows: &self.mean,
                images: n,
                plane: self.last.values(),
                channels: self.last.channels,
                range: self.kernels.range(self.last.channels, share),
            });
            let mean = planes(work.mean, work.embedding);
            self.embedding.run(self.kernels, mean, scratch, n, share);
            share.wait();
            // What is left is less than another meeting would take.
            if !share.is_first() {
                return;
            }
            for row in 0..n {
                let at = row * self.embedding.output.channels;
                let embedding = std::slice::from_raw_parts(work.embedding.add(at), self.dim);
                let rectified = std::slice::from_raw_parts_mut(work.rectified.add(at), self.dim);
                for (rectified, value) in rectified.iter_mut().zip(embedding) {
                    *rectified = value.max(0.0);
                }
                std::slice::from_raw_parts_mut(output.embeddings.add(row * self.dim), self.dim)
                    .copy_from_slice(embedding);
            }
            let Some(scores) = output.scores else {
                return;
            };
            let rectified = planes(work.rectified, work.logits);
            self.head
                .run(self.kernels, rectified, scratch, n, &share.alone());
            for row in 0..n {
                let logits = work.logits.add(row * self.head.output.channels);
                softmax(
                    std::slice::from_raw_parts(logits, self.classes),
                    std::slice::from_raw_parts_mut(scores.add(row * self.classes), self.classes),
                );
            }
        }
    }
}

impl Stage {
    /// Takes `n` images from one buffer between stages to the other. As unsafe as [`Plan::run`].
    unsafe fn run(
        &self,
        kernels: &Kernels,
        n: usize,
        [input, output]: [*mut f32; 2],
        work: &Areas<*mut f32>,
        share: &Share<'_>,
    ) {
        let scratch = work.scratch();
        for start in (0..n).step_by(self.images) {
            let n = self.images.min(n - start);
            let run = |convolution: &Convolution, input, output, shortcut| {
                let planes = Planes {
                    input,
                    output,
                    shortcut,
                };
                // SAFETY: the buffers have room for this many images.
                unsafe { convolution.run(kernels, planes, scratch, n, share) };
            };
            // SAFETY: the buffers between stages have room for all images.
            let (mut from, end) = unsafe {
                (
                    input.add(start * self.input.values()),
                    output.add(start * self.output.values()),
                )
            };
            for (index, block) in self.blocks.iter().enumerate() {
                let last = index + 1 == self.blocks.len();
                let to = if last { end } else { work.block };
                run(&block.conv1, from, work.first, None);
                let shortcut = match &block.downsample {
                    Some(downsample) => {
                        run(downsample, from, work.shortcut, None);
                        work.shortcut
                    }
                    None => from,
                };
                run(&block.conv2, work.first, to, Some(shortcut.cast_const()));
                from = to;
            }
        }
    }
}

impl Block {
    fn new(
        block: &resnet18::Block<'_>,
        input: Plane,
        images: usize,
        kernels: &Kernels,
    ) -> Result<Self> {
        let conv1 = Convolution::new(block.conv1, true, input, images, kernels)?;
        let conv2 = Convolution::new(block.conv2, true, conv1.output, images, kernels)?;
        let downsample = block
            .downsample
            .map(|downsample| Convolution::new(downsample, false, input, images, kernels))
            .transpose()?;
        let shortcut = downsample
            .as_ref()
            .map_or(input, |downsample| downsample.output);
        // The buffers inside a block are of one size.
        if [conv1.output, shortcut] != [conv2.output; 2] {
            return Err(resnet18::misfit(format!(
                "a block makes {:?} and {:?}, its shortcut {shortcut:?}",
                conv1.output, conv2.output
            )));
        }
        Ok(Self {
            conv1,
            conv2,
            downsample,
        })
    }
}

/// Offsets of all areas, each on a cache line, and the values that they take together.
fn areas(
    stem: &Stem,
    stages: &[Stage],
    images: usize,
    [embedding, head]: [&Convolution; 2],
) -> (Areas<usize>, usize) {
    let most = |values: &dyn Fn(&Stage) -> usize| stages.iter().map(values).max().unwrap_or(0);
    let inside = most(&|stage| stage.images * stage.output.values());
    let between = images * most(&|stage| stage.input.values().max(stage.output.values()));
    let channels = most(&|stage| stage.input.channels.max(stage.output.channels));
    let convolutions = stages
        .iter()
        .flat_map(|stage| &stage.blocks)
        .flat_map(|block| {
            [
                Some(&block.conv1),
                Some(&block.conv2),
                block.downsample.as_ref(),
            ]
        })
        .flatten()
        .chain([&stem.convolution, embedding, head]);
    let [factors, sums] = convolutions
        .map(Convolution::scratch)
        .reduce(|[a, b], [c, d]| [a.max(c), b.max(d)])
        .unwrap_or_default();
    let mut memory = 0;
    let mut area = |values: usize| {
        let start = memory;
        memory += values.next_multiple_of(CHANNELS);
        start
    };
    let areas = Areas {
        image: area(stem.images * stem.convolution.input.values()),
        stem: area(stem.images * stem.convolution.output.values()),
        between: [area(between), area(between)],
        first: area(inside),
        shortcut: area(inside),
        block: area(inside),
        factors: [area(factors), area(factors)],
        sums: area(sums),
        zeros: area(channels),
        mean: area(images * channels),
        embedding: area(images * embedding.output.channels),
        rectified: area(images * embedding.output.channels),
        logits: area(images * head.output.channels),
    };
    (areas, memory)
}

/// `exp(logit - largest)` over their sum.
fn softmax(logits: &[f32], scores: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (score, logit) in scores.iter_mut().zip(logits) {
        *score = (logit - largest).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}
