//! The oracle as a backend, whole or with a fault.

use std::path::Path;

use driftline_core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Error, ErrorKind, ImageView,
    InferenceMut, Precision, Result,
};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::fault::Fault;
use crate::oracle;
use crate::synthetic::{Image, SyntheticModel};

/// The oracle as a backend, with a fault if one is given.
pub struct OracleBackend {
    info: BackendInfo,
    model: SyntheticModel,
    fault: Option<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    architecture: String,
    classes: Vec<String>,
    weights: toml::Table,
    input: Input,
    embedding: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    height: usize,
    width: usize,
    mean: [f64; 3],
    std: [f64; 3],
}

impl OracleBackend {
    /// Has it declare another precision than fp32.
    #[must_use]
    pub fn declaring(mut self, precision: Precision) -> Self {
        self.info.precision = precision;
        self
    }

    /// Opens a model that [`SyntheticModel::write`] wrote, and refuses one that was changed.
    pub fn open(config: &BackendConfig, fault: Option<Fault>) -> Result<Self> {
        config.cpu_only("oracle")?;
        config.fp32_only("oracle")?;
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidData, "open model", message)
                .with("model", config.model.display())
        };
        let text = std::fs::read_to_string(&config.model)
            .map_err(|e| Error::io("open model", &config.model, e))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        let shape = driftline_core::ImageShape {
            height: manifest.input.height,
            width: manifest.input.width,
        };
        let path = config.model.with_file_name("weights.safetensors");
        let mut model = read(&path, shape).map_err(refuse)?;
        model.mean = manifest.input.mean;
        model.std = manifest.input.std;
        if manifest.architecture != "resnet18"
            || manifest.weights.is_empty()
            || manifest.embedding.is_empty()
        {
            return Err(refuse("this is not a synthetic model".to_owned()));
        }
        Ok(Self {
            info: BackendInfo {
                name: "oracle".to_owned(),
                engine: format!("float64 loops over {}", manifest.name),
                device: Device::Cpu,
                precision: Precision::Fp32,
                threads: config.threads,
                input: shape,
                dim: crate::synthetic::DIM,
                classes: manifest.classes,
                notes: Vec::new(),
            },
            model,
            fault,
        })
    }
}

/// Reads weights into the model whose shapes they have.
fn read(path: &Path, shape: driftline_core::ImageShape) -> Result<SyntheticModel, String> {
    let bytes = std::fs::read(path).map_err(|cause| cause.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|cause| cause.to_string())?;
    let stem = file
        .tensor("conv1.weight")
        .map_err(|cause| cause.to_string())?;
    let mut model = SyntheticModel::new(stem.shape()[0], shape);
    if let Some(name) = file
        .names()
        .into_iter()
        .find(|name| !model.tensors.contains_key(*name))
    {
        return Err(format!("{name} does not belong here"));
    }
    for (name, tensor) in &mut model.tensors {
        let view = file
            .tensor(name)
            .map_err(|cause| format!("{name}: {cause}"))?;
        if view.shape() != tensor.shape {
            return Err(format!(
                "{name} is {:?}, expected {:?}",
                view.shape(),
                tensor.shape
            ));
        }
        let values = view.data().as_chunks().0.iter();
        tensor.values = values
            .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
            .collect();
        if tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(format!("{name} has values that are not finite"));
        }
    }
    Ok(model)
}

impl EmbeddingBackend for OracleBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        let bytes = self.info.input.bytes();
        let images: Vec<Image> = images
            .as_bytes()
            .chunks_exact(bytes)
            .map(<[u8]>::to_vec)
            .collect();
        let mut answers = oracle::run(&self.model, &images, self.fault);
        match self.fault {
            Some(Fault::RowOrder) => answers.reverse(),
            Some(Fault::UnwrittenRow) => drop(answers.pop()),
            _ => {}
        }
        let dim = self.info.dim;
        for (row, answer) in out.embeddings.chunks_exact_mut(dim).zip(&answers) {
            write(row, &answer.embedding);
        }
        if let Some(scores) = &mut out.scores {
            for (row, answer) in scores
                .chunks_exact_mut(self.info.classes.len())
                .zip(&answers)
            {
                write(row, &answer.scores);
            }
        }
        Ok(())
    }
}

fn write(row: &mut [f32], values: &[f64]) {
    for (out, value) in row.iter_mut().zip(values) {
        *out = *value as f32;
    }
}
