//! A plugin's component as a `DriftTransform`.

use std::sync::{Mutex, PoisonError};

use driftline_abi::codes::{capability, dlpack, status};
use driftline_abi::{DlCall, DlError, DlInstance, DlStr, DlTensor, DlTensorMut, DlTransformTable};
use driftline_core::{
    DriftTransform, Error, ErrorKind, ImageBatch, Result, TransformContext, TransformInfo,
    TransformSpec,
};

use crate::library::{Component, Library};
use crate::manifest::ComponentKind;
use crate::message::{ErrorBuffer, collect};

type Apply = unsafe extern "C" fn(
    DlInstance,
    *const DlCall,
    *const DlTensor,
    *const DlTensorMut,
    *mut DlError,
) -> u32;

/// A drift transform of a plugin.
pub struct PluginTransform {
    info: TransformInfo,
    apply: Apply,
    instance: Instance,
    /// Taken for each call where the plugin does not allow calls in parallel.
    one_at_a_time: Option<Mutex<()>>,
}

/// Frees the instance.
struct Instance(DlInstance, driftline_abi::tables::Destroy);

// SAFETY: the interface allows an instance to be used from any thread.
unsafe impl Send for Instance {}
// SAFETY: calls are made one at a time unless the plugin declares that they may be concurrent.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `create` made it, and nobody uses it any more.
        unsafe { (self.1)(self.0) };
    }
}

impl PluginTransform {
    /// Makes the transform that `spec` asks for with the component `spec.name` of `library`.
    ///
    /// Values without a name take those of the component's list `parameters` in its capabilities, in order.
    pub fn new(library: &'static Library, spec: &TransformSpec) -> Result<Self> {
        let name = &spec.name;
        let component = library.component(ComponentKind::Transform, name)?;
        let defect = |message: String| defect(name, message);
        // SAFETY: the component says that it is a transform.
        let table: DlTransformTable = unsafe { component.table.read() }
            .ok_or_else(|| defect("its table is missing".to_owned()))?;
        let missing = |function: &str| defect(format!("its table has no `{function}`"));
        let create = table.create.ok_or_else(|| missing("create"))?;
        let destroy = table.destroy.ok_or_else(|| missing("destroy"))?;
        let apply = table.apply.ok_or_else(|| missing("apply"))?;
        let describe = table.describe.ok_or_else(|| missing("describe"))?;
        let parameters = spec.resolve_positional(&parameters(component)?)?;
        let config = serde_json::Value::Object(parameters).to_string();
        let mut error = ErrorBuffer::new();
        let mut instance: DlInstance = std::ptr::null_mut();
        // SAFETY: the text, the place and the buffer live for the call.
        let code = unsafe { create(DlStr::new(&config), &mut instance, error.as_mut()) };
        if code != status::OK {
            return Err(error.error(code, "configure transform", name));
        }
        if instance.is_null() {
            return Err(defect("`create` succeeded without an instance".to_owned()));
        }
        let instance = Instance(instance, destroy);
        let (code, text) =
            // SAFETY: the instance is new, the writer and the buffer live for the call.
            collect(|writer| unsafe { describe(instance.0, writer, error.as_mut()) });
        if code != status::OK {
            return Err(error.error(code, "configure transform", name));
        }
        let concurrent = component.capability_bits & capability::CONCURRENT != 0;
        Ok(Self {
            info: TransformInfo {
                name: name.clone(),
                expression: text.map_err(defect)?,
            },
            apply,
            instance,
            one_at_a_time: (!concurrent).then(Mutex::default),
        })
    }
}

/// The names that the component says its parameters have.
fn parameters(component: &Component) -> Result<Vec<String>> {
    match component.capabilities.get("parameters") {
        None => Ok(Vec::new()),
        Some(names) => serde_json::from_value(names.clone()).map_err(|cause| {
            defect(
                &component.name,
                format!("its list of parameters is wrong: {cause}"),
            )
        }),
    }
}

fn defect(plugin: &str, message: String) -> Error {
    Error::new(ErrorKind::Internal, "use plugin", message)
        .with("plugin", plugin)
        .remedy("report it to the plugin's author")
}

impl DriftTransform for PluginTransform {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, ctx: &TransformContext<'_>) -> Result<()> {
        if images.is_empty() {
            return Ok(());
        }
        if ctx.rows.len() != images.len() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "apply transform",
                format!("{} rows for {} images", ctx.rows.len(), images.len()),
            ));
        }
        let size = images.shape();
        let shape = [
            images.len() as i64,
            size.height as i64,
            size.width as i64,
            3,
        ];
        let strides = [shape[1] * shape[2] * 3, shape[2] * 3, 3, 1];
        let input = DlTensor {
            struct_size: size_of::<DlTensor>() as u32,
            dtype_code: dlpack::UINT,
            dtype_bits: 8,
            dtype_lanes: 1,
            device_type: dlpack::CPU,
            device_id: 0,
            ndim: 4,
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            data: images.as_bytes().as_ptr().cast(),
        };
        let mut changed = vec![0_u8; images.as_bytes().len()];
        let output = DlTensorMut {
            struct_size: size_of::<DlTensorMut>() as u32,
            dtype_code: dlpack::UINT,
            dtype_bits: 8,
            dtype_lanes: 1,
            device_type: dlpack::CPU,
            device_id: 0,
            ndim: 4,
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            data: changed.as_mut_ptr().cast(),
        };
        let call = DlCall {
            struct_size: size_of::<DlCall>() as u32,
            flags: 0,
            batch_id: ctx.rows.first().copied().unwrap_or_default(),
            seed: ctx.seed,
            deadline_ns: 0,
            rows: ctx.rows.as_ptr(),
            row_count: ctx.rows.len() as u64,
        };
        let mut error = ErrorBuffer::new();
        let alone = self.one_at_a_time.as_ref();
        let alone = alone.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: the instance lives, calls are one at a time unless the plugin allows more, and the call and both
        // tensors live for the call and do not overlap.
        let code = unsafe { (self.apply)(self.instance.0, &call, &input, &output, error.as_mut()) };
        drop(alone);
        if code != status::OK {
            return Err(error.error(code, "apply transform", &self.info.name));
        }
        *images = ImageBatch::new(size, changed)?;
        Ok(())
    }
}
