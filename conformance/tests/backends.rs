//! The built-in backends. Those that `DRIFTLINE_REQUIRE_BACKENDS` names (`candle,onnx`) must be able to run.

use driftline_backend_candle::CandleBackend;
use driftline_backend_onnx::OnnxBackend;
use driftline_conformance::trials::{Candidate, main as run, ready};

const REQUIRE: &str = "DRIFTLINE_REQUIRE_BACKENDS";

fn main() {
    // A name and a candidate, or why there is none.
    let known = [("candle", Ok(candle())), ("onnx", onnx())];
    let names = std::env::var(REQUIRE).unwrap_or_default();
    let mut required: Vec<&str> = names.split(',').map(str::trim).collect();
    required.retain(|name| !name.is_empty());
    let mut backends: Vec<_> = required
        .iter()
        .filter(|name| known.iter().all(|(known, _)| known != *name))
        .map(|name| {
            let reason = format!("{REQUIRE} names it, but there is no such backend");
            let absent = Candidate::Absent {
                reason,
                required: true,
            };
            ((*name).to_owned(), absent)
        })
        .collect();
    backends.extend(known.map(|(name, candidate)| {
        let candidate = candidate.unwrap_or_else(|reason| Candidate::Absent {
            reason,
            required: required.contains(&name),
        });
        (name.to_owned(), candidate)
    }));
    run(backends, Vec::new());
}

fn candle() -> Candidate {
    ready(|config| Ok(Box::new(CandleBackend::open(config)?)))
}

fn onnx() -> Result<Candidate, String> {
    driftline_backend_onnx::find(None, None).map_err(|error| error.to_string())?;
    Ok(ready(|config| {
        Ok(Box::new(OnnxBackend::open(config, None)?))
    }))
}
