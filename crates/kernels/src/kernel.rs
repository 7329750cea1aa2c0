//! The inner loops, compiled once for each instruction set.
//!
//! Activations are f32, channels last, with the channels padded with zeros to a multiple of [`CHANNELS`]. A sum is
//! taken in one order, tap by tap and channel by channel, whatever the number of rows, so that an image has the same
//! embedding in every batch.
//!
//! Loops with bf16 factors sum in f32; the factors of a product lie side by side, row by row, so that a convolution without
//! a filter gathers them first.

use std::ops::Range;

use crate::filter::{Pair, Winograd};
use crate::gather::{Gather, gather};
use crate::pool::{Pool, pool};
use crate::product::{CHANNELS, Product, product};
#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Pairs};
use crate::simd::{Portable, Single};
use crate::team::Share;
use crate::transform::{Transform, transform_input, transform_output};

/// The loops of one instruction set.
pub(crate) struct Kernels {
    /// Columns of a product that are computed together.
    pub(crate) panel: usize,
    /// Channels of activations, and the depth of gathered rows, come in multiples of this.
    pub(crate) channels: usize,
    /// For loops with bf16 factors, what makes them.
    pub(crate) gather: Option<unsafe fn(&Gather<'_>)>,
    pub(crate) product: unsafe fn(&Product<'_>),
    pub(crate) winograd: [unsafe fn(&Transform<'_>); 2],
    pub(crate) pair: [unsafe fn(&Transform<'_>); 2],
    pub(crate) largest: unsafe fn(&Pool<'_>),
    pub(crate) mean: unsafe fn(&Pool<'_>),
}

impl Kernels {
    /// `channels` with the padding behind them.
    pub(crate) fn padded(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.channels)
    }

    /// The panels of `columns` that a worker computes.
    pub(crate) fn panels(&self, columns: usize, share: &Share<'_>) -> Range<usize> {
        share.part(columns.div_ceil(self.panel))
    }

    /// The channels of those panels.
    pub(crate) fn range(&self, columns: usize, share: &Share<'_>) -> Range<usize> {
        let panels = self.panels(columns, share);
        panels.start * self.panel..columns.min(panels.end * self.panel)
    }

    /// Rows of the weights for so many values, with the padding behind them.
    pub(crate) fn deep(&self, values: usize) -> usize {
        match self.gather {
            Some(_) => self.padded(values),
            None => values,
        }
    }

    /// The factors from the one of index `at` on.
    ///
    /// # Safety
    /// There are that many.
    pub(crate) unsafe fn factors(&self, start: *const f32, at: usize) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            match self.gather {
                Some(_) => start.cast::<u16>().add(at).cast(),
                None => start.add(at),
            }
        }
    }
}

macro_rules! kernels {
    ($module:ident, $vector:ty, panel: $panel:expr, product: $product:expr, half: $half:literal $(, $feature:literal)?) => {
        pub(crate) mod $module {
            use super::*;

            macro_rules! instance {
                ($name:ident, $argument:ty, $body:expr) => {
                    $(#[target_feature(enable = $feature)])?
                    unsafe fn $name(argument: &$argument) {
                        // SAFETY: the caller's; the instruction set of the vector is enabled here.
                        unsafe { $body(argument) }
                    }
                };
            }
            instance!(multiply, Product<'_>, $product);
            instance!(gather_rows, Gather<'_>, gather::<$vector>);
            instance!(winograd_input, Transform<'_>, transform_input::<$vector, Winograd, $half>);
            instance!(winograd_output, Transform<'_>, transform_output::<$vector, Winograd>);
            instance!(pair_input, Transform<'_>, transform_input::<$vector, Pair, $half>);
            instance!(pair_output, Transform<'_>, transform_output::<$vector, Pair>);
            instance!(largest, Pool<'_>, pool::<$vector, false>);
            instance!(mean, Pool<'_>, pool::<$vector, true>);

            pub(crate) static KERNELS: Kernels = Kernels {
                panel: $panel,
                channels: if $half { 2 * CHANNELS } else { CHANNELS },
                gather: if $half { Some(gather_rows) } else { None },
                product: multiply,
                winograd: [winograd_input, winograd_output],
                pair: [pair_input, pair_output],
                largest,
                mean,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, panel: 32, product: product::<Single<Avx512>, 12, 2>, half: false, "avx512f");
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, panel: 16, product: product::<Single<Avx2>, 6, 2>, half: false, "avx2,fma");
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon, panel: 16, product: product::<Single<Neon>, 6, 4>, half: false, "neon");
kernels!(portable, Portable, panel: 8, product: product::<Single<Portable>, 2, 2>, half: false);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512_bf16, Avx512, panel: 32, product: product::<Pairs, 12, 2>, half: true, "avx512f,avx512bf16"
);
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
kernels!(
    amx_bf16, Avx512, panel: 32, product: crate::amx::product, half: true, "avx512f,avx512bf16"
);
