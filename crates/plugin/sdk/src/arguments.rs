//! Tensors and writers of the caller, checked.

use driftline_abi::codes::dlpack;
use driftline_abi::{DlCall, DlStr, DlTensor, DlTensorMut, DlWriter};
use driftline_core::{ImageShape, ImageView, Result};

use crate::guard::{refuse, text};

/// Most dimensions that v1 knows.
const MAX_DIMENSIONS: u32 = 4;

/// The lengths of a contiguous CPU tensor of `dtype`, and the number of elements.
///
/// # Safety
/// `shape` and `strides` are null or have `ndim` numbers.
unsafe fn check(
    what: &str,
    tensor: &DlTensor,
    dtype: (u8, u8),
    dimensions: u32,
) -> Result<(Vec<usize>, usize)> {
    let found = (tensor.dtype_code, tensor.dtype_bits, tensor.dtype_lanes);
    if found != (dtype.0, dtype.1, 1) {
        return Err(refuse(format!(
            "{what}: dtype {found:?}, expected code {}, {} bits, 1 lane",
            dtype.0, dtype.1
        )));
    }
    if tensor.device_type != dlpack::CPU {
        return Err(refuse(format!(
            "{what}: device {}, expected CPU memory",
            tensor.device_type
        )));
    }
    if tensor.ndim != dimensions || tensor.ndim > MAX_DIMENSIONS || tensor.shape.is_null() {
        return Err(refuse(format!(
            "{what}: {} dimensions, expected {dimensions}",
            tensor.ndim
        )));
    }
    let n = tensor.ndim as usize;
    // SAFETY: checked for null; the length is promised by the caller.
    let shape = unsafe { std::slice::from_raw_parts(tensor.shape, n) };
    let mut lengths = Vec::with_capacity(n);
    let mut elements = 1_usize;
    for length in shape {
        let length = usize::try_from(*length)
            .map_err(|_| refuse(format!("{what}: the length {length} is negative")))?;
        elements = elements
            .checked_mul(length)
            .filter(|elements| *elements <= isize::MAX as usize / 4)
            .ok_or_else(|| refuse(format!("{what}: the shape {shape:?} is too large")))?;
        lengths.push(length);
    }
    if !tensor.strides.is_null() {
        // SAFETY: as for the shape.
        let strides = unsafe { std::slice::from_raw_parts(tensor.strides, n) };
        let mut step = 1_i64;
        for (length, stride) in shape.iter().zip(strides).rev() {
            if *length > 1 && *stride != step {
                return Err(refuse(format!(
                    "{what}: strides {strides:?} of shape {shape:?} are not contiguous"
                )));
            }
            step *= length;
        }
    }
    if tensor.data.is_null() && elements > 0 {
        return Err(refuse(format!("{what}: the data are null")));
    }
    Ok((lengths, elements))
}

fn too_small(what: &str) -> driftline_core::Error {
    refuse(format!("{what}: null, or smaller than version 1.0 has it"))
}

/// The tensor, if it has all members of version 1.0.
///
/// # Safety
/// `tensor` is null or a tensor as the interface has it, for `'a`.
unsafe fn described<'a>(what: &str, tensor: *const DlTensor) -> Result<&'a DlTensor> {
    // SAFETY: promised by the caller.
    unsafe { tensor.as_ref() }
        .filter(|tensor| tensor.struct_size as usize >= size_of::<DlTensor>())
        .ok_or_else(|| too_small(what))
}

/// u8 `[N, H, W, 3]`.
///
/// # Safety
/// `tensor` is null or a tensor as the interface has it, for `'a`.
pub(crate) unsafe fn images<'a>(what: &str, tensor: *const DlTensor) -> Result<ImageView<'a>> {
    // SAFETY: promised by the caller.
    let tensor = unsafe { described(what, tensor)? };
    // SAFETY: promised by the caller.
    let (lengths, elements) = unsafe { check(what, tensor, (dlpack::UINT, 8), 4)? };
    let bytes = if elements == 0 {
        &[]
    } else {
        // SAFETY: not null, and as long as the shape says, which the caller promises.
        unsafe { std::slice::from_raw_parts(tensor.data.cast::<u8>(), elements) }
    };
    image_view(what, &lengths, bytes)
}

fn image_view<'a>(what: &str, lengths: &[usize], bytes: &'a [u8]) -> Result<ImageView<'a>> {
    let [_, height, width, 3] = *lengths else {
        return Err(refuse(format!(
            "{what}: shape {lengths:?}, expected [N, H, W, 3]"
        )));
    };
    ImageView::new(ImageShape { height, width }, bytes)
}

/// A contiguous tensor to write, f32 (32 bits) or u8 (8 bits) by `T`, of `dimensions` dimensions.
///
/// # Safety
/// `tensor` is null or a tensor as the interface has it, for `'a`, and nothing else reads or writes its data.
pub(crate) unsafe fn output<'a, T: Element>(
    what: &str,
    tensor: *const DlTensorMut,
    dimensions: u32,
) -> Result<(Vec<usize>, &'a mut [T])> {
    // SAFETY: promised by the caller; both structs have the same layout, and the data are not touched through it.
    let described = unsafe { described(what, tensor.cast())? };
    // SAFETY: promised by the caller.
    let (lengths, elements) = unsafe { check(what, described, T::DTYPE, dimensions)? };
    // SAFETY: not null and large enough, as was just checked.
    let data = unsafe { (*tensor).data }.cast::<T>();
    if elements > 0 && !data.is_aligned() {
        return Err(refuse(format!("{what}: the data are not aligned")));
    }
    let values = if elements == 0 {
        &mut []
    } else {
        // SAFETY: not null, aligned, and as long as the shape says, which the caller promises.
        unsafe { std::slice::from_raw_parts_mut(data, elements) }
    };
    Ok((lengths, values))
}

/// A number that tensors are made of.
pub(crate) trait Element {
    /// DLPack's code and bits.
    const DTYPE: (u8, u8);
}

impl Element for f32 {
    const DTYPE: (u8, u8) = (dlpack::FLOAT, 32);
}

impl Element for u8 {
    const DTYPE: (u8, u8) = (dlpack::UINT, 8);
}

/// The call, where there is one.
///
/// # Safety
/// `call` is null or as the interface has it, for `'a`.
pub(crate) unsafe fn call<'a>(call: *const DlCall) -> Result<&'a DlCall> {
    // SAFETY: promised by the caller.
    unsafe { call.as_ref() }
        .filter(|call| call.struct_size as usize >= size_of::<DlCall>())
        .ok_or_else(|| too_small("call"))
}

/// `count` texts.
///
/// # Safety
/// `texts` is null or has `count` texts as the interface has them, for `'a`.
pub(crate) unsafe fn texts<'a>(
    what: &str,
    texts: *const DlStr,
    count: u64,
) -> Result<Vec<&'a str>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if texts.is_null() || count > (isize::MAX as usize / size_of::<DlStr>()) as u64 {
        return Err(refuse(format!("{what}: null, or too many")));
    }
    // SAFETY: not null, and as many as the caller promises.
    let texts = unsafe { std::slice::from_raw_parts(texts, count as usize) };
    // SAFETY: promised by the caller.
    let read = |value: &DlStr| unsafe { text(what, *value) };
    texts.iter().map(read).collect()
}

/// Gives `text` to `writer`.
///
/// # Safety
/// `writer` is null or as the interface has it.
pub(crate) unsafe fn give(writer: *const DlWriter, text: &str) -> Result<()> {
    // SAFETY: promised by the caller.
    let writer = unsafe { writer.as_ref() }
        .filter(|writer| writer.struct_size as usize >= size_of::<DlWriter>())
        .ok_or_else(|| too_small("writer"))?;
    let write = writer.write.ok_or_else(|| too_small("writer"))?;
    // SAFETY: the caller's function, called as it says; the text lives until it returns.
    unsafe { write(writer.ctx, DlStr::new(text)) };
    Ok(())
}
