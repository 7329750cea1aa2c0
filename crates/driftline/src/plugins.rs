//! Plugins of this machine in the registries.

use std::path::{Path, PathBuf};

use driftline_core::{
    BackendConfig, Device, DriftTransform, EmbeddingBackend, Engine, Error, ErrorKind, MonitorSink,
    Registration, Registry, Result, SinkConfig, TransformSpec,
};
pub use driftline_plugin_host::Probe;
use driftline_plugin_host::manifest::ManifestComponent;
use driftline_plugin_host::{
    ComponentKind, Library, Lock, Manifest, PluginBackend, PluginSink, PluginTransform, Policy,
    Search, search,
};
use etcetera::BaseStrategy;

use crate::runtimes;
use crate::settings::PluginSettings;
use crate::tch::{self, TCH};

/// The plugins that were found.
#[derive(Debug)]
pub struct Plugins {
    search: Search,
    policy: Policy,
}

impl Plugins {
    /// Looks for plugins in the folders that `settings` name, then where they are always looked for. Runs none of them. A
    /// manifest that cannot be read is a warning. One that is not in the lock is loaded by `probe` first, where there is
    /// one.
    ///
    /// # Errors
    /// `InvalidConfig` for a `plugins.lock` that cannot be read.
    pub fn find(settings: &PluginSettings, probe: Option<Probe>) -> Result<Self> {
        let search = search(&settings.path);
        for found in &search.found {
            if let Err(error) = &found.manifest {
                log::warn!("a plugin is left out: {error}");
            }
        }
        let lock = match &settings.lock {
            Some(path) => path.clone(),
            None => default_lock()?,
        };
        Ok(Self {
            search,
            policy: Policy {
                lock: Lock::open(&lock)?,
                require_lock: settings.require_lock,
                probe,
            },
        })
    }

    /// What the search found.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// Which of them may be loaded.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The plugin that offers `name`, and its component.
    pub fn get(&self, kind: ComponentKind, name: &str) -> Option<(&Manifest, &ManifestComponent)> {
        self.components(kind)
            .find(|(_, component)| component.name == name)
    }

    /// What was looked at, as one text.
    pub fn trace(&self) -> String {
        self.search.trace()
    }

    fn components(
        &self,
        kind: ComponentKind,
    ) -> impl Iterator<Item = (&Manifest, &ManifestComponent)> {
        self.search
            .found
            .iter()
            .filter_map(|found| found.manifest.as_ref().ok())
            .flat_map(|manifest| {
                manifest
                    .components
                    .iter()
                    .map(move |component| (manifest, component))
            })
            .filter(move |(_, component)| component.kind == kind)
    }

    /// Registers the drift transforms. One whose name is taken is left out with a warning.
    pub(crate) fn register_transforms(
        &self,
        registry: &mut Registry<TransformSpec, Box<dyn DriftTransform>>,
    ) {
        let left_out = self.register(registry, ComponentKind::Transform, |plugin, _| {
            move |spec: &TransformSpec| {
                let library = plugin.open(None)?.0;
                Ok(Box::new(PluginTransform::new(library, spec)?) as _)
            }
        });
        warn(&left_out);
    }

    /// Registers the embedding backends, in the same way; `tch` with a reason where it was not found.
    pub(crate) fn register_backends(
        &self,
        registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    ) -> Result<()> {
        let left_out = self.register(registry, ComponentKind::Embedding, |plugin, name| {
            move |config: &BackendConfig| {
                let (library, runtime) = plugin.open(config.runtime.as_deref())?;
                let config = BackendConfig {
                    runtime,
                    ..config.clone()
                };
                Ok(Box::new(PluginBackend::open(library, &name, &config)?) as _)
            }
        });
        warn(&left_out);
        tch::register_missing(registry, self.without_tch())
    }

    /// Registers the engines of the embedding backends that [`register_backends`](Self::register_backends) takes.
    pub(crate) fn register_engines(
        &self,
        registry: &mut Registry<Option<PathBuf>, Engine>,
    ) -> Result<()> {
        // What is left out was told with the backends.
        self.register(registry, ComponentKind::Embedding, |plugin, _| {
            move |runtime: &Option<PathBuf>| plugin.engine(runtime.as_deref())
        });
        tch::register_missing_engine(registry, self.without_tch())
    }

    /// Why there is no backend `tch`.
    fn without_tch(&self) -> String {
        format!(
            "its plugin was not found; build it with `cargo xtask plugin tch` in driftline's repository (looked in {})",
            self.trace()
        )
    }

    /// Registers the sinks, in the same way.
    pub(crate) fn register_sinks(&self, registry: &mut Registry<SinkConfig, Box<dyn MonitorSink>>) {
        let left_out = self.register(registry, ComponentKind::Sink, |plugin, name| {
            move |config: &SinkConfig| {
                let library = plugin.open(None)?.0;
                let sink = PluginSink::open(library, &name, &config.options, &config.monitor)?;
                Ok(Box::new(sink) as _)
            }
        });
        warn(&left_out);
    }

    /// Registers everything of a kind, and returns why something is left out.
    fn register<C, T, F>(
        &self,
        registry: &mut Registry<C, T>,
        kind: ComponentKind,
        constructor: impl Fn(Plugin, String) -> F,
    ) -> Vec<Error>
    where
        F: Fn(&C) -> Result<T> + Send + Sync + 'static,
    {
        let mut register = |(manifest, component): (&Manifest, &ManifestComponent)| {
            let plugin = Plugin {
                manifest: manifest.clone(),
                policy: self.policy.clone(),
            };
            registry.register(Registration {
                name: component.name.clone(),
                aliases: Vec::new(),
                summary: component.summary.clone(),
                origin: manifest.library.display().to_string(),
                constructor: Ok(Box::new(constructor(plugin, component.name.clone()))),
            })
        };
        self.components(kind)
            .filter_map(|found| register(found).err())
            .collect()
    }
}

fn warn(left_out: &[Error]) {
    for error in left_out {
        log::warn!("a plugin is left out: {error}");
    }
}

/// A plugin that is loaded when something of it is made.
struct Plugin {
    manifest: Manifest,
    policy: Policy,
}

impl Plugin {
    /// Loads it, after the library of its engine, which `runtime` may name; returns where that is.
    fn open(&self, runtime: Option<&Path>) -> Result<(&'static Library, Option<PathBuf>)> {
        let runtime = prepare_runtime(self.manifest.runtime.as_deref(), runtime)?;
        Ok((Library::open(&self.manifest, &self.policy)?, runtime))
    }

    /// What it computes with, or why it cannot be used. Runs nothing of it.
    fn engine(&self, runtime: Option<&Path>) -> Result<Engine> {
        let Manifest { name, version, .. } = &self.manifest;
        driftline_dylib::check_header(&self.manifest.library).map_err(|reason| {
            Error::new(ErrorKind::InvalidData, "load plugin", reason)
                .with("plugin", self.manifest.library.display())
        })?;
        if self.manifest.runtime.as_deref() != Some(TCH) {
            return Ok(Engine::on_cpu(format!("{name} {version}")));
        }
        let libtorch = runtimes::tch::find(runtime)?;
        let mut engine = Engine::on_cpu(format!("libtorch {}", libtorch.version));
        if libtorch.has_cuda() {
            let count = driftline_dylib::cuda_devices().unwrap_or(0);
            engine.devices.extend((0..count).map(Device::Cuda));
        }
        Ok(engine)
    }
}

/// Where the operator's lock file is: `driftline/plugins.lock` in the user's folder for configuration.
fn default_lock() -> Result<PathBuf> {
    let folders = etcetera::choose_base_strategy().map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "find plugins.lock",
            "the user's folder for configuration is not known",
        )
        .because(cause)
        .remedy("set HOME, or plugins.lock")
    })?;
    Ok(folders.config_dir().join("driftline/plugins.lock"))
}

/// Loads the library of the engine that a plugin is linked to, as its manifest says, and returns its folder.
///
/// `runtime` names it; otherwise it is looked for. A plugin without an engine of its own gets `runtime` as it is.
pub fn prepare_runtime(engine: Option<&str>, runtime: Option<&Path>) -> Result<Option<PathBuf>> {
    match engine {
        None => Ok(runtime.map(Path::to_owned)),
        Some(TCH) => {
            let libtorch = runtimes::tch::find(runtime)?;
            runtimes::tch::load(&libtorch)?;
            Ok(Some(libtorch.folder))
        }
        Some(other) => Err(Error::new(
            ErrorKind::Unsupported,
            "load plugin",
            format!("the plugin needs the runtime `{other}`, which is not known here"),
        )),
    }
}
