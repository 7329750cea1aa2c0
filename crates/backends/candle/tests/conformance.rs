//! The conformance suite on every instruction set of this processor, in every precision, and on candle's own operations.

use driftline_backend_candle::{CandleBackend, Instructions};
use driftline_conformance::trials::{main as run, ready};
use driftline_core::{BackendConfig, Precision};

fn main() {
    let fused = [Precision::Fp32, Precision::Bf16].map(|precision| {
        Instructions::supported(precision).map(move |instructions| {
            let open = move |config: &BackendConfig| {
                let config = BackendConfig {
                    precision: Some(precision),
                    ..config.clone()
                };
                Ok(Box::new(CandleBackend::fused(&config, instructions)?) as _)
            };
            (format!("candle-{instructions}-{precision}"), ready(open))
        })
    });
    let layers = ready(|config| Ok(Box::new(CandleBackend::layers(config)?) as _));
    let mut backends: Vec<_> = fused.into_iter().flatten().collect();
    backends.push(("candle-layers".to_owned(), layers));
    run(backends, Vec::new());
}
