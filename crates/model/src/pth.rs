//! Weights as `torch.save` writes them: a zip with a pickle of the state dict and one file for each storage.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use driftline_core::{Error, ErrorKind, Result};
use driftline_pickle::{Value, parse};
use zip::ZipArchive;

use crate::Tensor;
use crate::weights::Element;

/// The only names a state dict may use; nothing is imported or called, they are only recognised.
const ALLOWED: [(&str, &str); 10] = [
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "FloatStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "HalfStorage"),
    ("torch", "BFloat16Storage"),
    ("torch", "LongStorage"),
    ("torch", "IntStorage"),
    ("torch.nn.parameter", "Parameter"),
];

/// Largest pickle that a state dict may have, in bytes: thousands of tensors fit.
const PICKLE_LIMIT: u64 = 64 << 20;

fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, "read weights", message)
        .remedy("save it again with `torch.save(model.state_dict(), path)`")
}

/// All floating-point tensors of the file by name.
pub(crate) fn read(file: File) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = ZipArchive::new(file).map_err(|cause| {
        damaged("this is not a whole PyTorch file (a zip archive, since PyTorch 1.6)")
            .because(cause)
    })?;
    let prefix = archive
        .file_names()
        .filter_map(|name| name.ok())
        .find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
        .ok_or_else(|| damaged("the archive has no data.pkl"))?;
    if let Some(order) = entry(&mut archive, &format!("{prefix}byteorder"), 16)?
        && order != b"little"
    {
        return Err(damaged(
            "the weights are stored big-endian, which is not supported",
        ));
    }
    let pickle = entry(&mut archive, &format!("{prefix}data.pkl"), PICKLE_LIMIT)?
        .ok_or_else(|| damaged("the archive has no data.pkl"))?;
    let pickle = parse(&pickle, &|module, name| ALLOWED.contains(&(module, name)))?;
    let root = pickle.root();
    // Training checkpoints keep the state dict under this key.
    let state = root.get("state_dict").unwrap_or(root);
    let entries = state
        .entries()
        .ok_or_else(|| damaged(format!("it holds a {}, not a state dict", state.kind())))?;
    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        let Some(name) = name.as_str() else {
            return Err(damaged("a tensor has a name that is not text"));
        };
        let view = View::new(value).ok_or_else(|| {
            damaged(format!("`{name}` is a {}, not a tensor", value.kind())).with("tensor", name)
        })?;
        if let Some(tensor) = view
            .load(&mut archive, &prefix)
            .map_err(|e| e.with("tensor", name))?
        {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(tensors)
}

fn entry(archive: &mut ZipArchive<File>, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed =
        |cause: String| damaged(format!("`{name}` in the archive cannot be read: {cause}"));
    let file = match archive.by_name(name) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(e) => return Err(failed(e.to_string())),
    };
    let mut bytes = Vec::new();
    let read = file
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| failed(e.to_string()))?;
    if read as u64 > limit {
        return Err(failed(format!("it is larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// A tensor as a view of a storage.
struct View<'a> {
    storage: &'a str,
    key: &'a str,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> View<'a> {
    fn new(value: Value<'a, '_>) -> Option<Self> {
        let call = value.call()?;
        match (call.module, call.name) {
            ("torch._utils", "_rebuild_parameter") => Self::new(*call.args.first()?),
            ("torch._utils", "_rebuild_tensor_v2") => {
                let [storage, offset, shape, strides, ..] = call.args.as_slice() else {
                    return None;
                };
                // ("storage", class, key, device, number of elements)
                let id: Vec<_> = storage.persistent()?.items()?.collect();
                let lengths = |value: Value<'a, '_>| -> Option<Vec<usize>> {
                    value.items()?.map(Value::as_usize).collect()
                };
                Some(Self {
                    storage: id.get(1)?.global()?.1,
                    key: id.get(2)?.as_str()?,
                    offset: offset.as_usize()?,
                    shape: lengths(*shape)?,
                    strides: lengths(*strides)?,
                })
            }
            _ => None,
        }
    }

    /// The values in row-major order; `None` for integers.
    fn load(&self, archive: &mut ZipArchive<File>, prefix: &str) -> Result<Option<Tensor>> {
        let element = match self.storage {
            "FloatStorage" => Element::F32,
            "DoubleStorage" => Element::F64,
            "HalfStorage" => Element::F16,
            "BFloat16Storage" => Element::BF16,
            _ => return Ok(None),
        };
        let name = format!("{prefix}data/{}", self.key);
        let size = archive
            .by_name(&name)
            .map_err(|e| damaged(format!("the storage `{name}` is missing")).because(e))?
            .size();
        let bytes = entry(archive, &name, size)?.unwrap_or_default();
        let values = element.decode(&bytes);
        let data = self.gather(&values).ok_or_else(|| {
            damaged(format!(
                "a tensor of shape {:?} does not fit its storage of {} values of {} bytes",
                self.shape,
                values.len(),
                element.bytes()
            ))
        })?;
        Ok(Some(Tensor {
            shape: self.shape.clone(),
            data,
        }))
    }

    fn gather(&self, storage: &[f32]) -> Option<Vec<f32>> {
        if self.shape.len() != self.strides.len() {
            return None;
        }
        let count = self
            .shape
            .iter()
            .try_fold(1_usize, |count, length| count.checked_mul(*length))?;
        if count == 0 {
            return Some(Vec::new());
        }
        // The last element; a stride of 0 could otherwise make a small file ask for any amount of memory.
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |at, (length, stride)| {
                at.checked_add((length - 1).checked_mul(*stride)?)
            })?;
        if last >= storage.len() || count > storage.len() {
            return None;
        }
        let mut data = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            data.push(storage[self.offset + at]);
            for (i, length) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *length {
                    break;
                }
                *i = 0;
            }
        }
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> View<'static> {
        View {
            storage: "FloatStorage",
            key: "0",
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn a_transposed_view_is_gathered() {
        let storage = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let gathered = view(0, &[3, 2], &[1, 3]).gather(&storage).unwrap();
        assert_eq!(gathered, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(view(4, &[2], &[1]).gather(&storage).unwrap(), [4.0, 5.0]);
    }

    #[test]
    fn a_view_outside_its_storage_is_refused() {
        let storage = [0.0; 6];
        assert!(view(5, &[2], &[1]).gather(&storage).is_none());
        assert!(
            view(0, &[usize::MAX, 2], &[0, 0])
                .gather(&storage)
                .is_none()
        );
        assert!(view(0, &[1 << 40], &[0]).gather(&storage).is_none());
        assert!(view(0, &[2], &[usize::MAX]).gather(&storage).is_none());
    }
}
