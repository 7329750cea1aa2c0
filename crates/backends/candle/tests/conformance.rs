//! The conformance suite on every instruction set of this processor, in every precision.

use driftline_backend_candle::{CandleBackend, Instructions};
use driftline_conformance::trials::{main as run, ready};
use driftline_core::{BackendConfig, Precision};

fn main() {
    let backends = [Precision::Fp32, Precision::Bf16].map(|precision| {
        Instructions::supported(precision).map(move |instructions| {
            let open = move |config: &BackendConfig| {
                let config = BackendConfig {
                    precision: Some(precision),
                    ..config.clone()
                };
                Ok(Box::new(CandleBackend::with_instructions(&config, instructions)?) as _)
            };
            (format!("candle-{instructions}-{precision}"), ready(open))
        })
    });
    run(backends.into_iter().flatten().collect(), Vec::new());
}
