//! Plugins of this machine in the registries.

use std::path::{Path, PathBuf};

use driftline_core::{
    BackendConfig, DriftTransform, EmbeddingBackend, Error, ErrorKind, Registration, Registry,
    Result, TransformSpec,
};
use driftline_plugin_host::manifest::ManifestComponent;
use driftline_plugin_host::{
    ComponentKind, Library, Lock, Manifest, PluginBackend, PluginTransform, Policy, Search, search,
};
use etcetera::BaseStrategy;

use crate::runtimes;
use crate::settings::PluginSettings;

/// The plugins that were found.
#[derive(Debug)]
pub struct Plugins {
    search: Search,
    policy: Policy,
}

impl Plugins {
    /// Looks for plugins in the folders that `settings` name, then where they are always looked for. Runs none of them. A
    /// manifest that cannot be read is a warning.
    ///
    /// # Errors
    /// `InvalidConfig` for a `plugins.lock` that cannot be read.
    pub fn find(settings: &PluginSettings) -> Result<Self> {
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
        for (manifest, component) in self.components(ComponentKind::Transform) {
            let (plugin, policy) = (manifest.clone(), self.policy.clone());
            let registered = registry.register(Registration {
                name: component.name.clone(),
                aliases: Vec::new(),
                summary: component.summary.clone(),
                origin: manifest.library.display().to_string(),
                constructor: Ok(Box::new(move |spec| transform(&plugin, &policy, spec))),
            });
            if let Err(error) = registered {
                log::warn!("a plugin is left out: {error}");
            }
        }
    }

    /// Registers the embedding backends. One whose name is taken is left out with a warning.
    pub(crate) fn register_backends(
        &self,
        registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    ) {
        for (manifest, component) in self.components(ComponentKind::Embedding) {
            let (plugin, name) = (manifest.clone(), component.name.clone());
            let policy = self.policy.clone();
            let registered = registry.register(Registration {
                name: name.clone(),
                aliases: Vec::new(),
                summary: component.summary.clone(),
                origin: manifest.library.display().to_string(),
                constructor: Ok(Box::new(move |config| {
                    let runtime =
                        prepare_runtime(plugin.runtime.as_deref(), config.runtime.as_deref())?;
                    let config = BackendConfig {
                        runtime,
                        ..config.clone()
                    };
                    let library = Library::open(&plugin, &policy)?;
                    Ok(Box::new(PluginBackend::open(library, &name, &config)?) as _)
                })),
            });
            if let Err(error) = registered {
                log::warn!("a plugin is left out: {error}");
            }
        }
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

/// The transform that `spec` asks for, of `plugin`.
fn transform(
    plugin: &Manifest,
    policy: &Policy,
    spec: &TransformSpec,
) -> Result<Box<dyn DriftTransform>> {
    prepare_runtime(plugin.runtime.as_deref(), None)?;
    let library = Library::open(plugin, policy)?;
    Ok(Box::new(PluginTransform::new(library, spec)?))
}

/// Loads the library of the engine that a plugin is linked to, as its manifest says, and returns its folder.
///
/// `runtime` names it; otherwise it is looked for. A plugin without an engine of its own gets `runtime` as it is.
pub fn prepare_runtime(engine: Option<&str>, runtime: Option<&Path>) -> Result<Option<PathBuf>> {
    match engine {
        None => Ok(runtime.map(Path::to_owned)),
        Some("tch") => {
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
