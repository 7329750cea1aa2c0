//! Errors and texts that a plugin hands over.

use std::ffi::c_void;

use driftline_abi::codes::{error_flags, level, status};
use driftline_abi::{ABI_MINOR, DlError, DlHost, DlStr, DlWriter};
use driftline_core::{Error, ErrorKind};

/// Room for the text of an error, in bytes.
const ERROR_BYTES: usize = 4096;

/// Most text that is taken from a plugin in one call, in bytes.
const TEXT_BYTES: usize = 16 << 20;

/// A place for a plugin's error.
pub(crate) struct ErrorBuffer {
    text: Box<[u8; ERROR_BYTES]>,
    error: DlError,
}

impl ErrorBuffer {
    pub(crate) fn new() -> Self {
        let mut text = Box::new([0; ERROR_BYTES]);
        Self {
            error: DlError {
                struct_size: size_of::<DlError>() as u32,
                code: status::OK,
                flags: 0,
                cap: ERROR_BYTES as u32,
                text: text.as_mut_ptr(),
                len: 0,
            },
            text,
        }
    }

    pub(crate) fn as_mut(&mut self) -> *mut DlError {
        &mut self.error
    }

    /// The text, whatever the plugin did to it.
    pub(crate) fn text(&self) -> String {
        // Its own buffer and length: the plugin may have written anything into the struct.
        let length = (self.error.len as usize).min(ERROR_BYTES);
        let text = String::from_utf8_lossy(&self.text[..length]).into_owned();
        match text.trim() {
            "" => "it gave no reason".to_owned(),
            text if self.error.flags & error_flags::TRUNCATED != 0 => format!("{text}…"),
            text => text.to_owned(),
        }
    }

    /// The error of a call of `plugin` that returned `code`.
    pub(crate) fn error(&self, code: u32, operation: &'static str, plugin: &str) -> Error {
        let error = Error::new(kind(code), operation, self.text()).with("plugin", plugin);
        if self.error.flags & error_flags::RETRYABLE != 0 {
            error.retryable()
        } else {
            error
        }
    }
}

fn kind(code: u32) -> ErrorKind {
    match code {
        status::INVALID_ARGUMENT => ErrorKind::InvalidData,
        status::INVALID_CONFIG => ErrorKind::InvalidConfig,
        status::UNSUPPORTED => ErrorKind::Unsupported,
        status::RESOURCE => ErrorKind::Resource,
        status::IO | status::TIMEOUT => ErrorKind::Unavailable,
        status::CANCELLED => ErrorKind::Interrupted,
        _ => ErrorKind::Internal,
    }
}

/// The component `name` breaks the interface.
pub(crate) fn defect(name: &str, message: String) -> Error {
    Error::new(ErrorKind::Internal, "use plugin", message)
        .with("plugin", name)
        .remedy("report it to the plugin's author")
}

/// The table of the component `name` lacks a function that is required.
pub(crate) fn missing(name: &str, function: &str) -> Error {
    defect(name, format!("its table has no `{function}`"))
}

/// Takes the text that `call` writes.
pub(crate) fn collect(call: impl FnOnce(*const DlWriter) -> u32) -> (u32, Result<String, String>) {
    let mut bytes: Vec<u8> = Vec::new();
    let writer = DlWriter {
        struct_size: size_of::<DlWriter>() as u32,
        ctx: (&raw mut bytes).cast(),
        write: Some(append),
    };
    let code = call(&writer);
    (
        code,
        String::from_utf8(bytes).map_err(|_| "its text is not UTF-8".to_owned()),
    )
}

/// # Safety
/// `ctx` is the `Vec` of [`collect`], and `piece` is as the interface has it.
unsafe extern "C" fn append(ctx: *mut c_void, piece: DlStr) {
    if piece.ptr.is_null() || piece.len > TEXT_BYTES {
        return;
    }
    // SAFETY: only `collect` makes writers with this function.
    let bytes = unsafe { &mut *ctx.cast::<Vec<u8>>() };
    if bytes.len() + piece.len <= TEXT_BYTES {
        // SAFETY: not null, and as long as the plugin says.
        bytes.extend(unsafe { std::slice::from_raw_parts(piece.ptr, piece.len) });
    }
}

/// What plugins are offered: a log that goes to the `log` crate.
pub(crate) static HOST: Host = Host(DlHost {
    struct_size: size_of::<DlHost>() as u32,
    abi_minor: ABI_MINOR,
    host_name: DlStr::new("driftline"),
    host_version: DlStr::new(env!("CARGO_PKG_VERSION")),
    ctx: std::ptr::null_mut(),
    log: Some(log_line),
});

pub(crate) struct Host(pub(crate) DlHost);

// SAFETY: a constant; what it points to is static.
unsafe impl Sync for Host {}

/// # Safety
/// Both texts are as the interface has them.
unsafe extern "C" fn log_line(_: *mut c_void, level: u32, target: DlStr, message: DlStr) {
    let level = match level {
        level::ERROR => log::Level::Error,
        level::WARN => log::Level::Warn,
        level::INFO => log::Level::Info,
        _ => log::Level::Debug,
    };
    // SAFETY: promised by the plugin.
    let (target, message) = unsafe { (target.read(), message.read()) };
    // A panic must not reach the plugin; the logger is not ours.
    let _ = std::panic::catch_unwind(|| {
        log::log!(target: target.unwrap_or("plugin"), level, "{}", message.unwrap_or("(not UTF-8)"));
    });
}
