//! Named f32 tensors from a weights file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use safetensors::{Dtype, SafeTensors};

use crate::pth;
use crate::tensor::{Element, Tensor};

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

#[cfg(test)]
mod tests {
    use super::*;

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
