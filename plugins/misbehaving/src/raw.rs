//! A transform that breaks the C interface on request.

use driftline_plugin_sdk::abi::codes::{kind, status};
use driftline_plugin_sdk::abi::{
    DlCall, DlComponent, DlError, DlInstance, DlStr, DlTensor, DlTensorMut, DlTransformTable,
    DlWriter,
};

use crate::request::hang;

const TABLE: &DlTransformTable = &DlTransformTable {
    struct_size: size_of::<DlTransformTable>() as u32,
    validate: Some(validate),
    create: Some(create),
    destroy: Some(destroy),
    health: None,
    apply: Some(apply),
    describe: Some(describe),
};

/// A table that lacks what is required.
pub(crate) const WITHOUT_APPLY: &DlTransformTable = &DlTransformTable {
    apply: None,
    ..*TABLE
};

/// The component.
pub(crate) fn component() -> DlComponent {
    DlComponent {
        struct_size: size_of::<DlComponent>() as u32,
        kind: kind::TRANSFORM,
        name: DlStr::new("raw"),
        version: DlStr::new(env!("CARGO_PKG_VERSION")),
        summary: DlStr::new("a transform that breaks the C interface on request; how=..."),
        config_schema_json: DlStr::EMPTY,
        capabilities_json: DlStr::new(r#"{"parameters": ["how"]}"#),
        capability_bits: u64::MAX,
        vtable: std::ptr::from_ref(TABLE).cast(),
    }
}

/// Writes an error as a plugin in C would.
///
/// # Safety
/// `err` is null or as the interface has it.
pub(crate) unsafe fn complain(err: *mut DlError, code: u32, text: &[u8]) {
    // SAFETY: promised by the caller; the host has room for these short texts.
    unsafe {
        if let Some(err) = err.as_mut() {
            std::ptr::copy_nonoverlapping(text.as_ptr(), err.text, text.len());
            err.code = code;
            err.len = text.len() as u32;
        }
    }
}

unsafe extern "C" fn validate(_: DlStr, _: *mut DlError) -> u32 {
    status::OK
}

unsafe extern "C" fn create(config: DlStr, instance: *mut DlInstance, _: *mut DlError) -> u32 {
    // SAFETY: the host gives a text and a place for the instance.
    unsafe {
        let config = config.read().unwrap_or_default().to_owned();
        if !config.contains("null_instance") {
            instance.write(Box::into_raw(Box::new(config)).cast());
        }
    }
    status::OK
}

unsafe extern "C" fn destroy(instance: DlInstance) {
    // SAFETY: the host destroys what `create` made, once.
    drop(unsafe { Box::from_raw(instance.cast::<String>()) });
}

unsafe extern "C" fn apply(
    instance: DlInstance,
    _: *const DlCall,
    input: *const DlTensor,
    output: *const DlTensorMut,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made and tensors as the interface has them.
    unsafe {
        let how = (*instance.cast::<String>()).clone();
        let shape = std::slice::from_raw_parts((*input).shape, 4);
        let bytes = shape.iter().product::<i64>() as usize;
        let from = (*input).data.cast::<u8>();
        let to = (*output).data.cast::<u8>();
        match how.as_str() {
            how if how.contains("unwritten") => {
                std::ptr::copy_nonoverlapping(from, to, bytes / 2);
                return status::OK;
            }
            how if how.contains("without_reason") => return status::INTERNAL,
            how if how.contains("unknown_code") => {
                complain(err, 4711, b"a code that nobody knows");
                return 4711;
            }
            how if how.contains("bad_utf8") => {
                complain(err, status::IO, &[b'b', b'a', b'd', 0xff, 0xfe]);
                return status::IO;
            }
            how if how.contains("endless_error") => {
                complain(err, status::IO, b"endless");
                (*err).len = u32::MAX;
                return status::IO;
            }
            how if how.contains("hang") => hang(),
            how if how.contains("crash") => std::process::abort(),
            _ => {}
        }
        std::ptr::copy_nonoverlapping(from, to, bytes);
    }
    status::OK
}

unsafe extern "C" fn describe(
    instance: DlInstance,
    writer: *const DlWriter,
    _: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made and its writer.
    unsafe {
        let how = &*instance.cast::<String>();
        let (Some(write), ctx) = ((*writer).write, (*writer).ctx) else {
            return status::INTERNAL;
        };
        if how.contains("describes_bytes") {
            let bytes = [b'r', 0xff];
            write(
                ctx,
                DlStr {
                    ptr: bytes.as_ptr(),
                    len: bytes.len(),
                },
            );
        } else {
            write(ctx, DlStr::new("raw(how=well)"));
        }
    }
    status::OK
}
