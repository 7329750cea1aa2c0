//! Strings, errors, tensors, the plugin and its components.

use std::ffi::c_void;

/// UTF-8 text, borrowed for the call, not NUL-terminated.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DlStr {
    /// First byte; may be null when `len` is 0.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
}

impl DlStr {
    /// No text.
    pub const EMPTY: Self = Self::new("");

    /// `text`, for as long as it lives.
    pub const fn new(text: &str) -> Self {
        Self {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }

    /// The text, or why it is none.
    ///
    /// # Safety
    /// `ptr` is null or points to `len` bytes that live and stay as they are for `'a`.
    pub unsafe fn read<'a>(self) -> Result<&'a str, &'static str> {
        if self.len == 0 {
            return Ok("");
        }
        if self.ptr.is_null() {
            return Err("it is null but has a length");
        }
        if self.len > isize::MAX as usize {
            return Err("its length is impossible");
        }
        // SAFETY: promised by the caller, and checked for null and length.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr, self.len) };
        std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")
    }
}

/// Where a callee says what went wrong. The caller owns the buffer; the callee writes at most `cap` bytes of UTF-8.
#[repr(C)]
#[derive(Debug)]
pub struct DlError {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// One of [`status`](crate::codes::status).
    pub code: u32,
    /// Bits of [`error_flags`](crate::codes::error_flags).
    pub flags: u32,
    /// Room in `text`, in bytes.
    pub cap: u32,
    /// The buffer.
    pub text: *mut u8,
    /// Bytes written.
    pub len: u32,
}

/// Takes text of any length from a callee, in one or more pieces.
#[repr(C)]
#[derive(Debug)]
pub struct DlWriter {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// Passed back as it is.
    pub ctx: *mut c_void,
    /// Appends a piece, which is whole UTF-8.
    pub write: Option<unsafe extern "C" fn(ctx: *mut c_void, piece: DlStr)>,
}

/// A read-only tensor, valid during the call. Codes are DLPack's.
#[repr(C)]
#[derive(Debug)]
pub struct DlTensor {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// Sort of number, one of [`dlpack`](crate::codes::dlpack).
    pub dtype_code: u8,
    /// Bits of one number.
    pub dtype_bits: u8,
    /// 1.
    pub dtype_lanes: u16,
    /// Sort of device; v1: [`CPU`](crate::codes::dlpack::CPU).
    pub device_type: i32,
    /// Index of the device.
    pub device_id: i32,
    /// Dimensions.
    pub ndim: u32,
    /// `ndim` lengths.
    pub shape: *const i64,
    /// `ndim` steps, in elements; v1: contiguous, row-major.
    pub strides: *const i64,
    /// First element.
    pub data: *const c_void,
}

/// A [`DlTensor`] that the callee writes.
#[repr(C)]
#[derive(Debug)]
pub struct DlTensorMut {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// Sort of number.
    pub dtype_code: u8,
    /// Bits of one number.
    pub dtype_bits: u8,
    /// 1.
    pub dtype_lanes: u16,
    /// Sort of device.
    pub device_type: i32,
    /// Index of the device.
    pub device_id: i32,
    /// Dimensions.
    pub ndim: u32,
    /// `ndim` lengths.
    pub shape: *const i64,
    /// `ndim` steps, in elements.
    pub strides: *const i64,
    /// First element.
    pub data: *mut c_void,
}

/// What belongs to one call.
#[repr(C)]
#[derive(Debug)]
pub struct DlCall {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// Number of the call, for logs.
    pub batch_id: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Monotonic time in ns by which the call must return; 0 is none.
    pub deadline_ns: i64,
    /// Absolute row of each image in its source; null where rows have no meaning.
    pub rows: *const u64,
    /// Numbers at `rows`.
    pub row_count: u64,
}

/// What the host offers a plugin; outlives every use of the plugin.
#[repr(C)]
#[derive(Debug)]
pub struct DlHost {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// Minor version the host knows.
    pub abi_minor: u32,
    /// As in `driftline`.
    pub host_name: DlStr,
    /// As in `0.1.0`.
    pub host_version: DlStr,
    /// Passed back to `log`.
    pub ctx: *mut c_void,
    /// Takes a line of log at a level of [`level`](crate::codes::level); may be called from any thread until `destroy`
    /// returns.
    pub log:
        Option<unsafe extern "C" fn(ctx: *mut c_void, level: u32, target: DlStr, message: DlStr)>,
}

/// One thing a plugin offers.
#[repr(C)]
#[derive(Debug)]
pub struct DlComponent {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// One of [`kind`](crate::codes::kind); others are ignored.
    pub kind: u32,
    /// The name a user writes.
    pub name: DlStr,
    /// Its version.
    pub version: DlStr,
    /// One line about it.
    pub summary: DlStr,
    /// JSON Schema 2020-12 of its configuration.
    pub config_schema_json: DlStr,
    /// An object that tells more, for instance `{"devices": ["cpu"]}`.
    pub capabilities_json: DlStr,
    /// Bits of [`capability`](crate::codes::capability).
    pub capability_bits: u64,
    /// The table of its kind.
    pub vtable: *const c_void,
}

/// A plugin: what [`DlEntry`] returns.
#[repr(C)]
#[derive(Debug)]
pub struct DlPlugin {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// Minor version it was built for.
    pub abi_minor: u32,
    /// Bits of [`plugin_flags`](crate::codes::plugin_flags).
    pub flags: u32,
    /// Its name.
    pub name: DlStr,
    /// Its version.
    pub version: DlStr,
    /// SPDX expression.
    pub license: DlStr,
    /// Target triple it was built for.
    pub target: DlStr,
    /// What it was built with, for bug reports.
    pub build_info: DlStr,
    /// Number of components.
    pub component_count: u32,
    /// Bytes from one component to the next.
    pub component_stride: u32,
    /// The components.
    pub components: *const DlComponent,
}

/// The entry function: allocates nothing, starts nothing, reads no files. Null says that the plugin will not work
/// here; `err` then says why.
pub type DlEntry = unsafe extern "C" fn(host: *const DlHost, err: *mut DlError) -> *const DlPlugin;

// SAFETY: tables and metadata are constants of the plugin: nobody writes them, and what they point to is static.
unsafe impl Sync for DlPlugin {}
// SAFETY: as above.
unsafe impl Send for DlPlugin {}
// SAFETY: as above.
unsafe impl Sync for DlComponent {}
