//! Named f32 tensors from a weights file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::pth;

/// A dense tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub data: Vec<f32>,
}

/// All tensors of a weights file by name. Integer tensors (counters of batches) are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Reads `.safetensors`, or `.pth` as `torch.save` writes it since PyTorch 1.6 (nothing in it is executed).
    pub fn open(path: &Path) -> Result<Self> {
        let weights = match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => {
                let bytes = std::fs::read(path).map_err(|e| Error::io("read weights", path, e))?;
                Self::from_safetensors(&bytes)
            }
            _ => {
                let file = File::open(path).map_err(|e| Error::io("read weights", path, e))?;
                pth::read(file).map(|tensors| Self { tensors })
            }
        };
        weights.map_err(|error| error.with("file", path.display()))
    }

    fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|cause| {
            Error::new(
                ErrorKind::InvalidData,
                "read weights",
                "this is not a whole safetensors file",
            )
            .because(cause)
            .remedy("bring it again: it may have been cut short")
        })?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = match view.dtype() {
                Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
                dtype => {
                    let element = match dtype {
                        Dtype::F32 => Element::F32,
                        Dtype::F64 => Element::F64,
                        Dtype::F16 => Element::F16,
                        Dtype::BF16 => Element::BF16,
                        other => {
                            return Err(Error::new(
                                ErrorKind::Unsupported,
                                "read weights",
                                format!("tensors of {other:?} values are not supported"),
                            )
                            .with("tensor", name)
                            .remedy("save the weights as f32"));
                        }
                    };
                    element.decode(view.data())
                }
            };
            let shape = view.shape().to_vec();
            tensors.insert(name, Tensor { shape, data });
        }
        Ok(Self { tensors })
    }
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

    #[test]
    fn a_cut_safetensors_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.safetensors");
        std::fs::write(&path, [200, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
        let error = Weights::open(&path).unwrap_err().to_string();
        assert!(error.contains("not a whole safetensors file"), "{error}");
        assert!(error.contains("cut.safetensors"), "{error}");
    }
}
