//! A program that was built without the feature `plugins`: there are none.

use std::path::{Path, PathBuf};

use driftline_core::{
    BackendConfig, DriftTransform, EmbeddingBackend, Engine, Error, ErrorKind, MonitorSink,
    Registry, Result, SinkConfig, TransformSpec,
};

use crate::settings::PluginSettings;
use crate::tch;

const REASON: &str = "this program was built without plugins";

/// Loads a library in a process of its own.
pub type Probe = fn(library: &Path, runtime: Option<&str>) -> Result<()>;

/// The plugins that were found: none.
#[derive(Debug)]
pub struct Plugins(());

impl Plugins {
    /// Looks for nothing.
    ///
    /// # Errors
    /// `Unsupported` where `settings` name plugins.
    pub fn find(settings: &PluginSettings, _: Option<Probe>) -> Result<Self> {
        if *settings == PluginSettings::default() {
            return Ok(Self(()));
        }
        Err(Error::new(ErrorKind::Unsupported, "find plugins", REASON)
            .remedy("leave out the settings of plugins, or build it with the feature `plugins`"))
    }

    pub(crate) fn register_transforms(
        &self,
        _: &mut Registry<TransformSpec, Box<dyn DriftTransform>>,
    ) {
    }

    pub(crate) fn register_backends(
        &self,
        registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    ) -> Result<()> {
        tch::register_missing(registry, REASON.to_owned())
    }

    pub(crate) fn register_engines(
        &self,
        registry: &mut Registry<Option<PathBuf>, Engine>,
    ) -> Result<()> {
        tch::register_missing_engine(registry, REASON.to_owned())
    }

    pub(crate) fn register_sinks(&self, _: &mut Registry<SinkConfig, Box<dyn MonitorSink>>) {}
}
