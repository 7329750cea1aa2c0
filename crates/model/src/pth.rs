//! Weights as `torch.save` writes them: a zip with a pickle of the state dict and one file for each storage.
//!
//! Storages are read one after the other, each once, however many tensors are views of it. What is unpacked and what the
//! tensors hold comes out of one budget, and so does the time: every byte that is unpacked was taken from it.

use std::collections::BTreeMap;
use std::fs::File;

use driftline_core::{Budget, Error, ErrorKind, Result};
use driftline_pickle::{Value, parse};
use zip::ZipArchive;

use crate::tensor::{Element, Tensor};

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

/// Most dimensions of a tensor; a convolution of videos has five.
const MAX_RANK: usize = 8;
/// What a tensor takes beside its name and values.
const TENSOR_COST: u64 = 512;

fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, "read weights", message)
        .remedy("save it again with `torch.save(model.state_dict(), path)`")
}

/// All floating-point tensors of the file by name.
pub(crate) fn read(file: File) -> Result<BTreeMap<String, Tensor>> {
    let length = file
        .metadata()
        .map_err(|cause| damaged("its length is not known").because(cause))?
        .len();
    let mut memory = Budget::for_file(length);
    // As much may be unpacked, so that reading a file ends soon too.
    let mut unpacked = Budget::for_file(length);
    let mut archive = driftline_archive::open(file).map_err(|cause| {
        damaged("this is not a whole PyTorch file (a zip archive, since PyTorch 1.6)")
            .because(cause)
    })?;
    let prefix = archive
        .file_names()
        .filter_map(|name| name.ok())
        .find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned))
        .ok_or_else(|| damaged("the archive has no data.pkl"))?;
    let order = entry(&mut archive, &format!("{prefix}byteorder"), &mut unpacked)?;
    if order.is_some_and(|order| order != b"little") {
        return Err(damaged(
            "the weights are stored big-endian, which is not supported",
        ));
    }
    let pickle = entry(&mut archive, &format!("{prefix}data.pkl"), &mut unpacked)?
        .ok_or_else(|| damaged("the archive has no data.pkl"))?;
    memory.take(pickle.len() as u64)?;
    let allowed = |module: &str, name: &str| ALLOWED.contains(&(module, name));
    let pickle = parse(&pickle, &allowed, &mut memory)?;
    let root = pickle.root();
    // Training checkpoints keep the state dict under this key.
    let state = root.get("state_dict").unwrap_or(root);
    let entries = state
        .entries()
        .ok_or_else(|| damaged(format!("it holds a {}, not a state dict", state.kind())))?;
    let mut storages: BTreeMap<&str, Vec<(&str, View<'_>)>> = BTreeMap::new();
    for (name, value) in entries {
        let Some(name) = name.as_str() else {
            return Err(damaged("a tensor has a name that is not text"));
        };
        memory.take(TENSOR_COST + name.len() as u64)?;
        let view = View::new(value).ok_or_else(|| {
            damaged(format!("`{name}` is a {}, not a tensor", value.kind())).with("tensor", name)
        })?;
        storages.entry(view.key).or_default().push((name, view));
    }
    let mut tensors = BTreeMap::new();
    for (key, views) in storages {
        let member = format!("{prefix}data/{key}");
        let mut content = None;
        for (name, view) in views {
            let Some(element) = view.element() else {
                continue;
            };
            let content = match &content {
                Some(content) => content,
                None => {
                    let found = entry(&mut archive, &member, &mut unpacked)?.ok_or_else(|| {
                        damaged(format!("the storage `{member}` is missing")).with("tensor", name)
                    })?;
                    memory.take(found.len() as u64)?;
                    &*content.insert(found)
                }
            };
            let tensor = view
                .load(element, content, &mut memory)
                .map_err(|e| e.with("tensor", name))?;
            tensors.insert(name.to_owned(), tensor);
        }
        memory.give_back(content.map_or(0, |content| content.len() as u64));
    }
    Ok(tensors)
}

fn entry(
    archive: &mut ZipArchive<File>,
    name: &str,
    unpacked: &mut Budget,
) -> Result<Option<Vec<u8>>> {
    let failed =
        |cause: String| damaged(format!("`{name}` in the archive cannot be read: {cause}"));
    let file = match archive.by_name(name) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(e) => return Err(failed(e.to_string())),
    };
    let bytes = unpacked.read_to_end(file);
    bytes.map(Some).map_err(|e| failed(e.to_string()))
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
                let id: Vec<_> = storage.persistent()?.items()?.take(5).collect();
                let lengths = |value: Value<'a, '_>| -> Option<Vec<usize>> {
                    let lengths = value.items()?;
                    (lengths.len() <= MAX_RANK).then(|| lengths.map(Value::as_usize).collect())?
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

    /// The type of the values; `None` for integers.
    fn element(&self) -> Option<Element> {
        match self.storage {
            "FloatStorage" => Some(Element::F32),
            "DoubleStorage" => Some(Element::F64),
            "HalfStorage" => Some(Element::F16),
            "BFloat16Storage" => Some(Element::BF16),
            _ => None,
        }
    }

    /// The values in row-major order.
    fn load(&self, element: Element, storage: &[u8], memory: &mut Budget) -> Result<Tensor> {
        let values = storage.len() / element.bytes();
        let count = self.count(values).ok_or_else(|| {
            damaged(format!(
                "a tensor of shape {:?} does not fit its storage of {values} values of {} bytes",
                self.shape,
                element.bytes()
            ))
        })?;
        memory.take(count as u64 * size_of::<f32>() as u64)?;
        Ok(Tensor {
            shape: self.shape.clone(),
            data: self.gather(count, |at| element.at(storage, at)),
        })
    }

    /// Number of values of the tensor, if all of them lie in a storage of `values` values.
    fn count(&self, values: usize) -> Option<usize> {
        if self.shape.len() != self.strides.len() {
            return None;
        }
        let count = self
            .shape
            .iter()
            .try_fold(1_usize, |count, length| count.checked_mul(*length))?;
        if count == 0 {
            return Some(0);
        }
        // The last element; a stride of 0 could otherwise make a small file ask for any amount of memory.
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |at, (length, stride)| {
                at.checked_add((length - 1).checked_mul(*stride)?)
            })?;
        (last < values && count <= values).then_some(count)
    }

    /// The `count` values that `at` gives for their places in the storage.
    fn gather(&self, count: usize, at: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut data = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let place: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            data.push(at(self.offset + place));
            for (i, length) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *length {
                    break;
                }
                *i = 0;
            }
        }
        data
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

    fn gathered(view: &View<'_>, storage: &[f32]) -> Option<Vec<f32>> {
        let count = view.count(storage.len())?;
        Some(view.gather(count, |at| storage[at]))
    }

    #[test]
    fn a_transposed_view_is_gathered() {
        let storage = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let transposed = gathered(&view(0, &[3, 2], &[1, 3]), &storage).unwrap();
        assert_eq!(transposed, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let end = gathered(&view(4, &[2], &[1]), &storage).unwrap();
        assert_eq!(end, [4.0, 5.0]);
    }

    #[test]
    fn a_view_outside_its_storage_is_refused() {
        assert!(view(5, &[2], &[1]).count(6).is_none());
        assert!(view(0, &[usize::MAX, 2], &[0, 0]).count(6).is_none());
        assert!(view(0, &[1 << 40], &[0]).count(6).is_none());
        assert!(view(0, &[2], &[usize::MAX]).count(6).is_none());
    }
}
