//! A `DriftTransform` as a table.

use driftline_abi::codes::{capability, kind};
use driftline_abi::{
    DlCall, DlComponent, DlError, DlInstance, DlTensor, DlTensorMut, DlTransformTable,
};
use driftline_core::{DriftTransform, ImageBatch, Result, TransformContext};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::arguments;
use crate::guard::refuse;
use crate::shim::{self, Shim, call};

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
    shim::component::<Transform<T>>(version)
}

/// What is behind an instance.
struct Transform<T>(T);

impl<T: TransformPlugin> Shim for Transform<T> {
    const KIND: u32 = kind::TRANSFORM;
    const WORD: &'static str = "transform";
    const OPERATION: &'static str = "configure transform";
    const NAME: &'static str = T::NAME;
    const SUMMARY: &'static str = T::SUMMARY;
    const CAPABILITIES: u64 = capability::CONCURRENT | capability::DETERMINISTIC;
    const TABLE: &'static DlTransformTable = &DlTransformTable {
        struct_size: size_of::<DlTransformTable>() as u32,
        validate: Some(shim::validate::<Self>),
        create: Some(shim::create::<Self>),
        destroy: Some(shim::destroy::<Self>),
        health: Some(shim::health::<Self>),
        apply: Some(apply::<T>),
        describe: Some(shim::describe::<Self>),
    };
    type Table = DlTransformTable;
    type Config = T::Parameters;

    fn schema() -> Value {
        schema_for!(T::Parameters).to_value()
    }

    fn capabilities() -> Value {
        json!({"parameters": T::PARAMETERS})
    }

    fn new(parameters: T::Parameters) -> Result<Self> {
        T::new(parameters).map(Self)
    }

    fn description(&self) -> String {
        self.0.info().expression.clone()
    }
}

unsafe extern "C" fn apply<T: TransformPlugin>(
    instance: DlInstance,
    context: *const DlCall,
    input: *const DlTensor,
    out: *const DlTensorMut,
    err: *mut DlError,
) -> u32 {
    // SAFETY: the host passes what `create` made, a call and tensors as the interface has them; calls may be concurrent, and
    // the transform is only borrowed shared.
    unsafe {
        call::<Transform<T>>(instance, err, |Transform(transform)| {
            let context = arguments::call(context)?;
            let input = arguments::images("input", input)?;
            let rows = match context.rows.is_null() {
                true => return Err(refuse("call: a transform needs the row of each image")),
                false => std::slice::from_raw_parts(context.rows, context.row_count as usize),
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
                seed: context.seed,
                rows,
            };
            transform.apply(&mut images, &context)?;
            if images.shape() != input.shape() || images.len() != input.len() {
                return Err(refuse("the transform changed the shape of the images"));
            }
            out.copy_from_slice(images.as_bytes());
            Ok(())
        })
    }
}
