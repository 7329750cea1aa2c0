//! A `DriftTransform` as a table.

use driftline_abi::codes::{capability, kind};
use driftline_abi::{
    DlCall, DlComponent, DlError, DlInstance, DlStr, DlTensor, DlTensorMut, DlTransformTable,
    DlWriter,
};
use driftline_core::{DriftTransform, Error, ErrorKind, ImageBatch, Result, TransformContext};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::arguments;
use crate::guard::{guard, refuse, text};
use crate::instance::{Instance, destroy, health};

/// A drift transform that a plugin offers.
pub trait TransformPlugin: DriftTransform + Sized + 'static {
    /// The name a user writes.
    const NAME: &'static str;
    /// One line about it.
    const SUMMARY: &'static str;
    /// Names of its parameters in the order in which values without a name are taken; none by default.
    const PARAMETERS: &'static [&'static str] = &[];
    /// Its parameters. Deny unknown fields, so that a mistyped name is an error.
    type Parameters: DeserializeOwned + JsonSchema;

    /// Checks the parameters and makes the transform.
    fn new(parameters: Self::Parameters) -> Result<Self>;
}

/// The component of `T`.
#[doc(hidden)]
pub fn component<T: TransformPlugin>(version: &'static str) -> DlComponent {
    let schema = schemars::schema_for!(T::Parameters);
    let capabilities = serde_json::json!({"parameters": T::PARAMETERS});
    DlComponent {
        struct_size: size_of::<DlComponent>() as u32,
        kind: kind::TRANSFORM,
        name: DlStr::new(T::NAME),
        version: DlStr::new(version),
        summary: DlStr::new(T::SUMMARY),
        // Made once in the life of the process.
        config_schema_json: DlStr::new(String::leak(schema.as_value().to_string())),
        capabilities_json: DlStr::new(String::leak(capabilities.to_string())),
        capability_bits: capability::CONCURRENT | capability::DETERMINISTIC,
        vtable: std::ptr::from_ref(Table::<T>::TABLE).cast(),
    }
}

struct Table<T>(T);

impl<T: TransformPlugin> Table<T> {
    const TABLE: &'static DlTransformTable = &DlTransformTable {
        struct_size: size_of::<DlTransformTable>() as u32,
        validate: Some(validate::<T>),
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        health: Some(health::<T>),
        apply: Some(apply::<T>),
        describe: Some(describe::<T>),
    };
}

/// # Safety
/// `json` is as the interface has it, for the time of the call.
unsafe fn make<T: TransformPlugin>(json: DlStr) -> Result<T> {
    // SAFETY: promised by the caller.
    let json = unsafe { text("configuration", json)? };
    let parameters = serde_json::from_str(json).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "configure transform",
            "the parameters are wrong",
        )
        .with("transform", T::NAME)
        .because(cause)
    })?;
    T::new(parameters)
}

unsafe extern "C" fn validate<T: TransformPlugin>(json: DlStr, err: *mut DlError) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || make::<T>(json).map(drop)) }
}

unsafe extern "C" fn create<T: TransformPlugin>(
    json: DlStr,
    instance: *mut DlInstance,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes arguments as the interface has them.
    unsafe { guard(err, || Instance::put(make::<T>(json)?, instance)) }
}

unsafe extern "C" fn apply<T: TransformPlugin>(
    instance: DlInstance,
    call: *const DlCall,
    input: *const DlTensor,
    out: *const DlTensorMut,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made, a call and tensors as the interface has them; calls may be
        // concurrent, and the transform is only borrowed shared.
        unsafe {
            Instance::<T>::enter(instance, |transform| {
                let call = arguments::call(call)?;
                let input = arguments::images("input", input)?;
                let rows = match call.rows.is_null() {
                    true => return Err(refuse("call: a transform needs the row of each image")),
                    false => std::slice::from_raw_parts(call.rows, call.row_count as usize),
                };
                if rows.len() != input.len() {
                    return Err(refuse(format!(
                        "call: {} rows for {} images",
                        rows.len(),
                        input.len()
                    )));
                }
                let (shape, out) = arguments::output::<u8>("output", out, 4)?;
                let wanted = [input.len(), input.shape().height, input.shape().width, 3];
                if shape != wanted {
                    return Err(refuse(format!(
                        "output: shape {shape:?}, expected {wanted:?}"
                    )));
                }
                let mut images = ImageBatch::new(input.shape(), input.as_bytes().to_vec())?;
                let context = TransformContext {
                    seed: call.seed,
                    rows,
                };
                (*transform).apply(&mut images, &context)?;
                if images.shape() != input.shape() || images.len() != input.len() {
                    return Err(refuse("the transform changed the shape of the images"));
                }
                out.copy_from_slice(images.as_bytes());
                Ok(())
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}

unsafe extern "C" fn describe<T: TransformPlugin>(
    instance: DlInstance,
    writer: *const DlWriter,
    err: *mut DlError,
) -> u32 {
    let body = || {
        // SAFETY: the host passes what `create` made and its writer.
        unsafe {
            Instance::<T>::enter(instance, |transform| {
                arguments::give(writer, &(*transform).info().expression)
            })
        }
    };
    // SAFETY: as above.
    unsafe { guard(err, body) }
}
