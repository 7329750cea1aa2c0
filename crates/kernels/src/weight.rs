//! Weights as the inner loops read them.

use driftline_core::Result;
use half::bf16;

use crate::kernel::Kernels;
use crate::memory::Buffer;

/// The right sides of one or more products of one size, packed in panels of columns.
pub(crate) struct Weight {
    values: Buffer,
    /// Rows of one matrix.
    pub(crate) depth: usize,
    /// Buffer values of one matrix.
    size: usize,
}

impl Weight {
    /// Packs matrices `[depth, columns]`, row-major: `[panel][depth][column]` of f32, or `[panel][depth / 2][column][2]` of
    /// bf16.
    pub(crate) fn new(matrices: &[Vec<f32>], columns: usize, kernels: &Kernels) -> Result<Self> {
        let len = matrices.first().map_or(0, Vec::len);
        let size = if kernels.gather.is_some() {
            len / 2
        } else {
            len
        };
        let mut values = Buffer::new(matrices.len() * size)?;
        let mut packed = values.as_mut_slice().iter_mut();
        for matrix in matrices {
            for start in (0..columns).step_by(kernels.panel) {
                let panel = start..columns.min(start + kernels.panel);
                if kernels.gather.is_some() {
                    for pair in matrix.chunks_exact(2 * columns) {
                        let (first, second) = pair.split_at(columns);
                        let pairs = first[panel.clone()].iter().zip(&second[panel.clone()]);
                        for ((first, second), to) in pairs.zip(packed.by_ref()) {
                            let bits = |value: &f32| u32::from(bf16::from_f32(*value).to_bits());
                            *to = f32::from_bits(bits(second) << 16 | bits(first));
                        }
                    }
                } else {
                    for row in matrix.chunks_exact(columns) {
                        for (value, to) in row[panel.clone()].iter().zip(packed.by_ref()) {
                            *to = *value;
                        }
                    }
                }
            }
        }
        Ok(Self {
            values,
            depth: len / columns,
            size,
        })
    }

    /// Where the matrix of a product starts.
    pub(crate) fn start(&self, product: usize) -> *const f32 {
        self.values.start().wrapping_add(product * self.size)
    }
}
