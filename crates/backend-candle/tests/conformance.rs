//! The conformance suite on every instruction set of this processor.

use driftline_backend_candle::{CandleBackend, Instructions};
use driftline_conformance::trials::{main as run, ready};

fn main() {
    let backends = Instructions::supported()
        .map(|instructions| {
            let open = move |config: &_| {
                Ok(Box::new(CandleBackend::with_instructions(config, instructions)?) as _)
            };
            (format!("candle-{instructions}"), ready(open))
        })
        .collect();
    run(backends, Vec::new());
}
