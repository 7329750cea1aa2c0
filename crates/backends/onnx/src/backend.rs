//! A session around a graph.

use std::path::Path;
use std::sync::Mutex;

use driftline_core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Error, ErrorKind, ImageView,
    InferenceMut, Parts, Precision, Result,
};
use driftline_model::{GraphContent, ImageLayout, ModelPackage};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use crate::cuda;
use crate::library::{Found, find};

/// The environment of the process: ONNX Runtime has one, from the library that was loaded first.
static ENVIRONMENT: Mutex<Option<(Found, Environment)>> = Mutex::new(None);

/// Any graph on ONNX Runtime, on the CPU or a CUDA device, in fp32.
pub struct OnnxBackend {
    info: BackendInfo,
    session: Session,
    input: String,
    layout: ImageLayout,
    embeddings: String,
    scores: Option<String>,
    /// Batch that the graph is fixed to, if it is.
    batch: Option<usize>,
    parts: Parts,
    normalised: [[f32; 256]; 3],
    /// The normalised batch, kept between calls.
    values: Vec<f32>,
}

impl OnnxBackend {
    /// Finds libonnxruntime, reads the model and checks its inputs and outputs.
    ///
    /// # Errors
    /// `NotFound` without a usable library; `Unsupported` where the library or the machine does not have
    /// `config.device`; `InvalidData` and `InvalidConfig` for a model that is broken or not as described.
    pub fn open(config: &BackendConfig, installed: Option<&Path>) -> Result<Self> {
        config.fp32_only("onnx")?;
        let package = ModelPackage::open(&config.model)?;
        let graph = package.graph()?;
        let found = find(config.runtime.as_deref(), installed)?;
        found.check(config.device)?;
        let (found, environment) = environment(found)?;
        let threads = config.threads.max(1);
        let builder = builder(&environment, threads, config.device)?;
        let session = session(builder, &graph.content).map_err(|cause| {
            let error = if out_of_memory(cause.message()) {
                engine_failed("open model", cause)
            } else {
                Error::new(
                    ErrorKind::InvalidData,
                    "open model",
                    format!("ONNX Runtime cannot load the graph on {}", config.device),
                )
                .because(cause)
            };
            error.with("file", package.weights.display())
        })?;
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidConfig, "open model", message)
                .with("file", package.weights.display())
                .remedy("correct model.toml, or bring the graph it describes")
        };
        let shape = package.preprocessing.shape;
        let input = match &graph.input {
            Some(name) => outlet(session.inputs(), name, "input").map_err(refuse)?,
            None => match session.inputs() {
                [input] => input,
                inputs => {
                    return Err(refuse(format!(
                        "the graph has {} inputs ({}): say which with input.name",
                        inputs.len(),
                        names(inputs)
                    )));
                }
            },
        };
        let wanted = match graph.layout {
            ImageLayout::Nchw => [3, shape.height, shape.width],
            ImageLayout::Nhwc => [shape.height, shape.width, 3],
        };
        let batch = check_tensor(input, "input", &wanted).map_err(refuse)?;
        let embeddings = outlet(session.outputs(), &graph.embeddings, "output").map_err(refuse)?;
        check_tensor(embeddings, "output", &[graph.dim]).map_err(refuse)?;
        if let Some(name) = &graph.scores {
            let scores = outlet(session.outputs(), name, "output").map_err(refuse)?;
            check_tensor(scores, "output", &[graph.classes.len()]).map_err(refuse)?;
        }
        Ok(Self {
            info: BackendInfo {
                name: "onnx".to_owned(),
                engine: match config.device {
                    Device::Cpu => format!("onnxruntime {}", found.version),
                    Device::Cuda(_) => format!("onnxruntime {} (CUDA, TF32 off)", found.version),
                },
                device: config.device,
                precision: Precision::Fp32,
                threads,
                input: shape,
                dim: graph.dim,
                classes: graph.classes,
                notes: Vec::new(),
            },
            input: input.name().to_owned(),
            session,
            layout: graph.layout,
            embeddings: graph.embeddings,
            scores: graph.scores,
            batch,
            parts: Parts::new(batch),
            normalised: package.preprocessing.normalisation(),
            values: Vec::new(),
        })
    }

    /// Runs `images`, at most as many as the graph's fixed batch, and writes their rows.
    fn run(&mut self, images: &[u8], out: &mut InferenceMut<'_>) -> Result<()> {
        let failed = |cause| engine_failed("embed", cause);
        let shape = self.info.input;
        let n = images.len() / shape.bytes();
        normalise(
            images,
            shape.height * shape.width,
            self.layout,
            &self.normalised,
            &mut self.values,
        );
        let batch = self.batch.unwrap_or(n);
        self.values.resize(batch * shape.bytes(), 0.0);
        let dimensions = match self.layout {
            ImageLayout::Nchw => [batch, 3, shape.height, shape.width],
            ImageLayout::Nhwc => [batch, shape.height, shape.width, 3],
        };
        let input =
            TensorRef::from_array_view((dimensions, self.values.as_slice())).map_err(failed)?;
        let inputs = vec![(self.input.as_str(), SessionInputValue::from(input))];
        let outputs = self.session.run(inputs).map_err(failed)?;
        let copy = |name: &str, out: &mut [f32]| {
            let (_, values) = outputs[name].try_extract_tensor::<f32>().map_err(failed)?;
            let Some(values) = values.get(..out.len()) else {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "embed",
                    format!(
                        "the output `{name}` has {} values, expected {}",
                        values.len(),
                        out.len()
                    ),
                ));
            };
            out.copy_from_slice(values);
            Ok(())
        };
        copy(&self.embeddings, out.embeddings)?;
        match (&self.scores, &mut out.scores) {
            (Some(name), Some(scores)) => copy(name, scores),
            _ => Ok(()),
        }
    }
}

impl EmbeddingBackend for OnnxBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        let (dim, classes, bytes) = (
            self.info.dim,
            self.info.classes.len(),
            self.info.input.bytes(),
        );
        let (device, n) = (self.info.device, images.len());
        let mut parts = std::mem::replace(&mut self.parts, Parts::new(self.batch));
        let result = parts.run(
            n,
            |rows| {
                let mut part = InferenceMut {
                    embeddings: &mut out.embeddings[rows.start * dim..rows.end * dim],
                    scores: out
                        .scores
                        .as_mut()
                        .map(|scores| &mut scores[rows.start * classes..rows.end * classes]),
                };
                let images = &images.as_bytes()[rows.start * bytes..rows.end * bytes];
                self.run(images, &mut part)
            },
            |size| {
                log::warn!(
                    "a batch of {size} does not fit into the memory of {device}: going on with smaller ones"
                );
            },
        );
        self.parts = parts;
        result
    }
}

/// The process's environment, made from `found` unless there is one of another library already.
fn environment(found: Found) -> Result<(Found, Environment)> {
    let mut current = ENVIRONMENT
        .lock()
        .unwrap_or_else(|poison| poison.into_inner());
    if let Some((loaded, environment)) = &*current {
        if loaded.path == found.path {
            return Ok((loaded.clone(), environment.clone()));
        }
        return Err(Error::new(
            ErrorKind::Unsupported,
            "load ONNX Runtime",
            format!(
                "this process already runs {}, and cannot load {} beside it",
                loaded.path.display(),
                found.path.display()
            ),
        )
        .remedy("use one library in a process"));
    }
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(
            ErrorKind::Unsupported,
            "load ONNX Runtime",
            "the library does not start",
        )
        .with("file", found.path.display())
        .because(cause)
    };
    let environment = ort::init_from(&found.path)
        .map_err(|cause| failed(cause.to_string().into()))?
        .with_telemetry(false)
        .build()
        .map_err(|cause| failed(cause.to_string().into()))?;
    *current = Some((found.clone(), environment.clone()));
    Ok((found, environment))
}

fn builder(environment: &Environment, threads: usize, device: Device) -> Result<SessionBuilder> {
    let builder = || -> ort::Result<SessionBuilder> {
        Ok(Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?)
    };
    let builder = builder().map_err(|cause| engine_failed("open model", cause))?;
    let Device::Cuda(index) = device else {
        return Ok(builder);
    };
    builder
        .with_execution_providers([cuda::provider(index)])
        .map_err(|cause| {
            cuda::refuse(device, "its provider does not start".to_owned())
                .because(cause.to_string())
        })
}

fn session(mut builder: SessionBuilder, graph: &GraphContent) -> ort::Result<Session> {
    match graph {
        GraphContent::Bytes(bytes) => builder.commit_from_memory(bytes),
        GraphContent::File(path) => builder.commit_from_file(path),
    }
}

fn names(outlets: &[Outlet]) -> String {
    let names: Vec<_> = outlets.iter().map(|outlet| outlet.name()).collect();
    names.join(", ")
}

fn outlet<'a>(outlets: &'a [Outlet], name: &str, what: &str) -> Result<&'a Outlet, String> {
    outlets
        .iter()
        .find(|outlet| outlet.name() == name)
        .ok_or_else(|| {
            format!(
                "the graph has no {what} `{name}`; it has: {}",
                names(outlets)
            )
        })
}

/// Refuses what is not f32 `[N, rest…]`; returns `N` where the graph fixes it.
fn check_tensor(outlet: &Outlet, what: &str, rest: &[usize]) -> Result<Option<usize>, String> {
    let name = outlet.name();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("the {what} `{name}` is no tensor"));
    };
    let lengths: Vec<i64> = shape.iter().copied().collect();
    let fits = lengths.len() == rest.len() + 1
        && lengths[1..]
            .iter()
            .zip(rest)
            .all(|(found, wanted)| *found < 0 || *found == *wanted as i64);
    if *ty != TensorElementType::Float32 || !fits {
        return Err(format!(
            "the {what} `{name}` is {ty:?} {lengths:?}; expected Float32 [N, {}]",
            rest.iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    Ok(usize::try_from(lengths[0]).ok().filter(|batch| *batch > 0))
}

/// u8 `[N, H, W, 3]` to normalised f32 in `layout`, into `values`.
fn normalise(
    images: &[u8],
    plane: usize,
    layout: ImageLayout,
    tables: &[[f32; 256]; 3],
    values: &mut Vec<f32>,
) {
    values.clear();
    match layout {
        ImageLayout::Nhwc => values.extend(
            images
                .iter()
                .enumerate()
                .map(|(i, pixel)| tables[i % 3][*pixel as usize]),
        ),
        ImageLayout::Nchw => {
            for image in images.chunks_exact(3 * plane) {
                for (channel, table) in tables.iter().enumerate() {
                    let pixels = image.chunks_exact(3);
                    values.extend(pixels.map(|pixel| table[pixel[channel] as usize]));
                }
            }
        }
    }
}

fn engine_failed(operation: &'static str, cause: ort::Error) -> Error {
    if out_of_memory(cause.message()) {
        return Error::new(
            ErrorKind::Resource,
            operation,
            "ONNX Runtime ran out of memory",
        )
        .remedy("use a smaller `--batch-size`, or free memory on the device")
        .because(cause);
    }
    Error::new(ErrorKind::Internal, operation, "ONNX Runtime failed").because(cause)
}

/// Whether this is how the allocator of ONNX Runtime, the CUDA runtime or its libraries say that memory ran out; no
/// code of its own tells it apart.
fn out_of_memory(message: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "Failed to allocate memory",
        "is smaller than requested bytes",
        "out of memory",
        "bad_alloc",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_ALLOC_FAILED",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}
