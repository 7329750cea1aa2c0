//! The memory of a run, divided among the layers.

use crate::plane::Scratch;

/// Bytes of activations that are worked on at a time.
pub(crate) const STAGE_BYTES: usize = 512 << 10;
/// Most images of a run. The later stages need some dozens, so that weights are read once for many; more would fill the caches.
pub(crate) const MOST_IMAGES: usize = 32;

/// Where in its memory a run writes on its way: planned as offsets, used as pointers.
pub(crate) struct Areas<P> {
    /// Normalised images with zeros around.
    pub(crate) image: P,
    pub(crate) stem: P,
    /// Between stages; one is read while the other is written.
    pub(crate) between: [P; 2],
    /// Inside a block, behind its first convolution.
    pub(crate) first: P,
    pub(crate) shortcut: P,
    /// Between the blocks of a stage.
    pub(crate) block: P,
    pub(crate) factors: [P; 2],
    pub(crate) sums: P,
    pub(crate) zeros: P,
    pub(crate) mean: P,
    pub(crate) embedding: P,
    pub(crate) rectified: P,
    pub(crate) logits: P,
}

impl Areas<usize> {
    /// The areas in memory.
    ///
    /// # Safety
    /// The memory has room for all of them.
    pub(crate) unsafe fn from(&self, start: *mut f32) -> Areas<*mut f32> {
        // SAFETY: the caller's.
        let at = |offset: usize| unsafe { start.add(offset) };
        Areas {
            image: at(self.image),
            stem: at(self.stem),
            between: self.between.map(at),
            first: at(self.first),
            shortcut: at(self.shortcut),
            block: at(self.block),
            factors: self.factors.map(at),
            sums: at(self.sums),
            zeros: at(self.zeros),
            mean: at(self.mean),
            embedding: at(self.embedding),
            rectified: at(self.rectified),
            logits: at(self.logits),
        }
    }
}

impl Areas<*mut f32> {
    /// Those that a convolution works in.
    pub(crate) fn scratch(&self) -> Scratch {
        Scratch {
            factors: self.factors,
            sums: self.sums,
            zeros: self.zeros,
        }
    }
}
