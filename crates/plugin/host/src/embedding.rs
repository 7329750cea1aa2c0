//! A plugin's component as an `EmbeddingBackend`.

use driftline_abi::codes::status;
use driftline_abi::{DlCall, DlEmbeddingTable, DlError, DlInstance, DlTensor, DlTensorMut};
use driftline_core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, ImageShape, ImageView, InferenceMut,
    Precision, Result,
};
use serde::Deserialize;

use crate::instance::{Instance, call};
use crate::library::Library;
use crate::manifest::ComponentKind;
use crate::message::{ErrorBuffer, defect, missing};
use crate::tensor::Dimensions;

const OPERATION: &str = "open backend";

/// An embedding backend of a plugin.
pub struct PluginBackend {
    info: BackendInfo,
    embed: Embed,
    instance: Instance,
    max_batch: usize,
    calls: u64,
}

type Embed = unsafe extern "C" fn(
    DlInstance,
    *const DlCall,
    *const DlTensor,
    *const DlTensorMut,
    *const DlTensorMut,
    *mut DlError,
) -> u32;

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
    #[serde(default)]
    notes: Vec<String>,
}

impl PluginBackend {
    /// Opens the backend `name` of `library`.
    pub fn open(library: &'static Library, name: &str, config: &BackendConfig) -> Result<Self> {
        let component = library.component(ComponentKind::Embedding, name)?;
        let defect = |message: String| defect(name, message);
        let missing = |function: &str| missing(name, function);
        // SAFETY: the component says that it is an embedding backend.
        let table: DlEmbeddingTable = unsafe { component.table.read() }
            .ok_or_else(|| defect("its table is missing".to_owned()))?;
        let dim = table.dim.ok_or_else(|| missing("dim"))?;
        let classes = table.classes.ok_or_else(|| missing("classes"))?;
        let limits = table.limits.ok_or_else(|| missing("limits"))?;
        let embed = table.embed.ok_or_else(|| missing("embed"))?;
        let describe = table.describe.ok_or_else(|| missing("describe"))?;
        let config = serde_json::to_value(config)
            .map_err(|cause| defect(format!("the configuration is no JSON: {cause}")))?;
        let instance = Instance::create(component, OPERATION, &config)?;
        let text = instance.describe(describe, OPERATION, name)?;
        let description: Description = serde_json::from_str(&text)
            .map_err(|cause| defect(format!("its description is wrong: {cause}")))?;
        let (mut max_batch, mut preferred_batch) = (0, 0);
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance is new, the places and the buffer live for the call.
        let code = unsafe {
            limits(
                instance.pointer(),
                &mut max_batch,
                &mut preferred_batch,
                error.as_mut(),
            )
        };
        if code != status::OK {
            return Err(error.error(code, OPERATION, name));
        }
        // SAFETY: the instance is new.
        let (dim, classes) = unsafe { (dim(instance.pointer()), classes(instance.pointer())) };
        if dim == 0 || classes != description.classes.len() as u64 {
            return Err(defect(format!(
                "it gives embeddings of {dim} values and {classes} scores for {} classes",
                description.classes.len()
            )));
        }
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
                notes: description.notes,
            },
            embed,
            instance,
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
        let n = images.len() / self.info.input.bytes();
        let dimensions = Dimensions::images(n, self.info.input);
        let images = dimensions.input(images);
        // Written by the plugin or seen to be missing.
        embeddings.fill(f32::NAN);
        let dimensions = Dimensions::rows(n, self.info.dim);
        let out = dimensions.output_f32(embeddings);
        let dimensions = Dimensions::rows(n, self.info.classes.len());
        let score_out = scores.as_deref_mut().map(|scores| {
            scores.fill(f32::NAN);
            dimensions.output_f32(scores)
        });
        let call = call(self.calls, 0, &[]);
        self.calls += 1;
        let mut error = ErrorBuffer::new();
        // SAFETY: the instance lives, no other call runs on it, and all tensors live for the call and do not overlap.
        let code = unsafe {
            (self.embed)(
                self.instance.pointer(),
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
