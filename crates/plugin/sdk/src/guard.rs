//! The edge of the plugin: panics and errors become codes and text.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use driftline_abi::codes::{error_flags, status};
use driftline_abi::{DlError, DlStr};
use driftline_core::{Error, ErrorKind, Result};

/// Runs `body`; an error or a panic is written to `err`. Returns the status.
///
/// # Safety
/// `err` is null or a `DlError` as the interface has it.
pub(crate) unsafe fn guard(err: *mut DlError, body: impl FnOnce() -> Result<()>) -> u32 {
    let (code, retryable, text) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return status::OK,
        Ok(Err(error)) => (code(error.kind()), error.is_retryable(), error.to_string()),
        Err(panic) => (
            status::PANICKED,
            false,
            format!("it panicked: {}", panic_text(panic.as_ref())),
        ),
    };
    // SAFETY: promised by the caller.
    unsafe { write(err, code, retryable, &text) };
    code
}

/// Like [`guard`], with `value` where the body panics, for functions that cannot return an error.
pub(crate) fn guard_or<T>(value: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(value)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

fn code(kind: ErrorKind) -> u32 {
    match kind {
        ErrorKind::InvalidConfig => status::INVALID_CONFIG,
        ErrorKind::InvalidData => status::INVALID_ARGUMENT,
        ErrorKind::Unsupported => status::UNSUPPORTED,
        ErrorKind::Resource => status::RESOURCE,
        ErrorKind::NotFound | ErrorKind::Unavailable => status::IO,
        ErrorKind::Interrupted => status::CANCELLED,
        _ => status::INTERNAL,
    }
}

/// # Safety
/// As for [`guard`].
unsafe fn write(err: *mut DlError, code: u32, retryable: bool, text: &str) {
    // SAFETY: promised by the caller.
    let Some(err) = (unsafe { err.as_mut() }) else {
        return;
    };
    if (err.struct_size as usize) < size_of::<DlError>() {
        return;
    }
    let room = if err.text.is_null() {
        0
    } else {
        err.cap as usize
    };
    let kept = text.floor_char_boundary(room);
    // SAFETY: `text` has room for `cap` bytes, and `kept` is at most that.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), err.text, kept) };
    err.code = code;
    err.len = kept as u32;
    err.flags = 0;
    if retryable {
        err.flags |= error_flags::RETRYABLE;
    }
    if kept < text.len() {
        err.flags |= error_flags::TRUNCATED;
    }
}

/// A defect of the caller.
pub(crate) fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, "call plugin", message)
}

/// The text behind `text`.
///
/// # Safety
/// `text` is as the interface has it, for the time of the call.
pub(crate) unsafe fn text<'a>(what: &str, text: DlStr) -> Result<&'a str> {
    // SAFETY: promised by the caller.
    unsafe { text.read() }.map_err(|reason| refuse(format!("bad {what}: {reason}")))
}
