//! A plugin's component as an `EmbeddingBackend`.

use driftline_abi::codes::{dlpack, status};
use driftline_abi::{DlCall, DlEmbeddingTable, DlInstance, DlStr, DlTensor, DlTensorMut};
use driftline_core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Error, ErrorKind, ImageShape, ImageView,
    InferenceMut, Precision, Result,
};
use serde::Deserialize;

use crate::library::Library;
use crate::manifest::ComponentKind;
use crate::message::{ErrorBuffer, collect};

/// An embedding backend of a plugin.
pub struct PluginBackend {
    info: BackendInfo,
    functions: Functions,
    instance: DlInstance,
    max_batch: usize,
    calls: u64,
}

// SAFETY: the interface allows an instance to be used from any thread, one call at a time, which `&mut self` ensures.
unsafe impl Send for PluginBackend {}

/// The table, with everything that is required.
#[derive(Clone, Copy)]
struct Functions {
    destroy: driftline_abi::tables::Destroy,
    embed: unsafe extern "C" fn(
        DlInstance,
        *const DlCall,
        *const DlTensor,
        *const DlTensorMut,
        *const DlTensorMut,
        *mut driftline_abi::DlError,
    ) -> u32,
}

/// What a backend says about itself.
#[derive(Deserialize)]
struct Description {
    engine: String,
    device: Device,
    precision: Precision,
    threads: usize,
    height: usize,
    width: usize,
    classes: Vec<String>,
}

/// Frees the instance unless it becomes a backend.
struct Instance(DlInstance, driftline_abi::tables::Destroy);

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `create` made it, and nobody uses it any more.
        unsafe { (self.1)(self.0) };
    }
}

impl PluginBackend {
    /// Opens the backend `name` of `library`.
    pub fn open(library: &'static Library, name: &str, config: &BackendConfig) -> Result<Self> {
        let component = library.component(ComponentKind::Embedding, name)?;
        let defect = |message: String| defect(name, message);
        // SAFETY: the component says that it is an embedding backend.
        let table: DlEmbeddingTable = unsafe { component.table.read() }
            .ok_or_else(|| defect("its table is missing".to_owned()))?;
        let missing = |function: &str| defect(format!("its table has no `{function}`"));
        let create = table.create.ok_or_else(|| missing("create"))?;
        let destroy = table.destroy.ok_or_else(|| missing("destroy"))?;
        let dim = table.dim.ok_or_else(|| missing("dim"))?;
        let classes = table.classes.ok_or_else(|| missing("classes"))?;
        let limits = table.limits.ok_or_else(|| missing("limits"))?;
        let embed = table.embed.ok_or_else(|| missing("embed"))?;
        let describe = table.describe.ok_or_else(|| missing("describe"))?;
        let config = serde_json::to_string(config)
            .map_err(|cause| defect(format!("the configuration is no JSON: {cause}")))?;
        let mut error = ErrorBuffer::new();
        let mut instance: DlInstance = std::ptr::null_mut();
        // SAFETY: the text, the place and the buffer live for the call.
        let code = unsafe { create(DlStr::new(&config), &mut instance, error.as_mut()) };
        if code != status::OK {
            return Err(error.error(code, "open backend", name));
        }
        if instance.is_null() {
            return Err(defect("`create` succeeded without an instance".to_owned()));
        }
        let instance = Instance(instance, destroy);
        let (code, text) =
            // SAFETY: the instance is new, the writer and the buffer live for the call.
            collect(|writer| unsafe { describe(instance.0, writer, error.as_mut()) });
        if code != status::OK {
            return Err(error.error(code, "open backend", name));
        }
        let description: Description = serde_json::from_str(&text.map_err(defect)?)
            .map_err(|cause| defect(format!("its description is wrong: {cause}")))?;
        let (mut max_batch, mut preferred_batch) = (0, 0);
        // SAFETY: the instance is new, the places and the buffer live for the call.
        let code = unsafe {
            limits(
                instance.0,
                &mut max_batch,
                &mut preferred_batch,
                error.as_mut(),
            )
        };
        if code != status::OK {
            return Err(error.error(code, "open backend", name));
        }
        // SAFETY: the instance is new.
        let (dim, classes) = unsafe { (dim(instance.0), classes(instance.0)) };
        if dim == 0 || classes != description.classes.len() as u64 {
            return Err(defect(format!(
                "it gives embeddings of {dim} values and {classes} scores for {} classes",
                description.classes.len()
            )));
        }
        let Instance(pointer, _) = *std::mem::ManuallyDrop::new(instance);
        Ok(Self {
            info: BackendInfo {
                name: name.to_owned(),
                engine: description.engine,
                device: description.device,
                precision: description.precision,
                threads: description.threads,
                input: ImageShape {
                    height: description.height,
                    width: description.width,
                },
                dim: dim as usize,
                classes: description.classes,
            },
            functions: Functions { destroy, embed },
            instance: pointer,
            max_batch: match max_batch {
                0 => usize::MAX,
                limit => usize::try_from(limit).unwrap_or(usize::MAX),
            },
            calls: 0,
        })
    }

    /// One call: at most `max_batch` images.
    fn call(
        &mut self,
        images: &[u8],
        embeddings: &mut [f32],
        mut scores: Option<&mut [f32]>,
    ) -> Result<()> {
        let ImageShape { height, width } = self.info.input;
        let n = images.len() / self.info.input.bytes();
        let shape = [n as i64, height as i64, width as i64, 3];
        let strides = [shape[1] * shape[2] * 3, shape[2] * 3, 3, 1];
        let images = DlTensor {
            struct_size: size_of::<DlTensor>() as u32,
            dtype_code: dlpack::UINT,
            dtype_bits: 8,
            dtype_lanes: 1,
            device_type: dlpack::CPU,
            device_id: 0,
            ndim: 4,
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            data: images.as_ptr().cast(),
        };
        // Written by the plugin or seen to be missing.
        embeddings.fill(f32::NAN);
        let embedding_shape = [n as i64, self.info.dim as i64];
        let embedding_strides = [embedding_shape[1], 1];
        let out = matrix(&embedding_shape, &embedding_strides, embeddings);
        let score_shape = [n as i64, self.info.classes.len() as i64];
        let score_strides = [score_shape[1], 1];
        let score_out = scores.as_deref_mut().map(|scores| {
            scores.fill(f32::NAN);
            matrix(&score_shape, &score_strides, scores)
        });
        let call = DlCall {
            struct_size: size_of::<DlCall>() as u32,
            flags: 0,
            batch_id: self.calls,
            seed: 0,
            deadline_ns: 0,
            rows: std::ptr::null(),
            row_count: 0,
        };
        self.calls += 1;
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance lives, no other call runs on it, and all tensors live for the call and do not overlap.
        let code = unsafe {
            (self.functions.embed)(
                self.instance,
                &call,
                &images,
                &out,
                score_out
                    .as_ref()
                    .map_or(std::ptr::null(), std::ptr::from_ref),
                error.as_mut(),
            )
        };
        if code != status::OK {
            return Err(error.error(code, "embed", &self.info.name));
        }
        self.check_written("embedding", embeddings, self.info.dim)?;
        if let Some(scores) = scores {
            self.check_written("scores", scores, self.info.classes.len())?;
        }
        Ok(())
    }

    fn check_written(&self, what: &str, values: &[f32], row: usize) -> Result<()> {
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => Err(defect(
                &self.info.name,
                format!(
                    "it left the {what} of image {} unwritten or not finite (value {})",
                    at / row,
                    at % row
                ),
            )),
        }
    }
}

fn matrix(shape: &[i64; 2], strides: &[i64; 2], values: &mut [f32]) -> DlTensorMut {
    DlTensorMut {
        struct_size: size_of::<DlTensorMut>() as u32,
        dtype_code: dlpack::FLOAT,
        dtype_bits: 32,
        dtype_lanes: 1,
        device_type: dlpack::CPU,
        device_id: 0,
        ndim: 2,
        shape: shape.as_ptr(),
        strides: strides.as_ptr(),
        data: values.as_mut_ptr().cast(),
    }
}

fn defect(plugin: &str, message: String) -> Error {
    Error::new(ErrorKind::Internal, "use plugin", message)
        .with("plugin", plugin)
        .remedy("report it to the plugin's author")
}

impl EmbeddingBackend for PluginBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        let (bytes, dim, classes) = (
            self.info.input.bytes(),
            self.info.dim,
            self.info.classes.len(),
        );
        let n = images.len();
        let mut start = 0;
        while start < n {
            let end = n.min(start.saturating_add(self.max_batch));
            self.call(
                &images.as_bytes()[start * bytes..end * bytes],
                &mut out.embeddings[start * dim..end * dim],
                out.scores
                    .as_mut()
                    .map(|scores| &mut scores[start * classes..end * classes]),
            )?;
            start = end;
        }
        Ok(())
    }
}

impl Drop for PluginBackend {
    fn drop(&mut self) {
        // SAFETY: `create` made it, and nobody uses it any more.
        unsafe { (self.functions.destroy)(self.instance) };
    }
}
