//! Embeds images at several batch sizes and says how long each call took; `gpu-bundle` runs it beside PyTorch.
//!
//! `measure MODEL IMAGES DEVICE PRECISION BATCHES SECONDS EMBEDDINGS`: weights or `model.toml`; a file of u8 `[N, H, W, 3]`;
//! `cpu` or `cuda`; `fp32` or `bf16`; sizes as in `1,8,64`, each at most N; seconds to measure each size for; where the f32
//! embeddings of all images go. Prints one JSON document. libtorch must be on the loader's path, and `LIBTORCH` name its
//! folder.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use driftline_plugin_sdk::EmbeddingPlugin;
use driftline_plugin_sdk::core::{BackendConfig, EmbeddingBackend, ImageView, Inference};
use driftline_tch::TchBackend;

/// Calls before the clock starts.
const WARM_UP: usize = 3;
/// Calls that are timed, at least.
const CALLS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [
        model,
        images,
        device,
        precision,
        batches,
        seconds,
        embeddings,
    ] = arguments.as_slice()
    else {
        return Err(
            "usage: measure MODEL IMAGES DEVICE PRECISION BATCHES SECONDS EMBEDDINGS".into(),
        );
    };
    let threads = std::thread::available_parallelism()?.get();
    let mut backend = TchBackend::open(&BackendConfig {
        device: device.parse()?,
        precision: Some(precision.parse()?),
        runtime: std::env::var_os("LIBTORCH").map(PathBuf::from),
        ..BackendConfig::new(PathBuf::from(model), threads)
    })?;
    let info = backend.info().clone();
    let pixels = std::fs::read(images)?;
    let longest = Duration::from_secs_f64(seconds.parse()?);
    let mut measured = Vec::new();
    let mut out = Inference::default();
    for batch in batches.split(',') {
        let batch: usize = batch.parse()?;
        let bytes = batch * info.input.bytes();
        let pixels = pixels
            .get(..bytes)
            .ok_or("there are fewer images than the batch size")?;
        let view = ImageView::new(info.input, pixels)?;
        out.reset(&info, batch);
        let mut times = Vec::new();
        for _ in 0..WARM_UP {
            backend.embed(view, &mut out.as_mut())?;
        }
        let start = Instant::now();
        while times.len() < CALLS || start.elapsed() < longest {
            // What it returns is in the memory of the CPU, so that the device has ended.
            let call = Instant::now();
            backend.embed(view, &mut out.as_mut())?;
            times.push(call.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        measured.push(format!(
            r#"{{"batch": {batch}, "calls": {}, "seconds": {}}}"#,
            times.len(),
            times[times.len() / 2]
        ));
    }
    let view = ImageView::new(info.input, &pixels)?;
    out.reset(&info, view.len());
    backend.embed(view, &mut out.as_mut())?;
    let bytes: Vec<u8> = out
        .embeddings
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(embeddings, bytes)?;
    println!(
        r#"{{"engine": "{}", "device": "{}", "precision": "{}", "measured": [{}]}}"#,
        info.engine,
        info.device,
        info.precision,
        measured.join(", ")
    );
    Ok(())
}
