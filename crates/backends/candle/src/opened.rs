//! A model that is read, as the kernels and the trait take it.

use driftline_core::{BackendConfig, BackendInfo, Precision, Result};
use driftline_kernels as kernels;
use driftline_kernels::{Instructions, Network};
use driftline_model::{Block, Conv, Linear, ModelPackage, Preprocessing, ResNet18};

/// Compiles a model's network for images of `preprocessing`'s size, see [`Network::new`].
///
/// # Errors
/// Those of [`Network::new`].
pub fn compile(
    network: &ResNet18,
    preprocessing: &Preprocessing,
    threads: usize,
    instructions: Instructions,
    precision: Precision,
) -> Result<Network> {
    let input = kernels::Input {
        shape: preprocessing.shape,
        normalised: preprocessing.normalisation(),
    };
    let network = kernels::ResNet18 {
        stem: conv(&network.stem),
        blocks: network.blocks.iter().map(block).collect(),
        embedding: linear(&network.embedding),
        head: linear(&network.head),
    };
    Network::new(&network, &input, threads, instructions, precision)
}

fn block(block: &Block) -> kernels::Block<'_> {
    kernels::Block {
        conv1: conv(&block.conv1),
        conv2: conv(&block.conv2),
        downsample: block.downsample.as_ref().map(conv),
    }
}

fn conv(conv: &Conv) -> kernels::Conv<'_> {
    kernels::Conv {
        weight: &conv.weight,
        bias: &conv.bias,
        out_channels: conv.out_channels,
        in_channels: conv.in_channels,
        kernel: conv.kernel,
        stride: conv.stride,
        padding: conv.padding,
    }
}

fn linear(linear: &Linear) -> kernels::Linear<'_> {
    kernels::Linear {
        weight: &linear.weight,
        bias: &linear.bias,
        outputs: linear.outputs,
        inputs: linear.inputs,
    }
}

/// What a backend of this crate opens: a model, on the CPU.
pub(crate) struct Opened {
    pub(crate) network: ResNet18,
    pub(crate) preprocessing: Preprocessing,
    classes: Vec<String>,
    precision: Precision,
    threads: usize,
}

impl Opened {
    /// Reads the model in the name of a backend.
    pub(crate) fn new(name: &str, config: &BackendConfig) -> Result<Self> {
        config.cpu_only(name)?;
        let package = ModelPackage::open(&config.model)?;
        let (network, classes) = package.network()?;
        Ok(Self {
            network,
            preprocessing: package.preprocessing,
            classes,
            precision: precision(config),
            threads: config.threads.max(1),
        })
    }

    /// Its network, compiled.
    pub(crate) fn compile(&self, instructions: Instructions) -> Result<Network> {
        let (network, preprocessing) = (&self.network, &self.preprocessing);
        compile(
            network,
            preprocessing,
            self.threads,
            instructions,
            self.precision,
        )
    }

    /// What the backend is.
    pub(crate) fn info(self, name: &str, engine: String, notes: Vec<String>) -> BackendInfo {
        BackendInfo {
            name: name.to_owned(),
            engine,
            device: driftline_core::Device::Cpu,
            precision: self.precision,
            threads: self.threads,
            input: self.preprocessing.shape,
            dim: self.network.dim(),
            classes: self.classes,
            notes,
        }
    }
}

/// The precision that a configuration asks for.
pub(crate) fn precision(config: &BackendConfig) -> Precision {
    config.precision.unwrap_or(Precision::Fp32)
}

/// What a user should know about a network on these instructions.
pub(crate) fn notes(instructions: Instructions) -> Vec<String> {
    match instructions {
        Instructions::Portable => vec![
            "without AVX2 or NEON it is several times slower than on a processor that has them"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}
