//! The suite as an outside author runs it.

use driftline_conformance::OracleBackend;
use driftline_core::{BackendConfig, EmbeddingBackend, Result};

fn open(config: &BackendConfig) -> Result<Box<dyn EmbeddingBackend>> {
    Ok(Box::new(OracleBackend::open(config, None)?))
}

driftline_conformance::conformance_main!(
    open,
    expecting: [("pytorch_golden", "it reads synthetic models only")]
);
