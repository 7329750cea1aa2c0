//! Tensors of the interface over slices.

use driftline_abi::codes::dlpack;
use driftline_abi::{DlTensor, DlTensorMut};
use driftline_core::ImageShape;

/// Lengths and steps of a contiguous, row-major tensor, which the tensor borrows.
pub(crate) struct Dimensions<const N: usize> {
    shape: [i64; N],
    strides: [i64; N],
}

impl Dimensions<4> {
    /// `[n, height, width, 3]`
    pub(crate) fn images(n: usize, size: ImageShape) -> Self {
        Self::new([n as i64, size.height as i64, size.width as i64, 3])
    }
}

impl Dimensions<2> {
    /// `[n, length]`
    pub(crate) fn rows(n: usize, length: usize) -> Self {
        Self::new([n as i64, length as i64])
    }
}

impl<const N: usize> Dimensions<N> {
    fn new(shape: [i64; N]) -> Self {
        let mut strides = [1; N];
        for i in (1..N).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        Self { shape, strides }
    }

    /// u8 to read; `data` has as many values as the lengths say.
    pub(crate) fn input(&self, data: &[u8]) -> DlTensor {
        DlTensor {
            struct_size: size_of::<DlTensor>() as u32,
            dtype_code: dlpack::UINT,
            dtype_bits: 8,
            dtype_lanes: 1,
            device_type: dlpack::CPU,
            device_id: 0,
            ndim: N as u32,
            shape: self.shape.as_ptr(),
            strides: self.strides.as_ptr(),
            data: data.as_ptr().cast(),
        }
    }

    /// u8 to write.
    pub(crate) fn output_u8(&self, data: &mut [u8]) -> DlTensorMut {
        self.output(dlpack::UINT, 8, data.as_mut_ptr().cast())
    }

    /// f32 to write.
    pub(crate) fn output_f32(&self, data: &mut [f32]) -> DlTensorMut {
        self.output(dlpack::FLOAT, 32, data.as_mut_ptr().cast())
    }

    fn output(&self, code: u8, bits: u8, data: *mut std::ffi::c_void) -> DlTensorMut {
        DlTensorMut {
            struct_size: size_of::<DlTensorMut>() as u32,
            dtype_code: code,
            dtype_bits: bits,
            dtype_lanes: 1,
            device_type: dlpack::CPU,
            device_id: 0,
            ndim: N as u32,
            shape: self.shape.as_ptr(),
            strides: self.strides.as_ptr(),
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_those_of_row_major_order() {
        let size = ImageShape {
            height: 5,
            width: 7,
        };
        let images = Dimensions::images(2, size);
        assert_eq!(images.shape, [2, 5, 7, 3]);
        assert_eq!(images.strides, [105, 21, 3, 1]);
        assert_eq!(Dimensions::rows(4, 128).strides, [128, 1]);
    }
}
