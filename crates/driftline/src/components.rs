//! Every backend, transform and sink that jobs may name.

use driftline_core::{
    BackendConfig, DriftTransform, EmbeddingBackend, MonitorSink, Registry, Result, SinkConfig,
    TransformSpec,
};

use crate::{PluginSettings, Plugins, Probe, registries};

/// What jobs choose from by name. A program registers its own beside them.
///
/// ```
/// use driftline::Components;
/// use driftline::core::{Error, ErrorKind, Registration};
///
/// # fn main() -> driftline::core::Result<()> {
/// let mut components = Components::built_in()?;
/// components.transforms.register(Registration::built_in(
///     "frost",
///     &[],
///     "ice on the lens",
///     |_| Err(Error::new(ErrorKind::Unsupported, "make frost", "it is too warm")),
/// ))?;
/// assert!(components.parse_transforms("frost").is_err());
/// assert_eq!(components.parse_transforms("blur(1),brightness(0.5)")?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct Components {
    /// Engines that embed.
    pub backends: Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    /// Drift to inject.
    pub transforms: Registry<TransformSpec, Box<dyn DriftTransform>>,
    /// Where rows go.
    pub sinks: Registry<SinkConfig, Box<dyn MonitorSink>>,
}

impl Components {
    /// Those that are compiled in; no plugin is looked for.
    ///
    /// # Errors
    /// None today: the built-in names differ.
    pub fn built_in() -> Result<Self> {
        Ok(Self {
            backends: registries::built_in_backends()?,
            transforms: registries::built_in_transforms()?,
            sinks: registries::built_in_sinks()?,
        })
    }

    /// Those that are compiled in, and those of plugins.
    ///
    /// # Errors
    /// None today: a plugin whose name is taken is left out with a warning.
    pub fn new(plugins: &Plugins) -> Result<Self> {
        Ok(Self {
            backends: registries::backends(plugins)?,
            transforms: registries::transforms(plugins)?,
            sinks: registries::sinks(plugins)?,
        })
    }

    /// As [`new`](Self::new), with the plugins that `settings` lead to; `probe` as in [`Plugins::find`].
    ///
    /// # Errors
    /// Those of [`Plugins::find`].
    pub fn find(settings: &PluginSettings, probe: Option<Probe>) -> Result<Self> {
        Self::new(&Plugins::find(settings, probe)?)
    }

    /// The transforms of an expression such as `blur(sigma=0.1..2),brightness(0.4..0.6)`, in order.
    ///
    /// # Errors
    /// `InvalidConfig` for an expression, a name or a parameter that is wrong.
    pub fn parse_transforms(&self, expression: &str) -> Result<Vec<Box<dyn DriftTransform>>> {
        registries::parse_transforms(expression, &self.transforms)
    }
}
