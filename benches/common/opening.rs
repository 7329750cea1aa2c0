//! Plugins, backends, model and images.

use std::path::PathBuf;

use driftline::core::{BackendConfig, EmbeddingBackend, Registry};
use driftline::data::{Split, sample};
use driftline::pipeline::Progress;
use driftline::settings::PluginSettings;
use driftline::{Plugins, models, registries};

/// Progress that nobody sees.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// The plugins of this machine.
pub fn plugins() -> Plugins {
    Plugins::find(&PluginSettings::default(), None).expect("plugins.lock")
}

/// The backends of this machine.
pub fn backends() -> Registry<BackendConfig, Box<dyn EmbeddingBackend>> {
    registries::backends(&plugins()).expect("the registry")
}

/// The model that `DRIFTLINE_BENCH_MODEL` names, or the sample model.
pub fn model() -> PathBuf {
    let name = std::env::var("DRIFTLINE_BENCH_MODEL").unwrap_or_else(|_| "sample".to_owned());
    models::resolve(&name, &Silent).expect("the model")
}

/// The first `count` images of the sample data, u8 `[count, 32, 32, 3]`.
pub fn images(count: usize) -> Vec<u8> {
    (0..count as u64)
        .flat_map(|row| sample::scene(Split::Test, row).1)
        .collect()
}
