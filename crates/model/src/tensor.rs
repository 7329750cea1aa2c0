//! A tensor, and the types that its values may be stored as.

use half::{bf16, f16};

/// A dense tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub data: Vec<f32>,
}

/// Floating-point types that weights may be stored in, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F64,
    F16,
    BF16,
}

impl Element {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Element `i` of `bytes` as f32; 0 past their end.
    pub(crate) fn at(self, bytes: &[u8], i: usize) -> f32 {
        fn whole<const N: usize>(bytes: &[u8], i: usize) -> [u8; N] {
            bytes.as_chunks().0.get(i).copied().unwrap_or([0; N])
        }
        match self {
            Self::F32 => f32::from_le_bytes(whole(bytes, i)),
            Self::F64 => f64::from_le_bytes(whole(bytes, i)) as f32,
            Self::F16 => f16::from_le_bytes(whole(bytes, i)).to_f32(),
            Self::BF16 => bf16::from_le_bytes(whole(bytes, i)).to_f32(),
        }
    }

    /// All whole elements of `bytes` as f32.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        (0..bytes.len() / self.bytes())
            .map(|i| self.at(bytes, i))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_type_becomes_f32() {
        assert_eq!(Element::F32.decode(&1.5_f32.to_le_bytes()), [1.5]);
        assert_eq!(Element::F64.decode(&(-2.0_f64).to_le_bytes()), [-2.0]);
        assert_eq!(
            Element::F16.decode(&f16::from_f32(0.5).to_le_bytes()),
            [0.5]
        );
        assert_eq!(
            Element::BF16.decode(&bf16::from_f32(4.0).to_le_bytes()),
            [4.0]
        );
    }
}
