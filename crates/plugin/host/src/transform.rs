//! A plugin's component as a `DriftTransform`.

use std::sync::{Mutex, PoisonError};

use driftline_abi::codes::{capability, status};
use driftline_abi::{DlCall, DlError, DlInstance, DlTensor, DlTensorMut, DlTransformTable};
use driftline_core::{
    DriftTransform, Error, ErrorKind, ImageBatch, Result, TransformContext, TransformInfo,
    TransformSpec,
};

use crate::instance::{Instance, call};
use crate::library::{Component, Library};
use crate::manifest::ComponentKind;
use crate::message::{ErrorBuffer, defect, missing};
use crate::tensor::Dimensions;

const OPERATION: &str = "configure transform";

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
    fill: u8,
}

impl PluginTransform {
    /// Makes the transform that `spec` asks for with the component `spec.name` of `library`.
    ///
    /// Values without a name take those of the component's list `parameters` in its capabilities, in order.
    pub fn new(library: &'static Library, spec: &TransformSpec) -> Result<Self> {
        let name = &spec.name;
        let component = library.component(ComponentKind::Transform, name)?;
        // SAFETY: the component says that it is a transform.
        let table: DlTransformTable = unsafe { component.table.read() }
            .ok_or_else(|| defect(name, "its table is missing".to_owned()))?;
        let apply = table.apply.ok_or_else(|| missing(name, "apply"))?;
        let describe = table.describe.ok_or_else(|| missing(name, "describe"))?;
        let parameters = spec.resolve_positional(&parameters(component)?)?;
        let config = serde_json::Value::Object(parameters);
        let instance = Instance::create(component, OPERATION, &config)?;
        let expression = instance.describe(describe, OPERATION, name)?;
        let concurrent = component.capability_bits & capability::CONCURRENT != 0;
        Ok(Self {
            info: TransformInfo {
                name: name.clone(),
                expression,
            },
            apply,
            instance,
            one_at_a_time: (!concurrent).then(Mutex::default),
            fill: 0,
        })
    }

    /// Has the memory that the plugin writes to hold `fill` before each call: bytes that follow it were not written.
    pub fn written_over(self, fill: u8) -> Self {
        Self { fill, ..self }
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
        let dimensions = Dimensions::images(images.len(), size);
        let input = dimensions.input(images.as_bytes());
        let mut changed = vec![self.fill; images.as_bytes().len()];
        let output = dimensions.output_u8(&mut changed);
        let first = ctx.rows.first().copied().unwrap_or_default();
        let call = call(first, ctx.seed, ctx.rows);
        let mut error = ErrorBuffer::new();
        let alone = self.one_at_a_time.as_ref();
        let alone = alone.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        // SAFETY: the instance lives, calls are one at a time unless the plugin allows more, and the call and both
        // tensors live for the call and do not overlap.
        let code = unsafe {
            (self.apply)(
                self.instance.pointer(),
                &call,
                &input,
                &output,
                error.as_mut(),
            )
        };
        drop(alone);
        if code != status::OK {
            return Err(error.error(code, "apply transform", &self.info.name));
        }
        *images = ImageBatch::new(size, changed)?;
        Ok(())
    }
}
