//! Trains the model that ships with driftline, on the sample data set:
//! `cargo run --release -p driftline --example train_sample_model`.
//!
//! Every scene is seen once, so the model does not know its training rows better than others. Nothing is blurred or
//! darkened in training: the model shall notice when that happens.

mod network;
mod ops;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss, ops::log_softmax};
use clap::Parser;
use driftline_core::{ImageSource, Label, Resize, SourceBatch};
use driftline_data::sample::{CLASSES, GENERATOR_VERSION, SHAPE, SampleSource};
use driftline_data::{DecodeOptions, Split};
use sha2::{Digest, Sha256};

use network::{Network, Sizes};

const SIZES: Sizes = Sizes {
    width: 16,
    dim: 128,
    classes: CLASSES.len(),
};
const BATCH: usize = 64;
const PEAK_RATE: f64 = 4e-3;
const WEIGHT_DECAY: f64 = 0.05;
/// Part of the steps in which the rate rises; it falls along a cosine in the rest.
const WARM_UP: f64 = 0.15;
/// Unseen rows that the accuracy is measured on.
const TEST_ROWS: u64 = 6_000;
const LEAST_ACCURACY: f64 = 0.9;
const MOST_BYTES: usize = 4_000_000;

/// Trains the sample model and writes it to crates/driftline/models/sample; the defaults make the one that ships.
#[derive(Parser)]
struct Arguments {
    /// Scenes to train on, each seen once.
    #[arg(long, default_value_t = 160_000)]
    rows: u64,
    /// Seed of the first weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = &Arguments::parse();
    // The products are so small that threads would spend their time on waiting for each other.
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()?;
    let network = Network::new(SIZES, arguments.seed)?;
    train(&network, arguments.rows)?;
    let accuracy = accuracy(&network)?;
    println!("accuracy on {TEST_ROWS} unseen scenes: {accuracy:.4}");
    ensure!(
        accuracy >= LEAST_ACCURACY,
        "the model is right on {accuracy:.4} of unseen scenes, at least {LEAST_ACCURACY} is wanted; train on more rows"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/sample");
    write(&network, &folder, arguments, accuracy)?;
    println!("wrote {}", folder.display());
    Ok(())
}

fn open(split: Split, rows: u64) -> Result<SampleSource> {
    let decode = DecodeOptions {
        shape: SHAPE,
        resize: Resize::Stretch,
    };
    Ok(SampleSource::open(split, rows, &decode)?)
}

fn train(network: &Network, rows: u64) -> Result<()> {
    let parameters = ParamsAdamW {
        weight_decay: WEIGHT_DECAY,
        ..ParamsAdamW::default()
    };
    let mut optimiser = AdamW::new(network.parameters(), parameters)?;
    let mut source = open(Split::Train, rows)?;
    let start = Instant::now();
    let mut seen = 0;
    while let Some(batch) = source.next_batch(BATCH)? {
        optimiser.set_learning_rate(PEAK_RATE * rate(seen as f64 / rows as f64));
        let logits = forward(network, &batch, true)?;
        let loss = loss::nll(&log_softmax(&logits, D::Minus1)?, &targets(&batch)?)?;
        optimiser.backward_step(&loss)?;
        seen += batch.images.len();
        if seen % (100 * BATCH) == 0 {
            println!(
                "{seen:>8} scenes, loss {:.3}, {:.0} scenes/s",
                loss.to_scalar::<f32>()?,
                seen as f64 / start.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}

/// Part of the peak rate at `progress` 0..1: a line up, then half a cosine down to 0.
fn rate(progress: f64) -> f64 {
    if progress < WARM_UP {
        progress / WARM_UP
    } else {
        let down = (progress - WARM_UP) / (1.0 - WARM_UP);
        0.5 + 0.5 * (std::f64::consts::PI * down).cos()
    }
}

fn accuracy(network: &Network) -> Result<f64> {
    let mut source = open(Split::Test, TEST_ROWS)?;
    let mut right = 0;
    while let Some(batch) = source.next_batch(250)? {
        let guesses = forward(network, &batch, false)?.argmax(D::Minus1)?;
        let hits = guesses.eq(&targets(&batch)?)?.to_dtype(DType::U32)?;
        right += hits.sum_all()?.to_scalar::<u32>()?;
    }
    Ok(f64::from(right) / TEST_ROWS as f64)
}

fn forward(network: &Network, batch: &SourceBatch, train: bool) -> Result<Tensor> {
    let values: Vec<f32> = batch
        .images
        .as_bytes()
        .iter()
        .map(|byte| (f32::from(*byte) / 255.0 - 0.5) / 0.5)
        .collect();
    let pixels = values.len() / 3;
    let rows = Tensor::from_vec(values, (pixels, 3), &Device::Cpu)?;
    Ok(network.forward(rows, SHAPE.height, SHAPE.width, train)?)
}

fn targets(batch: &SourceBatch) -> Result<Tensor> {
    let classes = batch
        .rows
        .iter()
        .map(|row| match &row.label {
            Some(Label::Name(name)) => CLASSES
                .iter()
                .position(|class| class == name)
                .map(|class| class as u32),
            _ => None,
        })
        .collect::<Option<Vec<u32>>>()
        .context("a sample row has no class")?;
    Ok(Tensor::new(classes, &Device::Cpu)?)
}

fn write(network: &Network, folder: &Path, arguments: &Arguments, accuracy: f64) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let weights = folder.join("weights.safetensors");
    let tensors: HashMap<&str, Tensor> = network
        .state()
        .map(|(name, tensor)| (name, tensor.clone()))
        .collect();
    candle_core::safetensors::save(&tensors, &weights)?;
    let bytes = fs::read(&weights)?;
    ensure!(
        bytes.len() <= MOST_BYTES,
        "the weights take {} bytes, at most {MOST_BYTES} are wanted",
        bytes.len()
    );
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    fs::write(folder.join("model.toml"), manifest(&sha256))?;
    let readme = provenance(arguments, accuracy, bytes.len(), &sha256);
    fs::write(folder.join("README.md"), readme)?;
    Ok(())
}

fn manifest(sha256: &str) -> String {
    format!(
        r#"name = "sample-resnet18"
architecture = "resnet18"
classes = {CLASSES:?}

[weights]
file = "weights.safetensors"
sha256 = "{sha256}"

[input]
height = {height}
width = {width}
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
resize = "stretch"

[embedding]
layer = "fc.0"
dim = {dim}
"#,
        height = SHAPE.height,
        width = SHAPE.width,
        dim = SIZES.dim,
    )
}

fn provenance(arguments: &Arguments, accuracy: f64, bytes: usize, sha256: &str) -> String {
    let Arguments { rows, seed } = arguments;
    format!(
        "# The sample model

A ResNet-18 of base width {width} with {dim}-d embeddings, trained on the sample data set. Written by

```sh
cargo run --release -p driftline --example train_sample_model -- --rows {rows} --seed {seed}
```

| what | value |
| --- | --- |
| training data | rows 0 to {last} of `sample#train`, generator version {GENERATOR_VERSION}, each seen once, not augmented |
| optimiser | AdamW, batch {BATCH}, weight decay {WEIGHT_DECAY}, rate up to {PEAK_RATE} and down along a cosine |
| accuracy on unseen scenes | {accuracy:.4} (rows 0 to {last_test} of `sample#test`) |
| weights | {bytes} bytes, sha256 `{sha256}` |

The order of sums differs between machines, so another machine may give slightly other weights and another checksum.
",
        width = SIZES.width,
        dim = SIZES.dim,
        last = rows - 1,
        last_test = TEST_ROWS - 1,
    )
}
